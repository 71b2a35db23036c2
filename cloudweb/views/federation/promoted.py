"""Promoted flavors: recommended ones, that every region should have."""

from pyramid.request import Request
from pyramid.response import Response

from cloudweb import faults
from cloudweb.domain import catalogue, promoted
from cloudweb.resources.federation import PromotedFlavorCollection, PromotedFlavorResource
from cloudweb.security import Permission
from cloudweb.shapes.federation import FLAVOR, FLAVOR_CHANGE, NEW_FLAVOR
from cloudweb.views.endpoints import endpoint
from cloudweb.views.federation import (
    ROUTE,
    answer_one,
    answer_rows,
    body_of,
    changing,
    empty,
    reading,
    wanted,
)
from cloudweb.views.federation.flavors import change

_NODES = (
    "The method specified in the Request-Line is not allowed for the node list of infrastructures."
)


@endpoint(ROUTE, PromotedFlavorCollection, gives=FLAVOR, many=True)
def list_promoted(request: Request) -> Response:
    """The promoted flavors, and where each is installed."""
    with reading(request) as session:
        rows = promoted.list_all(session)
    return answer_rows(request, FLAVOR, rows)


@endpoint(
    ROUTE,
    PromotedFlavorCollection,
    "POST",
    status=201,
    takes=NEW_FLAVOR,
    gives=FLAVOR,
    refuses=(faults.Conflict, faults.BadMediaType, faults.RoleMissing),
    permission=Permission.CATALOGUE_MANAGE,
)
def create(request: Request) -> Response:
    """A new promoted flavor; the nodes that are named have it already."""
    body = body_of(request, NEW_FLAVOR)
    with changing(request) as session:
        row = promoted.create(session, request.identity, wanted(body), body["nodes"])
        return answer_one(request, FLAVOR, catalogue.offer(session, row), 201)


@endpoint(ROUTE, PromotedFlavorResource, gives=FLAVOR, refuses=(faults.UnknownThere,))
def get(context: PromotedFlavorResource, request: Request) -> Response:
    """One promoted flavor."""
    with reading(request) as session:
        row = promoted.get(session, context.key)
        return answer_one(request, FLAVOR, catalogue.offer(session, row))


@endpoint(
    ROUTE,
    PromotedFlavorResource,
    "PUT",
    takes=FLAVOR_CHANGE,
    gives=FLAVOR,
    refuses=(
        faults.Conflict,
        faults.BadMediaType,
        faults.RoleMissing,
        faults.ItemNotFound,
        faults.NotAllowed,
        faults.BadGateway,
    ),
    permission=Permission.CATALOGUE_MANAGE,
)
def update(context: PromotedFlavorResource, request: Request) -> Response:
    """Publish or promote a flavor; neither can be taken back."""
    body = body_of(request, FLAVOR_CHANGE)
    if body["nodes"]:
        raise faults.NotAllowed(_NODES)
    return answer_one(request, FLAVOR, change(request, context.key, body))


@endpoint(
    ROUTE,
    PromotedFlavorResource,
    "DELETE",
    status=204,
    refuses=(faults.UnknownThere, faults.RoleMissing, faults.NotAllowed),
    permission=Permission.CATALOGUE_MANAGE,
)
def delete(context: PromotedFlavorResource, request: Request) -> Response:
    """Forget a promoted flavor that is in no node."""
    with changing(request) as session:
        promoted.delete(session, request.identity, context.key)
    return empty()
