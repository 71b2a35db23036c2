"""Regions, and the flavors each has: as last known, or as the caller's own Keystone token shows."""

import dataclasses
from collections.abc import Callable

from pyramid.request import Request
from pyramid.response import Response

from cloudweb import faults
from cloudweb.domain import catalogue, infrastructures, regions
from cloudweb.models import Infrastructure, InfrastructureKind, utc_now
from cloudweb.resources.federation import (
    FederationRoot,
    RegionalFlavorCollection,
    RegionalFlavorResource,
    RegionCollection,
    RegionResource,
)
from cloudweb.shapes.federation import FLAVOR, NEW_FLAVOR, REGION
from cloudweb.specifications import Specification
from cloudweb.views.endpoints import Header, endpoint
from cloudweb.views.federation import (
    AS_OF,
    REGION_TOKEN,
    ROUTE,
    acting_in,
    answer,
    answer_one,
    answer_rows,
    body_of,
    empty,
    missing,
    reading,
    wanted,
)

_READS = Header(REGION_TOKEN, "A token of the region's Keystone: the region itself is asked.")
_WRITES = dataclasses.replace(_READS, required=True)
_AGE = Header(AS_OF, "When the region told what is shown.")
_REFUSES = (
    faults.UnknownThere,
    faults.RegionCredentialsRefused,
    faults.Forbidden,
    faults.BadGateway,
)


@endpoint(ROUTE, FederationRoot, text="text/html; charset=utf-8")
def greet(request: Request) -> Response:
    """Whether the token is good."""
    return Response("Hello world", content_type="text/html", charset="utf-8")


@endpoint(ROUTE, RegionCollection, gives=REGION, many=True)
def list_regions(request: Request) -> Response:
    """Every region, by name."""
    with reading(request) as session:
        rows = infrastructures.list_all(session)
    return answer_rows(request, REGION, rows)


@endpoint(ROUTE, RegionResource, gives=REGION, refuses=(faults.UnknownThere,))
def get_region(context: RegionResource, request: Request) -> Response:
    """One region."""
    return answer_one(request, REGION, _region(request, context.key))


@endpoint(
    ROUTE,
    RegionalFlavorCollection,
    gives=FLAVOR,
    many=True,
    refuses=_REFUSES,
    headers=(_READS,),
    answers_headers=(_AGE,),
)
def list_flavors(context: RegionalFlavorCollection, request: Request) -> Response:
    """The flavors of a region."""
    token = request.headers.get(REGION_TOKEN, "")
    with reading(request) as session:
        region = infrastructures.get_region(session, context.region)
        found, as_of = regions.list_flavors(session, region.id), region.refreshed
    if token and region.kind is InfrastructureKind.OPENSTACK:
        with acting_in(region, not_found=faults.BadGateway()):
            found = request.federation.list_flavors(request.identity, region, token)
        as_of = utc_now()
    rows = [catalogue.offer_of(flavor, [region.name]) for flavor in found]
    return answer_rows(request, FLAVOR, rows, as_of=as_of)


@endpoint(
    ROUTE,
    RegionalFlavorCollection,
    "POST",
    status=201,
    takes=NEW_FLAVOR,
    gives=FLAVOR,
    refuses=(*_REFUSES, faults.Conflict, faults.BadMediaType),
    headers=(_WRITES,),
)
def create(context: RegionalFlavorCollection, request: Request) -> Response:
    """A new flavor in a region."""
    region, token = _to_change(request, context.region)
    flavor = wanted(body_of(request, NEW_FLAVOR))
    with acting_in(region, name=flavor.name, not_found=faults.BadGateway()):
        made = request.federation.create(request.identity, region, flavor, token)
    return _one(request, region, made, 201)


@endpoint(
    ROUTE,
    RegionalFlavorResource,
    gives=FLAVOR,
    refuses=_REFUSES,
    headers=(_READS,),
    answers_headers=(_AGE,),
)
def get(context: RegionalFlavorResource, request: Request) -> Response:
    """One flavor of a region."""
    token = request.headers.get(REGION_TOKEN, "")
    unknown = faults.UnknownThere("Not Found Flavor for this region")
    with reading(request) as session:
        region = infrastructures.get_region(session, context.region)
        known = {f.id: f for f in regions.list_flavors(session, region.id)}
    if token and region.kind is InfrastructureKind.OPENSTACK:
        with acting_in(region, not_found=unknown):
            found = request.federation.get(request.identity, region, context.key, token)
        return _one(request, region, found)
    if context.key not in known:
        raise unknown
    response = _one(request, region, known[context.key])
    if region.refreshed is not None:
        response.headers[AS_OF] = answer(request, b"", as_of=region.refreshed).headers[AS_OF]
    return response


@endpoint(
    ROUTE,
    RegionalFlavorResource,
    "PUT",
    takes=NEW_FLAVOR,
    gives=FLAVOR,
    refuses=(*_REFUSES, faults.ItemNotFound, faults.Conflict, faults.BadMediaType),
    headers=(_WRITES,),
)
def update(context: RegionalFlavorResource, request: Request) -> Response:
    """Other values for a flavor of a region; its extra specs and projects stay."""
    region, token = _to_change(request, context.region)
    body = body_of(request, NEW_FLAVOR)
    flavor = wanted(body)
    with acting_in(region, name=flavor.name, not_found=missing(context.key)):
        made = request.federation.replace(
            request.identity, region, context.key, _change_to(flavor, body), token
        )
    return _one(request, region, made)


@endpoint(
    ROUTE,
    RegionalFlavorResource,
    "DELETE",
    status=204,
    refuses=(*_REFUSES, faults.ItemNotFound),
    headers=(_WRITES,),
)
def delete(context: RegionalFlavorResource, request: Request) -> Response:
    """Take a flavor from a region."""
    region, token = _to_change(request, context.region)
    with acting_in(region, not_found=missing(context.key)):
        request.federation.delete(request.identity, region, context.key, token)
    return empty()


def _change_to(
    flavor: Specification, body: dict[str, object]
) -> Callable[[Specification], Specification]:
    """What was not said stays as it is."""

    def change(old: Specification) -> Specification:
        return dataclasses.replace(
            flavor,
            id=old.id,
            ephemeral_gb=old.ephemeral_gb if body["ephemeral"] is None else flavor.ephemeral_gb,
            rxtx_factor=old.rxtx_factor if body["rxtx_factor"] is None else flavor.rxtx_factor,
            extra_specs=None if body["extra_specs"] is None else flavor.extra_specs,
            access=None,
        )

    return change


def _region(request: Request, name: str) -> Infrastructure:
    with reading(request) as session:
        return infrastructures.get_region(session, name)


def _to_change(request: Request, name: str) -> tuple[Infrastructure, str | None]:
    """The region and the caller's token for it. Our own clusters ask for a role instead."""
    region = _region(request, name)
    if region.kind is InfrastructureKind.GANETI:
        infrastructures.check_manages(request.identity, region)
        return region, None
    token: str = request.headers.get(REGION_TOKEN, "")
    if not token:
        raise faults.RegionCredentialsRefused
    return region, token


def _one(
    request: Request, region: Infrastructure, flavor: Specification, status: int = 200
) -> Response:
    return answer_one(request, FLAVOR, catalogue.offer_of(flavor, [region.name]), status)
