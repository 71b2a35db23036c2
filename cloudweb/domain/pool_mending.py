"""Mends values of pools as they were found to be wrong, one at a time."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import pool_care, pools
from cloudweb.domain.pool_care import Wrong
from cloudweb.models import Drift, Finding, Pool, PoolUse, PoolValue, Server

KINDS = frozenset(kind for kind in Drift if kind.value.startswith("pool-"))


def obstacle(session: Session, finding: Finding) -> str:
    """Why the value is no longer as it was found, in a sentence; its row is locked."""
    pool = session.get(Pool, finding.fix["pool"])
    if pool is None:
        return "The pool is gone."
    value = _lock(session, pool, finding)
    if value is None:
        return "The pool has no such value."
    if "was" not in finding.fix:
        return "" if _find(session, pool, finding) is not None else "The value has changed since."
    now = [value.use.value, value.holder_kind, value.holder_id, value.reason]
    if now != finding.fix["was"]:
        return "The value has changed since."
    if finding.fix["to"] != "held":
        return ""
    server = session.get(Server, finding.fix["holder"], populate_existing=True)
    return "" if server is not None and not server.deleted else "The server is gone."


def _lock(session: Session, pool: Pool, finding: Finding) -> PoolValue | None:
    return session.scalar(
        sa.select(PoolValue)
        .where(
            PoolValue.pool_id == pool.id,
            PoolValue.number == pools.number_of(pool, finding.target),
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def _find(session: Session, pool: Pool, finding: Finding) -> pool_care.Finding | None:
    """The same thing wrong in the pool as it is now."""
    wanted = finding.fix["wrong"], finding.target, finding.fix["who"]
    for each in pool_care.check(session, pool_id=pool.id):
        if (each.wrong.value, each.value, each.who) == wanted:
            return each
    return None


def mend(session: Session, finding: Finding) -> None:
    """Do what the finding says; the value is as it was found, and locked."""
    pool = session.get_one(Pool, finding.fix["pool"])
    if "was" not in finding.fix:
        wrong = Wrong(finding.fix["wrong"])
        found = pool_care.Finding(pool, wrong, finding.target, finding.fix["who"])
        pool_care.mend_value(session, found)
        return
    value = _lock(session, pool, finding)
    assert value is not None
    value.use = PoolUse(finding.fix["to"])
    value.reason = finding.fix.get("reason", "")
    held = value.use is PoolUse.HELD
    value.holder_kind = pools.SERVER if held else None
    value.holder_id = finding.fix["holder"] if held else None
    session.flush()
