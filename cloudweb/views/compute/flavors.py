"""Flavors over the compute API."""

from pyramid.request import Request
from pyramid.response import Response

from cloudweb import faults, wire
from cloudweb.domain import flavors
from cloudweb.resources.compute import FlavorCollection, FlavorDetailResource, FlavorResource
from cloudweb.shapes.base import Shape
from cloudweb.shapes.flavors import FLAVOR, FLAVOR_BRIEF
from cloudweb.views import lists
from cloudweb.views.compute import ROUTE, answer, answer_one, notation_of
from cloudweb.views.endpoints import endpoint


def _list(request: Request, shape: Shape) -> Response:
    part = lists.read(request)
    rows = flavors.list_active(request.db, after_id=part.marker, limit=part.limit)
    return answer(request, wire.render_rows(shape, rows, notation_of(request)))


@endpoint(ROUTE, FlavorCollection, gives=FLAVOR_BRIEF, many=True, queries=lists.PAGES)
def list_brief(request: Request) -> Response:
    """The flavors servers can be made of, brief."""
    return _list(request, FLAVOR_BRIEF)


@endpoint(ROUTE, FlavorDetailResource, gives=FLAVOR, many=True, queries=lists.PAGES)
def list_detail(request: Request) -> Response:
    """The flavors servers can be made of."""
    return _list(request, FLAVOR)


@endpoint(ROUTE, FlavorResource, gives=FLAVOR, refuses=(faults.ItemNotFound,))
def get(context: FlavorResource, request: Request) -> Response:
    """One flavor, a deleted one too."""
    return answer_one(request, FLAVOR, flavors.get(request.db, context.id))
