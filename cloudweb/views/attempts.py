"""Writes down what somebody tried and was refused, or what failed, through the web."""

import logging

from pyramid.request import Request
from sqlalchemy.exc import SQLAlchemyError

from cloudweb.domain import audit
from cloudweb.models import Outcome, unit_of_work
from cloudweb.security import is_api, is_page, known_identity

_log = logging.getLogger(__name__)

_READS = ("GET", "HEAD", "OPTIONS")
_ALWAYS = 403
_NEVER = (401, 429)
"""Nobody is known, or too much is asked: these could fill the audit."""


def note(request: Request, status: int) -> None:
    """Add an entry for an attempt of somebody known that did not succeed.

    That is any change, and reading what is forbidden. In a unit of work of its own: the
    request's has been rolled back.
    """
    if status < 400 or status in _NEVER or (request.method in _READS and status != _ALWAYS):
        return
    identity, path = known_identity(request), request.path_info
    if identity is None or not (is_api(path) or is_page(path)):
        return
    outcome = Outcome.FAILED if status >= 500 else Outcome.REFUSED
    try:
        with unit_of_work(request.sessions) as session:
            audit.record(
                *(session, identity, f"request:{outcome.value}", "request", path),
                reason=request.refusal,
                outcome=outcome,
                method=request.method,
                path=path[:500],
                status=status,
            )
    except SQLAlchemyError as error:
        _log.error("attempt not audited", extra={"error": str(error.__cause__ or error)[:300]})
