"""Jobs in the queues of clusters, whoever asked for them: what is kept of them.

The worker reads them; see ``operations`` for what we ask for ourselves, ``job_cancels`` for more.
"""

import dataclasses
import datetime as dt
import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session, undefer

from cloudweb import faults
from cloudweb.domain import texts
from cloudweb.domain.filters import Condition, Field, Fields
from cloudweb.models import Backend, ClusterJob, Operation, Server, User, utc_now

KEPT = dt.timedelta(hours=24)
"""For how long a job that is over is kept."""

MOST = 3000
"""How many jobs of a cluster are kept that are over; the oldest go first."""

_PORTION = 500
_MARK = "cloudweb:"


class JobStatus(enum.StrEnum):
    """Every status a job has in Ganeti; its own words."""

    QUEUED = "queued"
    WAITING = "waiting"
    CANCELING = "canceling"
    RUNNING = "running"
    CANCELED = "canceled"
    SUCCESS = "success"
    ERROR = "error"


UNFINISHED = (JobStatus.QUEUED, JobStatus.WAITING, JobStatus.CANCELING, JobStatus.RUNNING)
NOT_BEGUN = (JobStatus.QUEUED, JobStatus.WAITING)


def status_of(text: str) -> JobStatus | str:
    """A status by its word; one that is not known stays as it is."""
    return JobStatus(text) if text in list(JobStatus) else text


@dataclasses.dataclass(frozen=True, slots=True)
class JobReport:
    """What the list of a cluster's jobs says of one."""

    job_id: int
    status: str
    opcode: str
    steps: int
    target: str
    tool: str
    reasons: tuple[str, ...]
    received: dt.datetime
    started: dt.datetime | None = None
    ended: dt.datetime | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class JobDetail:
    """What a cluster says of one job when it is asked about that; ``raw`` is all of it, in JSON."""

    job_id: int
    status: str
    raw: str
    started: dt.datetime | None = None
    ended: dt.datetime | None = None
    error: tuple[str | None, str] | None = None


# --- keeping ------------------------------------------------------------------------------------


def keep(session: Session, backend: Backend, reports: Iterable[JobReport]) -> None:
    """Make the rows of a cluster's jobs what its queue holds; the backend's row must be locked.

    What is over stays for a day, also when the cluster has archived it. What was not over and is
    no longer in the queue belongs to a queue that is gone, and goes.
    """
    backend.jobs_read = now = utc_now()
    oldest = now - KEPT
    wanted = {
        report.job_id: report
        for report in reports
        if report.status in UNFINISHED or (report.ended or report.received) > oldest
    }
    over = sorted(id_ for id_, report in wanted.items() if report.status not in UNFINISHED)
    for job_id in over[:-MOST]:
        del wanted[job_id]
    known = {
        row.job_id: row
        for row in session.execute(
            sa.select(
                ClusterJob.job_id, ClusterJob.status, ClusterJob.received, ClusterJob.ended
            ).where(ClusterJob.backend_id == backend.id)
        )
    }
    gone = [
        row.job_id
        for row in known.values()
        if (
            (again := wanted.get(row.job_id)) is None
            and (row.status in UNFINISHED or (row.ended or row.received) < oldest)
        )
        or (again is not None and again.received != row.received)  # the queue began anew
    ]
    over_known = sorted(row.job_id for row in known.values() if row.status not in UNFINISHED)
    gone += [job_id for job_id in over_known[:-MOST] if job_id not in wanted]
    _remove(session, backend.id, gone)
    fresh = [wanted[job_id] for job_id in wanted if job_id not in known or job_id in gone]
    _add(session, backend.id, fresh)
    for job_id, row in sorted(known.items()):
        report = wanted.get(job_id)
        if report is not None and job_id not in gone and report.status != row.status:
            _update(session, backend.id, report)


def _remove(session: Session, backend_id: int, job_ids: Sequence[int]) -> None:
    for place in range(0, len(job_ids), _PORTION):
        some = job_ids[place : place + _PORTION]
        session.execute(
            sa.delete(ClusterJob).where(
                ClusterJob.backend_id == backend_id, ClusterJob.job_id.in_(some)
            )
        )


def _update(session: Session, backend_id: int, report: JobReport | JobDetail, **more: Any) -> None:
    session.execute(
        sa.update(ClusterJob)
        .where(ClusterJob.backend_id == backend_id, ClusterJob.job_id == report.job_id)
        .values(
            status=report.status[:20],
            started=report.started,
            ended=report.ended,
            took_ms=_took_ms(report),
            **more,
        ),
        execution_options={"synchronize_session": False},
    )


def _took_ms(report: JobReport | JobDetail) -> int | None:
    if report.started is None or report.ended is None:
        return None
    return max(0, round((report.ended - report.started).total_seconds() * 1000))


def _add(session: Session, backend_id: int, reports: Sequence[JobReport]) -> None:
    for place in range(0, len(reports), _PORTION):
        some = reports[place : place + _PORTION]
        keys = {report.job_id: _key_of(report.reasons) for report in some}
        ours = _operations(session, [key for key in keys.values() if key])
        named = _servers(session, backend_id, {report.target for report in some if report.target})
        rows = []
        for report in some:
            operation_id, server_id = ours.get(keys[report.job_id] or "", (None, None))
            rows.append(
                {
                    "backend_id": backend_id,
                    "job_id": report.job_id,
                    "status": report.status[:20],
                    "opcode": report.opcode[:64],
                    "steps": report.steps,
                    "target": report.target[:255],
                    "tool": report.tool[:64],
                    "reason": _reason(report.reasons)[:255],
                    "operation_id": operation_id,
                    "server_id": named.get(report.target) or server_id,
                    "received": report.received,
                    "started": report.started,
                    "ended": report.ended,
                    "took_ms": _took_ms(report),
                    "error": "",
                    "read_status": "",
                    "detail": "",
                }
            )
        session.execute(sa.insert(ClusterJob), rows)


def _key_of(reasons: Iterable[str]) -> str | None:
    """The key of the operation of ours that a job does or is part of, from its reason trail."""
    for reason in reasons:
        if reason.startswith(_MARK):
            return reason.removeprefix(_MARK).partition(" ")[0]
    return None


def _reason(reasons: Sequence[str]) -> str:
    """The first thing said that is not our mark."""
    said = (reason for reason in reasons if not reason.startswith(_MARK))
    return texts.shown(next(said, ""), instead=" ")


def _operations(session: Session, keys: Sequence[str]) -> dict[str, tuple[int, int | None]]:
    if not keys:
        return {}
    rows = session.execute(
        sa.select(Operation.key, Operation.id, Operation.server_id).where(Operation.key.in_(keys))
    )
    return {row[0]: (row[1], row[2]) for row in rows}


def _servers(session: Session, backend_id: int, names: Iterable[str]) -> dict[str, int]:
    rows = session.execute(
        sa.select(Server.instance_name, Server.id)
        .where(Server.backend_id == backend_id, Server.instance_name.in_(list(names)))
        .order_by(Server.id)
    )
    return {row[0]: row[1] for row in rows if row[0] is not None}


def list_to_read(session: Session, backend_id: int, *, limit: int = 30) -> Sequence[int]:
    """Jobs of a cluster to be read whole: those that run, then what has changed, newest first."""
    running = ClusterJob.status.in_((JobStatus.RUNNING, JobStatus.CANCELING))
    changed = ClusterJob.read_status != ClusterJob.status
    return session.scalars(
        sa.select(ClusterJob.job_id)
        .where(ClusterJob.backend_id == backend_id, sa.or_(running, changed))
        .order_by(
            sa.case((running, 0), (ClusterJob.status == JobStatus.ERROR, 1), else_=2),
            ClusterJob.job_id.desc(),
        )
        .limit(limit)
    ).all()


def keep_details(session: Session, backend_id: int, details: Iterable[JobDetail]) -> None:
    """Keep what a cluster said of single jobs, in the order of their numbers."""
    for detail in sorted(details, key=lambda each: each.job_id):
        kind, message = detail.error or (None, "")
        _update(
            *(session, backend_id, detail),
            read_status=detail.status[:20],
            detail=detail.raw,
            error_class=kind[:40] if kind else None,
            error=message[:2000],
        )


def forget(session: Session, backend_id: int, job_ids: Sequence[int]) -> None:
    """What its cluster no longer knows is not asked about again; what was not over goes."""
    for job_id in job_ids:
        row = session.get(ClusterJob, (backend_id, job_id), with_for_update=True)
        if row is None:
            continue
        if row.status in UNFINISHED:
            session.delete(row)
        else:
            row.read_status = row.status


# --- showing ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class JobRow:
    """A job as lists show it; ``by`` is who asked, if that was one of us."""

    job: ClusterJob
    backend: Backend
    server_name: str | None
    operation_id: int | None
    by: str | None

    @property
    def status(self) -> JobStatus | str:
        return status_of(self.job.status)

    @property
    def whose(self) -> str:
        """Who asked for it, as far as that is known."""
        if self.operation_id is not None:
            return self.by or "system"
        said = ": ".join(filter(None, (self.job.tool, self.job.reason)))
        return said or "not known"


class _Since(Field):
    """A time that is compared by since when, unless asked otherwise."""

    def compare(self, operator: str, value: str) -> Condition:
        return super().compare(">=" if operator == "=" else operator, value)


FIELDS = Fields(
    job=ClusterJob.job_id,
    backend=Backend.name,
    status=Field.of(
        ClusterJob.status,
        words={status.value: status.value for status in JobStatus},
        nullable=False,
    ),
    open=Field.of(ClusterJob.status.in_(UNFINISHED), nullable=False),
    ours=Field.of(ClusterJob.operation_id.is_not(None), nullable=False),
    opcode=ClusterJob.opcode,
    target=ClusterJob.target,
    server=ClusterJob.server_id,
    operation=Operation.id,
    by=Field.of(User.email, nullable=True),
    tool=ClusterJob.tool,
    reason=ClusterJob.reason,
    error=ClusterJob.error_class,
    since=_Since.of(ClusterJob.received),
    received=ClusterJob.received,
    started=ClusterJob.started,
    ended=ClusterJob.ended,
    took=ClusterJob.took_ms,
)
"""What jobs are filtered and sorted by; ``took`` in milliseconds."""


def rows() -> sa.Select[Any]:
    """What every JobRow is made of, newest first."""
    query = (
        sa.select(ClusterJob, Backend, Server.name, Operation.id, User.email)
        .join(Backend, Backend.id == ClusterJob.backend_id)
        .outerjoin(Server, Server.id == ClusterJob.server_id)
        .outerjoin(Operation, Operation.id == ClusterJob.operation_id)
        .outerjoin(User, User.id == Operation.user_id)
        .where(Backend.removed.is_(None))
        .order_by(ClusterJob.received.desc(), Backend.name, ClusterJob.job_id)
    )
    return cast("sa.Select[Any]", query)


def find_row(session: Session, backend: str, job_id: int) -> JobRow | None:
    """A job of a cluster, by the name of that, with all that is known of it."""
    query = rows().where(Backend.name == backend, ClusterJob.job_id == job_id)
    row = session.execute(query.options(undefer(ClusterJob.detail))).one_or_none()
    return JobRow(*row) if row is not None else None


def get_row(session: Session, backend: str, job_id: int) -> JobRow:
    """The same. Raises ItemNotFound."""
    found = find_row(session, backend, job_id)
    if found is None:
        raise faults.ItemNotFound(
            f"No job {job_id} of {backend} is known. Those that are over are kept for a day."
        )
    return found


def count_by_status(session: Session) -> Mapping[tuple[str, str], int]:
    """How many jobs there are by cluster and status; one statement."""
    query = (
        sa.select(Backend.name, ClusterJob.status, sa.func.count())
        .join(Backend, Backend.id == ClusterJob.backend_id)
        .group_by(Backend.name, ClusterJob.status)
    )
    return {(backend, status): count for backend, status, count in session.execute(query)}


def list_opcodes(session: Session, backend_id: int | None = None) -> Sequence[str]:
    """Every opcode that a job here (of one cluster) has; one statement."""
    query = sa.select(ClusterJob.opcode).distinct().order_by(ClusterJob.opcode).limit(200)
    if backend_id is not None:
        query = query.where(ClusterJob.backend_id == backend_id)
    return session.scalars(query).all()


def silent(backends: Iterable[Backend]) -> Mapping[str, Sequence[Backend]]:
    """The clusters whose jobs are not as they are now: those that do not answer, or are not asked.

    By the word for it: ``unreachable``, ``offline``, ``unread``.
    """
    found: dict[str, list[Backend]] = {"unreachable": [], "offline": [], "unread": []}
    for backend in backends:
        if backend.offline:
            found["offline"].append(backend)
        elif backend.unreachable_since is not None:
            found["unreachable"].append(backend)
        elif backend.jobs_read is None:
            found["unread"].append(backend)
    return found
