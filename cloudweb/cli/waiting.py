"""``--wait``: stays until the clusters have done what a command asked of them."""

import functools
import sys
import time
from collections.abc import Callable, Collection
from typing import Any

import click
import sqlalchemy as sa

from cloudweb.cli.door import Door
from cloudweb.cli.refusals import Refused
from cloudweb.domain import states
from cloudweb.models import OPEN_STATES, Operation, OperationState, Server

_POLL_S = 0.2
_DONE = 100
_BEGUN = {
    OperationState.PENDING: 0,
    OperationState.SUBMITTING: 5,
    OperationState.SUBMITTED: 10,
    OperationState.RUNNING: 20,
}
"""How far an operation is, of 100, at least."""

timeout_option = click.option(
    "--timeout",
    "timeout_s",
    type=click.IntRange(1, 86_400),
    default=600,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait at most.",
)


def option(command: Callable[..., None]) -> Callable[..., None]:
    """``--wait`` for a command whose ``Door.changing`` starts operations.

    The status is 1 when one fails, or is not done in time; it goes on then all the same.
    """

    @click.option("--wait", is_flag=True, help="Stay until the clusters have done it.")
    @timeout_option
    @functools.wraps(command)
    def waiting(*args: Any, wait: bool, timeout_s: int, **options: Any) -> None:
        command(*args, **options)
        door = click.get_current_context().find_object(Door)
        if wait and door is not None:
            follow(door, door.started, timeout_s=timeout_s)

    return waiting


def follow(door: Door, operation_ids: Collection[int], *, timeout_s: float) -> None:
    """Show a bar until these operations, and what does them again, have ended.

    Raises Refused when one failed, or when they are not done in time.
    """
    if not operation_ids:
        return
    ids = set(operation_ids)
    deadline = time.monotonic() + timeout_s
    failed: list[Operation] = []
    label = "1 operation" if len(ids) == 1 else f"{len(ids)} operations"
    with click.progressbar(length=len(ids) * _DONE, label=label, file=sys.stderr) as bar:
        while True:
            rows = _read(door, ids)
            again = {row.retry_of_id for row, _built in rows}
            ended = [row for row, _built in rows if row.state not in OPEN_STATES]
            failed = [
                row for row in ended if row.state != OperationState.SUCCESS and row.id not in again
            ]
            far = sum(_far(row, built) for row, built in rows if row.id not in again)
            bar.update(max(0, min(far, bar.length or 0) - bar.pos))
            ids |= {row.id for row, _built in rows}
            if len(ended) == len(rows):
                break
            if time.monotonic() >= deadline:
                still = len(rows) - len(ended)
                raise Refused(f"Not done within {timeout_s:g} s: {still}; the clusters go on.")
            time.sleep(_POLL_S)
    if failed:
        raise Refused("; ".join(map(_sentence, failed)))


def _read(door: Door, ids: Collection[int]) -> list[tuple[Operation, int | None]]:
    with door.reading() as session:
        rows = session.execute(
            sa.select(Operation, Server.build_percentage)
            .outerjoin(Server, Operation.server_id == Server.id)
            .where(sa.or_(Operation.id.in_(ids), Operation.retry_of_id.in_(ids)))
            .order_by(Operation.id)
        )
        return [(row[0], row[1]) for row in rows]


def _far(row: Operation, built: int | None) -> int:
    if row.state not in _BEGUN:
        return _DONE
    begun = _BEGUN[row.state]
    building = row.opcode == states.CREATE and row.state is OperationState.RUNNING
    return max(begun, min(built or 0, _DONE - 1)) if building else begun


def _sentence(row: Operation) -> str:
    why = f": {row.error}" if row.error else "."
    return f"Operation {row.id} ({row.opcode} of {row.target}) ended with {row.state.value}{why}"
