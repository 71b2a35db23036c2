"""The versions documents."""

from pyramid.request import Request
from pyramid.response import Response

from cloudweb import wire
from cloudweb.resources.compute import ComputeRoot, VersionResource
from cloudweb.shapes import versions as shapes
from cloudweb.views.compute import ROUTE, answer, answer_one
from cloudweb.views.endpoints import endpoint


@endpoint(ROUTE, ComputeRoot, gives=shapes.VERSION_BRIEF, many=True, atom=True)
def list_versions(request: Request) -> Response:
    """The versions of the compute API there are."""
    row = shapes.describe(request.conf.public_url)
    if request.notation is wire.Notation.ATOM:
        url = f"{request.conf.public_url}/api/"
        return answer(
            request, shapes.to_atom(row, title="Available API Versions", url=url).encode()
        )
    return answer(request, wire.render_rows(shapes.VERSION_BRIEF, [row], request.notation))


@endpoint(ROUTE, VersionResource, gives=shapes.VERSION, atom=True)
def get_version(request: Request) -> Response:
    """This version of the compute API."""
    row = shapes.describe(request.conf.public_url)
    if request.notation is wire.Notation.ATOM:
        url = row["links"][0]["href"]
        return answer(request, shapes.to_atom(row, title="About This Version", url=url).encode())
    return answer_one(request, shapes.VERSION, row)
