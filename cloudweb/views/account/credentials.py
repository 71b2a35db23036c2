"""One's sessions, tokens and second factor."""

import datetime as dt
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import accounts, forms, second_factor, web_sessions
from cloudweb.models import User, unit_of_work, utc_now
from cloudweb.security import SESSION_COOKIE, Permission
from cloudweb.views.account.asking import field
from cloudweb.views.account.own import show_account
from cloudweb.views.dashboard import pages, proving
from cloudweb.views.dashboard.qr import qr_svg
from cloudweb.views.dashboard.second_factor import ISSUER, count_and_check

_OWN = Permission.ACCOUNT_OWN
_DAYS = (7, 30, 90, 365)


def _home(request: Request, **query: str) -> HTTPSeeOther:
    return HTTPSeeOther(request.route_path("account.home", _query=query))


@view_config(route_name="account.session.end", request_method="POST", permission=_OWN)
def end_session(request: Request) -> Response:
    """POST /account/sessions/{id}/end."""
    web_sessions.end(request.db, request.identity, int(request.matchdict["id"]))
    return _home(request, changed="session")


@view_config(route_name="account.tokens", request_method="POST", permission=_OWN)
def add_token(request: Request) -> Response:
    """POST /account/tokens: the page shows the token, now and never again; only to who has lately
    shown to be who they are.
    """
    name, scope, days = (field(request, key).strip() for key in ("name", "scope", "days"))
    errors = {}
    if not name or len(name) > 100 or not name.isprintable():
        errors["name"] = "Say in a few words what it is for."
    if scope not in ("read", "write"):
        errors["scope"] = "It reads, or it reads and writes."
    if days not in map(str, _DAYS):
        errors["days"] = "Choose one of these."
    if errors:
        given = {"name": name[:100], "scope": scope, "days": days}
        refused = show_account(request, status=400, errors=errors, given=given)
        raise pages.Refused(refused)
    form, again = forms.claim(request.db, request.identity, field(request, "key"), "tokens")
    if again:
        return HTTPSeeOther(form.location)
    if proving.is_due(request):
        raise pages.Refused(proving.ask(request, request.route_path("account.home")))
    form.location = request.route_path("account.home", _query={"changed": "tokens"})
    user = request.db.get_one(User, request.identity.user_id)
    text = accounts.add_token(
        *(request.db, request.identity, user),
        name=name,
        expires=utc_now() + dt.timedelta(days=int(days)),
        read_only=scope == "read",
    )
    return show_account(request, token=text)


@view_config(route_name="account.token.revoke", request_method="POST", permission=_OWN)
def revoke_token(request: Request) -> Response:
    """POST /account/tokens/{id}/revoke."""
    web_sessions.revoke_token(request.db, request.identity, int(request.matchdict["id"]))
    return _home(request, changed="token")


def _session_id(request: Request) -> int:
    text = request.cookies.get(SESSION_COOKIE(request.conf), "")
    found = web_sessions.find_session(request.db, text, idle_s=request.conf.session_idle_s)
    assert found is not None  # the permission was given by it
    return found.session.id


def _offer(request: Request, session_id: int, **values: Any) -> Response:
    with unit_of_work(request.sessions) as session:
        sealer = request.account_rules.sealer
        secret = second_factor.begin(session, sealer, session_id, issuer=ISSUER)
    known: dict[str, Any] = {
        "errors": {},
        "error": "",
        "target": "",
        "status": 200,
        "action": "account.factor",
    }
    known |= {"secret": secret.text, "qr": qr_svg(secret.uri)}
    return pages.show_signed_in(request, "enrol", **(known | values))


@view_config(route_name="account.factor", request_method="GET", permission=_OWN)
def offer_factor(request: Request) -> Response:
    """GET /account/second-factor: what an app needs to know. A session that somebody else has got
    hold of gives itself no factor: who asks has lately shown to be who they are.
    """
    if proving.is_due(request):
        return proving.ask(request)
    session_id = _session_id(request)
    request.release_db()
    return _offer(request, session_id)


@view_config(route_name="account.factor", request_method="POST", permission=_OWN)
def set_factor(request: Request) -> Response:
    """POST /account/second-factor: the recovery codes, shown only now."""
    session_id, user = _session_id(request), request.db.get_one(User, request.identity.user_id)
    if user.totp_sealed is not None:
        raise faults.Conflict("You have a second factor; turn it off first.")
    if proving.is_due(request):
        raise pages.Refused(proving.ask(request))
    request.release_db()
    sealer, who = request.account_rules.sealer, request.identity
    code = field(request, "code")[:100]
    try:
        codes = count_and_check(
            request, user, lambda s: second_factor.confirm(s, who, sealer, session_id, code)
        )
    except (faults.BadRequest, faults.TooManyRequests) as fault:
        values = {"errors": dict(fault.fields), "error": "" if fault.fields else fault.message}
        refused = _offer(request, session_id, status=fault.code, **values)
        raise pages.Refused(refused) from None
    onward = request.route_path("account.home")
    return pages.show_signed_in(request, "codes", codes=codes, onward=onward)


def _with_code(request: Request, act: Any) -> Any:
    user = request.db.get_one(User, request.identity.user_id)
    request.release_db()
    try:
        return count_and_check(request, user, act)
    except (faults.BadRequest, faults.TooManyRequests) as fault:
        values = {"errors": dict(fault.fields), "error": "" if fault.fields else fault.message}
        raise pages.Refused(show_account(request, status=fault.code, **values)) from None


@view_config(route_name="account.factor.codes", request_method="POST", permission=_OWN)
def renew_codes(request: Request) -> Response:
    """POST /account/second-factor/codes: new ones, shown only now."""
    who, sealer, code = request.identity, request.account_rules.sealer, field(request, "code")[:100]
    codes = _with_code(request, lambda s: second_factor.renew_codes(s, who, sealer, code))
    onward = request.route_path("account.home")
    return pages.show_signed_in(request, "codes", codes=codes, onward=onward)


@view_config(route_name="account.factor.remove", request_method="POST", permission=_OWN)
def remove_factor(request: Request) -> Response:
    """POST /account/second-factor/remove: every session ends, this one too."""
    who, sealer, code = request.identity, request.account_rules.sealer, field(request, "code")[:100]
    if second_factor.is_required(who.role, request.conf.totp_required_roles):
        raise faults.Conflict("Your role needs a second factor.")

    def act(session: Any) -> None:
        second_factor.check(session, sealer, who.user_id, code)
        second_factor.remove(session, who, who.user_id)

    _with_code(request, act)
    return HTTPSeeOther(request.route_path("admin.login"))
