"""Computes the seals of the audit again, all the time, so that a change is found by itself."""

import logging
import time

from cloudweb.domain import audit_chain
from cloudweb.domain.audit_chain import Head
from cloudweb.models import SessionFactory, unit_of_work

_log = logging.getLogger(__name__)

_EVERY_S = 900.0
_PORTION = 2000


class AuditWatch:
    """Goes through the chain a portion at a time, and begins anew some minutes after its end.

    What it found last is with the chain: the overview and the metrics tell.
    """

    def __init__(self, sessions: SessionFactory, *, every_s: float = _EVERY_S) -> None:
        self._sessions = sessions
        self._every_s = every_s
        self._next = 0.0
        self._reached: Head | None = None

    def look(self) -> None:
        """Compute the next portion, if it is time to."""
        if time.monotonic() < self._next:
            return
        with unit_of_work(self._sessions, write=False) as session:
            report = audit_chain.verify_some(session, self._reached, at_most=_PORTION)
        self._reached = report.head
        if report.head.is_full and not report.problem:
            return
        self._reached, self._next = None, time.monotonic() + self._every_s
        with unit_of_work(self._sessions) as session:
            is_new = audit_chain.note_verified(session, report.problem)
        if is_new:
            _log.error("audit changed", extra={"error": report.problem})
