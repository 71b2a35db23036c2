"""How pools fill up: what was in use day by day, and when it would be all of a pool."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.models import Pool, PoolDay, PoolUse, PoolValue, utc_now

WINDOW_DAYS = 30
"""How far back growth is looked at."""

_FURTHEST_DAYS = 3650
_DAYS = cast("sa.Table", PoolDay.__table__)


def note(session: Session) -> int:
    """Write down how much of each pool is in use, once a day; how many pools that were.

    What is no longer looked at goes.
    """
    today = utc_now().date()
    known = sa.select(_DAYS.c.pool_id).where(_DAYS.c.day == today)
    rows = session.execute(
        sa.select(Pool.id, sa.func.count(PoolValue.number))
        .outerjoin(PoolValue, sa.and_(PoolValue.pool_id == Pool.id, PoolValue.use == PoolUse.HELD))
        .where(Pool.id.not_in(known))
        .group_by(Pool.id)
    ).all()
    for pool_id, held in rows:
        session.add(PoolDay(pool_id=pool_id, day=today, held=held))
    oldest = today - dt.timedelta(days=2 * WINDOW_DAYS)
    session.execute(sa.delete(_DAYS).where(_DAYS.c.day < oldest))
    return len(rows)


def first(column: str) -> Any:
    """SQL for this column of the first day of a pool that is looked at; null when there is none."""
    since = utc_now().date() - dt.timedelta(days=WINDOW_DAYS)
    return (
        sa.select(_DAYS.c[column])
        .where(_DAYS.c.pool_id == Pool.id, _DAYS.c.day >= since)
        .order_by(_DAYS.c.day)
        .limit(1)
        .correlate(Pool)
        .scalar_subquery()
    )


def since(session: Session, least: Mapping[int, float]) -> dict[int, dt.date]:
    """From which day on at least so much of each pool was in use on all days that are known, by its
    id; one statement. A pool without such a day is left out.
    """
    rows = session.execute(
        sa.select(_DAYS.c.pool_id, _DAYS.c.day, _DAYS.c.held)
        .where(_DAYS.c.pool_id.in_(least))
        .order_by(_DAYS.c.day)
    )
    found: dict[int, dt.date] = {}
    for pool_id, day, held in rows:
        if held < least[pool_id]:
            found.pop(pool_id, None)
        else:
            found.setdefault(pool_id, day)
    return found


def full_on(day: dt.date | None, before: int | None, held: int, free: int) -> dt.date | None:
    """The day on which a pool is all in use, if it goes on filling up as since that day.

    None when it does not fill up, not within ten years, or is not known for a day yet.
    """
    today = utc_now().date()
    if day is None or before is None or day >= today or held <= before:
        return None
    left = -(-free * (today - day).days // (held - before))
    return today + dt.timedelta(days=left) if left <= _FURTHEST_DAYS else None
