"""``cloudweb operation``: what clusters are to do, and did."""

from typing import Any

import click

from cloudweb.cli import printing
from cloudweb.cli.door import Door, pass_door
from cloudweb.domain import operations
from cloudweb.domain.operations import OperationRow
from cloudweb.models import OperationState

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
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@printing.as_json
@pass_door
def list_(
    door: Door,
    state: str | None,
    server_id: int | None,
    backend_id: int | None,
    before_id: int | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show operations, newest first."""
    with door.reading() as session:
        found = operations.list_recent(
            session,
            state=OperationState(state) if state else None,
            before_id=before_id,
            server_id=server_id,
            backend_id=backend_id,
            limit=limit,
        )
    printing.listing([operation_row(each) for each in found], COLUMNS, as_json=as_json)


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
