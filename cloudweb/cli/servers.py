"""``cloudweb server``: everybody's servers."""

from typing import Any

import click

from cloudweb.cli import lists, printing
from cloudweb.cli.door import Door, pass_door
from cloudweb.cli.late import LateGroup
from cloudweb.cli.lists import Wanted
from cloudweb.cli.operations import COLUMNS as OPERATION_COLUMNS
from cloudweb.cli.operations import operation_row
from cloudweb.domain import operation_lists, server_lists, server_views
from cloudweb.domain.server_lists import Filter, ServerRow
from cloudweb.models import OperState, Server

COLUMNS = {
    "id": "ID",
    "name": "NAME",
    "status": "STATUS",
    "owner": "OWNER",
    "backend": "BACKEND",
    "node": "NODE",
    "flavor": "FLAVOR",
    "ipv4": "IPV4",
    "open_operation": "TO DO",
    "created": "CREATED",
}


_LATE = {
    "create": ("server_actions:create", "Make a server for a user."),
    "failover": ("moving:failover", "Shut a server down and start it on another node."),
    "inspect": ("inspecting:server", "Show a server, and its instance as its cluster has it."),
    "lock": ("server_actions:lock", "Lock servers against accidents."),
    "unlock": ("server_actions:unlock", "End that."),
    "mail": ("server_actions:mail", "Write to the owners of servers."),
    "modify": ("server_actions:modify", "Change what is known of a server."),
    "reboot": ("server_actions:reboot", "Have servers rebooted."),
    "remove": ("server_actions:remove", "Have servers removed with their disks."),
    "shutdown": ("server_actions:shutdown", "Have servers shut down."),
    "start": ("server_actions:start", "Have servers started."),
    "suspend": ("server_actions:suspend", "Keep owners from servers, and shut these down."),
    "unsuspend": ("server_actions:unsuspend", "Let owners use suspended servers again."),
    "import": ("adoption:import_", "Make a server of an instance that runs already."),
    "migrate": ("moving:migrate", "Bring a server to another node while it runs."),
    "place": ("placement:place", "Show where a new server would go; nothing is made."),
}


@click.group(cls=LateGroup, late=_LATE)
def server() -> None:
    """Everybody's servers."""


@server.command("list")
@click.option("--text", default="", help="In the name, the instance's name or the owner's e-mail.")
@click.option("--state", type=click.Choice([state.value for state in OperState]))
@click.option("--backend", "backend_id", type=int, metavar="ID", help="Only on this cluster.")
@click.option("--owner", default="", metavar="EMAIL", help="Only this user's.")
@click.option("--deleted", is_flag=True, help="Those that were deleted.")
@click.option("--after", "after_id", type=int, default=0, metavar="ID", help="Only later ones.")
@lists.options(server_lists.FIELDS, limit=100)
@pass_door
def list_(
    door: Door,
    text: str,
    state: str | None,
    backend_id: int | None,
    owner: str,
    deleted: bool,
    after_id: int,
    wanted: Wanted,
) -> None:
    """Show servers, by id; the deleted ones only when they are asked for."""
    narrowed = Filter(
        text=text,
        state=OperState(state) if state else None,
        backend_id=backend_id,
        owner=owner,
        deleted=True if deleted else None if wanted.selection.names("deleted") else False,
    )
    query = server_lists.rows().where(*narrowed.conditions(), Server.id > after_id)
    with door.reading() as session:
        found = wanted.select(session, query.order_by(Server.id))
    wanted.show([server_row(ServerRow(*each)) for each in found], COLUMNS)


@server.command()
@click.argument("server_id", type=int, metavar="ID")
@printing.as_json
@pass_door
def show(door: Door, server_id: int, as_json: bool) -> None:
    """Show one server, deleted or not, with its newest operations."""
    with door.reading() as session:
        row = server_lists.get_row(session, server_id)
        view = server_views.get(session, door.identity, server_id)
        found = operation_lists.list_recent(session, server_id=server_id)
    shown = server_row(row) | {
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


def server_row(each: ServerRow) -> dict[str, Any]:
    """A server as it is printed."""
    return {
        "id": each.server.id,
        "name": each.server.name,
        "status": each.status.value,
        "state": each.server.state.value,
        "owner": each.owner,
        "backend": each.backend_name,
        "node": each.server.node,
        "instance": each.server.instance_name,
        "flavor": each.flavor.name,
        "ipv4": each.ipv4,
        "open_operation": each.open_operation,
        "suspended": each.server.suspended,
        "locked": each.server.locked,
        "deleted": each.server.deleted,
        "created": each.server.created,
    }
