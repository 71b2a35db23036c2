"""``cloudweb node``: the nodes of the clusters, emptying them, and what they are."""

from typing import Any

import click

from cloudweb.cli import lists
from cloudweb.cli.door import Door, pass_door
from cloudweb.cli.late import LateGroup
from cloudweb.cli.lists import Wanted
from cloudweb.domain import fleet, nodes
from cloudweb.models import Backend

_COLUMNS = {
    "name": "NAME",
    "backend": "BACKEND",
    "node_group": "GROUP",
    "state": "STATE",
    "primaries": "PRIMARY",
    "secondaries": "SECONDARY",
    "memory_free_mb": "FREE MiB",
    "memory_total_mb": "OF",
    "disk_free_mb": "DISK MiB",
    "disk_total_mb": "OF",
    "cpus": "CPUS",
}
_KEYS = (
    *("name", "node_group", "role", "drained", "offline", "vm_capable", "memory_total_mb"),
    *("memory_free_mb", "disk_total_mb", "disk_free_mb", "cpus", "primaries", "secondaries"),
)


_LATE = {
    "demote": ("roles:demote", "Make a master candidate a regular node."),
    "drain": ("roles:drain", "Have no instance placed on a node any more."),
    "offline": ("roles:offline", "Say that a node is off: Ganeti asks it nothing any more."),
    "online": ("roles:online", "Have a node that was offline asked again."),
    "promote": ("roles:promote", "Make a regular node a master candidate."),
    "undrain": ("roles:undrain", "Let instances be placed on a node again."),
    "evacuate": ("moving:evacuate_node", "Move all servers off a node."),
    "migrate": ("moving:migrate_node", "Move the servers of a node that can move live."),
    "show": ("moving:show_node", "Show a node, its servers and the moves off it."),
}


@click.group(cls=LateGroup, late=_LATE)
def node() -> None:
    """The nodes of the clusters, as they were when these were last asked."""


@node.command("list")
@click.option("--backend", "key", metavar="BACKEND", help="Only those of this cluster.")
@lists.options(nodes.FIELDS)
@pass_door
def list_(door: Door, key: str | None, wanted: Wanted) -> None:
    """Show the nodes with their room and how many instances they have."""
    query = nodes.rows()
    with door.reading() as session:
        if key is not None:
            query = query.where(Backend.id == fleet.by_key(session, key).id)
        rows = [node_row(nodes.NodeRow(*each)) for each in wanted.select(session, query, "name")]
    wanted.show(rows, _COLUMNS)


def node_row(each: nodes.NodeRow) -> dict[str, Any]:
    """A node as commands print it."""
    facts = {key: getattr(each.node, key) for key in _KEYS}
    where = {"backend": each.backend.name, "refreshed": each.backend.refreshed}
    return facts | where | {"state": nodes.state(each.node)}
