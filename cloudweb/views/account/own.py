"""One's own account."""

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import (
    accounts,
    forms,
    preferences,
    registration,
    second_factor,
    web_sessions,
)
from cloudweb.models import User, unit_of_work
from cloudweb.security import SESSION_COOKIE, Permission
from cloudweb.views.account.asking import field, hash_new, wait_words
from cloudweb.views.dashboard import pages


@view_config(route_name="account.home", request_method="GET", permission=Permission.ACCOUNT_OWN)
def show(request: Request) -> Response:
    """GET /account."""
    return show_account(request)


def show_account(request: Request, *, status: int = 200, **values: Any) -> Response:
    user = request.db.get_one(User, request.identity.user_id)
    known = {"user": user, "errors": {}, "error": "", "changed": request.GET.get("changed", "")}
    known |= {
        "sessions": web_sessions.list_own(request.db, user.id),
        "here": accounts.digest(request.cookies.get(SESSION_COOKIE(request.conf), "")),
        "tokens": web_sessions.list_tokens(request.db, user.id),
        "codes_left": second_factor.count_codes(request.db, user.id),
        "required": second_factor.is_required(user.role, request.conf.totp_required_roles),
        "token": "",
        "key": forms.new_key(),
        "given": {},
        "zones": preferences.zones(),
    }
    return pages.show_signed_in(request, "account", status=status, **(known | values))


@view_config(
    route_name="account.password", request_method="POST", permission=Permission.ACCOUNT_OWN
)
def change_password(request: Request) -> Response:
    """POST /account/password: needs the old one; other sessions end."""
    try:
        check_password(request, field(request, "current"))
        password_hash = hash_new(field(request, "password"), field(request, "again"))
    except faults.TooManyRequests as fault:
        error = f"Too many attempts. Try again in {wait_words(fault)}."
        raise pages.Refused(show_account(request, status=fault.code, error=error)) from None
    except faults.BadRequest as fault:
        refused = show_account(request, status=fault.code, errors=dict(fault.fields))
        raise pages.Refused(refused) from None
    with unit_of_work(request.sessions) as session:
        registration.change_password(
            session,
            request.identity,
            request.account_rules,
            request.identity.user_id,
            password_hash=password_hash,
            keep_session=request.cookies.get(SESSION_COOKIE(request.conf), ""),
        )
    return HTTPSeeOther(request.route_path("account.home", _query={"changed": "password"}))


@view_config(route_name="account.looks", request_method="POST", permission=Permission.ACCOUNT_OWN)
def change_looks(request: Request) -> Response:
    """POST /account/looks: how all pages look and which keys they have; language of the terms."""
    given = {
        name: field(request, name) for name in ("theme", "density", "zone", "slash", "language")
    }
    there = request.conf.terms_languages
    try:
        preferences.choose(
            request.db, request.identity, languages=there if len(there) > 1 else (), **given
        )
    except faults.BadRequest as fault:
        refused = show_account(request, status=fault.code, errors=dict(fault.fields))
        raise pages.Refused(refused) from None
    return HTTPSeeOther(request.route_path("account.home", _query={"changed": "looks"}))


def check_password(request: Request, password: str) -> None:
    """That who asks knows their password; wrong ones count as at sign-in. Raises BadRequest,
    TooManyRequests.
    """
    conf, email = request.conf, request.identity.email
    request.release_db()  # no transaction is open while the password is checked
    who = {"email": email, "address": request.remote, "window_s": conf.sign_in_window_s}
    with unit_of_work(request.sessions) as session:
        attempt = accounts.count_attempt(session, **who)
    with unit_of_work(request.sessions, write=False) as session:
        accounts.check_sign_in_rate(session, limit=conf.sign_in_attempts, **who)
        _, password_hash = accounts.find_credentials(session, email, staff_only=False)
    if not accounts.matches(password_hash, password[: accounts.LONGEST_PASSWORD]):
        raise faults.BadRequest("", details={"current": "This is not your password."})
    with unit_of_work(request.sessions) as session:
        accounts.forget_attempt(session, attempt)
