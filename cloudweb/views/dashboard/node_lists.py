"""The nodes of all clusters in one list."""

from pyramid.request import Request
from pyramid.response import Response

from cloudweb.domain import fleet, nodes
from cloudweb.domain.node_roles import ROLES
from cloudweb.domain.nodes import NodeRow
from cloudweb.models import Backend, Node
from cloudweb.views.dashboard import lists
from cloudweb.views.dashboard.exports import page_and_files
from cloudweb.views.dashboard.lists import Column, Listing

NODES = Listing(
    name="nodes",
    title="Nodes",
    one="node",
    many="nodes",
    section="backends",
    fields=nodes.FIELDS,
    rows=nodes.rows,
    row=NodeRow,
    key=lambda row: f"{row.backend.id}-{row.node.name}",
    search=(Node.name, Node.node_group, Backend.name),
    hint="node, group or backend",
    choices={
        "state": ("State", {word: word for word in nodes.FIELDS["state"].words}),
        "role": ("Role", ROLES),
    },
    sort="backend,name",
    most=50,
    columns=(
        Column("name", "Node", lambda row: row.node.name, "name"),
        Column("backend", "Backend", lambda row: row.backend.name, "name"),
        Column("state", "State", lambda row: nodes.state(row.node)),
        Column("role", "Role", lambda row: row.node.role),
        Column("group", "Group", lambda row: row.node.node_group),
        Column("primaries", "Runs", lambda row: row.node.primaries, "n"),
        Column("secondaries", "Mirrors", lambda row: row.node.secondaries, "n"),
        Column("memory_free", "Memory", lambda row: row.node.memory_free_mb),
        Column("disk_free", "Disk", lambda row: row.node.disk_free_mb),
        Column("cpus", "CPUs", lambda row: row.node.cpus, "n"),
        Column("refreshed", "As of", lambda row: row.backend.refreshed),
    ),
    nothing="No cluster has told of its nodes yet. The worker asks each in turn.",
)


@page_and_files("admin.nodes")
def index(request: Request) -> Response:
    """GET /admin/nodes, .csv, .json: the nodes of all clusters."""
    names = {backend.name: backend.name for backend in fleet.list_all(request.db)}
    return lists.respond(
        request,
        NODES,
        choices={"backend": ("Backend", names)},
        state_of=nodes.state,
        roles=ROLES,
    )
