"""The properties of images, which the compute API calls their metadata."""

from pyramid.request import Request
from pyramid.response import Response

from cloudweb import faults
from cloudweb.domain import images
from cloudweb.resources.compute import ImageKeyResource, ImageMetaCollection
from cloudweb.shapes import images as shapes
from cloudweb.shapes import requests as incoming
from cloudweb.shapes.metadata import META, METADATA, METADATA_CHANGED
from cloudweb.views.compute import ROUTE, answer_one, body_of, empty
from cloudweb.views.endpoints import endpoint

_REFUSES = (faults.Forbidden, faults.ItemNotFound)


@endpoint(ROUTE, ImageMetaCollection, gives=METADATA, refuses=(faults.ItemNotFound,))
def list_all(context: ImageMetaCollection, request: Request) -> Response:
    """All of an image's metadata."""
    image = images.get_any(request.db, request.identity, context.image_id)
    return answer_one(request, METADATA, image.properties)


@endpoint(
    ROUTE,
    ImageMetaCollection,
    "POST",
    status=201,
    takes=shapes.CHANGE_METADATA,
    gives=METADATA_CHANGED,
    refuses=_REFUSES,
)
def change(context: ImageMetaCollection, request: Request) -> Response:
    """Add or replace some of an image's metadata; the answer has just these."""
    given = incoming.read(shapes.CHANGE_METADATA, body_of(request))["metadata"]
    images.set_properties(request.db, request.identity, context.image_id, given)
    return answer_one(request, METADATA_CHANGED, given, 201)


@endpoint(ROUTE, ImageKeyResource, gives=META, refuses=(faults.ItemNotFound,))
def get(context: ImageKeyResource, request: Request) -> Response:
    """One key of an image's metadata."""
    image = images.get_any(request.db, request.identity, context.image_id)
    return answer_one(request, META, dict([images.get_property(image, context.id)]))


@endpoint(
    ROUTE,
    ImageKeyResource,
    "PUT",
    status=201,
    takes=shapes.CHANGE_META,
    gives=META,
    refuses=_REFUSES,
)
def put(context: ImageKeyResource, request: Request) -> Response:
    """Add or replace one key; the body has that key and no other."""
    given = incoming.read(shapes.CHANGE_META, body_of(request))["meta"]
    if list(given) != [context.id]:
        raise faults.BadRequest("Malformed request", details="Give just the key of the URL.")
    images.set_properties(request.db, request.identity, context.image_id, given)
    return answer_one(request, META, given, 201)


@endpoint(ROUTE, ImageKeyResource, "DELETE", status=204, refuses=_REFUSES)
def delete(context: ImageKeyResource, request: Request) -> Response:
    """Take a key away from an image's metadata."""
    images.delete_property(request.db, request.identity, context.image_id, context.id)
    return empty(204)
