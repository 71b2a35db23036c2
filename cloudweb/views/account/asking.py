"""Asking for an account or a new password, and the mailed links that give them.

Whoever asks gets the same answer whether the address is known or not.
"""

from collections.abc import Callable
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import accounts, email_addresses, registration
from cloudweb.domain.identity import stranger
from cloudweb.models import MailedLink, User, unit_of_work
from cloudweb.views.dashboard import pages

_KIND = "mail"
_ADDRESS_TIMES = 4


def field(request: Request, name: str) -> str:
    """What was typed, or nothing."""
    value = request.POST.get(name, "")
    return value if isinstance(value, str) else ""


def wait_words(fault: faults.TooManyRequests) -> str:
    """How long to wait, for people."""
    minutes = -(-fault.retry_after_s // 60)
    return "a minute" if minutes == 1 else f"{minutes} minutes"


def refuse(request: Request, template: str, fault: faults.Fault, **values: Any) -> pages.Refused:
    """The form again, with what was wrong."""
    errors = dict(fault.fields)
    error = "" if errors else fault.message
    if isinstance(fault, faults.TooManyRequests):
        error = f"Too many attempts. Try again in {wait_words(fault)}."
    response = pages.show(
        request, template, status=fault.code, errors=errors, error=error, **values
    )
    if isinstance(fault, faults.TooManyRequests):
        response.headers["Retry-After"] = str(fault.retry_after_s)
    return pages.Refused(response)


def _count(request: Request, email: str) -> None:
    """Count a mail that is asked for. Raises TooManyRequests."""
    conf = request.conf
    who = {"email": email, "address": request.remote, "window_s": conf.sign_in_window_s}
    with unit_of_work(request.sessions) as session:
        attempt = accounts.count_attempt(session, kind=_KIND, **who)
    limits = {"limit": conf.mail_attempts, "address_limit": _ADDRESS_TIMES * conf.mail_attempts}
    try:
        with unit_of_work(request.sessions, write=False) as session:
            accounts.check_sign_in_rate(session, kind=_KIND, **limits, **who)
    except faults.TooManyRequests:
        with unit_of_work(request.sessions) as session:
            accounts.forget_attempt(session, attempt)
        raise


def _ask(request: Request, template: str, act: Callable[[Session, str], None]) -> Response:
    """Count, act in a unit of work of its own, and say that a mail is on its way."""
    email = field(request, "email")
    try:
        checked = accounts.checked_email(email)
        _count(request, checked)
        with unit_of_work(request.sessions) as session:
            act(session, checked)
    except (faults.BadRequest, faults.Forbidden, faults.TooManyRequests) as fault:
        given = {"email": email[:254], "name": field(request, "name")[:255]}
        raise refuse(request, template, fault, **given, open=request.conf.sign_up) from None
    return HTTPSeeOther(request.route_path("account.sent"))


@view_config(route_name="account.sign_up", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def show_sign_up(request: Request) -> Response:
    """GET /account/sign-up."""
    values = {"errors": {}, "error": "", "email": "", "name": "", "open": request.conf.sign_up}
    return pages.show(request, "sign_up", **values)


@view_config(route_name="account.sign_up", request_method="POST", permission=NO_PERMISSION_REQUIRED)
def sign_up(request: Request) -> Response:
    """POST /account/sign-up: a mail follows."""
    who = stranger("dashboard", request.remote, request.request_id)
    name = field(request, "name")

    def act(session: Session, email: str) -> None:
        registration.sign_up(session, who, request.account_rules, email=email, name=name)

    return _ask(request, "sign_up", act)


@view_config(
    route_name="account.forgotten", request_method="GET", permission=NO_PERMISSION_REQUIRED
)
def show_forgotten(request: Request) -> Response:
    """GET /account/forgotten."""
    return pages.show(request, "forgotten", errors={}, error="", email="")


@view_config(
    route_name="account.forgotten", request_method="POST", permission=NO_PERMISSION_REQUIRED
)
def forgotten(request: Request) -> Response:
    """POST /account/forgotten: a mail follows, if there is somebody."""
    who = stranger("dashboard", request.remote, request.request_id)

    def act(session: Session, email: str) -> None:
        registration.ask_reset(session, who, request.account_rules, email=email)

    return _ask(request, "forgotten", act)


@view_config(route_name="account.sent", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def sent(request: Request) -> Response:
    """GET /account/sent: what to do now."""
    return pages.show(request, "account_told", what="sent")


@view_config(route_name="account.done", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def done(request: Request) -> Response:
    """GET /account/done: the password is chosen."""
    what = next((word for word in ("waits", "email") if word in request.GET), "active")
    return pages.show(request, "account_told", what=what)


@view_config(route_name="account.link", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def show_link(request: Request) -> Response:
    """GET /account/link?key=…: looking uses nothing up, as programs look at links in mails."""
    key = request.GET.get("key", "")[:200]
    link, user = _find_link(request, request.db, key)
    shown = {"email": link.email or user.email, "changes": link.email is not None, "key": key}
    return pages.show(request, "mailed_link", errors={}, error="", **shown)


def _find_link(request: Request, session: Session, key: str) -> tuple[MailedLink, User]:
    """The mailed link and whose it is; of one that is not good, where there are others is told."""
    try:
        return registration.find_link(session, key)
    except faults.BadRequest as fault:
        told = {"what": "spent", "open": request.conf.sign_up, "error": fault.message}
        raise pages.Refused(
            pages.show(request, "account_told", status=fault.code, **told)
        ) from None


@view_config(route_name="account.link", request_method="POST", permission=NO_PERMISSION_REQUIRED)
def follow_link(request: Request) -> Response:
    """POST /account/link: the password is set, or the address taken over, and the link used up."""
    key, password = field(request, "key")[:200], field(request, "password")
    who = stranger("dashboard", request.remote, request.request_id)
    with unit_of_work(request.sessions, write=False) as session:
        link, user = _find_link(request, session, key)
    if link.email is not None:
        email_addresses.confirm_change(request.db, who, request.account_rules, key)
        return HTTPSeeOther(request.route_path("account.done", _query={"email": ""}))
    try:
        password_hash = hash_new(password, field(request, "again"))
    except faults.BadRequest as fault:
        raise refuse(
            request, "mailed_link", fault, email=user.email, changes=False, key=key
        ) from None
    with unit_of_work(request.sessions) as session:
        user = registration.follow_link(
            session, who, request.account_rules, key, password_hash=password_hash
        )
    query = {"waits": ""} if user.state.value == "pending" else {}
    return HTTPSeeOther(request.route_path("account.done", _query=query))


def hash_new(password: str, again: str) -> str:
    """A new password as it is stored. Raises BadRequest with its field."""
    if password != again:
        raise faults.BadRequest("", details={"again": "The two are not the same."})
    try:
        return accounts.hashed(password)
    except faults.BadRequest as fault:
        raise faults.BadRequest("", details={"password": fault.message}) from None
