"""The history of comparisons: what each found, and what was new or gone since the one before."""

import dataclasses
import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain.filters import Fields
from cloudweb.models import (
    Backend,
    ComparisonRecord,
    Finding,
    FindingState,
    ReconcileRun,
    User,
    utc_now,
)

_KEPT = dt.timedelta(days=90)
_NAMED = 50

FIELDS = Fields(
    id=ComparisonRecord.id,
    at=ComparisonRecord.at,
    backend=Backend.name,
    by=User.email,
    compared=ComparisonRecord.compared,
    found=ComparisonRecord.found,
    error=ComparisonRecord.error,
)
"""What comparisons are filtered and sorted by."""


@dataclasses.dataclass(frozen=True, slots=True)
class ComparisonRow:
    """A comparison as lists show it; without a ``backend`` it was of the pools."""

    record: ComparisonRecord
    backend: str | None
    by: str | None


def rows() -> sa.Select[Any]:
    """What every ComparisonRow is made of."""
    query = (
        sa.select(ComparisonRecord, Backend.name, User.email)
        .outerjoin(Backend, Backend.id == ComparisonRecord.backend_id)
        .outerjoin(User, User.id == ComparisonRecord.user_id)
    )
    return cast("sa.Select[Any]", query)


def note(session: Session, run: ReconcileRun, found: Sequence[Finding]) -> None:
    """Keep what a comparison found, before what the one before found is dropped."""
    now, before = _named(found), set[str]()
    if run.taken is not None:
        open_ones = session.scalars(
            sa.select(Finding)
            .join(ReconcileRun, ReconcileRun.id == Finding.run_id)
            .where(
                ReconcileRun.backend_id == run.backend_id,
                ReconcileRun.id != run.id,
                Finding.state == FindingState.OPEN,
            )
        )
        before = _named(open_ones)
    session.add(
        ComparisonRecord(
            backend_id=run.backend_id,
            user_id=run.user_id,
            at=run.taken or utc_now(),
            compared=run.compared,
            found=len(found),
            appeared=sorted(now - before)[:_NAMED],
            gone=sorted(before - now)[:_NAMED],
            error=run.error,
        )
    )
    old = ComparisonRecord.at < utc_now() - _KEPT
    session.execute(sa.delete(ComparisonRecord).where(old))


def _named(findings: Iterable[Finding]) -> set[str]:
    return {f"{finding.target}: {finding.kind.value}" for finding in findings}
