"""Consoles: whose may be opened, and who opened one."""

import dataclasses

from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit, server_views, servers
from cloudweb.domain.identity import Identity
from cloudweb.models import MAX_ID, Backend, OperState, Server


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """What must be known to open a server's console; needs no session any more."""

    server_id: int
    instance_name: str
    backend: Backend


def find(session: Session, identity: Identity, server_id: int) -> Wanted:
    """Where to open the console of a server that runs; nothing is locked, one statement.

    Raises ItemNotFound, BadRequest, Forbidden (suspended), ServiceUnavailable (its cluster is
    offline, or known to be away).
    """
    row = None
    if 0 < server_id <= MAX_ID:
        row = session.execute(
            server_views.visible(identity)
            .join(Backend, Server.backend_id == Backend.id)
            .where(Server.id == server_id)
            .with_only_columns(
                Server.instance_name, Server.state, Server.deleted, Server.suspended, Backend
            )
        ).one_or_none()
    if row is None:
        raise faults.ItemNotFound("Server not found.")
    instance_name, state, deleted, suspended, backend = row
    if deleted:
        raise faults.BadRequest("Server has been deleted.")
    servers.check_suspended(identity, suspended=suspended)
    if state is not OperState.STARTED or instance_name is None:
        raise faults.BadRequest("Server not in ACTIVE state.")
    if backend.offline:
        raise faults.ServiceUnavailable("The server's cluster is offline.")
    if backend.unreachable_since is not None:
        raise faults.ServiceUnavailable("The server's cluster does not answer.")
    return Wanted(server_id, instance_name, backend)


def note_opened(session: Session, identity: Identity, server_id: int) -> None:
    """Write down who got the password to a server's screen."""
    audit.record(session, identity, "server:console", "server", server_id)
