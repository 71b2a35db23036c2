"""``cloudweb server``: everybody's servers."""

from typing import Any

import click

from cloudweb.cli import printing
from cloudweb.cli.door import Door, pass_door
from cloudweb.cli.operations import COLUMNS as OPERATION_COLUMNS
from cloudweb.cli.operations import operation_row
from cloudweb.domain import operations, servers
from cloudweb.domain.servers import Filter, ServerRow
from cloudweb.models import OperState

_COLUMNS = {
    "id": "ID",
    "name": "NAME",
    "status": "STATUS",
    "owner": "OWNER",
    "backend": "BACKEND",
    "flavor": "FLAVOR",
    "ipv4": "IPV4",
    "open_operation": "TO DO",
    "created": "CREATED",
}


@click.group()
def server() -> None:
    """Everybody's servers."""


@server.command("list")
@click.option("--text", default="", help="In the name, the instance's name or the owner's e-mail.")
@click.option("--state", type=click.Choice([state.value for state in OperState]))
@click.option("--backend", "backend_id", type=int, metavar="ID", help="Only on this cluster.")
@click.option("--owner", default="", metavar="EMAIL", help="Only this user's.")
@click.option("--deleted", is_flag=True, help="Those that were deleted.")
@click.option("--after", "after_id", type=int, default=0, metavar="ID", help="Only later ones.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@printing.as_json
@pass_door
def list_(
    door: Door,
    text: str,
    state: str | None,
    backend_id: int | None,
    owner: str,
    deleted: bool,
    after_id: int,
    limit: int,
    as_json: bool,
) -> None:
    """Show servers, by id."""
    wanted = Filter(
        text=text,
        state=OperState(state) if state else None,
        backend_id=backend_id,
        owner=owner,
        deleted=deleted,
    )
    with door.reading() as session:
        found = servers.list_rows(session, wanted, after_id=after_id, limit=limit)
    printing.listing([_row(each) for each in found], _COLUMNS, as_json=as_json)


@server.command()
@click.argument("server_id", type=int, metavar="ID")
@printing.as_json
@pass_door
def show(door: Door, server_id: int, as_json: bool) -> None:
    """Show one server, deleted or not, with its newest operations."""
    with door.reading() as session:
        row = servers.get_row(session, server_id)
        view = servers.get(session, door.identity, server_id)
        found = operations.list_recent(session, server_id=server_id)
    shown = _row(row) | {
        "image": row.server.image_ref,
        "updated": row.server.updated,
        "metadata": view.metadata,
    }
    rows = [operation_row(each) for each in found]
    if as_json:
        printing.record(shown | {"operations": rows}, as_json=True)
        return
    printing.record(shown, as_json=False)
    click.echo()
    printing.listing(rows, OPERATION_COLUMNS, as_json=False)


def _row(each: ServerRow) -> dict[str, Any]:
    return {
        "id": each.server.id,
        "name": each.server.name,
        "status": each.status.value,
        "state": each.server.state.value,
        "owner": each.owner,
        "backend": each.backend_name,
        "instance": each.server.instance_name,
        "flavor": each.flavor.name,
        "ipv4": each.ipv4,
        "open_operation": each.open_operation,
        "deleted": each.server.deleted,
        "created": each.server.created,
    }
