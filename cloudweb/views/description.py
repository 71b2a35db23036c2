"""The OpenAPI document: what all of the APIs take and answer, for programs."""

import threading

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config

from cloudweb import faults, openapi, wire

_lock = threading.Lock()
_KEPT = "cloudweb.openapi"


@view_config(route_name="openapi", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def show(request: Request) -> Response:
    """GET /api/openapi.json: made once a process; JSON in any case, to anybody."""
    if request.notation is not wire.Notation.JSON:
        raise faults.BadRequest("Not found.")
    response = Response(_document(request))
    response.headers["Content-Type"] = wire.Notation.JSON.value
    return response


def _document(request: Request) -> bytes:
    with _lock:
        kept: bytes | None = request.registry.get(_KEPT)
        if kept is None:
            made = openapi.describe(request.registry, server_url=request.conf.public_url)
            kept = request.registry[_KEPT] = wire.dump_json(made)
        return kept


def includeme(config: Configurator) -> None:
    """Mount it; the suffix of ``/api/openapi.json`` is taken off before routes are looked at."""
    config.add_route("openapi", "/api/openapi")
    config.scan(__name__)
