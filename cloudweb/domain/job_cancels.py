"""Canceling a job in the queue of a cluster, whoever asked for it."""

import datetime as dt
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit, interventions, operations, states, texts
from cloudweb.domain.cluster_jobs import NOT_BEGUN, UNFINISHED
from cloudweb.domain.identity import Identity
from cloudweb.models import (
    OPEN_STATES,
    Backend,
    ClusterJob,
    Operation,
    OperationState,
    utc_now,
)


def find_operation(session: Session, job: ClusterJob) -> Operation | None:
    """The operation of ours that a job does, or is part of."""
    return session.get(Operation, job.operation_id) if job.operation_id is not None else None


def _is_all_of(job: ClusterJob, operation: Operation | None) -> bool:
    """Whether canceling the job is canceling an operation that is still open."""
    return (
        operation is not None and operation.state in OPEN_STATES and operation.job_id == job.job_id
    )


def agrees(job: ClusterJob, operation: Operation | None) -> bool | None:
    """Whether our record of the operation that a job does is as the job is; None where the job
    does none, or a part of one.
    """
    if operation is None or operation.job_id != job.job_id:
        return None
    said = states.OPERATION_STATES.get(job.status)
    declined = operation.state is OperationState.DECLINED and said is OperationState.ERROR
    return operation.state is said or declined


def obstacle(job: ClusterJob, backend: Backend, operation: Operation | None) -> str:
    """Why a job cannot be canceled, in a sentence; empty when it can."""
    if job.status not in UNFINISHED:
        return "It is over."
    if job.status not in NOT_BEGUN:
        return f"It is {job.status}: Ganeti cancels only what has not begun."
    if backend.offline:
        return f"{backend.name} is offline: nothing is asked of it."
    if job.cancel_wanted:
        return "That was asked for already."
    if operation is not None and _is_all_of(job, operation):
        return interventions.obstacle_to_cancel(operation)
    return ""


def cancel(
    session: Session, identity: Identity, backend: Backend, job_id: int, *, reason: str
) -> None:
    """Have the worker ask a cluster to drop a job that has not begun.

    Where the job is that of an operation of ours, that is canceled. Raises BadRequest (no reason),
    ItemNotFound, Conflict (too late).
    """
    reason = texts.reason(reason)
    key = (backend.id, job_id)
    job = session.get(ClusterJob, key)
    if job is None:
        raise faults.ItemNotFound(f"No job {job_id} of {backend.name} is known.")
    operation = find_operation(session, job)
    if operation is not None and _is_all_of(job, operation):
        if why := obstacle(job, backend, operation):
            raise faults.Conflict(f"Job {job_id} of {backend.name} cannot be canceled. {why}")
        interventions.cancel(session, identity, operation.id, reason=reason)
        return
    job = session.get_one(ClusterJob, key, with_for_update=True, populate_existing=True)
    if why := obstacle(job, backend, operation):
        raise faults.Conflict(f"Job {job_id} of {backend.name} cannot be canceled. {why}")
    job.cancel_wanted = utc_now()
    audit.record(
        *(session, identity, "job:cancel", "job", audit_id(backend, job_id)),
        reason=reason,
        backend=backend.name,
        job=job_id,
        opcode=job.opcode,
        target=job.target,
        before=job.status,
        after="to be canceled",
    )
    operations.announce(session, backend.id)


def audit_id(backend: Backend, job_id: int) -> str:
    """What the audit calls a job."""
    return f"{backend.id}:{job_id}"


def claim(session: Session, backend_id: int, *, every_s: float, limit: int = 10) -> Sequence[int]:
    """Jobs of a cluster that it is now to be asked to cancel; the same again every so often."""
    now = utc_now()
    jobs = session.scalars(
        sa.select(ClusterJob)
        .where(
            ClusterJob.backend_id == backend_id,
            ClusterJob.status.in_(NOT_BEGUN),
            ClusterJob.cancel_wanted.is_not(None),
            sa.or_(
                ClusterJob.cancel_asked.is_(None),
                ClusterJob.cancel_asked < now - dt.timedelta(seconds=every_s),
            ),
        )
        .order_by(ClusterJob.job_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for job in jobs:
        job.cancel_asked, job.read_status = now, ""
    return [job.job_id for job in jobs]
