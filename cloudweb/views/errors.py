"""Every refusal and every failure, spelt as the caller of that part of the site expects."""

import contextlib
import logging
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy.exc
import sqlalchemy.orm.exc
from pyramid.config import Configurator
from pyramid.exceptions import BadCSRFToken, PredicateMismatch
from pyramid.httpexceptions import HTTPException, HTTPForbidden, HTTPNotFound, HTTPSeeOther
from pyramid.renderers import render
from pyramid.request import Request
from pyramid.response import Response

from cloudweb import faults, wire
from cloudweb.domain.identity import Identity
from cloudweb.models import refuses_changes, unit_of_work
from cloudweb.security import (
    SESSION_COOKIE,
    federation_path,
    identity_of_cookie,
    is_api,
    is_page,
    known_identity,
    who_may,
)
from cloudweb.shapes import faults as shape
from cloudweb.shapes import federation_faults as federation_shape
from cloudweb.views.dashboard import holding
from cloudweb.views.dashboard.sessions import local_path

_log = logging.getLogger(__name__)

_READ_ONLY = "The database takes no changes now. Nothing was done; try again in some minutes."

_TITLES = {
    400: "That request cannot be understood",
    401: "Sign in again",
    403: "Your role may not do this",
    404: "There is no such page",
    405: "That cannot be done here",
    409: "It has changed meanwhile",
    413: "That is too large",
    422: "What was filled in does not fit",
    429: "Too many attempts",
    500: "Something failed on our side",
    503: "Not available right now",
}


def respond(fault: faults.Fault, request: Request) -> Response:
    """The answer a fault gets."""
    request.refusal = fault.message
    if federation_path(request.path_info) is not None:
        return _respond_federation(fault, request)
    if is_api(request.path_info):
        return _respond_api(fault, request)
    if is_page(request.path_info):
        return _respond_page(fault, request)
    return Response(f"{fault.message}\n", status=fault.code, content_type="text/plain")


def _respond_api(fault: faults.Fault, request: Request) -> Response:
    if request.notation is wire.Notation.JSON:
        body, media = wire.dump_json(shape.to_json(fault)), wire.Notation.JSON
    else:
        body, media = (wire.XML_HEAD + shape.to_xml(fault)).encode(), wire.Notation.XML
    response = Response(body, status=fault.code)
    response.headers["Content-Type"] = media.value
    _add_retry(response, fault)
    return response


def _respond_federation(fault: faults.Fault, request: Request) -> Response:
    body, media = federation_shape.body_of(fault, request.notation)
    response = Response(body, status=fault.code)
    response.headers["Content-Type"] = media
    if isinstance(fault, faults.TokenRequired):
        response.headers["X-Auth-Token"] = 'Auth2 realm="Token Required"'
        response.headers["WWW-Authenticate"] = 'Basic realm="cloudweb"'
    _add_retry(response, fault)
    return response


def _respond_page(fault: faults.Fault, request: Request) -> Response:
    values = {
        "identity": known_identity(request) if fault.code >= 500 else _who(request),
        "code": fault.code,
        "title": _TITLES.get(fault.code, "That did not work"),
        "message": fault.message if not fault.details else f"{fault.message} {fault.details}",
        "request_id": request.request_id,
        "back": _back(request),
    }
    response = Response(render("cloudweb:templates/errors/page.jinja2", values, request))
    response.status_code = fault.code
    _add_retry(response, fault)
    return response


def _back(request: Request) -> str:
    """The page of ours from which the one that is refused was asked for."""
    came = urlsplit(request.referer or "")
    path = f"{came.path}?{came.query}" if came.query else came.path
    return (local_path(path) or "") if came.netloc == request.host else ""


def _who(request: Request) -> Identity | None:
    """Who is told so, if that can be found out: the page has their header and their colours."""
    found = known_identity(request)
    if found is None and request.cookies.get(SESSION_COOKIE(request.conf)):
        with contextlib.suppress(Exception), unit_of_work(request.sessions, write=False) as session:
            found = identity_of_cookie(request, session)
    return found


def _add_retry(response: Response, fault: faults.Fault) -> None:
    if isinstance(fault, faults.TooManyRequests):
        response.headers["Retry-After"] = str(fault.retry_after_s)
    elif isinstance(fault, faults.ServiceUnavailable):
        response.headers["Retry-After"] = "10"


def respond_unexpected(error: BaseException, request: Request) -> Response:
    """The answer when our own code, or the database, failed: no traceback, a request id."""
    if refuses_changes(error):
        request.sessions.takes_changes = False
        _log.error("database read-only", extra={"error": str(error.__cause__ or error)[:300]})
        return respond(faults.ServiceUnavailable(_READ_ONLY), request)
    if isinstance(error, (sqlalchemy.exc.OperationalError, sqlalchemy.exc.TimeoutError)):
        _log.error("database away", extra={"error": str(error.__cause__ or error)[:300]})
        return respond(faults.ServiceUnavailable("The database is not available."), request)
    if isinstance(error, (sqlalchemy.exc.IntegrityError, sqlalchemy.orm.exc.StaleDataError)):
        _log.warning("race lost", extra={"error": type(error).__name__})
        return respond(faults.Conflict(), request)
    if isinstance(error, sqlalchemy.exc.DataError):
        _log.warning("unstorable", extra={"error": str(error.orig)[:300]})
        return respond(faults.BadRequest("It holds what cannot be stored."), request)
    _log.error("unexpected", exc_info=error)
    return respond(faults.ComputeFault(details=f"Request {request.request_id}"), request)


def on_fault(fault: faults.Fault, request: Request) -> Response:
    """A refusal of the domain."""
    return respond(fault, request)


def on_unexpected(error: Exception, request: Request) -> Response:
    """Anything nobody foresaw."""
    return respond_unexpected(error, request)


def on_http(error: HTTPException, request: Request) -> Any:
    """Pyramid's own refusals, made ours; redirects pass."""
    if error.status_code < 400:
        return error
    return respond(_translate(error, request), request)


def _translate(error: HTTPException, request: Request) -> faults.Fault:
    api = is_api(request.path_info)
    if federation_path(request.path_info) is not None:
        return _translate_federation(error, request)
    if isinstance(error, HTTPForbidden):
        if request.identity is None:
            return faults.Unauthorized()
        if request.identity.owes_terms:
            return faults.TermsPending()
        # Whoever is kept out of a page is told who is not.
        words = who_may(getattr(error.result, "permission", "")) if not api else ""
        return faults.Forbidden(words) if words else _not_allowed(request)
    if isinstance(error, PredicateMismatch) and not api:
        return faults.WrongMethod(
            "This is done by a button, not by a link: go back to the page that has it."
            if request.method == "GET"
            else f"This page does not know what to do with {request.method}."
        )
    if isinstance(error, HTTPNotFound):
        # An unknown URL of the API is a bad request, as its documentation has it.
        return faults.BadRequest("Not found.") if api else faults.ItemNotFound("Page not found.")
    if isinstance(error, BadCSRFToken):
        return faults.BadRequest("The form is too old or came from elsewhere. Load it again.")
    if error.status_code >= 500:
        return faults.ComputeFault(details=f"Request {request.request_id}")
    return faults.BadRequest(error.explanation)


def _not_allowed(request: Request) -> faults.Fault:
    return faults.Forbidden(None if request.identity.may_write else "This token may only read.")


def _translate_federation(error: HTTPException, request: Request) -> faults.Fault:
    if isinstance(error, HTTPForbidden):
        if request.identity is not None and request.identity.owes_terms:
            return faults.TermsPending()
        if request.identity is not None and not request.identity.may_write:
            return _not_allowed(request)
        # Who may not manage promoted flavors is told so by 405, as documented.
        return faults.TokenRequired() if request.identity is None else faults.RoleMissing()
    if isinstance(error, HTTPNotFound):
        return faults.UnknownThere("The requested resource does not exist")
    if error.status_code >= 500:
        return faults.ComputeFault(f"Unexpected error. Request {request.request_id}")
    return faults.BadRequest(error.explanation)


def on_forbidden(error: HTTPForbidden, request: Request) -> Any:
    """Not allowed: people who are not signed in, or owe their acceptance, are shown where to."""
    identity = request.identity
    way = "admin.login" if identity is None else "account.terms" if identity.owes_terms else ""
    if way and is_page(request.path_info) and request.headers.get("HX-Request") != "true":
        page = request.path_qs if request.method == "GET" else holding.hold(request)
        query = {"next": page} if page else {}
        return HTTPSeeOther(request.route_path(way, _query=query))
    return respond(_translate(error, request), request)


def includeme(config: Configurator) -> None:
    """Every exception has one of these exits."""
    for context, view in (
        (faults.Fault, on_fault),
        (Exception, on_unexpected),
        (HTTPException, on_http),
        (HTTPForbidden, on_forbidden),
    ):
        config.add_exception_view(view, context=context)
    config.add_notfound_view(on_http)
