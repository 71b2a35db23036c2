"""Servers: making them, acting on them, and reading them for one actor."""

import dataclasses
import datetime as dt
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit, flavors, fleet, images, operations, states
from cloudweb.domain.identity import Identity
from cloudweb.models import (
    MAX_ID,
    OPEN_STATES,
    Backend,
    Flavor,
    Nic,
    Operation,
    OperState,
    Server,
    ServerMetadata,
    User,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Site:
    """What an installation gives every new server."""

    instance_prefix: str
    instance_os: str
    nic_mode: str
    nic_link: str
    firewall_profile: str


def create(
    session: Session,
    identity: Identity,
    site: Site,
    *,
    name: str,
    flavor_id: int,
    image_ref: str,
    metadata: Mapping[str, str],
) -> Server:
    """A new server in BUILD, and the operation that makes its instance.

    Raises ItemNotFound for an unknown image or flavor, ServiceUnavailable when no cluster takes it.
    """
    if identity.user_id is None:
        raise faults.Forbidden("Only a user can own a server.")
    image = images.get(session, identity, image_ref)
    flavor = flavors.get(session, flavor_id)
    if flavor.deleted:
        raise faults.ItemNotFound("Flavor not found.")
    backend = fleet.choose(session, flavor)
    server = Server(
        user_id=identity.user_id,
        backend_id=backend.id,
        name=name,
        flavor_id=flavor.id,
        image_ref=image.id,
        nics=[Nic(index=0, network="public", firewall_profile=site.firewall_profile)],
        metadata_items=[ServerMetadata(key=k, value=v) for k, v in sorted(metadata.items())],
    )
    session.add(server)
    session.flush()  # the instance is named by the server's id
    server.instance_name = f"{site.instance_prefix}{server.id}"
    arguments = _create_arguments(site, flavor, image.location, image.disk_format)
    operation = operations.enqueue(session, identity, server, states.CREATE, arguments)
    audit.record(session, identity, "server:create", "server", server.id, operation=operation)
    return server


def _create_arguments(
    site: Site, flavor: Flavor, location: str, disk_format: str
) -> dict[str, Any]:
    return {
        "vcpus": flavor.cpu,
        "ram_mb": flavor.ram_mb,
        "disk_gb": flavor.disk_gb,
        "disk_template": flavor.disk_template,
        "os": site.instance_os,
        "osparams": {"img_id": location, "img_format": disk_format},
        "nics": [{"mode": site.nic_mode, "link": site.nic_link}],
    }


def start(session: Session, identity: Identity, server_id: int) -> Operation:
    """Have the server started. Raises as ``_for_action`` does."""
    return _act(session, identity, server_id, "start", states.STARTUP)


def shutdown(session: Session, identity: Identity, server_id: int) -> Operation:
    """Have the server shut down. Raises as ``_for_action`` does."""
    return _act(session, identity, server_id, "shutdown", states.SHUTDOWN)


def reboot(session: Session, identity: Identity, server_id: int, *, kind: str) -> Operation:
    """Have the server rebooted, ``SOFT`` or ``HARD``; it must be ACTIVE."""
    return _act(session, identity, server_id, "reboot", states.REBOOT, {"type": kind})


def _act(
    session: Session,
    identity: Identity,
    server_id: int,
    verb: str,
    opcode: str,
    arguments: Mapping[str, Any] | None = None,
) -> Operation:
    server = _for_action(session, identity, server_id)
    if opcode == states.REBOOT and server.state is not OperState.STARTED:
        raise faults.BadRequest("Server not in ACTIVE state.")
    operation = operations.enqueue(session, identity, server, opcode, arguments)
    audit.record(session, identity, f"server:{verb}", "server", server.id, operation=operation)
    return operation


def _for_action(session: Session, identity: Identity, server_id: int) -> Server:
    """The server, locked, if something can be asked of it now.

    Raises ItemNotFound, BadRequest (deleted, or never built), BuildInProgress, Conflict (being
    deleted), ServiceUnavailable (its cluster is offline).
    """
    server = _locked(session, identity, server_id)
    if server.state is OperState.BUILD:
        raise faults.BuildInProgress()
    if server.state is OperState.ERROR:
        raise faults.BadRequest("Server was not built; it can only be deleted.")
    if operations.has_open(session, server, states.REMOVE):
        raise faults.Conflict("Server is being deleted.")
    _check_online(session, server)
    return server


def _locked(session: Session, identity: Identity, server_id: int) -> Server:
    if not 0 < server_id <= MAX_ID:
        raise faults.ItemNotFound("Server not found.")
    server = session.scalar(visible(identity).where(Server.id == server_id).with_for_update())
    if server is None:
        raise faults.ItemNotFound("Server not found.")
    if server.deleted:
        raise faults.BadRequest("Server has been deleted.")
    return server


def _check_online(session: Session, server: Server) -> None:
    if session.scalar(sa.select(Backend.offline).where(Backend.id == server.backend_id)):
        raise faults.ServiceUnavailable("The server's cluster is offline.")


def delete(session: Session, identity: Identity, server_id: int) -> Operation | None:
    """Have the server removed; asking twice is asking once.

    A server whose create was never sent is gone at once (None). A building one is removed as
    soon as its create has ended: operations on one server run in order, so no orphan stays.
    """
    server = _locked(session, identity, server_id)
    if operations.has_open(session, server, states.REMOVE):
        return None
    if server.state is OperState.BUILD and operations.cancel_unsent(session, server):
        server.state, server.deleted = OperState.DESTROYED, True
        session.execute(sa.delete(Nic).where(Nic.server_id == server.id))
        audit.record(session, identity, "server:delete", "server", server.id, unsent=True)
        return None
    _check_online(session, server)
    operation = operations.enqueue(session, identity, server, states.REMOVE)
    audit.record(session, identity, "server:delete", "server", server.id, operation=operation)
    return operation


def rename(session: Session, identity: Identity, server_id: int, *, name: str) -> None:
    """Give the server another name; its instance keeps its own."""
    server = _locked(session, identity, server_id)
    audit.record(
        session, identity, "server:rename", "server", server.id, before=server.name, after=name
    )
    server.name = name


# --- reading ------------------------------------------------------------------------------------


def visible(identity: Identity) -> sa.Select[Server]:
    """The servers this actor may see: the one place where the owner decides."""
    query = sa.select(Server)
    return query if sees_all(identity) else query.where(Server.user_id == identity.user_id)


def sees_all(identity: Identity) -> bool:
    """Staff see everybody's servers in the dashboard and the CLI, never through the API."""
    return identity.door != "api" and identity.is_staff


@dataclasses.dataclass(slots=True)
class NicView:
    """A network card, read."""

    index: int
    network: str
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
    nics: list[NicView] = dataclasses.field(default_factory=list)
    metadata: dict[str, str] = dataclasses.field(default_factory=dict)


_VIEW_COLUMNS = tuple(
    Server.__table__.c[field.name]
    for field in dataclasses.fields(ServerView)
    if field.name not in ("nics", "metadata")
)
_NIC_COLUMNS = tuple(
    Nic.__table__.c[name]
    for name in ("server_id", "index", "network", "mac", "ipv4", "ipv6", "firewall_profile")
)


def list_versions(session: Session, identity: Identity) -> list[tuple[int, int]]:
    """(id, version) of each of the actor's servers that is not deleted, by id; one statement."""
    rows = session.connection().execute(_VERSIONS, {"owner": identity.user_id})
    return [(row[0], row[1]) for row in rows.all()]


_VERSIONS = (
    sa.select(Server.__table__.c.id, Server.__table__.c.version)
    .where(Server.user_id == sa.bindparam("owner"), Server.deleted == sa.false())
    .order_by(Server.__table__.c.id)
)


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
        .where(_among(nics.server_id, dialect))
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
    known = None
    if 0 < server_id <= MAX_ID:
        known = session.scalar(
            visible(identity).where(Server.id == server_id).with_only_columns(Server.id)
        )
    views = load(session, [server_id]) if known is not None else []
    if not views:
        raise faults.ItemNotFound("Server not found.")
    return views[0]


# --- for operators ------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class ServerRow:
    """A server as operators' lists show it."""

    server: Server
    owner: str
    backend_name: str
    flavor: Flavor
    ipv4: str | None
    open_operation: str | None
    """The opcode of the oldest operation still to be done on it."""

    @property
    def status(self) -> states.ApiStatus:
        return states.api_status(self.server)


def _rows() -> sa.Select[Any]:
    first_nic = sa.select(Nic.ipv4).where(Nic.server_id == Server.id, Nic.index == 0)
    oldest_open = (
        sa.select(Operation.opcode)
        .where(Operation.server_id == Server.id, Operation.state.in_(OPEN_STATES))
        .order_by(Operation.id)
        .limit(1)
    )
    return (
        sa.select(
            Server,
            User.email,
            Backend.name,
            Flavor,
            first_nic.scalar_subquery(),
            oldest_open.scalar_subquery(),
        )
        .join(User, Server.user_id == User.id)
        .join(Backend, Server.backend_id == Backend.id)
        .join(Flavor, Server.flavor_id == Flavor.id)
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Filter:
    """Which servers an operator looks for; None and empty mean all."""

    text: str = ""
    """In the server's name, its instance's name or the owner's e-mail; or the whole id."""
    state: OperState | None = None
    backend_id: int | None = None
    owner: str = ""
    deleted: bool = False

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """The filter in SQL."""
        found: list[sa.ColumnElement[bool]] = [Server.deleted == sa.literal(self.deleted)]
        if self.state is not None:
            found.append(Server.state == self.state)
        if self.backend_id is not None:
            found.append(Server.backend_id == self.backend_id)
        if self.owner:
            found.append(User.email == self.owner)
        if self.text:
            found.append(self._matches())
        return found

    def _matches(self) -> sa.ColumnElement[bool]:
        places = [
            column.icontains(self.text, autoescape=True)
            for column in (Server.name, Server.instance_name, User.email)
        ]
        if self.text.isascii() and self.text.isdigit() and int(self.text) <= MAX_ID:
            places.append(Server.id == int(self.text))
        return sa.or_(*places)


def list_rows(
    session: Session,
    wanted: Filter,
    *,
    after_id: int = 0,
    limit: int = 50,
) -> Sequence[ServerRow]:
    """Servers that match, by id, after ``after_id``; one statement."""
    query = _rows().where(*wanted.conditions(), Server.id > after_id)
    return [ServerRow(*row) for row in session.execute(query.order_by(Server.id).limit(limit))]


def count_rows(session: Session, wanted: Filter, *, at_most: int = 10_000) -> int:
    """How many match, counted no further than ``at_most`` + 1; one statement."""
    some = (
        sa.select(Server.id)
        .join(User, Server.user_id == User.id)
        .where(*wanted.conditions())
        .limit(at_most + 1)
    )
    return session.scalar(sa.select(sa.func.count()).select_from(some.subquery())) or 0


def get_row(session: Session, server_id: int) -> ServerRow:
    """One server for an operator, deleted or not. Raises ItemNotFound."""
    row = None
    if 0 < server_id <= MAX_ID:
        row = session.execute(_rows().where(Server.id == server_id)).one_or_none()
    if row is None:
        raise faults.ItemNotFound(f"No server {server_id}.")
    return ServerRow(*row)


def count_states(session: Session) -> dict[OperState, int]:
    """How many servers there are in each state; one statement."""
    rows = session.execute(
        sa.select(Server.state, sa.func.count())
        .where(Server.deleted == sa.false())
        .group_by(Server.state)
    )
    return {row[0]: row[1] for row in rows}


def view_of(server: Server) -> ServerView:
    """A server just made, as reading it would show it."""
    values = {column.name: getattr(server, column.name) for column in _VIEW_COLUMNS}
    nics = [
        NicView(n.index, n.network, n.mac, n.ipv4, n.ipv6, n.firewall_profile) for n in server.nics
    ]
    metadata = {item.key: item.value for item in server.metadata_items}
    return ServerView(**values, nics=nics, metadata=metadata)
