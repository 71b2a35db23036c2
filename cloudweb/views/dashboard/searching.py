"""The one search box: what is meant, or all that might be."""

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb.domain import search
from cloudweb.domain.search import Hit
from cloudweb.security import Permission
from cloudweb.views.dashboard import pages

_WORDS = {
    "vms": "VMs",
    "addresses": "Addresses",
    "users": "Users",
    "networks": "Networks",
    "backends": "Backends",
    "images": "Images",
    "sizes": "Compute flavors",
    "flavors": "Promoted flavors",
    "regions": "Regions",
    "operations": "Operations and jobs",
    "jobs": "Jobs of clusters",
}
_ROUTES = {
    "vms": "admin.vm",
    "users": "admin.user",
    "networks": "admin.network",
    "backends": "admin.backend",
    "images": "admin.image",
    "sizes": "admin.flavors.compute.flavor",
    "regions": "admin.region",
    "operations": "admin.operation",
}


@view_config(route_name="admin.search", request_method="GET", permission=Permission.DASHBOARD_VIEW)
def find(request: Request) -> Response:
    """GET /admin/search?q=: 303 to the one thing that is meant, else what has the text."""
    text = "".join(c for c in request.GET.get("q", "") if c.isprintable()).strip()
    too_long = len(text) > search.LONGEST
    found = search.find(request.db, "" if too_long else text)
    if len(found.exact) == 1:
        return HTTPSeeOther(_url(request, found.exact[0]))
    return pages.show_signed_in(
        request,
        "search",
        status=400 if too_long else 200,
        text=text[: search.LONGEST],
        too_long=too_long,
        longest=search.LONGEST,
        groups=[
            (words, found.groups[kind]) for kind, words in _WORDS.items() if kind in found.groups
        ],
        url=lambda hit: _url(request, hit),
    )


def _url(request: Request, hit: Hit) -> str:
    path: str
    if hit.kind == "addresses":
        path = request.route_path("admin.ip", address=hit.key)
    elif hit.kind == "flavors":
        path = request.route_path("admin.flavors", _query={"q": hit.name, "show": "all"})
    elif hit.kind == "jobs":
        backend, _, job_id = str(hit.key).rpartition(":")
        path = request.route_path("admin.job", backend=backend, id=job_id)
    else:
        path = request.route_path(_ROUTES[hit.kind], id=hit.key)
    return path
