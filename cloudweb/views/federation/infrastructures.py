"""Infrastructures: the regions, with the account that is used in each."""

from pyramid.request import Request
from pyramid.response import Response

from cloudweb import faults
from cloudweb.domain import infrastructures
from cloudweb.resources.federation import InfrastructureCollection, InfrastructureResource
from cloudweb.sealing import Sealer
from cloudweb.shapes.federation import INFRASTRUCTURE, NEW_INFRASTRUCTURE
from cloudweb.views.endpoints import endpoint
from cloudweb.views.federation import (
    ROUTE,
    answer_one,
    answer_rows,
    body_of,
    changing,
    empty,
    reading,
)


@endpoint(
    ROUTE,
    InfrastructureCollection,
    gives=INFRASTRUCTURE,
    many=True,
    refuses=(faults.TooManyRequests,),
)
def list_infrastructures(request: Request) -> Response:
    """Every infrastructure, by name."""
    with reading(request) as session:
        rows = infrastructures.list_all(session)
    return answer_rows(request, INFRASTRUCTURE, rows)


@endpoint(
    ROUTE,
    InfrastructureCollection,
    "POST",
    status=201,
    takes=NEW_INFRASTRUCTURE,
    gives=INFRASTRUCTURE,
    refuses=(faults.Forbidden, faults.Conflict, faults.BadMediaType, faults.TooManyRequests),
)
def register(request: Request) -> Response:
    """Register an infrastructure; it is asked for its flavors soon after."""
    anybody = request.conf.federation_registration == "open"
    infrastructures.check_may_register(request.identity, anybody=anybody)
    body = body_of(request, NEW_INFRASTRUCTURE)
    sealed = Sealer.of(request.conf).seal(body["password"])
    with changing(request) as session:
        row = infrastructures.register(
            session,
            request.identity,
            name=body["name"],
            keystone_url=body["keystone_url"],
            nova_url=body["nova_url"],
            username=body["username"],
            password_sealed=sealed,
            tenant=body["tenant"],
            region_name=body["region"],
        )
    return answer_one(request, INFRASTRUCTURE, row, 201)


@endpoint(
    ROUTE,
    InfrastructureResource,
    "DELETE",
    status=204,
    refuses=(faults.ItemNotFound, faults.Forbidden, faults.Conflict, faults.TooManyRequests),
)
def unregister(context: InfrastructureResource, request: Request) -> Response:
    """Forget an infrastructure that no published flavor is installed in."""
    with changing(request) as session:
        infrastructures.unregister(session, request.identity, context.key)
    return empty()
