"""Backends: how the clusters are."""

from typing import Any

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb.domain import (
    accounts,
    attention,
    capacity,
    comparisons,
    fitting,
    flavors,
    fleet,
    fleet_lists,
    forms,
    nodes,
    operation_lists,
    removals,
)
from cloudweb.domain.capacity import Span
from cloudweb.domain.fleet_lists import BackendRow
from cloudweb.models import OPEN_STATES, Backend
from cloudweb.security import Permission, allows
from cloudweb.settings import Settings
from cloudweb.views.dashboard import charts, lists, pages
from cloudweb.views.dashboard.backend_bulk import ACTS
from cloudweb.views.dashboard.backend_lists import TABS
from cloudweb.views.dashboard.exports import page_and_files
from cloudweb.views.dashboard.lists import Column, Listing

_RECENT = 5


def stale_after_s(conf: Settings) -> float:
    """How old a backend's figures may get before they count as stale."""
    return 2 * conf.worker_refresh_s + conf.rapi_read_timeout_s


def _condition(request: Request, backend: Backend) -> attention.Condition:
    return attention.condition(backend, stale_after_s=stale_after_s(request.conf))


BACKENDS = Listing(
    name="backends",
    title="Backends",
    one="backend",
    many="backends",
    fields=fleet_lists.FIELDS,
    rows=fleet_lists.rows,
    row=BackendRow,
    key=lambda row: row.backend.id,
    search=(Backend.name, Backend.state_reason),
    hint="name, reason or id",
    choices={
        "state": ("State", fleet_lists.STATES),
        "public": ("Public", {"yes": "yes", "no": "no"}),
    },
    columns=(
        Column("name", "Backend", lambda row: row.backend.name),
        Column("state", "State", lambda row: attention.flags(row.backend)),
        Column("public", "Public", lambda row: "yes" if row.backend.public else "no"),
        Column("hypervisor", "Hypervisor", lambda row: row.backend.hypervisor),
        Column(
            "template", "Disk templates", lambda row: " ".join(row.backend.disk_templates), "prose"
        ),
        Column("servers", "VMs", lambda row: row.servers, "n"),
        Column("memory_free", "Memory", lambda row: row.backend.memory_free_mb),
        Column("memory", "Memory in all", lambda row: row.backend.memory_total_mb, "n"),
        Column("disk_free", "Disk", lambda row: row.backend.disk_free_mb),
        Column("disk", "Disk in all", lambda row: row.backend.disk_total_mb, "n"),
        Column("addresses", "Free public IPs", lambda row: row.addresses, "n"),
        Column("nodes_up", "Nodes up", lambda row: row.backend.nodes_up, "n"),
        Column("nodes", "Nodes", lambda row: row.backend.nodes_total, "n"),
        Column("jobs", "Jobs", lambda row: row.jobs, "n"),
        Column("version", "Ganeti", lambda row: row.backend.ganeti_version),
        Column("refreshed", "As of", lambda row: row.backend.refreshed),
    ),
    shown=(
        *("name", "state", "public", "hypervisor", "template", "servers", "memory_free"),
        *("disk_free", "addresses", "nodes_up", "jobs", "version", "refreshed"),
    ),
    nothing="There is no backend yet. A backend is one Ganeti cluster. On its master make a user of"
    " the remote API who may write, in /var/lib/ganeti/rapi/users, then add it here. It starts"
    " drained, so that nothing lands on it before you say so.",
)


@page_and_files("admin.backends")
def index(request: Request) -> Response:
    """GET /admin/backends, .csv, .json."""
    busy = attention.is_anything_open(request.db)
    return lists.respond(
        request,
        BACKENDS,
        busy=lambda rows: busy or any(row.backend.refresh_asked for row in rows),
        condition=lambda backend: _condition(request, backend),
        bulk=[(verb, f"{word}…") for verb, word in ACTS.items()]
        if allows(request.identity.role, Permission.BACKEND_DRAIN)
        else [],
    )


@view_config(route_name="admin.backend", request_method="GET", permission=Permission.DASHBOARD_VIEW)
def show(request: Request) -> Response:
    """GET /admin/backends/{id}."""
    backend = fleet.get(request.db, int(request.matchdict["id"]))
    recent = operation_lists.list_recent(request.db, backend_id=backend.id, limit=_RECENT)
    wanted = flavors.list_active(request.db)
    rows = nodes.list_all(request.db, backend_id=backend.id)
    compared = comparisons.newest(request.db, backend)
    mine = (request.identity.user_id, backend.id)
    promised = capacity.promised(request.db, backend)
    given = request.GET.get("span", "")
    span = Span(given) if given in list(Span) else Span.DAY
    points = capacity.list_points(request.db, backend, span)
    return pages.show_live(
        request,
        "backend",
        busy=backend.refresh_asked is not None
        or any(row.operation.state in OPEN_STATES for row in recent),
        backend=backend,
        # It stays while the backend does: what refreshes itself is the same until something moves.
        key=forms.token(*mine, str(backend.refreshed), str(backend.refresh_asked)),
        compare_key=forms.token(*mine, "compare", str(compared and compared.at)),
        tabs=TABS,
        condition=_condition(request, backend),
        state_by=accounts.email_of(request.db, backend.state_by_id),
        servers=promised.servers,
        promised=promised,
        loss=capacity.after_loss((row.node for row in rows), promised),
        flavors=[(f, _fit(backend, f), capacity.count_fitting(backend, f)) for f in wanted],
        holds=capacity.holds(request.db, backend),
        compared=compared,
        in_the_way=_in_the_way(request, backend),
        points=points,
        span=span,
        spans=charts.SPANS,
        charts=[
            charts.draw("Memory", "memory_percent", points, span),
            charts.draw("Disk", "disk_percent", points, span),
        ],
        recent=recent,
        done=request.GET.get("done", ""),
    )


def _in_the_way(request: Request, backend: Backend) -> str:
    """Why it cannot be removed now, for whoever may; empty when it can."""
    if not allows(request.identity.role, Permission.BACKEND_REMOVE):
        return ""
    in_the_way = removals.list_in_the_way(request.db, backend)
    return f"In the way: {removals.words(in_the_way)}." if in_the_way else ""


def _fit(backend: Backend, flavor: Any) -> str:
    if not fitting.takes(backend, flavor):
        return "not taken"
    return "fits" if fitting.fits(backend, flavor) else "no room"
