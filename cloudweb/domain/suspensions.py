"""Suspending servers: they are shut down, and their owners can do nothing with them meanwhile."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit, operations, servers, states, texts
from cloudweb.domain.identity import Identity
from cloudweb.models import Backend, Operation, OperState, Server


def suspend(
    session: Session, identity: Identity, server_id: int, *, reason: str
) -> Operation | None:
    """Keep the owner from the server, and have it shut down if it runs; suspended twice is once.

    None where nothing is asked of its cluster. Where the cluster is offline it runs on. Raises
    ItemNotFound, BadRequest (deleted, no reason), BuildInProgress, Conflict (locked).
    """
    server, reason = servers.lock(session, identity, server_id), texts.reason(reason)
    if server.state is OperState.BUILD:
        raise faults.BuildInProgress()
    if server.suspended:
        return None
    servers.check_locked(server)
    server.suspended = True
    ran = server.state is OperState.STARTED and _can_be_asked(session, server)
    operation = None
    if ran:
        operation = operations.enqueue(session, identity, server, states.SHUTDOWN)
    audit.record(
        *(session, identity, "server:suspend", "server", server.id),
        reason=reason,
        operation=operation,
        before={"suspended": False},
        after={"suspended": True},
        ran=ran,
    )
    return operation


def unsuspend(session: Session, identity: Identity, server_id: int) -> None:
    """Let the owner act on the server again; it stays as it is. Raises ItemNotFound, BadRequest."""
    server = servers.lock(session, identity, server_id)
    if not server.suspended:
        return
    server.suspended = False
    audit.record(
        *(session, identity, "server:unsuspend", "server", server.id),
        before={"suspended": True},
        after={"suspended": False},
    )


def _can_be_asked(session: Session, server: Server) -> bool:
    offline = session.scalar(sa.select(Backend.offline).where(Backend.id == server.backend_id))
    return not offline and not operations.has_open(session, server, states.REMOVE)
