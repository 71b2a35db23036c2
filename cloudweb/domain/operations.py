"""The outbox: what clusters are to do, who submits it, and what became of it."""

import datetime as dt
import functools
import uuid
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from cloudweb import faults
from cloudweb.domain import states
from cloudweb.domain.identity import Identity
from cloudweb.models import (
    OPEN_STATES,
    BackendNetwork,
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
    network_id: int | None = None,
    nic_id: int | None = None,
) -> Operation:
    """Write down that the server's cluster is to run ``opcode``; a worker does it after commit.

    ``network_id`` is the network the server is put on or taken off, ``nic_id`` the card.
    """
    operation = Operation(
        backend_id=server.backend_id,
        server_id=server.id,
        network_id=network_id,
        nic_id=nic_id,
        reason=reason,
        opcode=opcode,
        target=server.instance_name or "",
        arguments=dict(arguments or {}),
    )
    return write_down(session, identity, operation)


def enqueue_network(
    session: Session,
    identity: Identity,
    network: BackendNetwork,
    opcode: str,
    arguments: Mapping[str, Any] | None = None,
) -> Operation:
    """The same for what is to be done to a network on one cluster."""
    operation = Operation(
        backend_id=network.backend_id,
        network_id=network.network_id,
        opcode=opcode,
        target=network.name,
        arguments=dict(arguments or {}),
    )
    return write_down(session, identity, operation)


def write_down(session: Session, identity: Identity, operation: Operation) -> Operation:
    """Put an operation, asked for by this actor, into the outbox."""
    operation.key = uuid.uuid4().hex
    operation.user_id, operation.request_id = identity.user_id, identity.request_id
    operation.reason = operation.reason or identity.reason[:255]
    session.add(operation)
    session.flush()  # the audit entry names its id
    announce(session, operation.backend_id)
    return operation


def announce(session: Session, backend_id: int, *, refresh: bool = False) -> None:
    """Wake the workers when this transaction commits, where the database can.

    ``refresh`` has them look at the cluster itself as well.
    """
    if session.get_bind().dialect.name == "postgresql":
        what = f"{backend_id} refresh" if refresh else str(backend_id)
        session.execute(sa.select(sa.func.pg_notify(CHANNEL, what)))


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

    What is to be done to a network waits for what is being done there to servers on it, and the
    other way round. Also takes over submissions whose worker has not answered within its lease. A
    claimed row is ``submitting``; ``sent`` tells whether an earlier try may have reached the
    cluster. Rows other workers hold are passed over.
    """
    now = utc_now()
    rows: list[Operation] = []
    # One state at a time, as an index gives only those of one in order.
    for state in (OperationState.SUBMITTING, OperationState.PENDING):
        if len(rows) < limit:
            rows += session.scalars(
                sa.select(Operation)
                .where(
                    Operation.backend_id == backend_id,
                    Operation.state == state,
                    Operation.due <= now,
                    *(~blocked for blocked in _BLOCKED),
                )
                .order_by(Operation.id)
                .limit(limit - len(rows))
                .with_for_update(skip_locked=True)
            )
    for row in rows:
        row.state, row.worker = OperationState.SUBMITTING, worker
        row.due = now + dt.timedelta(seconds=lease_s)
        row.attempts += 1
    return rows


def _earlier(*where: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    return sa.exists().where(*where, _OLDER.state.in_(OPEN_STATES), _OLDER.id < Operation.id)


_OLDER = aliased(Operation)
_ON_NETWORK = (
    _OLDER.network_id == Operation.network_id,
    _OLDER.backend_id == Operation.backend_id,
)
# One for each way, so that each has an index: what is about networks only is little.
_BLOCKED = (
    _earlier(_OLDER.server_id == Operation.server_id),
    _earlier(*_ON_NETWORK, _OLDER.server_id.is_(None)),
    sa.and_(Operation.server_id.is_(None), _earlier(*_ON_NETWORK)),
    # What is no server's and no network's is known by its name there only.
    sa.and_(
        Operation.server_id.is_(None),
        Operation.network_id.is_(None),
        _earlier(_OLDER.backend_id == Operation.backend_id, _OLDER.target == Operation.target),
    ),
)


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


def record_submitted(session: Session, claimed: Operation, job_id: int) -> None:
    """Record the job of a submission; what was heard of the job meanwhile is not lost.

    Nothing changes when the job was heard of by another worker and has been followed by another.
    """
    server, operation = lock(session, claimed.id)
    if states.OPERATION_RANK[operation.state] > states.OPERATION_RANK[OperationState.SUBMITTING]:
        return
    if operation.key != claimed.key:
        return
    operation.state, operation.job_id = OperationState.SUBMITTED, job_id
    operation.submitted = operation.due = utc_now()
    if server is None or (server.job_id, server.job_opcode) != (job_id, operation.opcode):
        return
    if operation.opcode in states.WITH_EFFECTS or server.job_status == "error":
        operation.due = ASK_NOW  # what was heard of it was not kept whole
    else:
        advance(operation, server.job_status, None, server.job_log)


def record_refused(session: Session, claimed: Operation, *, error_class: str, message: str) -> bool:
    """The cluster will never run it: the operation fails, and a create's server with it.

    Nothing changes (False) when another worker has taken the operation over meanwhile.
    """
    server, operation = lock(session, claimed.id)
    if not _still_claimed(operation, claimed):
        return False
    operation.state, operation.finished = OperationState.ERROR, utc_now()
    operation.error_class, operation.error = error_class[:40], message[:2000]
    if server is not None and operation.opcode == states.CREATE:
        server.state = OperState.ERROR
    return True


def record_gone(session: Session, operation_id: int) -> None:
    """A removal of what does not exist has done what it was to do."""
    _server, operation = lock(session, operation_id)
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
    session: Session,
    backend_id: int,
    *,
    every_s: float,
    networks_every_s: float | None = None,
    limit: int = 50,
) -> list[Operation]:
    """Open jobs of a cluster that nobody asked about for ``every_s``; now somebody does.

    About networks it may be time more often. ``due`` of an open job is when it was last asked
    about, so that how often that happens can change under it.
    """
    now = utc_now()
    is_due = Operation.due <= now - dt.timedelta(seconds=every_s)
    if networks_every_s is not None and networks_every_s < every_s:
        since = now - dt.timedelta(seconds=networks_every_s)
        is_due = sa.and_(Operation.due <= since, sa.or_(Operation.server_id.is_(None), is_due))
    rows = session.scalars(
        sa.select(Operation)
        .where(
            Operation.backend_id == backend_id,
            Operation.state.in_((OperationState.SUBMITTED, OperationState.RUNNING)),
            is_due,
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


def lock(session: Session, operation_id: int) -> tuple[Server | None, Operation]:
    """The server and the operation, read anew and locked in the one order."""
    server_id = session.scalar(sa.select(Operation.server_id).where(Operation.id == operation_id))
    anew = functools.partial(session.get_one, with_for_update=True, populate_existing=True)
    server = anew(Server, server_id) if server_id is not None else None
    return server, anew(Operation, operation_id)


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
    if target is OperationState.ERROR and states.is_declined(operation.opcode, error):
        target = OperationState.DECLINED
    operation.state = target
    if target not in OPEN_STATES:
        operation.finished = utc_now()
    if target in (OperationState.ERROR, OperationState.DECLINED):
        operation.error_class = (error[0] or "")[:40] if error else None
        operation.error = (error[1] if error else log or "")[:2000]
    elif target is OperationState.SUCCESS:
        operation.error = ""
    return True
