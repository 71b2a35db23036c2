"""Servers as their owners see them: which there are, and all that is shown of them."""

import dataclasses
import datetime as dt
import functools
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain.identity import Identity
from cloudweb.models import (
    MAX_ID,
    PUBLIC,
    Network,
    Nic,
    NicState,
    OperState,
    Server,
    ServerMetadata,
)


def visible(identity: Identity) -> sa.Select[Server]:
    """The servers this actor may see: the one place where the owner decides."""
    query = sa.select(Server)
    return query if sees_all(identity) else query.where(Server.user_id == identity.user_id)


def sees_all(identity: Identity) -> bool:
    """Staff see everybody's servers in the dashboard and the CLI, never through the API."""
    return identity.door != "api" and identity.is_staff


@dataclasses.dataclass(slots=True)
class NicView:
    """A network card, read; ``network`` is what clients know its network by."""

    index: int
    network: str
    network_name: str
    mac: str | None
    ipv4: str | None
    ipv6: str | None
    firewall_profile: str | None


@dataclasses.dataclass(slots=True)
class ServerView:
    """A server with all its representation shows, read in a constant number of statements."""

    id: int
    version: int
    name: str
    state: OperState
    deleted: bool
    job_opcode: str
    job_status: str
    build_percentage: int
    flavor_id: int
    image_ref: str
    created: dt.datetime
    updated: dt.datetime
    suspended: bool = False
    nics: list[NicView] = dataclasses.field(default_factory=list)
    metadata: dict[str, str] = dataclasses.field(default_factory=dict)


_VIEW_COLUMNS = tuple(
    Server.__table__.c[field.name]
    for field in dataclasses.fields(ServerView)
    if field.name not in ("nics", "metadata")
)
_NIC_COLUMNS = (
    Nic.__table__.c.server_id,
    Nic.__table__.c.index,
    sa.case(
        (Network.__table__.c.public, PUBLIC),
        else_=sa.cast(Network.__table__.c.id, sa.String(20)),
    ),
    sa.case((Network.__table__.c.public, PUBLIC), else_=Network.__table__.c.name),
    *(Nic.__table__.c[name] for name in ("mac", "ipv4", "ipv6", "firewall_profile")),
)


def list_versions(
    session: Session,
    identity: Identity,
    *,
    since: dt.datetime | None = None,
    after_id: int | None = None,
    limit: int | None = None,
) -> list[tuple[int, int]]:
    """(id, version) of each of the actor's servers that is not deleted, by id; one statement.

    ``since``: instead of each those that have changed since then, deleted or not. At most
    ``limit``, of those after ``after_id``.
    """
    query = _VERSIONS if since is None else _CHANGED.where(_SERVERS.updated >= since)
    if after_id is not None:
        query = query.where(_SERVERS.id > after_id)
    rows = session.connection().execute(query.limit(limit), {"owner": identity.user_id})
    return [(row[0], row[1]) for row in rows.all()]


_SERVERS = Server.__table__.c
_CHANGED = (
    sa.select(_SERVERS.id, _SERVERS.version)
    .where(_SERVERS.user_id == sa.bindparam("owner"))
    .order_by(_SERVERS.id)
)
_VERSIONS = _CHANGED.where(_SERVERS.deleted == sa.false())


def load(session: Session, ids: Sequence[int]) -> list[ServerView]:
    """The servers with these ids, with NICs and metadata, by id; three statements."""
    if not ids:
        return []
    connection = session.connection()
    wanted = {"ids": ids}
    on = connection.dialect.name
    views = {row[0]: ServerView(*row) for row in connection.execute(_views(on), wanted).all()}
    for server_id, *values in connection.execute(_view_nics(on), wanted).all():
        views[server_id].nics.append(NicView(*values))
    for server_id, key, value in connection.execute(_view_metadata(on), wanted).all():
        views[server_id].metadata[key] = value
    return list(views.values())


def _among(column: sa.ColumnElement[Any], dialect: str) -> sa.ColumnElement[bool]:
    """Whether the column is one of ``:ids``: a thousand parameters cost more than their rows."""
    if dialect == "postgresql":
        return column == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.BigInteger())))
    return column.in_(sa.bindparam("ids", expanding=True))


@functools.cache
def _views(dialect: str) -> sa.Select[Any]:
    key = Server.__table__.c.id
    return sa.select(*_VIEW_COLUMNS).where(_among(key, dialect)).order_by(key)


@functools.cache
def _view_nics(dialect: str) -> sa.Select[Any]:
    nics = Nic.__table__.c
    return (
        sa.select(*_NIC_COLUMNS)
        .join_from(Nic.__table__, Network.__table__)
        .where(_among(nics.server_id, dialect), nics.state != NicState.ADDING)
        .order_by(nics.server_id, nics.index)
    )


@functools.cache
def _view_metadata(dialect: str) -> sa.Select[Any]:
    items = ServerMetadata.__table__.c
    return (
        sa.select(items.server_id, items.key, items.value)
        .where(_among(items.server_id, dialect))
        .order_by(items.server_id, items.key)
    )


def get(session: Session, identity: Identity, server_id: int) -> ServerView:
    """One server, deleted or not. Raises ItemNotFound."""
    version_of(session, identity, server_id)
    return load(session, [server_id])[0]


def version_of(
    session: Session, identity: Identity, server_id: int
) -> tuple[int, int, dt.datetime]:
    """A server's id, version and time of its last change; one statement. Raises ItemNotFound."""
    row = None
    if 0 < server_id <= MAX_ID:
        row = session.execute(
            visible(identity)
            .where(Server.id == server_id)
            .with_only_columns(Server.id, Server.version, Server.updated)
        ).one_or_none()
    if row is None:
        raise faults.ItemNotFound("Server not found.")
    return row[0], row[1], row[2]


@dataclasses.dataclass(slots=True)
class NewServerView(ServerView):
    """A server just made, and what nobody can ask for later."""

    admin_pass: str = dataclasses.field(default="", repr=False)


def view_of(server: Server, *, admin_pass: str) -> NewServerView:
    """A server just made, as reading it would show it, with its password."""
    values = {column.name: getattr(server, column.name) for column in _VIEW_COLUMNS}
    nics = [
        NicView(
            nic.index,
            str(nic.network.api_id),
            nic.network.api_name,
            nic.mac,
            nic.ipv4,
            nic.ipv6,
            nic.firewall_profile,
        )
        for nic in server.nics
    ]
    metadata = {item.key: item.value for item in server.metadata_items}
    return NewServerView(**values, nics=nics, metadata=metadata, admin_pass=admin_pass)
