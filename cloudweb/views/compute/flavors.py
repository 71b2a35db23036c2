"""Flavors over the compute API."""

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb import wire
from cloudweb.domain import flavors
from cloudweb.resources.compute import DetailResource, FlavorCollection, FlavorResource
from cloudweb.security import Permission
from cloudweb.shapes.base import Shape
from cloudweb.shapes.flavors import FLAVOR, FLAVOR_BRIEF
from cloudweb.views.compute import ROUTE, answer, answer_one, notation_of


def _list(request: Request, shape: Shape) -> Response:
    rows = flavors.list_active(request.db)
    return answer(request, wire.render_rows(shape, rows, notation_of(request)))


@view_config(
    route_name=ROUTE,
    context=FlavorCollection,
    request_method="GET",
    permission=Permission.API_READ,
)
def list_brief(request: Request) -> Response:
    """GET /flavors."""
    return _list(request, FLAVOR_BRIEF)


@view_config(
    route_name=ROUTE,
    context=DetailResource,
    containment=FlavorCollection,
    request_method="GET",
    permission=Permission.API_READ,
)
def list_detail(request: Request) -> Response:
    """GET /flavors/detail."""
    return _list(request, FLAVOR)


@view_config(
    route_name=ROUTE, context=FlavorResource, request_method="GET", permission=Permission.API_READ
)
def get(context: FlavorResource, request: Request) -> Response:
    """GET /flavors/{id}: deleted ones too."""
    return answer_one(request, FLAVOR, flavors.get(request.db, context.id))
