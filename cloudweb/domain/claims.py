"""Addresses that servers have already, of many networks at once: locked, looked at, then held."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import pools
from cloudweb.models import PoolUse, PoolValue

_VALUES = cast("sa.Table", PoolValue.__table__)


@dataclasses.dataclass(slots=True)
class Claim:
    """An address of a network's pool: its place there, and who holds it."""

    pool_id: int
    number: int
    use: PoolUse
    holder: str | None
    """Kind and id, as in "server 7"."""


Claims = dict[tuple[int, str], Claim]
"""By network and address; an address of no pool is not in it."""


def lock(session: Session, wanted: Mapping[int, Collection[str]]) -> Claims:
    """Lock these addresses of each network; two statements a network."""
    found: Claims = {}
    for network_id in sorted(wanted):
        pool = pools.find_addresses(session, network_id)
        if pool is None:
            continue
        places = {pools.number_of(pool, address): address for address in wanted[network_id]}
        places.pop(None, None)
        rows = session.execute(
            sa.select(_VALUES)
            .where(_VALUES.c.pool_id == pool.id, _VALUES.c.number.in_(places))
            .order_by(_VALUES.c.number)
            .with_for_update()
        )
        for row in rows:
            holder = f"{row.holder_kind} {row.holder_id}" if row.use == PoolUse.HELD else None
            claim = Claim(pool.id, row.number, PoolUse(row.use), holder)
            found[network_id, places[row.number]] = claim
    return found


def hold(session: Session, holders: Iterable[tuple[Claim, int]]) -> None:
    """Let each of these be held by a server; an operator's reservation stays. One statement."""
    values = [
        {"b_pool": claim.pool_id, "b_number": claim.number, "b_server": server_id}
        for claim, server_id in holders
        if claim.use is PoolUse.FREE
    ]
    if not values:
        return
    update = (
        sa.update(_VALUES)
        .where(
            _VALUES.c.pool_id == sa.bindparam("b_pool"),
            _VALUES.c.number == sa.bindparam("b_number"),
        )
        .values(use=PoolUse.HELD, holder_kind=pools.SERVER, holder_id=sa.bindparam("b_server"))
    )
    session.connection().execute(update, values)
