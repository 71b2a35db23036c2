"""The page an operator sees first: what needs a person, then the clusters, then what happened."""

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config

from cloudweb.domain import attention, flavors, fleet, operation_lists, saved_views
from cloudweb.security import Permission
from cloudweb.views.dashboard import pages
from cloudweb.views.dashboard.backends import stale_after_s

_RECENT = 10
_VIEWS = 20


@view_config(route_name="admin.root", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def enter(request: Request) -> Response:
    """GET /admin: to its first page."""
    return HTTPSeeOther(request.route_path("admin.overview"))


@view_config(
    route_name="admin.overview", request_method="GET", permission=Permission.DASHBOARD_VIEW
)
def show(request: Request) -> Response:
    """GET /admin/."""
    backends = fleet.list_all(request.db)
    servers = fleet.count_servers(request.db)
    stale = stale_after_s(request.conf)
    concerns = attention.list_concerns(
        request.db, backends, flavors.list_active(request.db), servers, stale_after_s=stale
    )
    return pages.show_live(
        request,
        "overview",
        busy=attention.is_anything_open(request.db),
        concerns=concerns,
        backends=[
            (backend, attention.condition(backend, stale_after_s=stale)) for backend in backends
        ],
        servers=servers,
        views=saved_views.list_own(request.db, request.identity, limit=_VIEWS),
        recent=operation_lists.list_recent(request.db, limit=_RECENT),
    )
