"""What instances ask for themselves: once, with a token that only their create job was told."""

import re

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config

from cloudweb import faults, wire
from cloudweb.domain import handovers
from cloudweb.models import unit_of_work

_ROUTE = "server_params"
_TOKEN = re.compile("[A-Za-z0-9_-]{43}")


@view_config(route_name=_ROUTE, permission=NO_PERMISSION_REQUIRED, require_csrf=False)
def take(request: Request) -> Response:
    """GET /vmapi/server-params/{token}: a new server's parameters, to the first who asks.

    Any other method, HEAD too, is answered as an unknown token and takes nothing.
    """
    token = request.matchdict["token"]
    found = None
    if request.method == "GET" and _TOKEN.fullmatch(token):
        # The request's own session may be one that only reads.
        with unit_of_work(request.sessions) as session:
            found = handovers.take(session, request.registry["cloudweb.site"].sealer, token)
    if found is None:
        raise faults.ItemNotFound("There is nothing here, or it has been read.")
    response = Response(wire.dump_json(found))
    response.headers["Content-Type"] = wire.Notation.JSON.value
    response.headers["Cache-Control"] = "no-store"
    return response


def includeme(config: Configurator) -> None:
    """Mount it."""
    config.add_route(_ROUTE, handovers.PATH + "{token}")
    config.scan(__name__)
