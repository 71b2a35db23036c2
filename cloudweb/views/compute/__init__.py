"""The compute API: what each method does at each place of its tree."""

from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response

from cloudweb import faults, wire
from cloudweb.resources import Resource
from cloudweb.resources import compute as tree
from cloudweb.security import Permission
from cloudweb.shapes.base import Shape

ROUTE = "compute"


def answer(request: Request, body: bytes, status: int = 200) -> Response:
    """Bytes in the caller's notation; the content type says just that."""
    response = Response(body, status=status)
    response.headers["Content-Type"] = request.notation.value
    response.headers["Cache-Control"] = "max-age=0"
    response.headers["Vary"] = "X-Auth-Token, Accept"
    return response


def answer_one(request: Request, shape: Shape, row: Any, status: int = 200) -> Response:
    """One object."""
    return answer(request, wire.render(shape, row, notation_of(request)), status)


def notation_of(request: Request) -> wire.Notation:
    """JSON or XML: only the versions exist as Atom."""
    if request.notation is wire.Notation.ATOM:
        request.notation = wire.Notation.XML
    notation: wire.Notation = request.notation
    return notation


def empty(status: int) -> Response:
    """No body, and so no content type."""
    response = Response(status=status)
    response.headers.pop("Content-Type", None)
    return response


def body_of(request: Request) -> Any:
    """The request's body as a value. Raises BadRequest, OverLimit."""
    limit = request.conf.max_body_bytes
    body = request.body_file.read(limit + 1)
    if len(body) > limit:
        raise faults.OverLimit("The request is too large.")
    return wire.parse(body, request.headers.get("Content-Type", ""))


def wrong_method(context: Resource, request: Request) -> Response:
    """Every method a place does not know."""
    raise faults.BadRequest("Method not allowed.")


def includeme(config: Configurator) -> None:
    """Mount the tree at ``/api`` and register its views."""
    config.add_route(ROUTE, "/api/*traverse", factory=tree.root)
    config.add_view(
        wrong_method, route_name=ROUTE, context=Resource, permission=Permission.API_READ
    )
    config.scan("cloudweb.views.compute")
