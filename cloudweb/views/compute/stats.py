"""Where a server's graphs are, over the compute API."""

from typing import Any

from pyramid.request import Request
from pyramid.response import Response

from cloudweb import faults
from cloudweb.domain import server_views, stats
from cloudweb.resources.compute import ServerStatsResource
from cloudweb.shapes.stats import GRAPHS, STATS
from cloudweb.views.compute import ROUTE, answer_one
from cloudweb.views.endpoints import endpoint

_REFRESH_S = 60


@endpoint(ROUTE, ServerStatsResource, gives=STATS, refuses=(faults.ItemNotFound,))
def get(context: ServerStatsResource, request: Request) -> Response:
    """The URLs of a server's graphs, and after how many seconds they are others."""
    server_id: int = context.__parent__.id  # type: ignore[union-attr]
    server_views.version_of(request.db, request.identity, server_id)
    template = request.conf.stats_url
    if not template:
        raise faults.ServiceUnavailable("There are no statistics here.")
    name = stats.name_of(request.db, server_id, secret=request.conf.stats_secret)
    found: dict[str, Any] = {"serverRef": server_id, "refresh": _REFRESH_S}
    found |= {key: template.format(server=name, graph=graph) for key, graph in GRAPHS.items()}
    return answer_one(request, STATS, found)
