"""Backends: how the clusters are, and taking one out of the game for new servers."""

import dataclasses
from typing import Any

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb.domain import (
    accounts,
    attention,
    audit,
    capacity,
    comparisons,
    drains,
    flavors,
    fleet,
    fleet_lists,
    nodes,
    notices,
    operation_lists,
)
from cloudweb.domain.capacity import Span
from cloudweb.domain.notices import Notice
from cloudweb.models import OPEN_STATES, Backend, SentForm, Server
from cloudweb.security import Permission
from cloudweb.settings import Settings
from cloudweb.views.dashboard import acts, charts, figures, lists, noticing, pages
from cloudweb.views.dashboard.acts import Field, Kind, Preview
from cloudweb.views.dashboard.lists import Column, Listing

_RECENT = 10


def stale_after_s(conf: Settings) -> float:
    """How old a backend's figures may get before they count as stale."""
    return 2 * conf.worker_refresh_s + conf.rapi_read_timeout_s


def _condition(request: Request, backend: Backend) -> attention.Condition:
    return attention.condition(backend, stale_after_s=stale_after_s(request.conf))


_YES_NO = {"yes": "yes", "no": "no"}

BACKENDS = Listing(
    name="backends",
    title="Backends",
    one="backend",
    many="backends",
    fields=fleet_lists.FIELDS,
    rows=fleet_lists.rows,
    row=lambda backend, servers, jobs: (backend, servers, jobs),
    key=lambda row: row[0].id,
    search=(Backend.name, Backend.state_reason),
    hint="name, reason or id",
    choices={
        "drained": ("Drained", _YES_NO),
        "offline": ("Offline", _YES_NO),
        "unreachable": ("Unreachable", _YES_NO),
    },
    columns=(
        Column("name", "Backend", lambda row: row[0].name),
        Column("state", "State", lambda row: attention.flags(row[0])),
        Column("servers", "VMs", lambda row: row[1], "n"),
        Column("memory_free", "Memory", lambda row: row[0].memory_free_mb),
        Column("disk_free", "Disk", lambda row: row[0].disk_free_mb),
        Column("nodes_up", "Nodes up", lambda row: row[0].nodes_up, "n"),
        Column("jobs", "Jobs", lambda row: row[2], "n"),
        Column("template", "Disk templates", lambda row: " ".join(row[0].disk_templates), "prose"),
        Column("hypervisor", "Hypervisor", lambda row: row[0].hypervisor),
        Column("version", "Ganeti", lambda row: row[0].ganeti_version),
        Column("refreshed", "As of", lambda row: row[0].refreshed),
    ),
    shown=(
        *("name", "state", "servers", "memory_free", "disk_free", "nodes_up", "jobs"),
        *("hypervisor", "version", "refreshed"),
    ),
    nothing="There is no backend yet. A backend is one Ganeti cluster. On its master make a user of"
    " the remote API who may write, in /var/lib/ganeti/rapi/users, then add it here. It starts"
    " drained, so that nothing lands on it before you say so.",
)


@view_config(
    route_name="admin.backends", request_method="GET", permission=Permission.DASHBOARD_VIEW
)
@view_config(
    route_name="admin.backends.export", request_method="GET", permission=Permission.DASHBOARD_VIEW
)
def index(request: Request) -> Response:
    """GET /admin/backends, .csv, .json."""
    busy = attention.is_anything_open(request.db)
    return lists.respond(
        request,
        BACKENDS,
        busy=lambda _rows: busy,
        condition=lambda backend: _condition(request, backend),
    )


@view_config(route_name="admin.backend", request_method="GET", permission=Permission.DASHBOARD_VIEW)
def show(request: Request) -> Response:
    """GET /admin/backends/{id}."""
    backend = fleet.get(request.db, int(request.matchdict["id"]))
    recent = operation_lists.list_recent(request.db, backend_id=backend.id, limit=_RECENT)
    wanted = flavors.list_active(request.db)
    rows = nodes.list_all(request.db, backend_id=backend.id)
    promised = capacity.promised(request.db, backend)
    given = request.GET.get("span", "")
    span = Span(given) if given in list(Span) else Span.DAY
    points = capacity.list_points(request.db, backend, span)
    return pages.show_live(
        request,
        "backend",
        busy=any(row.operation.state in OPEN_STATES for row in recent),
        backend=backend,
        condition=_condition(request, backend),
        state_by=accounts.email_of(request.db, backend.state_by_id),
        servers=promised.servers,
        promised=promised,
        loss=capacity.after_loss(row.node for row in rows),
        flavors=[(f, _fit(backend, f), capacity.count_fitting(backend, f)) for f in wanted],
        nodes=rows,
        holds=capacity.holds(request.db, backend),
        compared=comparisons.newest(request.db, backend),
        points=points,
        span=span,
        spans=charts.SPANS,
        charts=[
            charts.draw("Memory", "memory_percent", points, span),
            charts.draw("Disk", "disk_percent", points, span),
        ],
        state_of=nodes.state,
        recent=recent,
        history=audit.list_for(request.db, "backend", backend.id),
        done=request.GET.get("done", ""),
    )


def _fit(backend: Backend, flavor: Any) -> str:
    if not fleet.takes(backend, flavor):
        return "not taken"
    return "fits" if fleet.fits(backend, flavor) else "no room"


# --- acting -------------------------------------------------------------------------------------


def _preview(request: Request, verb: str) -> tuple[Preview, Backend]:
    backend = fleet.get(request.db, int(request.matchdict["id"]))
    facts = {
        "Backend": backend.name,
        "State": ", ".join(attention.flags(backend)),
        "VMs": str(sum(fleet.count_servers(request.db).get(backend.id, {}).values())),
    }
    if backend.state_since is not None:
        by = accounts.email_of(request.db, backend.state_by_id)
        facts["Set"] = f"{backend.state_since:%Y-%m-%d %H:%M:%S} UTC by {by}"
    if backend.state_reason:
        facts["Reason then"] = backend.state_reason
    preview = Preview(
        title=f"{verb} {backend.name}",
        verb=verb,
        section="backends",
        up=(("Backends", request.route_path("admin.backends")), (backend.name, _back(request))),
        facts=facts,
        versions=drains.token(backend),
    )
    return preview, backend


def _back(request: Request, **query: str) -> str:
    path: str = request.route_path("admin.backend", id=int(request.matchdict["id"]), _query=query)
    return path


@view_config(
    route_name="admin.backend.drain",
    request_method=("GET", "POST"),
    permission=Permission.BACKEND_DRAIN,
)
def drain(request: Request) -> Response:
    """GET, POST /admin/backends/{id}/drain: dangerous where flavors could be placed nowhere."""
    return _drain(request, drained=True)


@view_config(
    route_name="admin.backend.undrain",
    request_method=("GET", "POST"),
    permission=Permission.BACKEND_DRAIN,
)
def undrain(request: Request) -> Response:
    """GET, POST /admin/backends/{id}/undrain."""
    return _drain(request, drained=False)


def _drain(request: Request, *, drained: bool) -> Response:
    verb = "drain" if drained else "undrain"

    def make() -> Preview:
        preview, backend = _preview(request, verb.capitalize())
        would = drains.preview(
            fleet.list_all(request.db),
            flavors.list_active(request.db),
            backend,
            drained=drained,
        )
        around = drains.around(request.db, backend, would)
        there_already = "It is drained already." if drained else "It is not drained."
        obstacle = there_already if backend.drained is drained else ""
        told = (
            _told(request, backend, notices.drained(noticing.until(request)))
            if drained and not obstacle
            else {}
        )
        return dataclasses.replace(
            preview,
            follows=_after_draining() if drained else _after_undraining(backend),
            obstacle=obstacle,
            part="draining",
            below=told.get("below", ""),
            also=told.get("also", ()),
            values={
                "preview": would,
                "around": around,
                "backend": backend,
                **told.get("values", {}),
            },
            fields=(*((_UNTIL,) if drained else ()), *told.get("fields", ())),
            danger=drained and bool(would.lost),
            phrase=f"drain {backend.name}" if drained and would.lost else "",
            reason="required" if drained else "optional",
            command=f"cloudweb backend {verb} {backend.name}" + (" --reason …" if drained else ""),
        )

    def do(preview: Preview, reason: str, _form: SentForm) -> str:
        backend_id = int(request.matchdict["id"])
        until = acts.time(request, "until") if drained else None
        drains.apply(
            *(request.db, request.identity, backend_id),
            drained=drained,
            reason=reason,
            seen=str(preview.versions),
            accept_loss=preview.danger,
            until=until,
        )
        if drained:
            to = notices.owners(request.db, Server.backend_id == backend_id)
            noticing.send(request, notices.drained(until), to, reason)
        return _back(request, done=f"{verb}ed")

    return acts.respond(request, make, do)


_UNTIL = Field(
    "until",
    "Until (optional, UTC)",
    Kind.TIME,
    hint="Nothing happens by itself then: it shows among what needs attention.",
)


def _told(request: Request, backend: Backend, notice: Notice) -> dict[str, Any]:
    """What a preview has for telling the owners of the servers there."""
    to = notices.owners(request.db, Server.backend_id == backend.id)
    return noticing.shown(request, notice, to, reason="required")


def _after_draining() -> list[str]:
    return [
        "No new servers go to this backend.",
        "What is here stays, and can be started, stopped and destroyed as before.",
        "To empty it, evacuate its nodes one by one.",
    ]


def _after_undraining(backend: Backend) -> list[str]:
    again = "New servers may go to this backend again"
    later = ", once it is no longer offline" if backend.offline else ""
    return [f"{again}{later}.", "Nothing that runs is touched."]


@view_config(
    route_name="admin.backend.offline",
    request_method=("GET", "POST"),
    permission=Permission.BACKEND_DRAIN,
)
def go_offline(request: Request) -> Response:
    """GET, POST /admin/backends/{id}/offline: the cluster is not asked anything any more."""

    def make() -> Preview:
        preview, backend = _preview(request, "Take offline")
        waiting = operation_lists.count_open(request.db, backend.id)
        return dataclasses.replace(
            preview,
            title=f"Take {backend.name} offline",
            follows=(
                "The cluster is asked nothing until it is back: nothing starts or stops there.",
                "No new servers go to it.",
                f"{preview.facts['VMs']} VMs run on as they are. Their owners still see them.",
                "Whoever starts, stops or changes one, or opens its console, is refused at once.",
                f"{figures.plural(waiting, 'operation')} of it stay where they are.",
                "What its agents say is heard all the same.",
            ),
            obstacle="It is offline already." if backend.offline else "",
            reason="required",
            harsh=True,
            **(_told(request, backend, notices.OFFLINE) if not backend.offline else {}),
            command=f"cloudweb backend offline {backend.name} --reason …",
        )

    def do(_preview: Preview, reason: str, _form: SentForm) -> str:
        backend = fleet.get(request.db, int(request.matchdict["id"]))
        fleet.set_offline(request.db, request.identity, backend, offline=True, reason=reason)
        to = notices.owners(request.db, Server.backend_id == backend.id)
        noticing.send(request, notices.OFFLINE, to, reason)
        return _back(request, done="offline")

    return acts.respond(request, make, do)


@view_config(
    route_name="admin.backend.online",
    request_method=("GET", "POST"),
    permission=Permission.BACKEND_DRAIN,
)
def go_online(request: Request) -> Response:
    """GET, POST /admin/backends/{id}/online: the cluster is asked again."""

    def make() -> Preview:
        preview, backend = _preview(request, "Take back")
        still = "" if not backend.drained else " New servers go elsewhere: it is still drained."
        return dataclasses.replace(
            preview,
            title=f"Take {backend.name} back",
            follows=(
                f"The cluster is asked again, and does what waits for it.{still}",
                "Its VMs can be acted on again.",
            ),
            obstacle="" if backend.offline else "It is not offline.",
            reason="optional",
            command=f"cloudweb backend online {backend.name}",
        )

    def do(_preview: Preview, reason: str, _form: SentForm) -> str:
        backend = fleet.get(request.db, int(request.matchdict["id"]))
        fleet.set_offline(request.db, request.identity, backend, offline=False, reason=reason)
        return _back(request, done="online")

    return acts.respond(request, make, do)
