"""Images over the compute API; they are registered at ``/plankton``."""

from pyramid.request import Request
from pyramid.response import Response

from cloudweb import faults
from cloudweb.domain import image_lists, images
from cloudweb.domain.image_lists import Wanted
from cloudweb.resources.compute import (
    IMAGE_ID,
    ImageCollection,
    ImageDetailResource,
    ImageResource,
)
from cloudweb.shapes import images as shapes
from cloudweb.shapes.base import Shape
from cloudweb.views import etags, lists
from cloudweb.views.compute import ROUTE, answer, answer_one, empty, notation_of
from cloudweb.views.endpoints import endpoint


def image_id(text: str) -> str:
    """A marker of lists of images. Raises ValueError."""
    if not IMAGE_ID.fullmatch(text):
        raise ValueError(text)
    return text


def _list(request: Request, shape: Shape) -> Response:
    part = lists.read(request, changes=True, marker=image_id)
    wanted = Wanted(changed_since=part.since, marker=part.marker, limit=part.limit)
    found = image_lists.list_versions(request.db, request.identity, wanted)
    if part.since is not None and not found:
        return empty(304)
    return answer(request, image_list(request, shape, wanted, found))


def image_list(
    request: Request, shape: Shape, wanted: Wanted, found: list[tuple[str, int]]
) -> bytes:
    """The document of these of the wanted images, put together from fragments."""
    body: bytes = request.fragments.document(
        shape,
        notation_of(request),
        (request.identity.user_id, None),
        lambda: found,
        lambda ids: image_lists.load(request.db, request.identity, wanted, ids),
    )
    return body


@endpoint(ROUTE, ImageCollection, gives=shapes.IMAGE_BRIEF, many=True, queries=lists.TEXT_CHANGES)
def list_brief(request: Request) -> Response:
    """The images servers can be made of, brief."""
    return _list(request, shapes.IMAGE_BRIEF)


@endpoint(ROUTE, ImageDetailResource, gives=shapes.IMAGE, many=True, queries=lists.TEXT_CHANGES)
def list_detail(request: Request) -> Response:
    """The images servers can be made of."""
    return _list(request, shapes.IMAGE)


@endpoint(ROUTE, ImageCollection, "POST", status=501, refuses=(faults.NotImplementedFault,))
def create(request: Request) -> Response:
    """An image of a server, which cannot be made here."""
    raise faults.NotImplementedFault("Images of servers are not made; register one at /plankton.")


@endpoint(ROUTE, ImageResource, gives=shapes.IMAGE, refuses=(faults.ItemNotFound,))
def get(context: ImageResource, request: Request) -> Response:
    """One image, a deleted one too."""
    image = images.get_any(request.db, request.identity, context.id)
    if etags.held(request, image.id, image.version):
        return empty(304)
    return answer_one(request, shapes.IMAGE, image)


@endpoint(
    ROUTE,
    ImageResource,
    "DELETE",
    status=204,
    refuses=(faults.Forbidden, faults.ItemNotFound),
)
def delete(context: ImageResource, request: Request) -> Response:
    """Delete one of the caller's images; servers made of it stay."""
    images.delete(request.db, request.identity, context.id)
    return empty(204)
