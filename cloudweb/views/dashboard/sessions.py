"""Signing in and out."""

from urllib.parse import urlsplit

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import accounts, audit, second_factor, web_sessions
from cloudweb.domain.identity import Identity, stranger
from cloudweb.models import Outcome, Role, User, unit_of_work
from cloudweb.passwords import user_of
from cloudweb.security import SESSION_COOKIE, drop_session_cookie, set_session_cookie
from cloudweb.views.dashboard import pages

_WRONG = "This e-mail address and password do not belong together, or the account is not active."
_LONGEST = 1000
_SECOND_STEP_S = 600


def local_path(text: str) -> str | None:
    """A page of ours to go to after signing in; None for anything else."""
    try:
        parts = urlsplit(text) if text.isascii() and text.isprintable() else None
    except ValueError:
        return None
    if parts is None or parts.scheme or parts.netloc or "\\" in text or len(text) > _LONGEST:
        return None
    own = parts.path == "/account" or parts.path.startswith(("/admin/", "/account/", "/terms"))
    return text if own else None


def _show_form(
    request: Request, *, status: int = 200, error: str = "", email: str = ""
) -> Response:
    given = _field(request, "next") if request.method == "POST" else request.GET.get("next", "")
    target = local_path(given) or ""
    ended = not error and _has_ended(request)
    return pages.show(
        request, "login", status=status, error=error, email=email[:254], target=target, ended=ended
    )


def _has_ended(request: Request) -> bool:
    """Whether the browser still has a session that is none any more: who signs out has not."""
    text = request.cookies.get(SESSION_COOKIE(request.conf), "")[:200]
    if not text or request.identity is not None:
        return False
    return web_sessions.find_pending(request.db, text) is None


@view_config(route_name="admin.login", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def ask(request: Request) -> Response:
    """GET /admin/login."""
    return _show_form(request)


@view_config(route_name="admin.login", request_method="POST", permission=NO_PERMISSION_REQUIRED)
def sign_in(request: Request) -> Response:
    """POST /admin/login: to where the person wanted to go, with a session of their own."""
    email = _field(request, "email")
    try:
        opened = _check(request, email, _field(request, "password"))
    except faults.TooManyRequests as fault:
        minutes = -(-fault.retry_after_s // 60)
        wait = "a minute" if minutes == 1 else f"{minutes} minutes"
        error = f"Too many failed attempts. Sign in again in {wait}."
        response = _show_form(request, status=429, error=error, email=email)
        response.headers["Retry-After"] = str(fault.retry_after_s)
        raise pages.Refused(response) from None
    if opened is None:
        raise pages.Refused(_show_form(request, status=401, error=_WRONG, email=email))
    text, user, step = opened
    if step:
        query = {"next": local_path(_field(request, "next")) or ""}
        response = HTTPSeeOther(request.route_path(step, _query=query))
        set_session_cookie(request, response, text)
        return response
    home = "account.home" if user.role is Role.USER else "admin.overview"
    target = local_path(_field(request, "next")) or request.route_path(home)
    response = HTTPSeeOther(target)
    set_session_cookie(request, response, text)
    return response


def _check(request: Request, email: str, password: str) -> tuple[str, User, str] | None:
    """A new session's text, whose, and what it still lacks; None for a wrong pair.

    Raises TooManyRequests. In units of work of its own: an attempt counts though the request is
    refused.
    """
    conf = request.conf
    found = user_of(request, email, password)
    if found is None:
        _note_failure(request, email)
        return None
    user, attempt = found
    identity = Identity(
        user.id, user.email, user.role, "dashboard", request.remote, request.request_id
    )
    with unit_of_work(request.sessions) as session:
        accounts.forget_attempt(session, attempt)
        # The browser's old session ends: who signs in is somebody new.
        accounts.drop_session(session, request.cookies.get(SESSION_COOKIE(conf), ""))
        step = _next_step(request, user)
        text = accounts.open_session(
            session,
            identity,
            absolute_s=_SECOND_STEP_S if step else conf.session_absolute_s,
            agent=request.user_agent or "",
            pending=bool(step),
        )
    return text, user, step


def _note_failure(request: Request, email: str) -> None:
    who = stranger("dashboard", request.remote, request.request_id)
    given = "".join(c for c in email if c.isprintable())[:64]
    with unit_of_work(request.sessions) as session:
        audit.record(
            *(session, who, "session:open", "e-mail", given),
            reason="Wrong password, or nobody who may sign in.",
            outcome=Outcome.REFUSED,
        )


def _next_step(request: Request, user: User) -> str:
    """The page that asks for the second factor or sets one up; empty where none is needed."""
    if user.totp_sealed is not None:
        return "admin.code"
    required = second_factor.is_required(user.role, request.conf.totp_required_roles)
    return "admin.enrol" if required else ""


def _field(request: Request, name: str) -> str:
    value = request.POST.get(name, "")
    return value if isinstance(value, str) else ""


@view_config(route_name="admin.logout", request_method="POST", permission=NO_PERMISSION_REQUIRED)
def sign_out(request: Request) -> Response:
    """POST /admin/logout: fine without a session, too."""
    text = request.cookies.get(SESSION_COOKIE(request.conf), "")
    if request.identity is not None:
        accounts.sign_out(request.db, request.identity, text)
    response = HTTPSeeOther(request.route_path("admin.login"))
    drop_session_cookie(request, response)
    return response
