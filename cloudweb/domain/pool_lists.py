"""Pools as operators see them: how their values are used, and by whom."""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import pool_days, pools
from cloudweb.domain.filters import Field, Fields
from cloudweb.models import Drift, Finding, FindingState, Network, Pool, PoolUse, PoolValue

_VALUES = cast("sa.Table", PoolValue.__table__)


@dataclasses.dataclass(frozen=True, slots=True)
class PoolRow:
    """A pool as operators' lists show it."""

    pool: Pool
    free: int
    held: int
    reserved: int
    wrong: int
    """How many of its values the newest comparisons found wrong: leaked, doubled, not held."""
    first_day: dt.date | None
    first_held: int | None

    @property
    def full_on(self) -> dt.date | None:
        """When all of it is in use, if it goes on as in the last days; None if not to be seen."""
        return pool_days.full_on(self.first_day, self.first_held, self.held, self.free)


def _count(use: PoolUse) -> Any:
    return (
        sa.select(sa.func.count())
        .select_from(_VALUES)
        .where(_VALUES.c.pool_id == Pool.id, _VALUES.c.use == use)
        .correlate(Pool)
        .scalar_subquery()
    )


_COUNTS = {use: _count(use) for use in PoolUse}
_WRONG = (
    sa.select(sa.func.count())
    .select_from(Finding)
    .where(
        Finding.state == FindingState.OPEN,
        Finding.kind.in_([kind for kind in Drift if kind.value.startswith("pool-")]),
        Finding.fix["pool"].as_integer() == Pool.id,
    )
    .correlate(Pool)
    .scalar_subquery()
)

FIELDS = Fields(
    id=Pool.id,
    kind=Pool.kind,
    base=Pool.base,
    size=Pool.size,
    network=Pool.network_id,
    created=Pool.created,
    wrong=Field.of(_WRONG, nullable=False),
    **{use.value: Field.of(count, nullable=False) for use, count in _COUNTS.items()},
)
"""What pools are filtered and sorted by."""


def rows() -> sa.Select[Any]:
    """What every PoolRow is made of, by id."""
    query = sa.select(
        Pool, *_COUNTS.values(), _WRONG, pool_days.first("day"), pool_days.first("held")
    ).order_by(Pool.id)
    return cast("sa.Select[Any]", query)


def list_all(session: Session) -> Sequence[PoolRow]:
    """Every pool with how its values are used, by id; one statement."""
    return [PoolRow(*row) for row in session.execute(rows())]


def list_shared(session: Session) -> Sequence[PoolRow]:
    """The pools that all depend on: of bridges, of MAC prefixes, of addresses of public networks.

    The addresses of somebody's own network are their own matter. One statement.
    """
    depended_on = sa.or_(Pool.network_id.is_(None), Network.public)
    query = rows().outerjoin(Network, Network.id == Pool.network_id).where(depended_on)
    return [PoolRow(*row) for row in session.execute(query)]


def list_tight(session: Session, *, share: float) -> Sequence[PoolRow]:
    """The pools that all depend on of which at least this share is in use, by id; one statement."""
    found = list_shared(session)
    return [row for row in found if row.held and row.held >= share * (row.held + row.free)]


def get_row(session: Session, pool_id: int) -> PoolRow:
    """One pool with how its values are used. Raises ItemNotFound."""
    pools.get(session, pool_id)
    return PoolRow(*session.execute(rows().where(Pool.id == pool_id)).one())


def of_network(session: Session, network_id: int) -> Pool:
    """The addresses of a network. Raises BadRequest for one that has none of ours."""
    pool = pools.find_addresses(session, network_id)
    if pool is None:
        raise faults.BadRequest(f"Network {network_id} has no addresses of ours.")
    return pool


@dataclasses.dataclass(frozen=True, slots=True)
class Held:
    """A value that somebody has, or that an operator keeps from use."""

    value: str
    use: PoolUse
    holder_kind: str | None
    holder_id: int | None
    reason: str


def list_held(session: Session, pool: Pool, *, limit: int = 1000) -> Sequence[Held]:
    """The values that are held or that an operator keeps from use, in order; one statement."""
    columns = [_VALUES.c[name] for name in ("number", "use", "holder_kind", "holder_id", "reason")]
    rows = session.execute(
        sa.select(*columns)
        .where(
            _VALUES.c.pool_id == pool.id,
            sa.or_(_VALUES.c.use == PoolUse.HELD, _VALUES.c.reason != ""),
        )
        .order_by(_VALUES.c.number)
        .limit(limit)
    )
    return [Held(pools.value(pool, number), *rest) for number, *rest in rows]


def list_uses(session: Session, pool: Pool) -> Sequence[PoolUse]:
    """How each value of a pool is used, in order; one statement."""
    query = sa.select(_VALUES.c.use).where(_VALUES.c.pool_id == pool.id)
    return session.scalars(query.order_by(_VALUES.c.number)).all()
