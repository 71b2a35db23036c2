"""Compute flavors: the sizes servers are made with, and where there is room for more of each."""

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb.domain import audit, capacity, flavor_lists, flavors, placement
from cloudweb.domain.flavor_lists import FlavorRow
from cloudweb.domain.placement import Candidate, Standing
from cloudweb.models import Flavor
from cloudweb.security import Permission
from cloudweb.views.dashboard import lists, pages
from cloudweb.views.dashboard.exports import page_and_files
from cloudweb.views.dashboard.lists import Column, Listing

COMPUTE_FLAVORS = Listing(
    name="flavors.compute",
    title="Compute flavors",
    one="flavor",
    many="flavors",
    fields=flavor_lists.FIELDS,
    rows=flavor_lists.rows,
    row=FlavorRow,
    key=lambda row: row.flavor.id,
    enrich=lambda _request, session, rows: flavor_lists.with_room(session, rows),
    section="flavors",
    search=(flavor_lists.NAME,),
    hint="name or id",
    choices={"deleted": ("State", {"no": "offered", "yes": "not offered"})},
    unless_asked={"deleted": "no"},
    sort="cpu,ram,disk,id",
    columns=(
        Column("name", "Flavor", lambda row: row.flavor.name),
        Column("id", "Id", lambda row: row.flavor.id, "n"),
        Column("cpu", "CPUs", lambda row: row.flavor.cpu, "n"),
        Column("ram", "Memory MiB", lambda row: row.flavor.ram_mb, "n"),
        Column("disk", "Disk GiB", lambda row: row.flavor.disk_gb, "n"),
        Column("template", "Disk template", lambda row: row.flavor.disk_template),
        Column("deleted", "State", lambda row: "not offered" if row.flavor.deleted else "offered"),
        Column("servers", "VMs", lambda row: row.servers, "n"),
        Column("backends", "Taken by", lambda row: [each.name for each in row.takers], "name"),
        Column("room", "Room for", lambda row: row.room, "n"),
        Column("created", "Created", lambda row: row.created),
    ),
    nothing="There is no flavor yet, so no server can be made.",
)


@page_and_files("admin.flavors.compute")
def index(request: Request) -> Response:
    """GET /admin/flavors/compute, .csv, .json."""
    return lists.respond(request, COMPUTE_FLAVORS, having=_having)


def _having(flavor: Flavor) -> str:
    """The filter of the list of VMs that finds those that have it."""
    size = f"cpu={flavor.cpu},ram={flavor.ram_mb},disk={flavor.disk_gb}"
    return f"{size},template={flavor.disk_template}"


@view_config(
    route_name="admin.flavors.compute.flavor",
    request_method="GET",
    permission=Permission.DASHBOARD_VIEW,
)
def show(request: Request) -> Response:
    """GET /admin/flavors/compute/{id}: where new servers of it would go, and what was done."""
    flavor = flavors.get(request.db, int(request.matchdict["id"]))
    found = placement.explain(request.db, flavor)
    rows = [(each, _room(each, flavor)) for each in found]
    return pages.show_signed_in(
        request,
        "compute_flavor",
        flavor=flavor,
        backends=rows,
        room=sum(room for _, room in rows),
        servers=flavors.count_servers(request.db, flavor),
        having=_having(flavor),
        history=audit.list_for(request.db, "flavor", flavor.id),
    )


def _room(seen: Candidate, flavor: Flavor) -> int:
    """How many more servers a backend would get; none where new ones do not go."""
    out = seen.standing is Standing.OUT
    return 0 if out else capacity.count_fitting(seen.backend, flavor)
