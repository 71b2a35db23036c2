"""Every refusal and every failure, spelt as the caller of that part of the site expects."""

import logging
from typing import Any

import sqlalchemy.exc
import sqlalchemy.orm.exc
from pyramid.config import Configurator
from pyramid.exceptions import BadCSRFOrigin, BadCSRFToken
from pyramid.httpexceptions import HTTPException, HTTPForbidden, HTTPNotFound, HTTPSeeOther
from pyramid.renderers import render
from pyramid.request import Request
from pyramid.response import Response

from cloudweb import faults, wire
from cloudweb.security import is_api
from cloudweb.shapes import faults as shape

_log = logging.getLogger(__name__)

_TITLES = {
    400: "That request cannot be understood",
    401: "Sign in again",
    403: "Your role may not do this",
    404: "There is no such page",
    405: "That cannot be done here",
    409: "It has changed meanwhile",
    413: "That is too large",
    429: "Too many attempts",
    500: "Something failed on our side",
    503: "Not available right now",
}


def respond(fault: faults.Fault, request: Request) -> Response:
    """The answer a fault gets."""
    if is_api(request.path_info):
        return _respond_api(fault, request)
    if request.path_info.startswith("/admin"):
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


def _respond_page(fault: faults.Fault, request: Request) -> Response:
    values = {
        "code": fault.code,
        "title": _TITLES.get(fault.code, "That did not work"),
        "message": fault.message if not fault.details else f"{fault.message} {fault.details}",
        "request_id": request.request_id,
    }
    response = Response(render("cloudweb:templates/errors/page.jinja2", values, request))
    response.status_code = fault.code
    _add_retry(response, fault)
    return response


def _add_retry(response: Response, fault: faults.Fault) -> None:
    if isinstance(fault, faults.TooManyRequests):
        response.headers["Retry-After"] = str(fault.retry_after_s)
    elif isinstance(fault, faults.ServiceUnavailable):
        response.headers["Retry-After"] = "10"


def respond_unexpected(error: BaseException, request: Request) -> Response:
    """The answer when our own code, or the database, failed: no traceback, a request id."""
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
    if isinstance(error, HTTPForbidden):
        if request.identity is None:
            return faults.Unauthorized()
        return faults.Forbidden()
    if isinstance(error, HTTPNotFound):
        # An unknown URL of the API is a bad request, as its documentation has it.
        return faults.BadRequest("Not found.") if api else faults.ItemNotFound("Page not found.")
    if isinstance(error, (BadCSRFToken, BadCSRFOrigin)):
        return faults.BadRequest("The form is too old or came from elsewhere. Load it again.")
    if error.status_code >= 500:
        return faults.ComputeFault(details=f"Request {request.request_id}")
    return faults.BadRequest(error.explanation)


def on_forbidden(error: HTTPForbidden, request: Request) -> Any:
    """Not allowed: people who are not signed in are shown where to."""
    with_page = request.path_info.startswith("/admin")
    if with_page and request.identity is None and request.headers.get("HX-Request") != "true":
        query = {"next": request.path_qs} if request.method == "GET" else {}
        return HTTPSeeOther(request.route_path("admin.login", _query=query))
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
