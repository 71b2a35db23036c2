"""What is on one backend, each kind on a page of its own: nodes, VMs, networks, jobs, history."""

import dataclasses
from typing import Any

import sqlalchemy as sa
from pyramid.request import Request
from pyramid.response import Response

from cloudweb.domain import cluster_jobs, fleet, nodes, placed_networks
from cloudweb.domain.node_roles import ROLES
from cloudweb.models import Backend, ClusterJob, Network, NetworkState, Node, Server, User
from cloudweb.views.dashboard import figures, histories, jobs, lists, networks, vm_lists
from cloudweb.views.dashboard.exports import page_and_files
from cloudweb.views.dashboard.lists import Column, Listing
from cloudweb.views.dashboard.node_lists import NODES
from cloudweb.views.dashboard.states import verb

TABS = (
    ("Overview", "admin.backend"),
    ("Nodes", "admin.backend.nodes"),
    ("VMs", "admin.backend.vms"),
    ("Networks", "admin.backend.networks"),
    ("Jobs", "admin.backend.jobs"),
    ("History", "admin.backend.history"),
)
"""The pages of a backend: words and route."""


def _of_one(listing: Listing, **changes: Any) -> Listing:
    """A list of all backends as that of one: nothing says again which that is."""
    return dataclasses.replace(
        listing,
        name=f"backend.{listing.name}",
        cells=listing.name,
        section="backends",
        tabs=TABS,
        fields=listing.fields.without("backend"),
        columns=tuple(column for column in listing.columns if column.name != "backend"),
        **changes,
    )


NODES_THERE = _of_one(
    NODES,
    search=(Node.name, Node.node_group),
    hint="node or group",
    sort="name",
    nothing="The cluster has not told of its nodes yet. The worker asks it in its turn.",
)
VMS_THERE = _of_one(
    vm_lists.VMS,
    shown=("id", "state", "owner", "node", "flavor", "ipv4", "created"),
    nothing="No VM is here.",
)
JOBS_THERE = _of_one(jobs.JOBS, sort="-received,job")
NETWORKS_THERE = Listing(
    name="backend.networks",
    title="Networks",
    one="network",
    many="networks",
    section="backends",
    tabs=TABS,
    fields=placed_networks.FIELDS,
    rows=placed_networks.rows,
    row=lambda *found: placed_networks.row(found),
    key=lambda row: row.network.id,
    search=(Network.name, Network.cidr, Network.cidr6, Network.link, User.email),
    hint="name, subnet, link, owner or id",
    choices={
        "state": ("State there", placed_networks.STATES),
        "public": ("Public", {"yes": "yes", "no": "no"}),
        "kind": networks.NETWORKS.choices["kind"],
    },
    sort="name,id",
    columns=(
        Column("name", "Network", lambda row: row.network.name),
        Column("id", "Id", lambda row: row.network.id),
        Column("state", "State there", lambda row: str(networks.word(row.network, row.place))),
        Column("called", "Name in Ganeti", lambda row: row.place.name, "name"),
        Column("since", "Since", lambda row: row.place.since),
        Column("servers", "VMs there", lambda row: row.servers, "n"),
        Column("kind", "Kind", lambda row: row.network.kind.value),
        Column("owner", "Owner", lambda row: row.owner, "name"),
        Column("subnet", "IPv4", lambda row: row.network.cidr),
        Column("link", "Link", lambda row: row.network.link),
        Column("public", "Public", lambda row: "yes" if row.network.public else "no"),
        Column("drained", "Drained", lambda row: "yes" if row.network.drained else "no"),
    ),
    shown=("id", "state", "called", "since", "servers", "kind", "owner", "subnet"),
    nothing="No network is here, or is to be. One is made here when the first VM that needs it is.",
)


def _backend(request: Request) -> Backend:
    return fleet.get(request.db, int(request.matchdict["id"]))


def _respond(
    request: Request,
    listing: Listing,
    mine: sa.ColumnElement[bool],
    backend: Backend,
    **values: Any,
) -> Response:
    return lists.respond(request, listing, within=(mine,), **_around(listing, backend), **values)


def _around(listing: Listing, backend: Backend) -> dict[str, Any]:
    """What stands around each of these lists."""
    return {
        "title": f"{listing.title} of {backend.name}",
        "up": (("Backends", "admin.backends"), (backend.name, "admin.backend")),
        "backend": backend,
    }


@page_and_files("admin.backend.nodes")
def list_nodes(request: Request) -> Response:
    """GET /admin/backends/{id}/nodes, .csv, .json."""
    backend = _backend(request)
    mine = Node.backend_id == backend.id
    return _respond(request, NODES_THERE, mine, backend, state_of=nodes.state, roles=ROLES)


@page_and_files("admin.backend.vms")
def list_vms(request: Request) -> Response:
    """GET /admin/backends/{id}/vms, .csv, .json: acted on together as in the list of all."""
    backend = _backend(request)
    return vm_lists.respond(
        request,
        VMS_THERE,
        [backend],
        within=(Server.backend_id == backend.id,),
        besides={"backend": backend.name},
        **_around(VMS_THERE, backend),
    )


@page_and_files("admin.backend.networks")
def list_networks(request: Request) -> Response:
    """GET /admin/backends/{id}/networks, .csv, .json: what this cluster has of each."""
    backend = _backend(request)
    return _respond(
        request,
        NETWORKS_THERE,
        Backend.id == backend.id,
        backend,
        busy=lambda rows: any(row.place.state is NetworkState.PENDING for row in rows),
        word=networks.word,
    )


@page_and_files("admin.backend.jobs")
def list_jobs(request: Request) -> Response:
    """GET /admin/backends/{id}/jobs, .csv, .json: its queue, newest first."""
    backend = _backend(request)
    opcodes = {each: verb(each) for each in cluster_jobs.list_opcodes(request.db, backend.id)}
    return _respond(
        request,
        JOBS_THERE,
        ClusterJob.backend_id == backend.id,
        backend,
        choices={"opcode": ("What", opcodes)},
        busy=jobs.is_any_open,
        missing=(),
        took=figures.took,
    )


@page_and_files("admin.backend.history")
def list_history(request: Request) -> Response:
    """GET /admin/backends/{id}/history, .csv, .json: who did what to it, and why."""
    backend = _backend(request)
    return histories.respond(
        request,
        "backend",
        backend.id,
        name="backend.history",
        section="backends",
        tabs=TABS,
        **_around(histories.HISTORY, backend),
    )
