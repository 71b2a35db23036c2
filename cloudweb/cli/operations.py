"""``cloudweb operation``: what clusters are to do, and did."""

from typing import Any

import click
from sqlalchemy.orm import Session

from cloudweb.cli import lists, printing, waiting
from cloudweb.cli.door import Door, dry_run, pass_door, required_reason
from cloudweb.cli.lists import Wanted
from cloudweb.domain import operation_lists
from cloudweb.domain.operation_lists import OperationRow
from cloudweb.models import Operation, OperationState

COLUMNS = {
    "id": "ID",
    "opcode": "OPCODE",
    "target": "TARGET",
    "backend": "BACKEND",
    "state": "STATE",
    "job_id": "JOB",
    "attempts": "TRIES",
    "created": "CREATED",
    "finished": "FINISHED",
    "error": "ERROR",
}


@click.group()
def operation() -> None:
    """What clusters are to do, and did."""


@operation.command("list")
@click.option("--state", type=click.Choice([state.value for state in OperationState]))
@click.option("--server", "server_id", type=int, metavar="ID", help="Only of this server.")
@click.option("--backend", "backend_id", type=int, metavar="ID", help="Only on this cluster.")
@click.option("--before", "before_id", type=int, metavar="ID", help="Only older ones.")
@lists.options(operation_lists.FIELDS, limit=50)
@pass_door
def list_(
    door: Door,
    state: str | None,
    server_id: int | None,
    backend_id: int | None,
    before_id: int | None,
    wanted: Wanted,
) -> None:
    """Show operations, newest first."""
    query = operation_lists.rows()
    if state is not None:
        query = query.where(Operation.state == OperationState(state))
    if before_id is not None:
        query = query.where(Operation.id < before_id)
    if server_id is not None:
        query = query.where(Operation.server_id == server_id)
    if backend_id is not None:
        query = query.where(Operation.backend_id == backend_id)
    with door.reading() as session:
        found = [OperationRow(*row) for row in wanted.select(session, query)]
    wanted.show([operation_row(each) for each in found], COLUMNS)


def operation_row(each: OperationRow) -> dict[str, Any]:
    """An operation as it is printed."""
    shown = each.operation
    return {
        "id": shown.id,
        "opcode": shown.opcode,
        "target": shown.target,
        "server_id": shown.server_id,
        "server": each.server_name,
        "backend": each.backend_name,
        "state": shown.state.value,
        "job_id": shown.job_id,
        "attempts": shown.attempts,
        "request_id": shown.request_id,
        "created": shown.created,
        "finished": shown.finished,
        "error_class": shown.error_class,
        "error": shown.error,
    }


_id = click.argument("operation_id", type=click.IntRange(min=1), metavar="ID")


@operation.command()
@_id
@printing.as_json
@pass_door
def show(door: Door, operation_id: int, as_json: bool) -> None:
    """Show all of one operation."""
    with door.reading() as session:
        row = _details(session, operation_id)
    printing.record(row, as_json=as_json)


def _details(session: Session, operation_id: int) -> dict[str, Any]:
    from cloudweb.domain import interventions  # with all that changes servers

    found = operation_lists.find_row(session, operation_id)
    keys = (
        "reason",
        "arguments",
        "sent",
        "submitted",
        "due",
        "declines",
        "cancel_wanted",
        "retry_of_id",
    )
    more = {key: getattr(found.operation, key) for key in keys}
    return (
        operation_row(found) | more | {"retry_id": interventions.find_retry(session, operation_id)}
    )


@operation.command()
@_id
@required_reason
@dry_run
@printing.as_json
@pass_door
def cancel(door: Door, operation_id: int, reason: str, as_json: bool) -> None:
    """Cancel an operation: at once if it was never sent, else the cluster is asked to.

    A server whose create was never sent is gone then. A job that has begun goes on.
    """
    from cloudweb.domain import interventions

    with door.changing() as session:
        at_once = interventions.cancel(session, door.identity, operation_id, reason=reason)
        session.flush()  # as it is now, in this transaction
        row = _details(session, operation_id)
    said = "is canceled" if at_once else "is to be canceled; its cluster is asked to"
    printing.done(f"Operation {operation_id} {said}.", row, as_json=as_json)


@operation.command()
@click.argument(
    "operation_ids", type=click.IntRange(min=1), metavar="ID...", nargs=-1, required=True
)
@waiting.timeout_option
@pass_door
def wait(door: Door, operation_ids: tuple[int, ...], timeout_s: int) -> None:
    """Stay until operations have ended; the status is 1 when one did not succeed."""
    with door.reading() as session:
        for operation_id in operation_ids:
            operation_lists.find_row(session, operation_id)
    waiting.follow(door, operation_ids, timeout_s=timeout_s)


@operation.command()
@_id
@waiting.option
@required_reason
@dry_run
@printing.as_json
@pass_door
def retry(door: Door, operation_id: int, reason: str, as_json: bool) -> None:
    """Have a failed operation done again, as a new one with the same arguments."""
    from cloudweb.domain import interventions

    with door.changing() as session:
        again = interventions.retry(session, door.identity, operation_id, reason=reason)
        session.flush()  # as it is now, in this transaction
        row = _details(session, again.id)
    printing.done(f"Operation {again.id} does it again.", row, as_json=as_json)
