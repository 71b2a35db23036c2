"""When a pool will be full, by how it filled up."""

import datetime as dt
from collections.abc import Callable

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.domain import identity, pool_days, pools
from cloudweb.models import Pool, PoolDay, PoolKind, Role, SessionFactory, unit_of_work, utc_now

CLI = identity.system("cli")


@pytest.fixture
def pool(sessions: SessionFactory) -> Pool:
    """A hundred bridges."""
    with unit_of_work(sessions) as session:
        return pools.create(session, CLI, kind=PoolKind.BRIDGE, base="prv", size=100)


@pytest.fixture
def a_day_passes(sessions: SessionFactory) -> Callable[..., None]:
    """Some values are taken, the worker looks, and so many days go by."""

    def go(taken: int = 0, days: int = 1) -> None:
        with unit_of_work(sessions) as session:
            for number in range(taken):
                pools.take(session, PoolKind.BRIDGE, holder_kind="network", holder_id=number + 1)
        for _ in range(2):
            with unit_of_work(sessions) as session:
                pool_days.note(session)
        with unit_of_work(sessions) as session:
            rows = session.execute(
                sa.select(PoolDay.pool_id, PoolDay.day, PoolDay.held).order_by(PoolDay.day)
            ).all()
            for pool_id, day, _held in rows:
                before = day - dt.timedelta(days=days)
                mine = sa.and_(PoolDay.pool_id == pool_id, PoolDay.day == day)
                session.execute(sa.update(PoolDay).where(mine).values(day=before))

    return go


def test_a_pool_says_when_it_will_be_full(
    app: webtest.TestApp, sign_in: Callable, pool: Pool, a_day_passes: Callable
) -> None:
    sign_in(Role.VIEWER)
    assert app.get("/admin/pools.json").json[0]["full"] is None
    a_day_passes(10, days=5)
    assert "has not filled up lately" in app.get(f"/admin/pools/{pool.id}")
    a_day_passes(20, days=5)
    # 20 more in 10 days; 70 are free.
    expected = (utc_now() + dt.timedelta(days=35)).date().isoformat()
    assert app.get("/admin/pools.json").json[0]["full"] == expected
    page = app.get(f"/admin/pools/{pool.id}")
    assert f"{expected}, if it goes on" in page
    assert "20 values more" in page
    assert expected in app.get("/admin/pools")


def test_what_was_longer_ago_counts_no_more_and_goes(
    app: webtest.TestApp,
    sign_in: Callable,
    pool: Pool,
    a_day_passes: Callable,
    sessions: SessionFactory,
) -> None:
    sign_in(Role.VIEWER)
    a_day_passes(0, days=40)
    a_day_passes(10, days=5)
    assert app.get("/admin/pools.json").json[0]["full"] is None
    a_day_passes(0, days=61)
    a_day_passes()
    with unit_of_work(sessions, write=False) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(PoolDay)) == 1
