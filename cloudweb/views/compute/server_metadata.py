"""What hangs on a server, over the compute API: keys and values."""

from pyramid.request import Request
from pyramid.response import Response

from cloudweb import faults
from cloudweb.domain import server_metadata, server_views
from cloudweb.resources.compute import ServerMetadataCollection, ServerMetadataItemResource
from cloudweb.shapes import metadata as shapes
from cloudweb.shapes import requests as incoming
from cloudweb.views import etags
from cloudweb.views.compute import ROUTE, answer_one, body_of, empty
from cloudweb.views.endpoints import endpoint

_CHANGES = (faults.ItemNotFound, faults.OverLimit)


@endpoint(ROUTE, ServerMetadataCollection, gives=shapes.METADATA, refuses=(faults.ItemNotFound,))
def read(context: ServerMetadataCollection, request: Request) -> Response:
    """The metadata of a server."""
    server_id = _server_of(context)
    if etags.held(request, *server_views.version_of(request.db, request.identity, server_id)):
        return empty(304)
    return answer_one(request, shapes.METADATA, server_metadata.read(request.db, server_id))


@endpoint(
    ROUTE,
    ServerMetadataCollection,
    "POST",
    status=201,
    takes=shapes.CHANGE,
    gives=shapes.METADATA_CHANGED,
    refuses=_CHANGES,
)
def update(context: ServerMetadataCollection, request: Request) -> Response:
    """Keys added, and others given another value; answers with those and no others."""
    values = incoming.read(shapes.CHANGE, body_of(request))["metadata"]
    _change(request, _server_of(context), values)
    return answer_one(request, shapes.METADATA_CHANGED, values, 201)


@endpoint(ROUTE, ServerMetadataItemResource, gives=shapes.META, refuses=(faults.ItemNotFound,))
def get(context: ServerMetadataItemResource, request: Request) -> Response:
    """One key of a server's metadata."""
    server_id = _server_of(context.__parent__)
    server_views.version_of(request.db, request.identity, server_id)
    value = server_metadata.get(request.db, server_id, context.id)
    return answer_one(request, shapes.META, {context.id: value})


@endpoint(
    ROUTE,
    ServerMetadataItemResource,
    "PUT",
    status=201,
    takes=shapes.PUT,
    gives=shapes.META,
    refuses=_CHANGES,
)
def put(context: ServerMetadataItemResource, request: Request) -> Response:
    """A value for the key of the URL, which is the one key of the body."""
    values = incoming.read(shapes.PUT, body_of(request))["meta"]
    if context.id not in values:
        raise faults.BadRequest(
            "Malformed request", details=f"The URL names the key {context.id[:255]!r}."
        )
    _change(request, _server_of(context.__parent__), values)
    return answer_one(request, shapes.META, values, 201)


@endpoint(ROUTE, ServerMetadataItemResource, "DELETE", status=204, refuses=(faults.ItemNotFound,))
def delete(context: ServerMetadataItemResource, request: Request) -> Response:
    """One key less."""
    server_id = _server_of(context.__parent__)
    server_metadata.delete(request.db, request.identity, server_id, context.id)
    return empty(204)


def _change(request: Request, server_id: int, values: dict[str, str]) -> None:
    at_most = request.conf.server_metadata_max
    server_metadata.update(request.db, request.identity, server_id, values, at_most=at_most)


def _server_of(context: object) -> int:
    server_id: int = context.__parent__.id  # type: ignore[attr-defined]
    return server_id
