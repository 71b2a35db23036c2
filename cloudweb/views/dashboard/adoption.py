"""Adopting a cluster: say whose its instances are, see what would follow, confirm, watch."""

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import adoption_orders, fleet, forms
from cloudweb.models import AdoptionState
from cloudweb.security import Permission
from cloudweb.views.dashboard import acts, pages

_SHOWN = 500
"""Instances on the page; the command shows them all."""
_BUSY = (AdoptionState.WANTED, AdoptionState.CONFIRMED)


@view_config(
    route_name="admin.backend.adopt", request_method="GET", permission=Permission.BACKEND_ADOPT
)
def ask(request: Request) -> Response:
    """GET /admin/backends/{id}/adopt: whose are they?"""
    return _form(request)


def _form(request: Request, fault: faults.Fault | None = None) -> Response:
    backend = fleet.get(request.db, int(request.matchdict["id"]))
    return pages.show_signed_in(
        request,
        "adopt",
        status=fault.code if fault is not None else 200,
        backend=backend,
        key=forms.new_key(),
        earlier=adoption_orders.list_newest(request.db, backend.id),
        given={name: request.POST.get(name, "") for name in ("owner", "rules", "image")},
        errors=dict(fault.fields) if fault is not None else {},
        error=fault.message if fault is not None and not fault.fields else "",
    )


@view_config(
    route_name="admin.backend.adopt", request_method="POST", permission=Permission.BACKEND_ADOPT
)
def look(request: Request) -> Response:
    """POST /admin/backends/{id}/adopt: the worker finds out what would follow."""
    form, again = acts.claim(request)
    if again:
        return HTTPSeeOther(form.location)
    try:
        order = adoption_orders.ask(
            request.db,
            request.identity,
            fleet.get(request.db, int(request.matchdict["id"])),
            owner=request.POST.get("owner", ""),
            rules=request.POST.get("rules", ""),
            image_ref=request.POST.get("image", ""),
        )
    except (faults.BadRequest, faults.Conflict) as fault:
        request.db.rollback()
        raise pages.Refused(_form(request, fault)) from None
    form.location = request.route_path("admin.adoption", id=order.id)
    return HTTPSeeOther(form.location)


@view_config(
    route_name="admin.adoption", request_method="GET", permission=Permission.DASHBOARD_VIEW
)
def show(request: Request) -> Response:
    """GET /admin/adoptions/{id}: what would follow, how far it is, or what came of it."""
    return _show(request)


def _show(request: Request, fault: faults.Fault | None = None) -> Response:
    order = adoption_orders.get(request.db, int(request.matchdict["id"]))
    return pages.show_live(
        request,
        "adoption",
        busy=order.state in _BUSY,
        status=fault.code if fault is not None else 200,
        order=order,
        # The same while the order is: what refreshes itself is drawn again when something moves.
        key=forms.token(request.identity.user_id, order.id, order.state.value),
        backend=fleet.get(request.db, order.backend_id),
        shown=adoption_orders.show(request.db, order, limit=_SHOWN),
        errors=dict(fault.fields) if fault is not None else {},
        error=fault.message if fault is not None and not fault.fields else "",
        reason=request.POST.get("reason", "")[:255],
    )


@view_config(
    route_name="admin.adoption.confirm", request_method="POST", permission=Permission.BACKEND_ADOPT
)
def confirm(request: Request) -> Response:
    """POST /admin/adoptions/{id}/confirm: have done what was shown."""
    order_id, reason = int(request.matchdict["id"]), acts.text(request, "reason")

    def do() -> str:
        adoption_orders.confirm(request.db, request.identity, order_id, reason=reason)
        path: str = request.route_path("admin.adoption", id=order_id)
        return path

    try:
        return acts.at_once(request, do)
    except (faults.BadRequest, faults.Conflict) as fault:
        request.db.rollback()
        raise pages.Refused(_show(request, fault)) from None
