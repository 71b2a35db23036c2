"""Servers over the compute API."""

from collections.abc import Callable
from typing import Any

from pyramid.request import Request
from pyramid.response import Response
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import firewalls, handovers, server_views, servers
from cloudweb.domain.cards import Profile
from cloudweb.domain.identity import Identity
from cloudweb.resources.compute import (
    ServerActionResource,
    ServerCollection,
    ServerDetailResource,
    ServerResource,
)
from cloudweb.shapes import requests as incoming
from cloudweb.shapes import servers as shapes
from cloudweb.shapes.base import Shape
from cloudweb.views import etags, lists
from cloudweb.views.compute import (
    ROUTE,
    answer_one,
    answer_part,
    body_of,
    consoles,
    empty,
)
from cloudweb.views.endpoints import endpoint


def _list(request: Request, shape: Shape) -> Response:
    return answer_part(
        request,
        shape,
        lists.read(request, changes=True),
        server_views.list_versions,
        lambda ids: server_views.load(request.db, ids),
    )


@endpoint(ROUTE, ServerCollection, gives=shapes.SERVER_BRIEF, many=True, queries=lists.CHANGES)
def list_brief(request: Request) -> Response:
    """The caller's servers, brief."""
    return _list(request, shapes.SERVER_BRIEF)


@endpoint(ROUTE, ServerDetailResource, gives=shapes.SERVER, many=True, queries=lists.CHANGES)
def list_detail(request: Request) -> Response:
    """The caller's servers."""
    return _list(request, shapes.SERVER)


@endpoint(
    ROUTE,
    ServerCollection,
    "POST",
    status=202,
    takes=shapes.CREATE,
    gives=shapes.NEW_SERVER,
    refuses=(faults.ItemNotFound, faults.OverLimit, faults.ServiceUnavailable),
)
def create(request: Request) -> Response:
    """A new server, in BUILD; its password is shown only now."""
    wanted = incoming.read(shapes.CREATE, body_of(request))["server"]
    password = handovers.new_password()
    server = servers.create(
        request.db,
        request.identity,
        request.registry["cloudweb.site"],
        name=wanted["name"],
        flavor_id=wanted["flavorRef"],
        image_ref=wanted["imageRef"],
        metadata=wanted.get("metadata", {}),
        password=password,
        personality=wanted.get("personality", ()),
    )
    view = server_views.view_of(server, admin_pass=password)
    return answer_one(request, shapes.NEW_SERVER, view, 202)


@endpoint(ROUTE, ServerResource, gives=shapes.SERVER, refuses=(faults.ItemNotFound,))
def get(context: ServerResource, request: Request) -> Response:
    """One server, a deleted one too."""
    if etags.held(request, *server_views.version_of(request.db, request.identity, context.id)):
        return empty(304)
    [server] = server_views.load(request.db, [context.id])
    return answer_one(request, shapes.SERVER, server)


@endpoint(
    ROUTE,
    ServerResource,
    "PUT",
    status=204,
    takes=shapes.RENAME,
    refuses=(faults.ItemNotFound, faults.Conflict),
)
def rename(context: ServerResource, request: Request) -> Response:
    """Another name for a server."""
    wanted = incoming.read(shapes.RENAME, body_of(request))["server"]
    servers.rename(request.db, request.identity, context.id, name=wanted["name"])
    return empty(204)


@endpoint(
    ROUTE,
    ServerResource,
    "DELETE",
    status=204,
    refuses=(faults.ItemNotFound, faults.Conflict, faults.ServiceUnavailable),
)
def delete(context: ServerResource, request: Request) -> Response:
    """Have a server removed."""
    servers.delete(request.db, request.identity, context.id)
    return empty(204)


Act = Callable[[Request, int, dict[str, Any]], object]
"""Does an action to the server of this id; its Response if it makes one, else 202 and no body."""

_ACTS: dict[str, Act] = {
    "start": lambda request, key, _: servers.start(*_actor(request), key),
    "shutdown": lambda request, key, _: servers.shutdown(*_actor(request), key),
    "reboot": lambda request, key, given: servers.reboot(*_actor(request), key, kind=given["type"]),
    "firewallProfile": lambda request, key, given: firewalls.set_profile(
        *_actor(request), key, profile=Profile(given["profile"])
    ),
    "console": lambda request, key, given: consoles.open_console(request, key, kind=given["type"]),
}
"""How each of ``shapes.ACTIONS`` is done."""

_UNSUPPORTED = ("resize", "rebuild", "changePassword", "confirmResize", "revertResize")


def _actor(request: Request) -> tuple[Session, Identity]:
    return request.db, request.identity


@endpoint(
    ROUTE,
    ServerActionResource,
    "POST",
    status=202,
    takes=shapes.ACTION,
    other={200: shapes.CONSOLE},
    refuses=(
        faults.ItemNotFound,
        faults.BuildInProgress,
        faults.Conflict,
        faults.NotImplementedFault,
        faults.ServiceUnavailable,
    ),
)
def act(context: ServerActionResource, request: Request) -> Response:
    """Have something done to a server."""
    action, arguments = _read_action(body_of(request))
    server_id: int = context.__parent__.id  # type: ignore[union-attr]
    made = _ACTS[action](request, server_id, arguments)
    return made if isinstance(made, Response) else empty(202)


def _read_action(body: Any) -> tuple[str, Any]:
    if not isinstance(body, dict) or len(body) != 1:
        raise faults.BadRequest("Malformed request", details="Give exactly one action.")
    [(action, arguments)] = body.items()
    if action in _UNSUPPORTED:
        raise faults.NotImplementedFault(f"{action} is not supported.")
    if action not in shapes.ACTIONS:
        raise faults.BadRequest("Unknown action")
    if not isinstance(arguments, dict):
        raise faults.BadRequest("Invalid argument")
    return action, incoming.read(shapes.ACTIONS[action], arguments)
