"""What was said of servers while they were built, over the compute API."""

from pyramid.request import Request
from pyramid.response import Response

from cloudweb import faults, wire
from cloudweb.domain import diagnostics, server_views
from cloudweb.resources.compute import ServerDiagnosticsResource
from cloudweb.shapes.diagnostics import DIAGNOSTIC
from cloudweb.views import lists
from cloudweb.views.compute import ROUTE, answer, notation_of
from cloudweb.views.endpoints import endpoint


@endpoint(
    ROUTE,
    ServerDiagnosticsResource,
    gives=DIAGNOSTIC,
    many=True,
    queries=lists.PAGES,
    refuses=(faults.ItemNotFound,),
)
def list_newest(context: ServerDiagnosticsResource, request: Request) -> Response:
    """What was said of a server while it was built, newest first."""
    server_id: int = context.__parent__.id  # type: ignore[union-attr]
    server_views.version_of(request.db, request.identity, server_id)
    part = lists.read(request)
    rows = diagnostics.list_newest(request.db, server_id, before_id=part.marker, limit=part.limit)
    return answer(request, wire.render_rows(DIAGNOSTIC, rows, notation_of(request)))
