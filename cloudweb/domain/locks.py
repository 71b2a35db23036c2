"""Locking servers against accidents: nobody shuts down, reboots, suspends or destroys one then."""

from sqlalchemy.orm import Session

from cloudweb.domain import audit, servers
from cloudweb.domain.identity import Identity


def lock(session: Session, identity: Identity, server_id: int) -> None:
    """Lock a server; twice is once. Raises ItemNotFound, BadRequest (deleted)."""
    _set(session, identity, server_id, locked=True)


def unlock(session: Session, identity: Identity, server_id: int) -> None:
    """End that. Raises ItemNotFound, BadRequest (deleted)."""
    _set(session, identity, server_id, locked=False)


def _set(session: Session, identity: Identity, server_id: int, *, locked: bool) -> None:
    server = servers.lock(session, identity, server_id)
    if server.locked is locked:
        return
    server.locked = locked
    audit.record(
        *(session, identity, "server:lock" if locked else "server:unlock", "server", server.id),
        before={"locked": not locked},
        after={"locked": locked},
    )
