"""Backends: how the clusters are, and taking one out of the game for new servers."""

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import accounts, attention, audit, drains, flavors, fleet, operations
from cloudweb.models import OPEN_STATES, Backend
from cloudweb.security import Permission
from cloudweb.settings import Settings
from cloudweb.views.dashboard import pages

_RECENT = 10


def stale_after_s(conf: Settings) -> float:
    """How old a backend's figures may get before they count as stale."""
    return 2 * conf.worker_refresh_s + conf.rapi_read_timeout_s


def _condition(request: Request, backend: Backend) -> attention.Condition:
    return attention.condition(backend, stale_after_s=stale_after_s(request.conf))


@view_config(
    route_name="admin.backends", request_method="GET", permission=Permission.DASHBOARD_VIEW
)
def index(request: Request) -> Response:
    """GET /admin/backends."""
    backends = fleet.list_all(request.db)
    return pages.show_live(
        request,
        "backends",
        busy=attention.is_anything_open(request.db),
        backends=[(backend, _condition(request, backend)) for backend in backends],
        servers=fleet.count_servers(request.db),
    )


@view_config(route_name="admin.backend", request_method="GET", permission=Permission.DASHBOARD_VIEW)
def show(request: Request) -> Response:
    """GET /admin/backends/{id}."""
    backend = fleet.get(request.db, int(request.matchdict["id"]))
    recent = operations.list_recent(request.db, backend_id=backend.id, limit=_RECENT)
    wanted = flavors.list_active(request.db)
    return pages.show_live(
        request,
        "backend",
        busy=any(row.operation.state in OPEN_STATES for row in recent),
        backend=backend,
        condition=_condition(request, backend),
        state_by=accounts.email_of(request.db, backend.state_by_id),
        servers=fleet.count_servers(request.db).get(backend.id, {}),
        flavors=[(flavor, _fit(backend, flavor)) for flavor in wanted],
        recent=recent,
        history=audit.list_for(request.db, "backend", backend.id),
        done=request.GET.get("done", ""),
    )


def _fit(backend: Backend, flavor: Any) -> str:
    if not fleet.takes(backend, flavor):
        return "not taken"
    return "fits" if fleet.fits(backend, flavor) else "no room"


@view_config(
    route_name="admin.backend.drain", request_method="GET", permission=Permission.BACKEND_DRAIN
)
def ask_drain(request: Request) -> Response:
    """GET /admin/backends/{id}/drain: what would follow."""
    return _preview(request, drained=True)


@view_config(
    route_name="admin.backend.undrain", request_method="GET", permission=Permission.BACKEND_DRAIN
)
def ask_undrain(request: Request) -> Response:
    """GET /admin/backends/{id}/undrain: what would follow."""
    return _preview(request, drained=False)


@view_config(
    route_name="admin.backend.drain", request_method="POST", permission=Permission.BACKEND_DRAIN
)
def drain(request: Request) -> Response:
    """POST /admin/backends/{id}/drain."""
    return _apply(request, drained=True)


@view_config(
    route_name="admin.backend.undrain", request_method="POST", permission=Permission.BACKEND_DRAIN
)
def undrain(request: Request) -> Response:
    """POST /admin/backends/{id}/undrain."""
    return _apply(request, drained=False)


def _apply(request: Request, *, drained: bool) -> Response:
    backend_id = int(request.matchdict["id"])
    try:
        drains.apply(
            request.db,
            request.identity,
            backend_id,
            drained=drained,
            reason=request.POST.get("reason", ""),
            seen=request.POST.get("seen", ""),
            accept_loss=request.POST.get("accept_loss") == "yes",
        )
    except drains.Moved:
        raise pages.Refused(_preview(request, drained=drained, moved=True)) from None
    except faults.BadRequest as fault:
        raise pages.Refused(_preview(request, drained=drained, fault=fault)) from None
    done = "drained" if drained else "undrained"
    return HTTPSeeOther(request.route_path("admin.backend", id=backend_id, _query={"done": done}))


def _preview(
    request: Request, *, drained: bool, moved: bool = False, fault: faults.Fault | None = None
) -> Response:
    known = fleet.list_all(request.db)
    backend = fleet.get(request.db, int(request.matchdict["id"]))
    status = 409 if moved else 400 if fault is not None else 200
    return pages.show_signed_in(
        request,
        "drain",
        status=status,
        backend=backend,
        condition=_condition(request, backend),
        drained=drained,
        preview=drains.preview(known, flavors.list_active(request.db), backend, drained=drained),
        servers=fleet.count_servers(request.db).get(backend.id, {}),
        building=attention.count_builds(request.db, backend.id),
        state_by=accounts.email_of(request.db, backend.state_by_id),
        moved=moved,
        errors=dict(fault.fields) if fault is not None else {},
        reason=request.POST.get("reason", "")[:1000],
    )
