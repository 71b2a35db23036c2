"""Servers with their NICs and metadata; their version moves with anything a client can see."""

import datetime as dt
import enum

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cloudweb.models.lists import note_owners
from cloudweb.models.meta import (
    Base,
    bigint,
    created,
    pk,
    reference,
    str20,
    str50,
    str64,
    str255,
    table_args,
    utc_now,
)
from cloudweb.models.networks import Network, touch_networks


class OperState(enum.StrEnum):
    """What the server is, as Ganeti last said it."""

    BUILD = "BUILD"
    ERROR = "ERROR"
    STOPPED = "STOPPED"
    STARTED = "STARTED"
    DESTROYED = "DESTROYED"


class Server(Base):
    """A virtual server of a user, which is or becomes an instance on a backend.

    ``job_*`` describe the newest Ganeti job heard of, ``state_*`` say which event set ``state``.
    """

    __tablename__ = "servers"
    __table_args__ = table_args(
        sa.UniqueConstraint("backend_id", "instance_name"),
        sa.Index(None, "user_id", "deleted", "id"),
        sa.Index(None, "user_id", "updated", "id"),
        sa.Index(None, "deleted", "id"),
        sa.Index(None, "deleted", "state", "id"),
        sa.Index(None, "backend_id", "deleted", "id"),
    )

    id: Mapped[pk]
    version: Mapped[int] = mapped_column(sa.BigInteger())
    user_id: Mapped[int] = reference("users.id")
    backend_id: Mapped[int] = reference("backends.id")
    instance_name: Mapped[str255 | None]
    name: Mapped[str255]
    flavor_id: Mapped[int] = reference("flavors.id")
    image_ref: Mapped[str] = mapped_column(sa.String(36))
    state: Mapped[OperState] = mapped_column(default=OperState.BUILD)
    deleted: Mapped[bool] = mapped_column(default=False)
    build_percentage: Mapped[int] = mapped_column(default=0)
    suspended: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    """Whether its owner may do nothing with it."""
    locked: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    """Whether nobody may shut it down, reboot, suspend or destroy it."""
    node: Mapped[str255 | None]
    """Where its cluster last had it; no version moves with it."""
    created: Mapped[created]
    updated: Mapped[dt.datetime] = mapped_column(default=utc_now)

    state_time: Mapped[dt.datetime | None]
    state_job_id: Mapped[bigint] = mapped_column(default=0)
    cards_time: Mapped[dt.datetime | None]
    """When what hooks last told of its cards was so."""
    job_time: Mapped[dt.datetime | None]
    job_id: Mapped[bigint] = mapped_column(default=0)
    job_opcode: Mapped[str64] = mapped_column(default="")
    job_status: Mapped[str20] = mapped_column(default="")
    job_log: Mapped[str] = mapped_column(sa.String(500), default="")

    nics: Mapped[list["Nic"]] = relationship(
        lazy="raise_on_sql", cascade="all, delete-orphan", order_by="Nic.index"
    )
    metadata_items: Mapped[list["ServerMetadata"]] = relationship(
        lazy="raise_on_sql", cascade="all, delete-orphan", order_by="ServerMetadata.key"
    )

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012  (SQLAlchemy's own form)


class NicState(enum.StrEnum):
    """A card being added is not shown yet; one being removed still is."""

    ACTIVE = "ACTIVE"
    ADDING = "ADDING"
    REMOVING = "REMOVING"


class Nic(Base):
    """A network card; ``index`` is its place in the instance, ``name`` Ganeti's name of it."""

    __tablename__ = "nics"
    __table_args__ = table_args(
        sa.Index(None, "server_id", "index"),
        sa.Index(None, "network_id", "server_id"),
        sa.Index(None, "mac"),
        sa.Index(None, "ipv4"),
    )

    id: Mapped[pk]
    server_id: Mapped[int] = reference("servers.id")
    network_id: Mapped[int] = reference("networks.id")
    index: Mapped[int]
    name: Mapped[str64 | None]
    state: Mapped[NicState] = mapped_column(default=NicState.ACTIVE)
    mac: Mapped[str20 | None]
    ipv4: Mapped[str20 | None]
    ipv6: Mapped[str50 | None]
    firewall_profile: Mapped[str20 | None]

    network: Mapped[Network] = relationship(lazy="raise_on_sql")


class Diagnostic(Base):
    """What was said of a server while it was built, newest last."""

    __tablename__ = "diagnostics"
    __table_args__ = table_args(sa.Index(None, "server_id", "id"))

    id: Mapped[pk]
    server_id: Mapped[int] = reference("servers.id")
    created: Mapped[created]
    level: Mapped[str20]
    source: Mapped[str50]
    source_date: Mapped[dt.datetime | None]
    message: Mapped[str255]
    details: Mapped[str | None] = mapped_column(sa.Text())


class ServerMetadata(Base):
    """One key and value a client hung on a server."""

    __tablename__ = "server_metadata"

    server_id: Mapped[int] = reference("servers.id", primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    value: Mapped[str] = mapped_column(sa.String(500))


_NETWORKS = "cloudweb_networks_of_changed_nics"


@sa.event.listens_for(orm.Session, "before_flush")
def _move_version(session: orm.Session, _context: object, _instances: object) -> None:
    """A change of a NIC or a metadata item is a change of its server; every change has a time."""
    touched: dict[int, Server] = {}
    for row in (*session.new, *session.dirty, *session.deleted):
        if isinstance(row, Server) and row in session.dirty and session.is_modified(row):
            touched[row.id] = row
        elif isinstance(row, (Nic, ServerMetadata)) and row.server_id is not None:
            server = session.get(Server, row.server_id)
            if server is not None:
                touched[server.id] = server
            if isinstance(row, Nic):
                _note_network(session, row)
    owners = {row.user_id for row in session.new if isinstance(row, Server)}
    for server in touched.values():
        owners.add(server.user_id)
        if server not in session.new and server not in session.deleted:
            server.updated = utc_now()
    note_owners(session, owners)


def _note_network(session: orm.Session, nic: Nic) -> None:
    network_id: int | None = nic.network_id  # None while only the relationship is set
    network = session.get(Network, network_id) if network_id is not None else None
    if network is not None and not network.public:
        session.info.setdefault(_NETWORKS, set()).add(network.id)


@sa.event.listens_for(orm.Session, "after_flush", insert=True)
def _move_networks(session: orm.Session, _context: object) -> None:
    """A network shows the servers on it; its owner's lists are moved after it, in order."""
    ids = session.info.pop(_NETWORKS, None)
    if ids:
        note_owners(session, touch_networks(session.connection(), ids))
