"""What happens around every request: notation and id outermost, the unit of work innermost."""

import logging
import re
import secrets
import time
from collections.abc import Callable

from pyramid.config import Configurator
from pyramid.interfaces import IExceptionResponse
from pyramid.registry import Registry
from pyramid.request import Request
from pyramid.response import Response
from pyramid.tweens import EXCVIEW, INGRESS

from cloudweb import faults, logs, metrics, wire
from cloudweb.models import unit_of_work
from cloudweb.security import API_PREFIXES, federation_path, is_api
from cloudweb.views import attempts, delivery, errors, uploads

_log = logging.getLogger(__name__)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
_UNLOGGED = "/vmapi/"
_GOOD_ID = re.compile(r"[A-Za-z0-9._-]{1,50}")

Handler = Callable[[Request], Response]


def front(handler: Handler, registry: Registry) -> Handler:
    """Settles the request's id and notation, refuses what is too large, compresses, logs one line.

    It is outermost, so whatever fails below is answered in the caller's notation.
    """

    def tween(request: Request) -> Response:
        started = time.perf_counter()
        given = request.headers.get("X-Request-Id", "")
        request.request_id = given if _GOOD_ID.fullmatch(given) else secrets.token_hex(8)
        token = logs.request_id.set(request.request_id)
        request.notation = wire.Notation.JSON
        try:
            response = _answer(request, handler)
            if is_api(request.path_info):
                response = delivery.deliver(request, response)
            response.headers["X-Request-Id"] = request.request_id
            attempts.note(request, response.status_code)
            _finish(request, response, time.perf_counter() - started)
            return response
        finally:
            logs.request_id.reset(token)

    return tween


def _answer(request: Request, handler: Handler) -> Response:
    try:
        path = request.path_info
    except UnicodeDecodeError:
        request.environ["PATH_INFO"] = "/api"
        return errors.respond(faults.BadRequest("The URL is not UTF-8."), request)
    try:
        if is_api(path):
            _settle_notation(request, path)
            _check_size(request)
        else:
            _check_size(request)
            _check_form(request)
        return handler(request)
    except faults.Fault as fault:
        return errors.respond(fault, request)
    except Exception as error:  # noqa: BLE001  (the last resort, still in the caller's notation)
        return errors.respond_unexpected(error, request)


def _settle_notation(request: Request, path: str) -> None:
    federation = federation_path(path)
    if federation is not None:
        # Names and ids may end in what elsewhere is a suffix.
        request.notation = wire.negotiate_loosely(request.headers.get("Accept", ""))
        request.path_info = federation
        return
    # Exactly "/api/.json" is a version document: the name before the dot is empty.
    path, request.notation = wire.negotiate(path, request.headers.get("Accept", ""))
    request.path_info = f"{path}/" if path in API_PREFIXES else path
    # Traversal would go up: DELETE of a server's key ".." would be DELETE of the server.
    if not {".", ".."}.isdisjoint(path.split("/")):
        raise faults.BadRequest("Not found.")


def _check_size(request: Request) -> None:
    length, limit = request.content_length, request.conf.max_body_bytes
    if length is not None and length > limit and not uploads.shorten(request, limit):
        raise faults.OverLimit("The request is too large.", details=f"At most {limit} bytes.")


def _check_form(request: Request) -> None:
    """What a browser sends is readable text; found out here, not wherever it is first used."""
    try:
        request.GET.keys()
        if request.method == "POST":
            request.POST.keys()
    except (UnicodeDecodeError, LookupError, ValueError, DeprecationWarning):
        # The last is how WebOb refuses an encoding other than UTF-8.
        raise faults.BadRequest("The form cannot be read.") from None


def _finish(request: Request, response: Response, seconds: float) -> None:
    route = request.matched_route.name if getattr(request, "matched_route", None) else "none"
    # Whoever asks chooses the method; only those there are become labels.
    method = request.method if request.method in _METHODS else "other"
    metrics.REQUESTS.labels(route, method, response.status_code).observe(seconds)
    _log.info(
        "request",
        extra={
            "method": request.method,
            "path": _shown(request.path_info) if request.method else "",
            "status": response.status_code,
            "ms": round(seconds * 1000, 1),
        },
    )


def _shown(path: str) -> str:
    """The path as the log may have it: what instances read by is a credential."""
    return f"{_UNLOGGED}…" if _UNLOGGED in path else path


def transaction(handler: Handler, registry: Registry) -> Handler:
    """One unit of work a request; it rolls back before an error page is drawn."""

    def tween(request: Request) -> Response:
        write = request.method not in ("GET", "HEAD", "OPTIONS")
        with unit_of_work(request.sessions, write=write) as session:
            request.db = session
            try:
                response = handler(request)
                if IExceptionResponse.providedBy(response) and response.status_code >= 400:
                    raise response
                return response
            finally:
                del request.db

    return tween


def includeme(config: Configurator) -> None:
    """Put both where they belong."""
    config.add_tween("cloudweb.tweens.front", under=INGRESS, over=EXCVIEW)
    config.add_tween(
        "cloudweb.views.dashboard.holding.tween_factory",
        under="cloudweb.tweens.front",
        over=EXCVIEW,
    )
    config.add_tween("cloudweb.tweens.transaction", under=EXCVIEW)
