"""Images in the registry: listed, described by headers, registered, changed and deleted."""

from typing import Any

from pyramid.request import Request
from pyramid.response import Response

from cloudweb import faults
from cloudweb.domain import image_lists, images
from cloudweb.domain.image_lists import Wanted
from cloudweb.domain.texts import readable
from cloudweb.resources.registry import ImageCollection, ImageDetailResource, ImageResource
from cloudweb.shapes import registry as shapes
from cloudweb.shapes import requests as incoming
from cloudweb.shapes.base import Shape
from cloudweb.views import etags, lists
from cloudweb.views.compute import answer, empty
from cloudweb.views.compute.images import image_id, image_list
from cloudweb.views.endpoints import Header, Query, endpoint
from cloudweb.views.images import ROUTE, headers

_TEXT_FILTERS = ("name", "container_format", "disk_format", "status")
_SIZE_FILTERS = ("size_min", "size_max")
_NUMBER = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "maxLength": 0}]}
QUERIES = (
    *(Query(name, f"Only images with this {name}.") for name in _TEXT_FILTERS),
    Query("size_min", "Only images of at least so many bytes.", _NUMBER),
    Query("size_max", "Only images of at most so many bytes.", _NUMBER),
    Query(
        "sort_key",
        "What the list is ordered by; created_at, if it is not said.",
        {"type": "string", "enum": ["", *image_lists.ORDERS]},
    ),
    Query(
        "sort_dir",
        "Which comes first: the smallest (asc), or the largest (desc), as when it is not said.",
        {"type": "string", "enum": ["", "asc", "desc"]},
    ),
    *lists.TEXT_PAGES,
)
PURGE = Header(
    "X-Glance-Registry-Purge-Props",
    "True: the image loses the properties that are not named.",
    shapes.Truth.json_schema,
)


def _list(request: Request, shape: Shape) -> Response:
    wanted = _wanted(request)
    found = image_lists.list_versions(request.db, request.identity, wanted)
    return answer(request, image_list(request, shape, wanted, found))


def _wanted(request: Request) -> Wanted:
    part = lists.read(request, marker=image_id)
    given = request.GET
    order = given.get("sort_key") or "created_at"
    direction = given.get("sort_dir") or "desc"
    if order not in image_lists.ORDERS:
        raise faults.BadRequest("Invalid sort_key.", details=", ".join(image_lists.ORDERS))
    if direction not in ("asc", "desc"):
        raise faults.BadRequest("Invalid sort_dir.", details="asc or desc")
    filters: dict[str, Any] = {name: _text(given, name) for name in _TEXT_FILTERS}
    filters |= {name: _size(given, name) for name in _SIZE_FILTERS}
    return Wanted(
        **filters,
        order=order,
        descending=direction == "desc",
        marker=part.marker,
        limit=part.limit,
    )


def _text(given: Any, name: str) -> str | None:
    value: str = given.get(name, "")
    if not readable(value):
        raise faults.BadRequest(f"Invalid {name}.")
    return value or None


def _size(given: Any, name: str) -> int | None:
    text = given.get(name, "")
    if not text:
        return None
    size: int = incoming.read(incoming.only(name, shapes.size()), {name: text})[name]
    return size


@endpoint(ROUTE, ImageCollection, gives=shapes.IMAGE_ROW, many=True, queries=QUERIES)
def list_brief(request: Request) -> Response:
    """The images the caller may use, brief."""
    return _list(request, shapes.IMAGE_ROW)


@endpoint(ROUTE, ImageDetailResource, gives=shapes.REGISTERED_IMAGE, many=True, queries=QUERIES)
def list_detail(request: Request) -> Response:
    """The images the caller may use."""
    return _list(request, shapes.REGISTERED_IMAGE)


@endpoint(
    ROUTE,
    ImageCollection,
    "POST",
    headers=headers.declared(shapes.REGISTER),
    answers_headers=headers.ANSWERED,
    refuses=(faults.Forbidden, faults.NotImplementedFault),
)
def register(request: Request) -> Response:
    """A new image of the caller, described by headers; its bytes stay where they are."""
    given = headers.read(request)
    if "id" in given:
        raise faults.BadRequest("Passing an ID is not supported.")
    wanted = _own(request, incoming.read(shapes.REGISTER, given))
    if "location" not in wanted:
        raise faults.NotImplementedFault(
            "Images are registered, not uploaded.", details="X-Image-Meta-Location is missing."
        )
    store = wanted.pop("store", None)
    if store not in (None, images.scheme_of(wanted["location"])):
        raise faults.BadRequest("Invalid store", details="It is the scheme of the location.")
    image = images.register(
        request.db,
        request.identity,
        **({"is_public": False} | wanted),
        rules=request.registry["cloudweb.image_rules"],
        limits=request.conf.quotas,
    )
    return headers.write(empty(200), image)


def _own(request: Request, wanted: dict[str, Any]) -> dict[str, Any]:
    """What is wanted without the owner, who may be named but is always the caller."""
    who = request.identity
    if wanted.pop("owner", str(who.user_id)) not in (str(who.user_id), who.email):
        raise faults.Forbidden("An image belongs to who registers it.")
    return wanted


@endpoint(
    ROUTE,
    ImageResource,
    "HEAD",
    answers_headers=headers.ANSWERED,
    refuses=(faults.ItemNotFound,),
)
def describe(context: ImageResource, request: Request) -> Response:
    """One image, described by headers."""
    image = images.get(request.db, request.identity, context.id)
    if etags.held(request, image.id, image.version):
        return empty(304)
    return headers.write(empty(200), image)


@endpoint(ROUTE, ImageResource, status=501, refuses=(faults.NotImplementedFault,))
def download(context: ImageResource, request: Request) -> Response:
    """The bytes of an image, which are not here."""
    raise faults.NotImplementedFault("Images lie at their locations; HEAD describes them.")


@endpoint(
    ROUTE,
    ImageResource,
    "PUT",
    headers=(*headers.declared(shapes.UPDATE), PURGE),
    answers_headers=headers.ANSWERED,
    refuses=(faults.Forbidden, faults.ItemNotFound),
)
def update(context: ImageResource, request: Request) -> Response:
    """Other values for one of the caller's images."""
    wanted = _own(request, incoming.read(shapes.UPDATE, headers.read(request)))
    image = images.update(
        request.db,
        request.identity,
        context.id,
        {name: value for name, value in wanted.items() if name != "properties"},
        properties=wanted.get("properties"),
        purge=_purge(request),
        rules=request.registry["cloudweb.image_rules"],
    )
    return headers.write(empty(200), image)


def _purge(request: Request) -> bool:
    text = request.headers.get(PURGE.name, "false").lower()
    if text not in ("true", "false"):
        raise faults.BadRequest("Malformed request", details=f"{PURGE.name} is True or False.")
    return bool(text == "true")


@endpoint(
    ROUTE,
    ImageResource,
    "DELETE",
    status=204,
    refuses=(faults.Forbidden, faults.ItemNotFound),
)
def delete(context: ImageResource, request: Request) -> Response:
    """Forget one of the caller's images; servers made of it stay."""
    images.delete(request.db, request.identity, context.id)
    return empty(204)
