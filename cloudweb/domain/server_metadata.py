"""What clients hang on servers: keys and values."""

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit, servers
from cloudweb.domain.identity import Identity
from cloudweb.models import Server, ServerMetadata


def read(session: Session, server_id: int) -> dict[str, str]:
    """All of a server that the caller was seen to have, by key; one statement."""
    items = ServerMetadata.__table__.c
    rows = session.execute(
        sa.select(items.key, items.value).where(items.server_id == server_id).order_by(items.key)
    )
    return {row[0]: row[1] for row in rows}


def get(session: Session, server_id: int, key: str) -> str:
    """One value of such a server. Raises ItemNotFound."""
    values = read(session, server_id)
    if key not in values:
        raise _unknown()
    return values[key]


def update(
    session: Session,
    identity: Identity,
    server_id: int,
    values: Mapping[str, str],
    *,
    at_most: int,
) -> None:
    """Add these, or give those there are another value; the others stay.

    Raises ItemNotFound, BadRequest (deleted server), OverLimit for more than ``at_most`` keys.
    """
    server = servers.lock(session, identity, server_id)
    items = _items(session, server)
    if len(items.keys() | values.keys()) > at_most:
        raise faults.OverLimit(f"A server has at most {at_most} metadata keys.")
    before = {key: items[key].value for key in values if key in items}
    for key, value in sorted(values.items()):
        if key in items:
            items[key].value = value
        else:
            session.add(ServerMetadata(server_id=server.id, key=key, value=value))
    _note(session, identity, server, "update", before, dict(values))


def delete(session: Session, identity: Identity, server_id: int, key: str) -> None:
    """Take one off. Raises ItemNotFound, BadRequest (deleted server)."""
    server = servers.lock(session, identity, server_id)
    item = _items(session, server).get(key)
    if item is None:
        raise _unknown()
    session.delete(item)
    _note(session, identity, server, "delete", {key: item.value}, {})


def _items(session: Session, server: Server) -> dict[str, ServerMetadata]:
    # Keys are compared here: databases differ in what they take for the same text.
    found = session.scalars(sa.select(ServerMetadata).where(ServerMetadata.server_id == server.id))
    return {item.key: item for item in found}


def _note(
    session: Session,
    identity: Identity,
    server: Server,
    verb: str,
    before: Mapping[str, str],
    after: Mapping[str, str],
) -> None:
    audit.record(
        *(session, identity, f"server:metadata-{verb}", "server", server.id),
        before=before,
        after=after,
    )


def _unknown() -> faults.Fault:
    return faults.ItemNotFound("Metadata key not found.")
