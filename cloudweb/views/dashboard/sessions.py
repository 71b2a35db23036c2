"""Signing in and out."""

from urllib.parse import urlsplit

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import accounts
from cloudweb.models import unit_of_work
from cloudweb.security import SESSION_COOKIE, drop_session_cookie, set_session_cookie
from cloudweb.views.dashboard import pages

_WRONG = "This e-mail address and password do not belong together, or may not sign in here."
_LONGEST = 1000


def local_path(text: str) -> str | None:
    """A path of the dashboard to go to after signing in; None for anything else."""
    parts = urlsplit(text) if text.isascii() and text.isprintable() else None
    if parts is None or parts.scheme or parts.netloc or "\\" in text or len(text) > _LONGEST:
        return None
    return text if parts.path.startswith("/admin/") else None


def _show_form(
    request: Request, *, status: int = 200, error: str = "", email: str = ""
) -> Response:
    target = local_path(request.params.get("next", "")) or ""
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
    email = request.POST.get("email", "")
    try:
        text = _check(request, email, request.POST.get("password", ""))
    except faults.TooManyRequests as fault:
        minutes = -(-fault.retry_after_s // 60)
        wait = "a minute" if minutes == 1 else f"{minutes} minutes"
        error = f"Too many failed attempts. Sign in again in {wait}."
        response = _show_form(request, status=429, error=error, email=email)
        response.headers["Retry-After"] = str(fault.retry_after_s)
        raise pages.Refused(response) from None
    if text is None:
        raise pages.Refused(_show_form(request, status=401, error=_WRONG, email=email))
    target = local_path(request.POST.get("next", "")) or request.route_path("admin.overview")
    response = HTTPSeeOther(target)
    set_session_cookie(request, response, text)
    return response


def _check(request: Request, email: str, password: str) -> str | None:
    # Its own unit of work: a failed attempt must be counted though the request is refused.
    conf = request.conf
    with unit_of_work(request.sessions) as session:
        accounts.check_sign_in_rate(
            session,
            email=email,
            address=request.remote,
            limit=conf.sign_in_attempts,
            window_s=conf.sign_in_window_s,
        )
        opened = None
        if "\0" not in email and max(len(email), len(password)) <= _LONGEST:
            opened = accounts.sign_in(
                session,
                email=email,
                password=password,
                absolute_s=conf.session_absolute_s,
                address=request.remote,
                request_id=request.request_id,
            )
        if opened is None:
            accounts.count_failed_sign_in(
                session, email=email, address=request.remote, window_s=conf.sign_in_window_s
            )
            return None
        return opened[0]


@view_config(route_name="admin.logout", request_method="POST", permission=NO_PERMISSION_REQUIRED)
def sign_out(request: Request) -> Response:
    """POST /admin/logout: fine without a session, too."""
    text = request.cookies.get(SESSION_COOKIE(request.conf), "")
    if request.identity is not None:
        accounts.sign_out(request.db, request.identity, text)
    response = HTTPSeeOther(request.route_path("admin.login"))
    drop_session_cookie(request, response)
    return response
