"""The compute API: what each method does at each place of its tree."""

from collections.abc import Callable, Iterable
from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response

from cloudweb import faults, wire
from cloudweb.resources import Resource
from cloudweb.resources import compute as tree
from cloudweb.security import Permission
from cloudweb.shapes.base import Shape
from cloudweb.views import lists

ROUTE = "compute"


def answer(request: Request, body: bytes, status: int = 200) -> Response:
    """Bytes in the caller's notation; the content type says just that."""
    response = Response(body, status=status)
    response.headers["Content-Type"] = request.notation.value
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


def answer_part(
    request: Request,
    shape: Shape,
    part: lists.Part,
    versions: Callable[..., list[tuple[int, int]]],
    load: Callable[[list[int]], Iterable[Any]],
) -> Response:
    """A list that changes only when its owner's number moves, or 304.

    ``versions(session, identity, since=, after_id=, limit=)`` gives (id, version) pairs by id,
    ``load(ids)`` the rows to show.
    """
    if lists.unchanged(request, part):
        return empty(304)
    who = request.identity
    found: list[tuple[int, int]] | None = None
    if not part.whole:
        found = versions(request.db, who, since=part.since, after_id=part.marker, limit=part.limit)
        if part.since is not None and not found:
            return empty(304)
    body = request.fragments.document(
        shape,
        notation_of(request),
        (who.user_id, who.lists_version if part.whole else None),
        lambda: versions(request.db, who) if found is None else found,
        load,
    )
    return answer(request, body)


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
