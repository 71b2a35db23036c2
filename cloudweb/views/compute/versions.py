"""The versions documents."""

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb import wire
from cloudweb.resources.compute import ComputeRoot, VersionResource
from cloudweb.security import Permission
from cloudweb.shapes import versions as shapes
from cloudweb.views.compute import ROUTE, answer, answer_one


@view_config(
    route_name=ROUTE, context=ComputeRoot, request_method="GET", permission=Permission.API_READ
)
def list_versions(request: Request) -> Response:
    """GET /api/."""
    row = shapes.describe(request.conf.public_url)
    if request.notation is wire.Notation.ATOM:
        url = f"{request.conf.public_url}/api/"
        return answer(
            request, shapes.to_atom(row, title="Available API Versions", url=url).encode()
        )
    return answer(request, wire.render_rows(shapes.VERSION_BRIEF, [row], request.notation))


@view_config(
    route_name=ROUTE, context=VersionResource, request_method="GET", permission=Permission.API_READ
)
def get_version(request: Request) -> Response:
    """GET /api/v1.1/."""
    row = shapes.describe(request.conf.public_url)
    if request.notation is wire.Notation.ATOM:
        url = row["links"][0]["href"]
        return answer(request, shapes.to_atom(row, title="About This Version", url=url).encode())
    return answer_one(request, shapes.VERSION, row)
