"""Servers with their NICs and metadata; their version moves with anything a client can see."""

import datetime as dt
import enum

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cloudweb.models.lists import move_lists
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
    created: Mapped[created]
    updated: Mapped[dt.datetime] = mapped_column(default=utc_now)

    state_time: Mapped[dt.datetime | None]
    state_job_id: Mapped[bigint] = mapped_column(default=0)
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


class Nic(Base):
    """A network card; ``index`` is its place in the instance."""

    __tablename__ = "nics"
    __table_args__ = table_args(
        sa.UniqueConstraint("server_id", "index"), sa.Index(None, "mac"), sa.Index(None, "ipv4")
    )

    id: Mapped[pk]
    server_id: Mapped[int] = reference("servers.id")
    index: Mapped[int]
    network: Mapped[str50]
    """The network's id in the API: ``public``."""
    mac: Mapped[str20 | None]
    ipv4: Mapped[str20 | None]
    ipv6: Mapped[str50 | None]
    firewall_profile: Mapped[str20 | None]


class ServerMetadata(Base):
    """One key and value a client hung on a server."""

    __tablename__ = "server_metadata"

    server_id: Mapped[int] = reference("servers.id", primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(50), primary_key=True)
    value: Mapped[str] = mapped_column(sa.String(500))


_OWNERS = "cloudweb_owners_of_changed_servers"


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
    owners = session.info.setdefault(_OWNERS, set())
    owners.update(row.user_id for row in session.new if isinstance(row, Server))
    for server in touched.values():
        owners.add(server.user_id)
        if server not in session.new and server not in session.deleted:
            server.updated = utc_now()


@sa.event.listens_for(orm.Session, "after_flush")
def _move_lists(session: orm.Session, _context: object) -> None:
    """A list changes with each of its servers."""
    owners = session.info.pop(_OWNERS, None)
    if owners:
        move_lists(session.connection(), owners)
