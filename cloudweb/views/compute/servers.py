"""Servers over the compute API."""

from typing import Any

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import servers
from cloudweb.resources.compute import (
    DetailResource,
    ServerActionResource,
    ServerCollection,
    ServerResource,
)
from cloudweb.security import Permission
from cloudweb.shapes import requests as incoming
from cloudweb.shapes import servers as shapes
from cloudweb.shapes.base import Shape
from cloudweb.views.compute import ROUTE, answer, answer_one, body_of, empty, notation_of

_UNSUPPORTED = ("resize", "rebuild", "changePassword", "confirmResize", "revertResize")


def _list(request: Request, shape: Shape) -> Response:
    body = request.fragments.document(
        shape,
        notation_of(request),
        (request.identity.user_id, request.identity.lists_version),
        lambda: servers.list_versions(request.db, request.identity),
        lambda ids: servers.load(request.db, ids),
    )
    return answer(request, body)


@view_config(
    route_name=ROUTE,
    context=ServerCollection,
    request_method="GET",
    permission=Permission.API_READ,
)
def list_brief(request: Request) -> Response:
    """GET /servers."""
    return _list(request, shapes.SERVER_BRIEF)


@view_config(
    route_name=ROUTE,
    context=DetailResource,
    containment=ServerCollection,
    request_method="GET",
    permission=Permission.API_READ,
)
def list_detail(request: Request) -> Response:
    """GET /servers/detail."""
    return _list(request, shapes.SERVER)


@view_config(
    route_name=ROUTE,
    context=ServerCollection,
    request_method="POST",
    permission=Permission.API_WRITE,
)
def create(request: Request) -> Response:
    """POST /servers: 202, and the server in BUILD."""
    wanted = incoming.read(shapes.CREATE, body_of(request))["server"]
    server = servers.create(
        request.db,
        request.identity,
        request.registry["cloudweb.site"],
        name=wanted["name"],
        flavor_id=wanted["flavorRef"],
        image_ref=wanted["imageRef"],
        metadata=wanted.get("metadata", {}),
    )
    return answer_one(request, shapes.SERVER, servers.view_of(server), 202)


@view_config(
    route_name=ROUTE, context=ServerResource, request_method="GET", permission=Permission.API_READ
)
def get(context: ServerResource, request: Request) -> Response:
    """GET /servers/{id}."""
    return answer_one(request, shapes.SERVER, servers.get(request.db, request.identity, context.id))


@view_config(
    route_name=ROUTE, context=ServerResource, request_method="PUT", permission=Permission.API_WRITE
)
def rename(context: ServerResource, request: Request) -> Response:
    """PUT /servers/{id}: 204."""
    wanted = incoming.read(shapes.RENAME, body_of(request))["server"]
    servers.rename(request.db, request.identity, context.id, name=wanted["name"])
    return empty(204)


@view_config(
    route_name=ROUTE,
    context=ServerResource,
    request_method="DELETE",
    permission=Permission.API_WRITE,
)
def delete(context: ServerResource, request: Request) -> Response:
    """DELETE /servers/{id}: 204."""
    servers.delete(request.db, request.identity, context.id)
    return empty(204)


@view_config(
    route_name=ROUTE,
    context=ServerActionResource,
    request_method="POST",
    permission=Permission.API_WRITE,
)
def act(context: ServerActionResource, request: Request) -> Response:
    """POST /servers/{id}/action: 202 with an empty body."""
    action, arguments = _read_action(body_of(request))
    server_id: int = context.__parent__.id  # type: ignore[union-attr]
    actor = (request.db, request.identity, server_id)
    if action == "start":
        servers.start(*actor)
    elif action == "shutdown":
        servers.shutdown(*actor)
    else:
        servers.reboot(*actor, kind=arguments["type"])
    return empty(202)


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
