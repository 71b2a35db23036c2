"""Pools of values that only one holder may have: bridges, MAC prefixes, addresses of a network."""

import datetime as dt
import enum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from cloudweb.models.meta import (
    Base,
    BigId,
    bigint,
    created,
    pk,
    reference,
    str20,
    str64,
    str255,
    table_args,
)


class PoolKind(enum.StrEnum):
    BRIDGE = "bridge"
    MAC_PREFIX = "mac-prefix"
    IPV4 = "ipv4"


class PoolUse(enum.StrEnum):
    """Whether a value can be handed out."""

    FREE = "free"
    HELD = "held"
    RESERVED = "reserved"
    """Kept from use by an operator or by the kind of pool."""


class Pool(Base):
    """``size`` values made from ``base``; ``network_id`` for the addresses of a network."""

    __tablename__ = "pools"
    __table_args__ = table_args(sa.UniqueConstraint("network_id"), sa.Index(None, "kind", "id"))

    id: Mapped[pk]
    kind: Mapped[PoolKind]
    base: Mapped[str64]
    size: Mapped[int]
    network_id: Mapped[int | None] = reference("networks.id", nullable=True)
    created: Mapped[created]


class PoolValue(Base):
    """One value of a pool, a row from the start: taking one is an update of a free row.

    ``number`` is its place in the pool. The holder is what it was given to: ``server`` or
    ``network`` and its id.
    """

    __tablename__ = "pool_values"
    __table_args__ = table_args(
        sa.Index(None, "pool_id", "use", "number"), sa.Index(None, "holder_kind", "holder_id")
    )

    pool_id: Mapped[int] = reference("pools.id", primary_key=True)
    number: Mapped[int] = mapped_column(sa.Integer(), primary_key=True, autoincrement=False)
    use: Mapped[PoolUse] = mapped_column(default=PoolUse.FREE)
    holder_kind: Mapped[str20 | None]
    holder_id: Mapped[bigint | None]
    reason: Mapped[str255] = mapped_column(default="")


class PoolDay(Base):
    """How many values of a pool were held on a day, when that was first looked at."""

    __tablename__ = "pool_days"
    __table_args__ = table_args()

    pool_id: Mapped[int] = mapped_column(
        BigId, sa.ForeignKey("pools.id", ondelete="CASCADE"), primary_key=True
    )
    day: Mapped[dt.date] = mapped_column(sa.Date(), primary_key=True)
    held: Mapped[int]
