"""Networks over the compute API."""

from typing import Any

from pyramid.request import Request
from pyramid.response import Response

from cloudweb import faults
from cloudweb.domain import attachments, network_lists, networks
from cloudweb.models import PUBLIC, NetworkKind
from cloudweb.resources.compute import (
    NetworkActionResource,
    NetworkCollection,
    NetworkDetailResource,
    NetworkResource,
)
from cloudweb.shapes import networks as shapes
from cloudweb.shapes import requests as incoming
from cloudweb.shapes.base import Shape
from cloudweb.views import etags, lists
from cloudweb.views.compute import ROUTE, answer_one, answer_part, body_of, empty
from cloudweb.views.endpoints import endpoint


def _marker(text: str) -> int:
    """The public network comes before all that have numbers."""
    return 0 if text == PUBLIC else lists.number(text)


def _list(request: Request, shape: Shape) -> Response:
    return answer_part(
        request,
        shape,
        lists.read(request, changes=True, marker=_marker),
        network_lists.list_versions,
        lambda ids: network_lists.load(request.db, request.identity, ids),
    )


@endpoint(
    ROUTE, NetworkCollection, gives=shapes.NETWORK_BRIEF, many=True, queries=lists.TEXT_CHANGES
)
def list_brief(request: Request) -> Response:
    """The public network and the caller's own, brief."""
    return _list(request, shapes.NETWORK_BRIEF)


@endpoint(ROUTE, NetworkDetailResource, gives=shapes.NETWORK, many=True, queries=lists.TEXT_CHANGES)
def list_detail(request: Request) -> Response:
    """The public network and the caller's own, with the caller's servers on them."""
    return _list(request, shapes.NETWORK)


@endpoint(
    ROUTE,
    NetworkCollection,
    "POST",
    status=202,
    takes=shapes.CREATE,
    gives=shapes.NETWORK,
    refuses=(faults.Forbidden, faults.OverLimit, faults.ServiceUnavailable),
)
def create(request: Request) -> Response:
    """A new private network."""
    wanted: dict[str, Any] = incoming.read(shapes.CREATE, body_of(request))["network"]
    kind = wanted.pop("type", None)
    network = networks.create(
        request.db,
        request.identity,
        request.registry["cloudweb.network_rules"],
        kind=NetworkKind(kind) if kind is not None else None,
        **wanted,
    )
    return answer_one(request, shapes.NETWORK, network_lists.view_of(network), 202)


@endpoint(ROUTE, NetworkResource, gives=shapes.NETWORK, refuses=(faults.ItemNotFound,))
def get(context: NetworkResource, request: Request) -> Response:
    """One network, a deleted one too; the id public stands for all public ones."""
    who = request.identity
    # Whoever holds this answer was given it, and it changes only with the lists.
    if who.lists_version is not None and etags.held(request, who.user_id, who.lists_version):
        return empty(304)
    network = network_lists.get(request.db, who, context.id)
    return answer_one(request, shapes.NETWORK, network)


@endpoint(
    ROUTE,
    NetworkResource,
    "PUT",
    status=204,
    takes=shapes.RENAME,
    refuses=(faults.Forbidden, faults.ItemNotFound, faults.Conflict),
)
def rename(context: NetworkResource, request: Request) -> Response:
    """Another name for a network; not for the public one."""
    wanted = incoming.read(shapes.RENAME, body_of(request))["network"]
    networks.rename(request.db, request.identity, context.id, name=wanted["name"])
    return empty(204)


@endpoint(
    ROUTE,
    NetworkResource,
    "DELETE",
    status=204,
    refuses=(faults.Forbidden, faults.ItemNotFound, faults.Conflict),
)
def delete(context: NetworkResource, request: Request) -> Response:
    """Have all servers disconnected from a network, and the network removed."""
    networks.delete(request.db, request.identity, context.id)
    return empty(204)


@endpoint(
    ROUTE,
    NetworkActionResource,
    "POST",
    status=202,
    takes=shapes.ACTION,
    refuses=(
        faults.Forbidden,
        faults.ItemNotFound,
        faults.BuildInProgress,
        faults.Conflict,
        faults.OverLimit,
        faults.ServiceUnavailable,
    ),
)
def act(context: NetworkActionResource, request: Request) -> Response:
    """Have a server put on a network, or taken off it."""
    action, given = incoming.read(shapes.ACTION, body_of(request))
    network_id: int | str = context.__parent__.id  # type: ignore[union-attr]
    if action == "add":
        attachments.connect(
            request.db,
            request.identity,
            request.registry["cloudweb.network_rules"],
            network_id,
            server_id=given["serverRef"],
        )
    else:
        attachments.disconnect(request.db, request.identity, network_id, **_card(given))
    return empty(202)


def _card(given: dict[str, Any]) -> dict[str, int]:
    if len(given) != 1:
        raise faults.BadRequest("Malformed request", details="Give serverRef or attachment.")
    if "serverRef" in given:
        return {"server_id": given["serverRef"]}
    _nic, server_id, index = given["attachment"].split("-")
    return {"server_id": int(server_id), "index": int(index)}
