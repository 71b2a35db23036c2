"""Pools in pictures and words: blocks and ranges tell the same as the values one by one."""

import itertools
import random

import pytest
import sqlalchemy as sa

from cloudweb import faults
from cloudweb.domain import identity, pool_maps, pools
from cloudweb.models import Pool, PoolKind, PoolUse, PoolValue, SessionFactory, unit_of_work

CLI = identity.system("cli")


@pytest.mark.parametrize(("size", "seed"), [(1, 1), (40, 2), (1024, 3), (3000, 4), (3000, 5)])
def test_ranges_are_the_values_one_by_one(size: int, seed: int, sessions: SessionFactory) -> None:
    chance = random.Random(seed)
    with unit_of_work(sessions) as session:
        pool = pools.create(session, CLI, kind=PoolKind.BRIDGE, base="p", size=size)
        for _ in range(4):
            low = chance.randrange(size)
            high = min(size, low + chance.choice((1, 5, 700)))
            session.execute(
                sa.update(PoolValue)
                .where(PoolValue.pool_id == pool.id, PoolValue.number.between(low, high))
                .values(use=chance.choice(list(PoolUse)))
            )
        session.flush()
        uses = session.scalars(sa.select(PoolValue.use).order_by(PoolValue.number)).all()
        wanted = [(use, len(list(run))) for use, run in itertools.groupby(uses)]
        parts = pool_maps.blocks(session, pool)
        found = pool_maps.ranges(session, pool, parts)
        assert [(each.use, each.count) for each in found] == wanted[:100]
        assert pool_maps.ranges(session, pool, parts, limit=2) == found[:2]
        assert sum(part.free + part.held + part.reserved for part in parts) == size


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("br-a1", ["br-a1"]),
        ("br-a1-br-a3", ["br-a1", "br-a2", "br-a3"]),
        ("br-a9 .. br-a10, br-a2;br-a1", ["br-a1", "br-a2", "br-a9", "br-a10"]),
        ("br-a4\N{EN DASH}br-a5", ["br-a4", "br-a5"]),
    ],
)
def test_values_are_read_as_people_write_them(text: str, wanted: list[str]) -> None:
    pool = Pool(kind=PoolKind.BRIDGE, base="br-a", size=20)
    assert pool_maps.parse(pool, text) == wanted


@pytest.mark.parametrize("text", ["", "br-a0", "br-a1-", "-", "br-a5-br-a2", "x" * 5000, "br-a21"])
def test_what_are_no_values_are_refused(text: str) -> None:
    with pytest.raises(faults.BadRequest):
        pool_maps.parse(Pool(kind=PoolKind.BRIDGE, base="br-a", size=20), text)
