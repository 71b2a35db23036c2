"""Undoing what one has just done, for some minutes."""

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import undos
from cloudweb.models import Undo
from cloudweb.security import Permission
from cloudweb.views.dashboard import acts, pages


def _find(request: Request) -> Undo:
    """What is to be undone. Raises ItemNotFound, Forbidden."""
    undo = undos.get(request.db, request.identity, request.matchdict["id"])
    if not acts.may_undo(request, undo):
        raise faults.Forbidden("Your role may not do this any more.")
    return undo


@view_config(route_name="admin.undos", request_method="GET", permission=Permission.DASHBOARD_VIEW)
def index(request: Request) -> Response:
    """GET /admin/undo: what one has done in the last ten minutes and can undo, newest first."""
    found = undos.list_open(request.db, request.identity)
    mine = [each for each in found if acts.may_undo(request, each)]
    return pages.show_signed_in(request, "undos", acts=mine)


@view_config(route_name="admin.undo", request_method="GET", permission=Permission.DASHBOARD_VIEW)
def show(request: Request) -> Response:
    """GET /admin/undo/{id}: what was done, what undoing brings about, and until when."""
    return _show(request)


def _show(request: Request, *, status: int = 200, error: str = "") -> Response:
    undo = _find(request)
    return pages.show_signed_in(
        request, "undo", status=status, act=undo, words=undos.words(undo), error=error
    )


@view_config(route_name="admin.undo", request_method="POST", permission=Permission.DASHBOARD_VIEW)
def undo(request: Request) -> Response:
    """POST /admin/undo/{id}: at once and once, if nothing has moved; back to where it led."""

    def do() -> str:
        found = _find(request)
        undos.apply(request.db, request.identity, found)
        if not undos.has_page(found):
            path: str = request.route_path("admin.undo", id=found.id)
            return path
        return f"{found.location}{'&' if '?' in found.location else '?'}undo={found.id}"

    try:
        return acts.at_once(request, do)
    except acts.REFUSALS as fault:
        request.db.rollback()
        refused = _show(request, status=fault.code, error=fault.message)
        raise pages.Refused(refused) from None
