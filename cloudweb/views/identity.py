"""Who the caller is, for clients that ask before they do anything else."""

from typing import Any

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPForbidden
from pyramid.request import Request
from pyramid.response import Response

from cloudweb import faults
from cloudweb.domain import accounts
from cloudweb.models import unit_of_work
from cloudweb.resources import Resource
from cloudweb.resources import identity as tree
from cloudweb.security import Permission
from cloudweb.shapes.identity import USER
from cloudweb.views import errors
from cloudweb.views.compute import answer_one, wrong_method
from cloudweb.views.endpoints import endpoint

ROUTE = "identity"


@endpoint(ROUTE, tree.AuthenticateResource, gives=USER)
def authenticate(request: Request) -> Response:
    """Whose the token is, and how long it is good.

    ``uuid`` is the number by which the other APIs know the user. A token that is good until it is
    revoked has no ``auth_token_expires``.
    """
    response = answer_one(request, USER, accounts.owner_of(request.db, _token(request)))
    response.headers["Cache-Control"] = "no-store"
    return response


def on_forbidden(error: HTTPForbidden, request: Request) -> Any:
    """Nobody is known by that token: here, and nowhere else, it is said why."""
    if request.identity is not None:
        return errors.on_forbidden(error, request)
    try:
        with unit_of_work(request.sessions, write=False) as session:
            accounts.owner_of(session, _token(request))
    except faults.Unauthorized as fault:
        return errors.respond(fault, request)
    return errors.on_forbidden(error, request)


def _token(request: Request) -> str:
    token: str = request.headers.get("X-Auth-Token", "")
    return token


def includeme(config: Configurator) -> None:
    """Mount the tree at ``/im`` and register its views."""
    config.add_route(ROUTE, "/im/*traverse", factory=tree.root)
    config.add_view(
        wrong_method, route_name=ROUTE, context=Resource, permission=Permission.API_READ
    )
    config.add_forbidden_view(on_forbidden, route_name=ROUTE)
    config.scan(__name__)
