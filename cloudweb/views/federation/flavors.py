"""The life of a flavor in the federation: made in a node, published, promoted, installed, deleted.

Regions are asked with their own accounts here.
"""

import contextlib
from typing import Any

from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED

from cloudweb import faults
from cloudweb.backend.openstack.errors import RegionError
from cloudweb.domain import catalogue, infrastructures, sources
from cloudweb.domain.catalogue import Offer
from cloudweb.domain.identity import Identity
from cloudweb.domain.sources import Source
from cloudweb.models import Infrastructure
from cloudweb.resources.federation import FlavorCollection, FlavorResource
from cloudweb.shapes.federation import FLAVOR, FLAVOR_CHANGE, NEW_FLAVOR
from cloudweb.specifications import Specification
from cloudweb.views.endpoints import Header, Query, endpoint
from cloudweb.views.federation import (
    AS_OF,
    ROUTE,
    acting_in,
    answer_one,
    answer_rows,
    body_of,
    changing,
    empty,
    missing,
    reading,
    wanted,
)

_TRUTHS = {"": None, "true": True, "1": True, "false": False, "0": False}
_TRUTH_SCHEMA = {"type": "string", "enum": list(_TRUTHS)}
_NODE = Query("node", "Which region's flavor is meant, where several use one id.")
_CHANGES = (
    faults.ItemNotFound,
    faults.Conflict,
    faults.Forbidden,
    faults.BadMediaType,
    faults.BadGateway,
)


@endpoint(
    ROUTE,
    FlavorCollection,
    gives=FLAVOR,
    many=True,
    queries=(
        Query("public", "true: published ones; false: those of one region only.", _TRUTH_SCHEMA),
        Query("promoted", "true: promoted ones; false: the others.", _TRUTH_SCHEMA),
    ),
    answers_headers=(Header(AS_OF, "When the region asked longest ago told its flavors."),),
    permission=NO_PERMISSION_REQUIRED,
    refuses=(faults.TokenRequired, faults.TooManyRequests, faults.BadGateway),
)
def list_flavors(request: Request) -> Response:
    """The catalogue, and what else the regions have."""
    identity: Identity | None = request.identity
    if identity is not None and identity.owes_terms:
        raise faults.TermsPending
    if identity is None and not request.conf.flavors_public_read:
        raise faults.TokenRequired
    public, promoted = _truth(request, "public"), _truth(request, "promoted")
    if identity is None and public is False:
        raise faults.TokenRequired
    with reading(request) as session:
        found, as_of = catalogue.list_everything(
            session, public=public if identity is not None else True, promoted=promoted
        )
    return answer_rows(request, FLAVOR, found, as_of=as_of)


@endpoint(
    ROUTE,
    FlavorCollection,
    "POST",
    status=201,
    takes=NEW_FLAVOR,
    gives=FLAVOR,
    refuses=(*_CHANGES, faults.TooManyRequests),
)
def create(request: Request) -> Response:
    """A new flavor in a node: the one that is named, else the caller's only one."""
    body = body_of(request, NEW_FLAVOR)
    flavor = wanted(body)
    if body["promoted"]:
        raise faults.BadRequest("A flavor cannot be promoted and private")
    with reading(request) as session:
        node = sources.choose_node(session, request.identity, body["nodes"])
        catalogue.check_free(session, flavor)
    with acting_in(node, name=flavor.name, not_found=faults.BadGateway(), own_account=True):
        made = request.federation.create(request.identity, node, flavor)
    if not body["public"]:
        return answer_one(request, FLAVOR, catalogue.offer_of(made, [node.name]), 201)
    with changing(request) as session:
        row = catalogue.add(
            session,
            request.identity,
            made,
            [node],
            promoted=False,
            access_keystone=node.keystone_url,
        )
        return answer_one(request, FLAVOR, catalogue.offer(session, row), 201)


@endpoint(
    ROUTE,
    FlavorResource,
    gives=FLAVOR,
    queries=(_NODE,),
    refuses=(faults.ItemNotFound, faults.Conflict, faults.TooManyRequests),
)
def get(context: FlavorResource, request: Request) -> Response:
    """One flavor."""
    with reading(request) as session:
        return answer_one(request, FLAVOR, _resolve(session, request, context.key).offer)


@endpoint(
    ROUTE,
    FlavorResource,
    "PUT",
    takes=FLAVOR_CHANGE,
    gives=FLAVOR,
    queries=(_NODE,),
    refuses=(*_CHANGES, faults.PromotionRefused, faults.TooManyRequests),
)
def update(context: FlavorResource, request: Request) -> Response:
    """Publish a flavor, promote it, or install it in nodes."""
    body = body_of(request, FLAVOR_CHANGE)
    return answer_one(request, FLAVOR, change(request, context.key, body))


@endpoint(
    ROUTE,
    FlavorResource,
    "DELETE",
    status=204,
    queries=(_NODE,),
    refuses=(
        faults.ItemNotFound,
        faults.Conflict,
        faults.Forbidden,
        faults.BadGateway,
        faults.TooManyRequests,
    ),
)
def delete(context: FlavorResource, request: Request) -> Response:
    """Take a flavor from the caller's own nodes."""
    with reading(request) as session:
        source = _resolve(session, request, context.key)
        nodes = sources.choose_nodes_to_leave(request.identity, source)
    for node, flavor_id in nodes:
        with acting_in(node, not_found=missing(context.key), own_account=True):
            if source.row is None:
                request.federation.delete(request.identity, node, flavor_id)
            else:
                request.federation.withdraw(request.identity, node, context.key, flavor_id)
    return empty()


def change(request: Request, flavor_id: str, body: dict[str, Any]) -> Offer:
    """Publish, promote and install as the body says: first in the regions, then in the catalogue.

    Where one of several nodes refuses, the flavor is taken from the others again.
    """
    identity: Identity = request.identity
    with reading(request) as session:
        source = _resolve(session, request, flavor_id)
        nodes = infrastructures.get_nodes(session, body["nodes"])
    _check(identity, source, nodes, body)
    flavor = source.flavor
    publishes = source.row is None and bool(body["public"])
    if source.row is None and (publishes or nodes):
        origin = source.nodes[0][0]
        with acting_in(origin, not_found=missing(flavor_id), own_account=True):
            flavor = request.federation.get(identity, origin, source.nodes[0][1])
    if publishes:
        with reading(request) as session:
            catalogue.check_free(session, flavor)
    installed = _install(request, source, flavor, nodes)
    with changing(request) as session:
        row = catalogue.find(session, flavor_id, lock=True)
        if row is None and publishes:
            row = _publish(session, identity, source, flavor, body)
        elif row is not None and body["promoted"]:
            catalogue.promote(session, identity, row)
        for node, made in installed:
            if row is not None:
                catalogue.add_node(session, row, node, made.id)
        session.flush()  # the answer is read from what was changed
        return _resolve(session, request, flavor_id, any_node=True).offer


def _check(
    identity: Identity, source: Source, nodes: list[Infrastructure], body: dict[str, Any]
) -> None:
    catalogue.check_flags(source.row, public=body["public"], promoted=body["promoted"])
    if body["promoted"]:
        catalogue.check_may_promote(identity, source.row)
    if source.row is None and body["public"]:
        infrastructures.check_manages(identity, source.nodes[0][0])
    for node in nodes:
        infrastructures.check_manages(identity, node)
        if node.id in {there.id for there, _ in source.nodes}:
            raise faults.Conflict(catalogue.name_taken(source.flavor.name))


def _publish(
    session: Any, identity: Identity, source: Source, flavor: Specification, body: dict[str, Any]
) -> Any:
    nodes = [node for node, _ in source.nodes]
    return catalogue.add(
        session,
        identity,
        flavor,
        nodes,
        promoted=bool(body["promoted"]),
        access_keystone=nodes[0].keystone_url,
    )


def _install(
    request: Request, source: Source, flavor: Specification, nodes: list[Infrastructure]
) -> list[tuple[Infrastructure, Specification]]:
    installed: list[tuple[Infrastructure, Specification]] = []
    origin = source.nodes[0][0].keystone_url if source.nodes else None
    for node in nodes:
        try:
            with acting_in(node, name=flavor.name, not_found=faults.BadGateway(), own_account=True):
                there = catalogue.for_keystone(source.row, flavor, origin, node.keystone_url)
                made = request.federation.create(request.identity, node, there)
                installed.append((node, made))
        except faults.Fault:
            _take_back(request, installed)
            raise
    return installed


def _take_back(request: Request, installed: list[tuple[Infrastructure, Specification]]) -> None:
    for node, made in installed:
        with contextlib.suppress(RegionError):
            request.federation.delete(request.identity, node, made.id)


def _resolve(session: Any, request: Request, flavor_id: str, *, any_node: bool = False) -> Source:
    node = None if any_node else request.GET.get("node") or None
    return sources.resolve(session, request.identity, flavor_id, node)


def _truth(request: Request, name: str) -> bool | None:
    """What a filter says; without a value it says nothing. Raises BadRequest."""
    text = request.GET.get(name, "").lower()
    if text not in _TRUTHS:
        raise faults.BadRequest(f"{name} is true or false")
    return _TRUTHS[text]
