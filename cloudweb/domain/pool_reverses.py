"""The reverse of what is done to pools."""

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import pool_care, pools
from cloudweb.domain.identity import Identity
from cloudweb.domain.undoable import Reverse, Step, lock_row
from cloudweb.models import Pool, PoolUse, PoolValue


def _values_left(session: Session, step: Step) -> object:
    pool = lock_row(session, Pool, Pool.id == step.id)
    if pool is None:
        return None
    numbers = [pools.number_of(pool, text) for text in step.details["values"]]
    rows = session.execute(
        sa.select(PoolValue.number, PoolValue.use, PoolValue.reason)
        .where(PoolValue.pool_id == pool.id, PoolValue.number.in_(numbers))
        .order_by(PoolValue.number)
        .with_for_update()
    )
    return [(row.number, row.use.value, row.reason) for row in rows]


def _unreserve(session: Session, identity: Identity, step: Step) -> object:
    pool = pools.get(session, step.id)
    return pool_care.release(session, identity, pool, step.details["values"])


def _unrelease(session: Session, identity: Identity, step: Step) -> object:
    pool, values = pools.get(session, step.id), step.details["values"]
    return pool_care.reserve(session, identity, pool, values, reason=identity.reason)


def _pool_left(session: Session, step: Step) -> object:
    pool = lock_row(session, Pool, Pool.id == step.id)
    if pool is None:
        return None
    uses = sa.select(PoolValue.use, sa.func.count()).where(PoolValue.pool_id == pool.id)
    rows = session.execute(uses.group_by(PoolValue.use))
    return pool.size, sorted((use.value, count) for use, count in rows)


def _size_left(session: Session, step: Step) -> object:
    pool = lock_row(session, Pool, Pool.id == step.id)
    if pool is None:
        return None
    taken = sa.select(sa.func.count()).where(
        PoolValue.pool_id == pool.id,
        PoolValue.number >= step.details["before"],
        PoolValue.use == PoolUse.HELD,
    )
    return pool.size, session.scalar(taken)


def _unextend(session: Session, identity: Identity, step: Step) -> None:
    pool = pools.get(session, step.id)
    pools.resize(session, identity, pool, size=step.details["before"])


REVERSES: Mapping[str, Reverse] = {
    "pool:create": Reverse(
        "pool:manage",
        _pool_left,
        lambda session, identity, step: pool_care.remove(
            session, identity, pools.get(session, step.id)
        ),
        "The pool is removed again.",
        unmakes=True,
    ),
    "pool:reserve": Reverse("pool:manage", _values_left, _unreserve, "They can be handed out."),
    "pool:release": Reverse("pool:manage", _values_left, _unrelease, "They are reserved again."),
    "pool:resize": Reverse(
        "pool:manage",
        _size_left,
        _unextend,
        "The pool is as large as before.",
        can=lambda step: bool(step.details["after"] > step.details["before"]),
    ),
}
