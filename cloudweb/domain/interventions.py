"""What people do about operations: cancel one that is open, have a failed one done again."""

import datetime as dt
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit, hearing, operations, servers, states, texts, unbuilt
from cloudweb.domain.identity import Identity
from cloudweb.models import (
    OPEN_STATES,
    Backend,
    BackendNetwork,
    Handover,
    NetworkState,
    Nic,
    NicState,
    Operation,
    OperationState,
    OperState,
    Server,
    utc_now,
)

RETRIABLE = (OperationState.ERROR, OperationState.CANCELED)
"""What can be done again."""

# --- canceling ----------------------------------------------------------------------------------


def obstacle_to_cancel(operation: Operation) -> str:
    """Why the operation cannot be canceled, in a sentence; empty when it can."""
    if operation.state not in OPEN_STATES:
        return "It is over."
    if operation.state is OperationState.RUNNING:
        return "It is running: Ganeti cancels only what has not begun."
    return "That was asked for already." if operation.cancel_wanted else ""


def cancel(session: Session, identity: Identity, operation_id: int, *, reason: str) -> bool:
    """Cancel an operation at once (True), or have the worker ask its cluster to (False).

    What was never sent is canceled with all that follows: the server of a first create is gone.
    Raises ItemNotFound, BadRequest (no reason), Conflict (too late).
    """
    reason = texts.reason(reason)
    operations.get(session, operation_id)
    server, operation = operations.lock(session, operation_id)
    if obstacle := obstacle_to_cancel(operation):
        raise faults.Conflict(f"Operation {operation_id} cannot be canceled. {obstacle}")
    at_once = operation.state is OperationState.PENDING and operation.sent is None
    audit.record(
        session,
        identity,
        "operation:cancel",
        "operation",
        operation_id,
        reason=reason,
        operation=operation,
        at_once=at_once,
        before=operation.state.value,
        after="canceled" if at_once else "to be canceled",
    )
    if at_once:
        _end_unsent(session, server, operation)
    else:
        operation.cancel_wanted = utc_now()
        operations.announce(session, operation.backend_id)
    return at_once


def _end_unsent(session: Session, server: Server | None, operation: Operation) -> None:
    """End an operation of which no cluster ever heard; its rows are locked."""
    if operation.opcode == states.CREATE and server is not None:
        if unbuilt.discard(session, server):
            return
        server.state = OperState.ERROR
    operation.state, operation.finished = OperationState.CANCELED, utc_now()
    session.flush()  # what follows reads it
    hearing.settle(session, operation)


def drop_unsent(session: Session, claimed: Operation) -> bool:
    """Cancel what was claimed and is no longer wanted, now that it surely was never sent."""
    server, operation = operations.lock(session, claimed.id)
    if operation.cancel_wanted is None or operation.state is not OperationState.SUBMITTING:
        return False
    operation.state, operation.sent = OperationState.PENDING, None
    session.flush()  # what follows reads it
    _end_unsent(session, server, operation)
    return True


def claim_cancels(
    session: Session, backend_id: int, *, every_s: float, limit: int = 10
) -> Sequence[Operation]:
    """Jobs of a cluster that it is now to be asked to cancel; the same again every so often."""
    now = utc_now()
    rows = session.scalars(
        sa.select(Operation)
        .where(
            Operation.backend_id == backend_id,
            Operation.state == OperationState.SUBMITTED,
            Operation.cancel_wanted.is_not(None),
            sa.or_(
                Operation.cancel_asked.is_(None),
                Operation.cancel_asked < now - dt.timedelta(seconds=every_s),
            ),
        )
        .order_by(Operation.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for row in rows:
        row.cancel_asked = now
    return rows


def ask_now(session: Session, operation_id: int) -> None:
    """Have the job of an operation asked about at once, if it is open."""
    session.execute(
        sa.update(Operation)
        .where(Operation.id == operation_id, Operation.state == OperationState.SUBMITTED)
        .values(due=operations.ASK_NOW)
    )


# --- doing again --------------------------------------------------------------------------------


def find_retry(session: Session, operation_id: int) -> int | None:
    """The operation that does this one again, if there is one."""
    return session.scalar(sa.select(Operation.id).where(Operation.retry_of_id == operation_id))


def retry(session: Session, identity: Identity, operation_id: int, *, reason: str) -> Operation:
    """Have one that failed or was canceled done again, as a new one with the same arguments.

    Raises ItemNotFound, BadRequest (no reason), Conflict and what else ``servers.for_action``
    raises where the server or network is no longer as the operation needs it.
    """
    reason = texts.reason(reason)
    operations.get(session, operation_id)
    server, failed = operations.lock(session, operation_id)
    if failed.state not in RETRIABLE:
        raise faults.Conflict(f"Operation {operation_id} did not fail: it is {failed.state.value}.")
    if newer := find_retry(session, operation_id):
        raise faults.Conflict(f"Operation {newer} does it again already.")
    if server is not None:
        _make_ready(session, identity, server, failed)
    else:
        _make_network_ready(session, failed)
    again = operations.write_down(session, identity, copy(failed, reason))
    audit.record(
        session,
        identity,
        "operation:retry",
        "operation",
        operation_id,
        reason=reason,
        operation=again,
        before=failed.state.value,
        after=f"asked for again, as operation {again.id}",
    )
    return again


def copy(failed: Operation, reason: str) -> Operation:
    """An operation that does a failed one again."""
    return Operation(
        backend_id=failed.backend_id,
        server_id=failed.server_id,
        network_id=failed.network_id,
        nic_id=failed.nic_id,
        opcode=failed.opcode,
        target=failed.target,
        arguments=failed.arguments,
        reason=reason,
        retry_of_id=failed.id,
    )


def _make_ready(session: Session, identity: Identity, server: Server, failed: Operation) -> None:
    """See that what failed can be done to the server now, and note that it is to be."""
    if server.deleted:
        raise faults.Conflict("The server is deleted.")
    if failed.opcode == states.CREATE:
        _make_ready_to_build(session, server)
        return
    if failed.opcode == states.REMOVE:
        if operations.has_open(session, server, states.REMOVE):
            raise faults.Conflict("The server is being deleted.")
        servers.check_online(session, server)
        return
    servers.for_action(session, identity, server.id)
    if failed.opcode == states.REBOOT and server.state is not OperState.STARTED:
        raise faults.Conflict("Only a running server is rebooted.")
    if failed.nic_id is not None:
        _make_card_ready(session, failed)


def _make_ready_to_build(session: Session, server: Server) -> None:
    if server.state is not OperState.ERROR or operations.has_open(session, server):
        raise faults.Conflict("The server is no longer one that failed to build.")
    servers.check_online(session, server)
    if session.get(Handover, server.id) is None:
        raise faults.Conflict(
            "What the instance is to be told, such as its password, is no longer kept: "
            "delete the server and make a new one."
        )
    server.state, server.build_percentage = OperState.BUILD, 0


def _make_card_ready(session: Session, failed: Operation) -> None:
    card = session.get(Nic, failed.nic_id, with_for_update=True, populate_existing=True)
    if card is None or card.state is not NicState.ACTIVE:
        raise faults.Conflict(
            "The card is not there any more: connect the server to the network anew."
        )
    if failed.opcode == states.SET_PARAMS:
        card.state = NicState.REMOVING


def _make_network_ready(session: Session, failed: Operation) -> None:
    if failed.opcode not in (states.ADD_NETWORK, states.CONNECT_NETWORK):
        return
    row = session.scalar(
        sa.select(BackendNetwork)
        .where(
            BackendNetwork.network_id == failed.network_id,
            BackendNetwork.backend_id == failed.backend_id,
        )
        .with_for_update()
    )
    if row is None or row.state is NetworkState.DELETED:
        raise faults.Conflict("The network is no longer wanted on this cluster.")
    row.state = NetworkState.PENDING


# --- waiting no longer --------------------------------------------------------------------------

_NEVER_ANSWERED = "The cluster did not tell for too long what became of it."


def expire(session: Session, operation_id: int) -> bool:
    """End an operation that ``list_unanswered`` found, with all that follows; whether it did."""
    server, operation = operations.lock(session, operation_id)
    if operation.state not in OPEN_STATES or operation.sent is None:
        return False
    operation.state, operation.finished = OperationState.ERROR, utc_now()
    operation.error_class, operation.error = states.UNANSWERED, _NEVER_ANSWERED
    if server is not None and operation.opcode == states.CREATE and not server.deleted:
        server.state = OperState.ERROR
    session.flush()  # what follows reads it
    hearing.settle(session, operation)
    return True


def list_unanswered(session: Session, *, after_s: float, limit: int = 100) -> Sequence[int]:
    """Operations that were sent so long ago, to clusters that have not answered since then."""
    long_ago = utc_now() - dt.timedelta(seconds=after_s)
    silent = sa.select(Backend.id).where(
        sa.or_(
            Backend.unreachable_since < long_ago,
            sa.and_(Backend.offline == sa.true(), Backend.state_since < long_ago),
        )
    )
    return session.scalars(
        sa.select(Operation.id)
        .where(
            Operation.backend_id.in_(silent),
            Operation.state.in_(OPEN_STATES),
            Operation.sent < long_ago,
        )
        .order_by(Operation.id)
        .limit(limit)
    ).all()
