"""Who a request is from and what they may do: tokens for APIs, a cookie for people."""

import dataclasses
import enum
from typing import Any

from pyramid.authorization import ACLHelper, Allow
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import Denied
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from cloudweb import callers
from cloudweb.domain import accounts, preferences, user_acts, web_sessions
from cloudweb.domain.identity import Identity
from cloudweb.domain.infrastructures import MANAGERS
from cloudweb.models import Role, SessionFactory, refuses_changes, unit_of_work, utc_now
from cloudweb.settings import Settings

API_PREFIXES = ("/api", "/plankton", "/im", "/v1")
"""Where tokens are the credential and cookies are never looked at."""

_TOUCH_AFTER_S = 60


class Permission(enum.StrEnum):
    """Kinds of things that may be done; which rows they reach is the queries' business."""

    API_READ = "api:read"
    API_WRITE = "api:write"
    DASHBOARD_VIEW = "dashboard:view"
    SERVER_ACT = "server:act"
    SERVER_DESTROY = "server:destroy"
    SERVER_MOVE = "server:move"
    BACKEND_DRAIN = "backend:drain"
    BACKEND_ADOPT = "backend:adopt"
    BACKEND_MANAGE = "backend:manage"
    BACKEND_REMOVE = "backend:remove"
    CATALOGUE_MANAGE = "catalogue:manage"
    QUEUE_VIEW = "queue:view"
    QUEUE_MANAGE = "queue:manage"
    OPERATION_MANAGE = "operation:manage"
    RECONCILE = "reconcile"
    RECONCILE_COMPARE = "reconcile:compare"
    RECONCILE_REMOVE = "reconcile:remove"
    POOL_MANAGE = "pool:manage"
    POOL_REMOVE = "pool:remove"
    NETWORK_MANAGE = "network:manage"
    NETWORK_DESTROY = "network:destroy"
    USER_MANAGE = "user:manage"
    USER_MAIL = "user:mail"
    VIEW_SAVE = "view:save"
    ACCOUNT_OWN = "account:own"
    AUDIT_VIEW = "audit:view"
    TERMS_DRAFT = "terms:draft"
    TERMS_PUBLISH = "terms:publish"
    TERMS_ACCEPT = "terms:accept"


def role_principal(role: Role) -> str:
    """The principal of everybody with this role."""
    return f"role:{role.value}"


_STAFF = tuple(role for role in Role if role is not Role.USER)
GRANTS = {
    Permission.DASHBOARD_VIEW: _STAFF,
    Permission.SERVER_ACT: (Role.HELPDESK, Role.OPERATOR, Role.ADMIN),
    Permission.SERVER_DESTROY: (Role.ADMIN,),
    Permission.SERVER_MOVE: (Role.OPERATOR, Role.ADMIN),
    Permission.BACKEND_DRAIN: (Role.OPERATOR, Role.ADMIN),
    Permission.BACKEND_ADOPT: (Role.OPERATOR, Role.ADMIN),
    Permission.BACKEND_MANAGE: (Role.OPERATOR, Role.ADMIN),
    Permission.BACKEND_REMOVE: (Role.ADMIN,),
    Permission.QUEUE_VIEW: (Role.VIEWER, Role.OPERATOR, Role.ADMIN),
    Permission.QUEUE_MANAGE: (Role.OPERATOR, Role.ADMIN),
    Permission.OPERATION_MANAGE: (Role.OPERATOR, Role.ADMIN),
    Permission.RECONCILE_COMPARE: (Role.HELPDESK, Role.OPERATOR, Role.ADMIN),
    Permission.RECONCILE: (Role.OPERATOR, Role.ADMIN),
    Permission.RECONCILE_REMOVE: (Role.ADMIN,),
    Permission.POOL_MANAGE: (Role.OPERATOR, Role.ADMIN),
    Permission.POOL_REMOVE: (Role.ADMIN,),
    Permission.NETWORK_MANAGE: (Role.OPERATOR, Role.ADMIN),
    Permission.NETWORK_DESTROY: (Role.ADMIN,),
    Permission.USER_MANAGE: (Role.ADMIN,),
    Permission.USER_MAIL: (Role.HELPDESK, Role.OPERATOR, Role.ADMIN),
    Permission.AUDIT_VIEW: (Role.VIEWER, Role.OPERATOR, Role.ADMIN),
    Permission.TERMS_DRAFT: (Role.OPERATOR, Role.ADMIN),
    Permission.TERMS_PUBLISH: (Role.ADMIN,),
    Permission.CATALOGUE_MANAGE: MANAGERS,
    Permission.VIEW_SAVE: _STAFF,
    Permission.ACCOUNT_OWN: tuple(Role),
}
"""Which roles may do what: the one table behind the pages, the API, the tests and the documents."""

MEANINGS = {
    Permission.DASHBOARD_VIEW: "see every page that is not named below, search, export lists",
    Permission.SERVER_ACT: "start, shut down, reboot, suspend, lock a VM; mail its owner",
    Permission.SERVER_DESTROY: "destroy a VM",
    Permission.SERVER_MOVE: "move a VM to another node, empty a node, change its role",
    Permission.BACKEND_DRAIN: "refresh, drain, undrain a backend, make it public or not, "
    "take it offline and back",
    Permission.BACKEND_ADOPT: "adopt a whole cluster",
    Permission.BACKEND_MANAGE: "add a backend, change how it is reached",
    Permission.BACKEND_REMOVE: "remove a backend",
    Permission.QUEUE_VIEW: "see the queues and what is in dead letters",
    Permission.QUEUE_MANAGE: "apply or drop a dead letter, pause and resume consumers",
    Permission.OPERATION_MANAGE: "cancel, retry an operation, and any job of a cluster",
    Permission.RECONCILE_COMPARE: "compare clusters with the database",
    Permission.RECONCILE: "mend differences",
    Permission.RECONCILE_REMOVE: "remove from Ganeti instances and networks that nobody has here",
    Permission.POOL_MANAGE: "make pools, reserve and release values of theirs, extend them",
    Permission.POOL_REMOVE: "shrink and remove pools",
    Permission.NETWORK_MANAGE: "drain, undrain a network, make it on every cluster",
    Permission.NETWORK_DESTROY: "remove a network",
    Permission.USER_MAIL: "write to users by mail",
    Permission.USER_MANAGE: "accept, reject, deactivate users; roles, sessions, second factors",
    Permission.AUDIT_VIEW: "see everybody's acts in the audit",
    Permission.TERMS_DRAFT: "write drafts of the terms of use",
    Permission.TERMS_PUBLISH: "publish terms of use",
    Permission.CATALOGUE_MANAGE: "make and delete compute flavors, promote and demote flavors",
    Permission.VIEW_SAVE: "save views of lists, share them",
    Permission.ACCOUNT_OWN: "see and change one's own account",
}
"""The same permissions in words."""

ADMIN_ACL = [
    (Allow, role_principal(role), permission)
    for permission, roles in GRANTS.items()
    for role in roles
]
"""What each role may do in the dashboard."""

ACCOUNT_ACL = [
    (Allow, "door:dashboard", Permission.ACCOUNT_OWN),
    (Allow, "door:dashboard", Permission.TERMS_ACCEPT),
]
"""Whoever is signed in has an account."""

API_ACL = [
    (Allow, "door:api", Permission.API_READ),
    (Allow, "door:api", Permission.API_WRITE),
]
"""Whoever has a token may use the API, on what is theirs."""


FEDERATION_ACL = [
    (Allow, "door:api", Permission.API_READ),
    (Allow, "door:api", Permission.API_WRITE),
]
"""Whoever may be known by the federation; what is theirs, the domain says."""

CATALOGUE_ACL = [
    (Allow, "door:api", Permission.API_READ),
    *(
        (Allow, f"api:{role.value}", Permission.CATALOGUE_MANAGE)
        for role in GRANTS[Permission.CATALOGUE_MANAGE]
    ),
]
"""Everybody reads promoted flavors; flavor managers make them."""


def allows(role: Role, permission: Permission) -> bool:
    """Whether the dashboard lets this role do this kind of thing."""
    return role in GRANTS.get(permission, ())


def who_may(permission: str) -> str:
    """Who may do this, in a sentence; nothing for what no role gives."""
    found = {each.value: roles for each, roles in GRANTS.items()}.get(permission, ())
    if found == _STAFF:
        return "This is for those who run the cloud: it takes a role that your account has not."
    *others, last = [role.value for role in found] or [""]
    words = f"{', '.join(others)} or {last}" if others else last
    return f"This takes the role {words}." if last else ""


def is_api(path: str) -> bool:
    """Whether this path belongs to a token API."""
    return path.startswith(API_PREFIXES) and (
        path in API_PREFIXES or path.startswith(tuple(f"{prefix}/" for prefix in API_PREFIXES))
    )


def is_page(path: str) -> bool:
    """Whether this path belongs to the pages that people see."""
    return path.startswith(("/admin", "/account", "/terms"))


def known_identity(request: Request) -> Identity | None:
    """Who the request is from, if that was found out already; asks nothing."""
    found: Identity | None = getattr(request, "_cloudweb_identity", None)
    return found


def with_reason(request: Request, reason: str) -> None:
    """What is done from here on in this request is done for this reason, says the audit."""
    request._cloudweb_identity = dataclasses.replace(request.identity, reason=reason)


def federation_path(path: str) -> str | None:
    """The path as the federation's tree has it, which is at ``/v1`` and at ``/api/v1``; or None."""
    path = path.removeprefix("/api") if path.startswith("/api/v1") else path
    if path == "/v1":
        return "/v1/"
    return path if path.startswith("/v1/") else None


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
        if identity.owes_terms and permission != Permission.TERMS_ACCEPT:
            return Denied("The terms of use are not accepted.")
        if not identity.may_write and permission != Permission.API_READ:
            return Denied("This token may only read.")
        principals = [f"door:{identity.door}"]
        if identity.door == "dashboard":
            principals.append(role_principal(identity.role))
        elif identity.door == "api":
            principals.append(f"api:{identity.role.value}")
        return self._acl.permits(context, principals, permission)

    def remember(self, request: Request, userid: str, **kw: Any) -> list[tuple[str, str]]:
        return []

    def forget(self, request: Request, **kw: Any) -> list[tuple[str, str]]:
        return []


def _identify(request: Request) -> Identity | None:
    if federation_path(request.path_info) is not None:
        return callers.identify(request)
    if is_api(request.path_info):
        token = request.headers.get("X-Auth-Token", "")
        if not token or len(token) > 200:
            return None
        return accounts.by_token(
            request.db, token, address=request.remote, request_id=request.request_id
        )
    return identity_of_cookie(request, request.db)


def identity_of_cookie(request: Request, session: Session) -> Identity | None:
    """Whoever is signed in in the browser that asks."""
    text = request.cookies.get(SESSION_COOKIE(request.conf), "")
    if not text or len(text) > 200:
        return None
    found = web_sessions.find_session(session, text, idle_s=request.conf.session_idle_s)
    if found is None:
        return None
    opened, user, owes_terms, request.under_way = found
    request.proved, request.looks = opened.created, preferences.looks_of(user)
    rested = (utc_now() - opened.last_seen).total_seconds() > _TOUCH_AFTER_S
    if request.method in ("GET", "HEAD") and (rested or not request.sessions.takes_changes):
        _touch(request.sessions, user.id, opened.id)
    return Identity(
        *(user.id, user.email, user.role, "dashboard", request.remote, request.request_id),
        owes_terms=owes_terms,
    )


def _touch(sessions: SessionFactory, user_id: int, session_id: int) -> None:
    """Note that somebody is here; by that it is known, too, whether the database takes changes."""
    try:
        with unit_of_work(sessions) as own:
            user_acts.touch(own, user_id, session_id)
    except DBAPIError as error:
        if not refuses_changes(error):
            raise
        sessions.takes_changes = False
    else:
        sessions.takes_changes = True


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
    # Not delete_cookie: without Secure a browser ignores whatever is said of a __Host- cookie.
    response.set_cookie(
        SESSION_COOKIE(request.conf),
        "",
        max_age=0,
        path="/",
        secure=request.conf.session_cookie_secure,
        httponly=True,
        samesite="Lax",
    )


def includeme(config: Configurator) -> None:
    """Close everything by default and say who is who."""
    config.set_security_policy(SecurityPolicy())
    config.set_default_permission("closed")
