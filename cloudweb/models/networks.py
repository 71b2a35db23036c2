"""Networks of users and the public ones, and what of them exists on each cluster."""

import datetime as dt
import enum
from collections.abc import Collection
from typing import cast

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Mapped, mapped_column

from cloudweb.models.lists import note_owners
from cloudweb.models.meta import (
    Base,
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

PUBLIC = "public"
"""What clients call every public network."""


class NetworkKind(enum.StrEnum):
    """How a network is kept apart from others: the flavors of the administrator's guide."""

    MAC_FILTERED = "MAC_FILTERED"
    PHYSICAL_VLAN = "PHYSICAL_VLAN"
    IP_LESS_ROUTED = "IP_LESS_ROUTED"
    CUSTOM = "CUSTOM"


class NetworkState(enum.StrEnum):
    """What a network is, as a whole or on one cluster."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    ERROR = "ERROR"
    DELETED = "DELETED"


class Network(Base):
    """A network; one without ``cidr`` has no addresses of ours and nothing to make in Ganeti.

    ``user_id`` is None for what the operators made; ``public`` ones are everybody's, and clients
    see all of them as the one network ``public``. ``mode`` and ``link`` are Ganeti's words for how
    a card is attached. ``mac_prefix`` lacks the last digit, which is the cluster's number.
    ``backend_id`` is the only cluster it is on, if it is not for all of them; ``everywhere`` says
    that it is to be on all of these, not only where servers are on it.

    DELETED and not yet ``deleted`` is one that is being taken apart on the clusters.
    """

    __tablename__ = "networks"
    __table_args__ = table_args(
        sa.Index(None, "user_id", "deleted", "id"),
        sa.Index(None, "user_id", "updated", "id"),
        sa.Index(None, "public", "deleted", "id"),
        sa.Index(None, "deleted", "id"),
    )

    id: Mapped[pk]
    version: Mapped[int] = mapped_column(sa.BigInteger())
    user_id: Mapped[int | None] = reference("users.id", nullable=True)
    name: Mapped[str255]
    kind: Mapped[NetworkKind]
    public: Mapped[bool] = mapped_column(default=False)
    state: Mapped[NetworkState] = mapped_column(default=NetworkState.ACTIVE)
    deleted: Mapped[bool] = mapped_column(default=False)
    drained: Mapped[bool] = mapped_column(default=False)
    dhcp: Mapped[bool] = mapped_column(default=True)
    cidr: Mapped[str20 | None]
    gateway: Mapped[str20 | None]
    cidr6: Mapped[str50 | None]
    gateway6: Mapped[str50 | None]
    mode: Mapped[str20]
    link: Mapped[str64]
    mac_prefix: Mapped[str20 | None]
    backend_id: Mapped[int | None] = reference("backends.id", nullable=True)
    everywhere: Mapped[bool] = mapped_column(default=False)
    tags: Mapped[list[str]] = mapped_column(default=list)
    created: Mapped[created]
    updated: Mapped[dt.datetime] = mapped_column(default=utc_now)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012  (SQLAlchemy's own form)

    @property
    def api_id(self) -> int | str:
        """What clients know it by."""
        return PUBLIC if self.public else self.id

    @property
    def api_name(self) -> str:
        """What clients see as its name."""
        return PUBLIC if self.public else self.name


class BackendNetwork(Base):
    """A network on one cluster; it is made there when the first server connects.

    ``name`` is Ganeti's name of it.
    """

    __tablename__ = "backend_networks"
    __table_args__ = table_args(
        sa.UniqueConstraint("network_id", "backend_id"), sa.Index(None, "backend_id", "name")
    )

    id: Mapped[pk]
    network_id: Mapped[int] = reference("networks.id")
    backend_id: Mapped[int] = reference("backends.id")
    name: Mapped[str64]
    state: Mapped[NetworkState] = mapped_column(default=NetworkState.PENDING)
    created: Mapped[created]
    updated: Mapped[dt.datetime] = mapped_column(default=utc_now, onupdate=utc_now)


NETWORKS = cast("sa.Table", Network.__table__)


def touch_networks(connection: Connection, ids: Collection[int]) -> set[int]:
    """Say that private ones of these networks show something new; whose they are.

    Locks them after servers and operations. What the public ones show moves with each user's list
    number, as everybody's servers are on them.
    """
    if not ids:
        return set()
    private = sa.and_(NETWORKS.c.id.in_(sorted(ids)), NETWORKS.c.public == sa.false())
    rows = connection.execute(
        sa.select(NETWORKS.c.id, NETWORKS.c.user_id)
        .where(private)
        .order_by(NETWORKS.c.id)
        .with_for_update(key_share=True)
    ).all()
    if rows:
        connection.execute(
            sa.update(NETWORKS)
            .where(NETWORKS.c.id.in_([row.id for row in rows]))
            .values(version=NETWORKS.c.version + 1, updated=utc_now())
        )
    return {row.user_id for row in rows if row.user_id is not None}


@sa.event.listens_for(orm.Session, "before_flush")
def _date(session: orm.Session, _context: object, _instances: object) -> None:
    """Every change of a network has a time, and moves its owner's lists."""
    changed = [row for row in session.new if isinstance(row, Network)]
    for row in session.dirty:
        if isinstance(row, Network) and session.is_modified(row):
            row.updated = utc_now()
            changed.append(row)
    note_owners(session, {row.user_id for row in changed if row.user_id is not None})
