"""The second step of signing in: a code, or setting the second factor up."""

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import accounts, audit, second_factor, web_sessions
from cloudweb.domain.identity import Identity
from cloudweb.models import Outcome, Role, User, WebSession, unit_of_work
from cloudweb.security import SESSION_COOKIE, set_session_cookie
from cloudweb.views.account.asking import field, wait_words
from cloudweb.views.dashboard import pages
from cloudweb.views.dashboard.qr import qr_svg
from cloudweb.views.dashboard.sessions import local_path

ISSUER = "cloudweb"


def count_and_check(request: Request, user: User, act: Any) -> Any:
    """Do what checks a code, in a unit of work of its own; what fails counts against the user.

    Raises BadRequest, TooManyRequests.
    """
    conf = request.conf
    who = {"email": user.email, "address": request.remote, "window_s": conf.sign_in_window_s}
    with unit_of_work(request.sessions) as session:
        attempt = accounts.count_attempt(session, kind="code", **who)
    with unit_of_work(request.sessions, write=False) as session:
        accounts.check_sign_in_rate(session, kind="code", limit=conf.sign_in_attempts, **who)
    with unit_of_work(request.sessions) as session:
        result = act(session)
    with unit_of_work(request.sessions) as session:
        accounts.forget_attempt(session, attempt)
    return result


def _pending(request: Request) -> tuple[WebSession, User] | None:
    text = request.cookies.get(SESSION_COOKIE(request.conf), "")[:200]
    with unit_of_work(request.sessions, write=False) as session:
        found = web_sessions.find_pending(session, text) if text else None
        return (found, session.get_one(User, found.user_id)) if found else None


def _target(request: Request) -> str:
    given = field(request, "next") if request.method == "POST" else request.GET.get("next", "")
    return local_path(given) or ""


def _note_failure(request: Request, user: User, fault: faults.Fault) -> None:
    """Somebody with the password had no good code; locked out, they leave no more entries."""
    if isinstance(fault, faults.TooManyRequests):
        return
    with unit_of_work(request.sessions) as session:
        audit.record(
            *(session, _identity(request, user), "session:open", "user", user.id),
            reason="The second factor's code was wrong.",
            outcome=Outcome.REFUSED,
        )


def _again(request: Request) -> HTTPSeeOther:
    return HTTPSeeOther(request.route_path("admin.login", _query={"next": _target(request)}))


def _identity(request: Request, user: User) -> Identity:
    return Identity(user.id, user.email, user.role, "dashboard", request.remote, request.request_id)


def _show(request: Request, template: str, fault: faults.Fault | None = None, **v: Any) -> Response:
    values: dict[str, Any] = {"target": _target(request), "errors": {}, "error": ""} | v
    if isinstance(fault, faults.TooManyRequests):
        values["error"] = f"Too many wrong codes. Try again in {wait_words(fault)}."
    elif fault is not None:
        values |= {"errors": dict(fault.fields), "error": "" if fault.fields else fault.message}
    response = pages.show(request, template, status=fault.code if fault else 200, **values)
    if isinstance(fault, faults.TooManyRequests):
        response.headers["Retry-After"] = str(fault.retry_after_s)
    return response


@view_config(route_name="admin.code", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def ask(request: Request) -> Response:
    """GET /admin/login/code."""
    return _show(request, "code") if _pending(request) else _again(request)


@view_config(route_name="admin.code", request_method="POST", permission=NO_PERMISSION_REQUIRED)
def give(request: Request) -> Response:
    """POST /admin/login/code: the session that opens things, under a new name."""
    found = _pending(request)
    if found is None:
        return _again(request)
    row, user = found
    code, sealer = field(request, "code")[:100], request.account_rules.sealer
    try:
        count_and_check(request, user, lambda s: second_factor.check(s, sealer, user.id, code))
    except (faults.BadRequest, faults.TooManyRequests) as fault:
        _note_failure(request, user, fault)
        raise pages.Refused(_show(request, "code", fault)) from None
    return _open(request, user, row)


def _open(request: Request, user: User, row: WebSession) -> Response:
    home = "account.home" if user.role is Role.USER else "admin.overview"
    response = HTTPSeeOther(_target(request) or request.route_path(home))
    set_session_cookie(request, response, _rotate(request, user, row))
    return response


def _rotate(request: Request, user: User, row: WebSession) -> str:
    with unit_of_work(request.sessions) as session:
        session.delete(session.get_one(WebSession, row.id))
        return accounts.open_session(
            session,
            _identity(request, user),
            absolute_s=request.conf.session_absolute_s,
            agent=request.user_agent or "",
        )


@view_config(route_name="admin.enrol", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def offer(request: Request) -> Response:
    """GET /admin/login/second-factor: for whoever needs one and has none."""
    found = _pending(request)
    if found is None or found[1].totp_sealed is not None:
        return _again(request)
    return _show(request, "enrol", **_offer(request, found[0].id))


def _offer(request: Request, web_session_id: int) -> dict[str, Any]:
    sealer = request.account_rules.sealer
    with unit_of_work(request.sessions) as session:
        secret = second_factor.begin(session, sealer, web_session_id, issuer=ISSUER)
    return {"secret": secret.text, "qr": qr_svg(secret.uri), "action": "admin.enrol"}


@view_config(route_name="admin.enrol", request_method="POST", permission=NO_PERMISSION_REQUIRED)
def confirm(request: Request) -> Response:
    """POST /admin/login/second-factor: the recovery codes, shown only now, and a new session."""
    found = _pending(request)
    if found is None or found[1].totp_sealed is not None:
        return _again(request)
    row, user = found
    who, sealer = _identity(request, user), request.account_rules.sealer
    code = field(request, "code")[:100]
    try:
        codes = count_and_check(
            request, user, lambda s: second_factor.confirm(s, who, sealer, row.id, code)
        )
    except (faults.BadRequest, faults.TooManyRequests) as fault:
        _note_failure(request, user, fault)
        refused = _show(request, "enrol", fault, **_offer(request, row.id))
        raise pages.Refused(refused) from None
    home = "account.home" if user.role is Role.USER else "admin.overview"
    response = pages.show(
        request, "codes", codes=codes, onward=_target(request) or request.route_path(home)
    )
    set_session_cookie(request, response, _rotate(request, user, row))
    return response
