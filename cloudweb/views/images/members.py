"""Whom images are shared with, by the numbers of users."""

from pyramid.request import Request
from pyramid.response import Response

from cloudweb import faults, wire
from cloudweb.domain import image_members
from cloudweb.resources.registry import MemberCollection, MemberResource, SharedImagesResource
from cloudweb.shapes import registry as shapes
from cloudweb.shapes import requests as incoming
from cloudweb.views.compute import answer, body_of, empty, notation_of
from cloudweb.views.endpoints import endpoint
from cloudweb.views.images import ROUTE

_REFUSES = (faults.Forbidden, faults.ItemNotFound)


@endpoint(ROUTE, MemberCollection, gives=shapes.MEMBER, many=True, refuses=_REFUSES)
def list_members(context: MemberCollection, request: Request) -> Response:
    """The users one of the caller's images is shared with."""
    rows = image_members.list_members(request.db, request.identity, context.image_id)
    return answer(request, wire.render_rows(shapes.MEMBER, rows, notation_of(request)))


@endpoint(ROUTE, MemberCollection, "PUT", status=204, takes=shapes.MEMBERSHIPS, refuses=_REFUSES)
def replace_members(context: MemberCollection, request: Request) -> Response:
    """Share an image with these users and no others."""
    wanted = incoming.read(shapes.MEMBERSHIPS, body_of(request))["memberships"]
    image_members.replace(
        request.db, request.identity, context.image_id, [each["member_id"] for each in wanted]
    )
    return empty(204)


@endpoint(ROUTE, MemberResource, "PUT", status=204, refuses=_REFUSES)
def add_member(context: MemberResource, request: Request) -> Response:
    """Share an image with one more user."""
    image_members.add(request.db, request.identity, context.image_id, context.id)
    return empty(204)


@endpoint(ROUTE, MemberResource, "DELETE", status=204, refuses=_REFUSES)
def remove_member(context: MemberResource, request: Request) -> Response:
    """Share an image with a user no longer."""
    image_members.remove(request.db, request.identity, context.image_id, context.id)
    return empty(204)


@endpoint(ROUTE, SharedImagesResource, gives=shapes.SHARED_IMAGE, many=True)
def list_shared(context: SharedImagesResource, request: Request) -> Response:
    """The caller's images that are shared with a user; for the caller, what others share."""
    rows = image_members.shared_images(request.db, request.identity, context.id)
    return answer(request, wire.render_rows(shapes.SHARED_IMAGE, rows, notation_of(request)))
