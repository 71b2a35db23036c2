"""Who a request is from and what they may do: tokens for APIs, a cookie for people."""

import enum
from typing import Any

from pyramid.authorization import ACLHelper, Allow
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import Denied

from cloudweb.domain import accounts
from cloudweb.domain.identity import Identity
from cloudweb.models import Role, unit_of_work, utc_now
from cloudweb.settings import Settings

API_PREFIXES = ("/api", "/plankton")
"""Where tokens are the credential and cookies are never looked at."""

_TOUCH_AFTER_S = 60


class Permission(enum.StrEnum):
    """Kinds of things that may be done; which rows they reach is the queries' business."""

    API_READ = "api:read"
    API_WRITE = "api:write"
    DASHBOARD_VIEW = "dashboard:view"
    SERVER_ACT = "server:act"
    SERVER_DESTROY = "server:destroy"
    BACKEND_DRAIN = "backend:drain"


def role_principal(role: Role) -> str:
    """The principal of everybody with this role."""
    return f"role:{role.value}"


_STAFF = tuple(role for role in Role if role is not Role.USER)
_GRANTS = {
    Permission.DASHBOARD_VIEW: _STAFF,
    Permission.SERVER_ACT: (Role.HELPDESK, Role.OPERATOR, Role.ADMIN),
    Permission.SERVER_DESTROY: (Role.ADMIN,),
    Permission.BACKEND_DRAIN: (Role.OPERATOR, Role.ADMIN),
}

ADMIN_ACL = [
    (Allow, role_principal(role), permission)
    for permission, roles in _GRANTS.items()
    for role in roles
]
"""What each role may do in the dashboard."""

API_ACL = [
    (Allow, "door:api", Permission.API_READ),
    (Allow, "door:api", Permission.API_WRITE),
]
"""Whoever has a token may use the API, on what is theirs."""


def allows(role: Role, permission: Permission) -> bool:
    """Whether the dashboard lets this role do this kind of thing."""
    return role in _GRANTS.get(permission, ())


def is_api(path: str) -> bool:
    """Whether this path belongs to a token API."""
    return path.startswith(API_PREFIXES) and (
        path in API_PREFIXES or path.startswith(tuple(f"{prefix}/" for prefix in API_PREFIXES))
    )


class SecurityPolicy:
    """Finds the identity once a request and asks the context's ACL."""

    def __init__(self) -> None:
        self._acl = ACLHelper()

    def identity(self, request: Request) -> Identity | None:
        if not hasattr(request, "_cloudweb_identity"):
            request._cloudweb_identity = _identify(request)
        found: Identity | None = request._cloudweb_identity
        return found

    def authenticated_userid(self, request: Request) -> str | None:
        identity = self.identity(request)
        return identity.email if identity is not None else None

    def permits(self, request: Request, context: Any, permission: Any) -> Any:
        identity = self.identity(request)
        if identity is None:
            return Denied("No valid credential came with the request.")
        principals = [f"door:{identity.door}"]
        if identity.door == "dashboard":
            principals.append(role_principal(identity.role))
        return self._acl.permits(context, principals, permission)

    def remember(self, request: Request, userid: str, **kw: Any) -> list[tuple[str, str]]:
        return []

    def forget(self, request: Request, **kw: Any) -> list[tuple[str, str]]:
        return []


def _identify(request: Request) -> Identity | None:
    if is_api(request.path_info):
        token = request.headers.get("X-Auth-Token", "")
        if not token or len(token) > 200:
            return None
        return accounts.by_token(
            request.db, token, address=request.remote, request_id=request.request_id
        )
    return _from_cookie(request)


def _from_cookie(request: Request) -> Identity | None:
    text = request.cookies.get(SESSION_COOKIE(request.conf), "")
    if not text or len(text) > 200:
        return None
    found = accounts.find_session(request.db, text, idle_s=request.conf.session_idle_s)
    if found is None:
        return None
    session, user = found
    if (utc_now() - session.last_seen).total_seconds() > _TOUCH_AFTER_S and request.method in (
        "GET",
        "HEAD",
    ):
        with unit_of_work(request.sessions) as own:
            accounts.touch_session(own, session.id)
    return Identity(user.id, user.email, user.role, "dashboard", request.remote, request.request_id)


def SESSION_COOKIE(conf: Settings) -> str:  # noqa: N802
    """The name of the dashboard's session cookie; the prefix makes browsers refuse forgeries."""
    return "__Host-cloudweb" if conf.session_cookie_secure else "cloudweb"


def set_session_cookie(request: Request, response: Response, text: str) -> None:
    """Give the browser its session."""
    response.set_cookie(
        SESSION_COOKIE(request.conf),
        text,
        path="/",
        secure=request.conf.session_cookie_secure,
        httponly=True,
        samesite="Lax",
    )


def drop_session_cookie(request: Request, response: Response) -> None:
    """Take the session from the browser."""
    response.delete_cookie(SESSION_COOKIE(request.conf), path="/")


def includeme(config: Configurator) -> None:
    """Close everything by default and say who is who."""
    config.set_security_policy(SecurityPolicy())
    config.set_default_permission("closed")
