"""The outbox: what clusters are to do, who submits it, and what became of it."""

import dataclasses
import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from cloudweb import faults
from cloudweb.domain import states
from cloudweb.domain.identity import Identity
from cloudweb.models import (
    OPEN_STATES,
    Backend,
    Operation,
    OperationState,
    OperState,
    Server,
    utc_now,
)

CHANNEL = "cloudweb_operations"
"""The PostgreSQL channel on which new operations are announced at commit."""

ASK_NOW = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
"""The ``due`` of an open job that is to be asked about at once."""


def enqueue(
    session: Session,
    identity: Identity,
    server: Server,
    opcode: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    reason: str = "",
) -> Operation:
    """Write down that the server's cluster is to run ``opcode``; a worker does it after commit."""
    operation = Operation(
        key=uuid.uuid4().hex,
        backend_id=server.backend_id,
        server_id=server.id,
        user_id=identity.user_id,
        request_id=identity.request_id,
        reason=reason,
        opcode=opcode,
        target=server.instance_name or "",
        arguments=dict(arguments or {}),
    )
    session.add(operation)
    session.flush()  # the audit entry names its id
    announce(session, server.backend_id)
    return operation


def announce(session: Session, backend_id: int) -> None:
    """Wake the workers when this transaction commits, where the database can."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.select(sa.func.pg_notify(CHANNEL, str(backend_id))))


def get(session: Session, operation_id: int) -> Operation:
    """The operation. Raises ItemNotFound."""
    operation = session.get(Operation, operation_id)
    if operation is None:
        raise faults.ItemNotFound(f"No operation {operation_id}.")
    return operation


def has_open(session: Session, server: Server, opcode: str | None = None) -> bool:
    """Whether something is still to be done on the server (by this opcode)."""
    query = sa.select(Operation.id).where(
        Operation.server_id == server.id, Operation.state.in_(OPEN_STATES)
    )
    if opcode is not None:
        query = query.where(Operation.opcode == opcode)
    return session.scalar(query.limit(1)) is not None


def cancel_unsent(session: Session, server: Server) -> int:
    """Cancel what of this server's was surely never sent; how many operations that were.

    Leaves nothing canceled unless all open operations could be: some sent means none is touched.
    """
    rows = session.scalars(
        sa.select(Operation)
        .where(Operation.server_id == server.id, Operation.state.in_(OPEN_STATES))
        .order_by(Operation.id)
        .with_for_update()
    ).all()
    if any(row.state is not OperationState.PENDING or row.sent is not None for row in rows):
        return 0
    for row in rows:
        row.state, row.finished = OperationState.CANCELED, utc_now()
    return len(rows)


# --- what a worker does with them ---------------------------------------------------------------


def claim(
    session: Session, backend_id: int, *, worker: str, lease_s: float, limit: int = 1
) -> list[Operation]:
    """Take due operations of one cluster for submission: the oldest ready one of each server.

    Also takes over submissions whose worker has not answered within its lease. A claimed row is
    ``submitting``; ``sent`` tells whether an earlier try may have reached the cluster. Rows other
    workers hold are passed over.
    """
    now = utc_now()
    earlier = aliased(Operation)
    blocked = sa.exists().where(
        earlier.server_id == Operation.server_id,
        earlier.state.in_(OPEN_STATES),
        earlier.id < Operation.id,
    )
    rows = session.scalars(
        sa.select(Operation)
        .where(
            Operation.backend_id == backend_id,
            Operation.state.in_((OperationState.PENDING, OperationState.SUBMITTING)),
            Operation.due <= now,
            ~blocked,
        )
        .order_by(Operation.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for row in rows:
        row.state, row.worker = OperationState.SUBMITTING, worker
        row.due = now + dt.timedelta(seconds=lease_s)
        row.attempts += 1
    return list(rows)


def note_sending(session: Session, operation: Operation) -> bool:
    """Note, before anything is sent, that it may be from now on; whether the claim still holds."""
    changed = session.execute(
        sa.update(Operation)
        .where(
            Operation.id == operation.id,
            Operation.state == OperationState.SUBMITTING,
            Operation.worker == operation.worker,
            Operation.due == operation.due,
        )
        .values(sent=utc_now())
    )
    return bool(changed.rowcount)  # type: ignore[attr-defined]


def record_submitted(session: Session, operation_id: int, job_id: int) -> None:
    """Record the job of a submission; what was heard of the job meanwhile is not lost."""
    server, operation = _lock(session, operation_id)
    if states.OPERATION_RANK[operation.state] > states.OPERATION_RANK[OperationState.SUBMITTING]:
        return
    operation.state, operation.job_id = OperationState.SUBMITTED, job_id
    operation.submitted = operation.due = utc_now()
    if server is None:
        return
    if server.job_id == job_id and server.job_opcode == operation.opcode:
        advance(operation, server.job_status, None, server.job_log)


def record_refused(session: Session, claimed: Operation, *, error_class: str, message: str) -> None:
    """The cluster will never run it: the operation fails, and a create's server with it.

    Nothing changes when another worker has taken the operation over meanwhile.
    """
    server, operation = _lock(session, claimed.id)
    if not _still_claimed(operation, claimed):
        return
    operation.state, operation.finished = OperationState.ERROR, utc_now()
    operation.error_class, operation.error = error_class[:40], message[:2000]
    if server is not None and operation.opcode == states.CREATE:
        server.state = OperState.ERROR


def record_gone(session: Session, operation_id: int) -> None:
    """A removal of what does not exist has done what it was to do."""
    _server, operation = _lock(session, operation_id)
    if operation.state in OPEN_STATES:
        operation.state, operation.finished = OperationState.SUCCESS, utc_now()
        operation.error = ""


def put_off(
    session: Session,
    claimed: Operation,
    *,
    seconds: float,
    surely_not_sent: bool,
    message: str,
) -> None:
    """Try again later. Unless it was surely not accepted, the job is looked for before.

    Nothing changes when another worker has taken the operation over meanwhile.
    """
    operation = session.get_one(Operation, claimed.id, with_for_update=True)
    if not _still_claimed(operation, claimed):
        return
    operation.state = OperationState.PENDING
    operation.due = utc_now() + dt.timedelta(seconds=seconds)
    operation.error = message[:2000]
    if surely_not_sent:
        operation.sent = None


def claim_open_jobs(
    session: Session, backend_id: int, *, every_s: float, limit: int = 50
) -> list[Operation]:
    """Open jobs of a cluster that nobody asked about for ``every_s``; now somebody does.

    ``due`` of an open job is when it was last asked about, so that how often that happens can
    change under it.
    """
    now = utc_now()
    rows = session.scalars(
        sa.select(Operation)
        .where(
            Operation.backend_id == backend_id,
            Operation.state.in_((OperationState.SUBMITTED, OperationState.RUNNING)),
            Operation.due <= now - dt.timedelta(seconds=every_s),
        )
        .order_by(Operation.due, Operation.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for row in rows:
        row.due = now
    return list(rows)


def _still_claimed(operation: Operation, claimed: Operation) -> bool:
    return (
        operation.state is OperationState.SUBMITTING
        and operation.worker == claimed.worker
        and operation.due == claimed.due
    )


def _lock(session: Session, operation_id: int) -> tuple[Server | None, Operation]:
    """The server and the operation, locked in the one order."""
    server_id = session.scalar(sa.select(Operation.server_id).where(Operation.id == operation_id))
    server = None
    if server_id is not None:
        server = session.get_one(Server, server_id, with_for_update=True)
    return server, session.get_one(Operation, operation_id, with_for_update=True)


def advance(
    operation: states.OperationOutcome,
    status: str,
    error: tuple[str | None, str] | None,
    log: str | None,
) -> bool:
    """Move an operation to what a job's status says; whether it moved. Final states stay."""
    target = states.OPERATION_STATES.get(status)
    if target is None or states.OPERATION_RANK[target] <= states.OPERATION_RANK[operation.state]:
        return False
    operation.state = target
    if target not in OPEN_STATES:
        operation.finished = utc_now()
    if target is OperationState.ERROR:
        operation.error_class = (error[0] or "")[:40] if error else None
        operation.error = (error[1] if error else log or "")[:2000]
    elif target is OperationState.SUCCESS:
        operation.error = ""
    return True


# --- lists --------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class OperationRow:
    """An operation as lists show it."""

    operation: Operation
    backend_name: str
    server_name: str | None


def _rows() -> sa.Select[Operation, str, str]:
    return (
        sa.select(Operation, Backend.name, Server.name)
        .join(Backend, Operation.backend_id == Backend.id)
        .outerjoin(Server, Operation.server_id == Server.id)
        .order_by(Operation.id.desc())
    )


def list_recent(
    session: Session,
    *,
    state: OperationState | None = None,
    before_id: int | None = None,
    server_id: int | None = None,
    backend_id: int | None = None,
    limit: int = 50,
) -> Sequence[OperationRow]:
    """Operations, newest first, by keyset (``before_id``); one statement."""
    query = _rows().limit(limit)
    if state is not None:
        query = query.where(Operation.state == state)
    if before_id is not None:
        query = query.where(Operation.id < before_id)
    if server_id is not None:
        query = query.where(Operation.server_id == server_id)
    if backend_id is not None:
        query = query.where(Operation.backend_id == backend_id)
    return [OperationRow(*row) for row in session.execute(query)]


def find_row(session: Session, operation_id: int) -> OperationRow:
    """One operation with the names around it. Raises ItemNotFound."""
    row = session.execute(_rows().where(Operation.id == operation_id)).one_or_none()
    if row is None:
        raise faults.ItemNotFound(f"No operation {operation_id}.")
    return OperationRow(*row)


def count_by_state(session: Session) -> dict[OperationState, int]:
    """How many open and how many failed operations there are; one statement."""
    counted = (*OPEN_STATES, OperationState.ERROR)
    rows = session.execute(
        sa.select(Operation.state, sa.func.count())
        .where(Operation.state.in_(counted))
        .group_by(Operation.state)
    )
    return dict.fromkeys(counted, 0) | {row[0]: row[1] for row in rows}
