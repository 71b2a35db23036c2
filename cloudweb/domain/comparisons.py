"""The history of comparisons: what each found, and what was new or gone since the one before."""

import dataclasses
import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
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
MOST_KEPT = 500
"""How many differences are kept of one comparison."""

FIELDS = Fields(
    id=ComparisonRecord.id,
    at=ComparisonRecord.at,
    backend=Backend.name,
    by=User.email,
    compared=ComparisonRecord.compared,
    took=ComparisonRecord.took_ms,
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
            took_ms=run.took_ms,
            found=len(found),
            appeared=sorted(now - before)[:_NAMED],
            gone=sorted(before - now)[:_NAMED],
            differences=sorted(
                [each.target, each.kind.value, each.ours, each.theirs] for each in found
            )[:MOST_KEPT],
            error=run.error,
        )
    )
    old = ComparisonRecord.at < utc_now() - _KEPT
    session.execute(sa.delete(ComparisonRecord).where(old))


def _named(findings: Iterable[Finding]) -> set[str]:
    return {f"{finding.target}: {finding.kind.value}" for finding in findings}


# --- two of them --------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """What a comparison found, and how that was before, where it was otherwise."""

    target: str
    kind: str
    ours: str
    theirs: str
    ours_before: str | None = None
    theirs_before: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Between:
    """How a later comparison differs from an earlier one; ``partial`` if not all was kept."""

    appeared: Sequence[Difference]
    gone: Sequence[Difference]
    changed: Sequence[Difference]
    same: int
    partial: bool


def get(session: Session, record_id: int) -> ComparisonRow:
    """One comparison. Raises ItemNotFound."""
    row = session.execute(rows().where(ComparisonRecord.id == record_id)).one_or_none()
    if row is None:
        raise faults.ItemNotFound(f"No comparison {record_id}; they are kept for 90 days.")
    return ComparisonRow(*row)


def newest(session: Session, backend: Backend) -> ComparisonRecord | None:
    """The last comparison of a cluster that was written down; one statement."""
    return session.scalar(
        sa.select(ComparisonRecord)
        .where(ComparisonRecord.backend_id == backend.id)
        .order_by(ComparisonRecord.id.desc())
        .limit(1)
    )


def find_before(session: Session, record: ComparisonRecord) -> int | None:
    """The comparison of the same cluster, or of the pools, before this one."""
    return session.scalar(
        sa.select(sa.func.max(ComparisonRecord.id)).where(
            ComparisonRecord.id < record.id,
            ComparisonRecord.backend_id.is_not_distinct_from(record.backend_id),
        )
    )


def between(one: ComparisonRecord, two: ComparisonRecord) -> Between | None:
    """What the second found otherwise; None where it is not known what one of them found."""
    if one.differences is None or two.differences is None:
        return None
    before = {(each[0], each[1]): each for each in one.differences}
    after = {(each[0], each[1]): each for each in two.differences}
    both = before.keys() & after.keys()
    changed = [
        Difference(*after[key], *before[key][2:])
        for key in sorted(both)
        if after[key] != before[key]
    ]
    return Between(
        appeared=[Difference(*after[key]) for key in sorted(after.keys() - before.keys())],
        gone=[Difference(*before[key]) for key in sorted(before.keys() - after.keys())],
        changed=changed,
        same=len(both) - len(changed),
        partial=any(each.found > MOST_KEPT for each in (one, two)),
    )
