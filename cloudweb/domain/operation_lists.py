"""Operations as operators' lists show them."""

import dataclasses
import datetime as dt
from collections.abc import Collection, Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import states
from cloudweb.domain.filters import Field, Fields
from cloudweb.models import OPEN_STATES, Backend, Operation, OperationState, Server, User


@dataclasses.dataclass(frozen=True, slots=True)
class OperationRow:
    """An operation as lists show it."""

    operation: Operation
    backend_name: str
    server_name: str | None
    by: str | None


FIELDS = Fields(
    id=Operation.id,
    state=Operation.state,
    open=Field.of(Operation.state.in_(OPEN_STATES), nullable=False),
    opcode=Operation.opcode,
    target=Operation.target,
    server=Operation.server_id,
    backend=Backend.name,
    by=Field.of(User.email, nullable=True),
    job=Operation.job_id,
    tries=Operation.attempts,
    error=Operation.error_class,
    request=Operation.request_id,
    created=Operation.created,
    submitted=Operation.submitted,
    finished=Operation.finished,
)
"""What operations are filtered and sorted by; ``open`` are those still to be done."""


def rows() -> sa.Select[Any]:
    """What every OperationRow is made of, newest first."""
    query = (
        sa.select(Operation, Backend.name, Server.name, User.email)
        .join(Backend, Operation.backend_id == Backend.id)
        .outerjoin(Server, Operation.server_id == Server.id)
        .outerjoin(User, Operation.user_id == User.id)
        .order_by(Operation.id.desc())
    )
    return cast("sa.Select[Any]", query)


def count_open(session: Session, backend_id: int) -> int:
    """How many operations of a cluster are still to end."""
    still_open = Operation.state.in_(OPEN_STATES)
    query = sa.select(sa.func.count()).where(Operation.backend_id == backend_id, still_open)
    return session.scalar(query) or 0


def count_open_by_backend(session: Session) -> dict[int, int]:
    """How many operations of each cluster are still to end, of those with any; one statement."""
    rows = session.execute(
        sa.select(Operation.backend_id, sa.func.count())
        .where(Operation.state.in_(OPEN_STATES))
        .group_by(Operation.backend_id)
    )
    return {row[0]: row[1] for row in rows}


def list_recent(
    session: Session,
    *,
    state: OperationState | None = None,
    before_id: int | None = None,
    server_id: int | None = None,
    backend_id: int | None = None,
    network_id: int | None = None,
    submitted_before: dt.datetime | None = None,
    limit: int = 50,
) -> Sequence[OperationRow]:
    """Operations, newest first, by keyset (``before_id``); one statement.

    ``submitted_before``: only those that are with their cluster since then.
    """
    query = rows().limit(limit)
    if submitted_before is not None:
        with_cluster = Operation.state.in_((OperationState.SUBMITTED, OperationState.RUNNING))
        query = query.where(with_cluster, Operation.submitted < submitted_before)
    if state is not None:
        query = query.where(Operation.state == state)
    if before_id is not None:
        query = query.where(Operation.id < before_id)
    if server_id is not None:
        query = query.where(Operation.server_id == server_id)
    if network_id is not None:
        query = query.where(Operation.network_id == network_id)
    if backend_id is not None:
        query = query.where(Operation.backend_id == backend_id)
    return [OperationRow(*row) for row in session.execute(query)]


def find_row(session: Session, operation_id: int) -> OperationRow:
    """One operation with the names around it. Raises ItemNotFound."""
    row = session.execute(rows().where(Operation.id == operation_id)).one_or_none()
    if row is None:
        raise faults.ItemNotFound(f"No operation {operation_id}.")
    return OperationRow(*row)


def list_by_ids(session: Session, ids: Collection[int]) -> Sequence[Operation]:
    """These operations, by id; one statement."""
    query = sa.select(Operation).where(Operation.id.in_(ids)).order_by(Operation.id)
    return session.scalars(query).all()


def list_newest(session: Session, ids: Collection[int]) -> dict[int, Operation]:
    """By these ids the operations themselves, or what does them again; two statements."""
    found = {each.id: each for each in list_by_ids(session, ids)}
    ended = [each.id for each in found.values() if each.state not in OPEN_STATES]
    again = session.scalars(sa.select(Operation).where(Operation.retry_of_id.in_(ended)))
    return found | {each.retry_of_id: each for each in again if each.retry_of_id is not None}


def find_by_job(session: Session, backend: str, job_id: int) -> int | None:
    """The newest operation that is this job of the backend of that name; its id."""
    return session.scalar(
        sa.select(Operation.id)
        .join(Backend, Backend.id == Operation.backend_id)
        .where(Backend.name == backend, Operation.job_id == job_id)
        .order_by(Operation.id.desc())
        .limit(1)
    )


def list_removing(session: Session, server_ids: Collection[int]) -> set[int | None]:
    """Which of these servers are about to be removed; one statement."""
    query = sa.select(Operation.server_id).where(
        Operation.server_id.in_(server_ids),
        Operation.opcode == states.REMOVE,
        Operation.state.in_(OPEN_STATES),
    )
    return set(session.scalars(query))


def count_by_state(session: Session) -> dict[OperationState, int]:
    """How many open and how many failed operations there are; one statement."""
    counted = (*OPEN_STATES, OperationState.ERROR)
    rows = session.execute(
        sa.select(Operation.state, sa.func.count())
        .where(Operation.state.in_(counted))
        .group_by(Operation.state)
    )
    return dict.fromkeys(counted, 0) | {row[0]: row[1] for row in rows}


def server_names(session: Session, server_ids: Collection[int | None]) -> dict[int, str]:
    """What these servers are called; one statement."""
    ids = [id_ for id_ in server_ids if id_ is not None]
    if not ids:
        return {}
    rows = session.execute(sa.select(Server.id, Server.name).where(Server.id.in_(ids)))
    return {row[0]: row[1] for row in rows}
