"""Signing in and out."""

from urllib.parse import urlsplit

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import accounts
from cloudweb.domain.identity import Identity
from cloudweb.models import unit_of_work
from cloudweb.security import SESSION_COOKIE, drop_session_cookie, set_session_cookie
from cloudweb.views.dashboard import pages

_WRONG = "This e-mail address and password do not belong together, or may not sign in here."
_LONGEST = 1000


def local_path(text: str) -> str | None:
    """A path of the dashboard to go to after signing in; None for anything else."""
    try:
        parts = urlsplit(text) if text.isascii() and text.isprintable() else None
    except ValueError:
        return None
    if parts is None or parts.scheme or parts.netloc or "\\" in text or len(text) > _LONGEST:
        return None
    return text if parts.path.startswith("/admin/") else None


def _show_form(
    request: Request, *, status: int = 200, error: str = "", email: str = ""
) -> Response:
    given = _field(request, "next") if request.method == "POST" else request.GET.get("next", "")
    target = local_path(given) or ""
    return pages.show(
        request, "login", status=status, error=error, email=email[:254], target=target
    )


@view_config(route_name="admin.login", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def ask(request: Request) -> Response:
    """GET /admin/login."""
    return _show_form(request)


@view_config(route_name="admin.login", request_method="POST", permission=NO_PERMISSION_REQUIRED)
def sign_in(request: Request) -> Response:
    """POST /admin/login: to where the person wanted to go, with a session of their own."""
    email = _field(request, "email")
    try:
        text = _check(request, email, _field(request, "password"))
    except faults.TooManyRequests as fault:
        minutes = -(-fault.retry_after_s // 60)
        wait = "a minute" if minutes == 1 else f"{minutes} minutes"
        error = f"Too many failed attempts. Sign in again in {wait}."
        response = _show_form(request, status=429, error=error, email=email)
        response.headers["Retry-After"] = str(fault.retry_after_s)
        raise pages.Refused(response) from None
    if text is None:
        raise pages.Refused(_show_form(request, status=401, error=_WRONG, email=email))
    target = local_path(_field(request, "next")) or request.route_path("admin.overview")
    response = HTTPSeeOther(target)
    set_session_cookie(request, response, text)
    return response


def _check(request: Request, email: str, password: str) -> str | None:
    """The text of a new session, or None for a wrong pair. Raises TooManyRequests.

    In units of work of its own: an attempt counts though the request is refused, and no transaction
    is open while the password is checked.
    """
    conf = request.conf
    who = {"email": email, "address": request.remote, "window_s": conf.sign_in_window_s}
    with unit_of_work(request.sessions) as session:
        attempt = accounts.count_attempt(session, **who)
    try:
        with unit_of_work(request.sessions, write=False) as session:
            accounts.check_sign_in_rate(session, limit=conf.sign_in_attempts, **who)
            user, password_hash = accounts.find_credentials(session, email)
    except faults.TooManyRequests:
        with unit_of_work(request.sessions) as session:
            accounts.forget_attempt(session, attempt)
        raise
    if not accounts.matches(password_hash, password[:_LONGEST]) or user is None:
        return None
    if len(password) > _LONGEST:
        return None
    identity = Identity(
        user.id, user.email, user.role, "dashboard", request.remote, request.request_id
    )
    with unit_of_work(request.sessions) as session:
        accounts.forget_attempt(session, attempt)
        return accounts.open_session(session, identity, absolute_s=conf.session_absolute_s)


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
