"""What a consumer tells of itself, every few seconds, for people to see."""

import collections
import datetime as dt
import logging
import os
import socket
import time
from collections.abc import Sequence

import sqlalchemy as sa

from cloudweb.backend.amqp.batch import Delivery, Verdict
from cloudweb.domain import consumers
from cloudweb.models import SessionFactory, unit_of_work, utc_now

_log = logging.getLogger(__name__)
_EVERY_S = 10.0
_ASK_EVERY_S = 2.0
_CLUSTERS = 100


class Pulse:
    """Counts what a consumer does, writes it down, and knows whether it is to rest."""

    def __init__(self, sessions: SessionFactory) -> None:
        self._sessions = sessions
        self.name = f"{socket.gethostname()[:80]}:{os.getpid()}"
        self._started = self._broker_since = utc_now()
        self._broker = self._error = ""
        self._last_message: dt.datetime | None = None
        self._messages = self._redelivered = self._before = 0
        self._lag_s: float | None = None
        self._lags: dict[str, tuple[float, str]] = {}
        self._outcomes: collections.Counter[str] = collections.Counter()
        self._write_at = self._ask_at = 0.0
        self._written = time.monotonic()
        self._rests = False

    def found(self, broker: str) -> None:
        """This broker answers."""
        self._broker, self._broker_since, self._error = broker, utc_now(), ""
        self._write_at = 0.0

    def lost(self, error: str) -> None:
        """No broker answers."""
        if self._broker:
            self._broker, self._broker_since = "", utc_now()
            self._write_at = 0.0
        self._error = error[:500]

    def count(self, deliveries: Sequence[Delivery], verdict: Verdict) -> None:
        """A batch was dealt with."""
        self._last_message = utc_now()
        self._messages += len(deliveries)
        self._redelivered += sum(each.redelivered for each in deliveries)
        self._outcomes.update(verdict.outcomes)
        self._outcomes["dead letter"] += len(verdict.dead)
        if verdict.oldest is not None:
            self._lag_s = max(0.0, (self._last_message - verdict.oldest).total_seconds())
        for cluster, oldest in verdict.oldest_of.items():
            lag_s = max(0.0, (self._last_message - oldest).total_seconds())
            self._lags.pop(cluster, None)
            self._lags[cluster] = (lag_s, self._last_message.isoformat())
        while len(self._lags) > _CLUSTERS:
            del self._lags[next(iter(self._lags))]

    def waited(self) -> None:
        """A batch had to wait for the database."""
        self._outcomes["wait for the database"] += 1

    def beat(self, unacked: int = 0) -> None:
        """Tell how it goes, if that was some time ago; next time will do too."""
        now = time.monotonic()
        if now < self._write_at:
            return
        self._write_at = now + _EVERY_S
        values = {
            "started": self._started,
            "broker": self._broker,
            "broker_since": self._broker_since,
            "error": self._error,
            "last_message": self._last_message,
            "messages": self._messages,
            "redelivered": self._redelivered,
            "per_second": (self._messages - self._before) / max(now - self._written, 0.1),
            "unacked": unacked,
            "lag_s": self._lag_s,
            "lags": dict(self._lags),
            "outcomes": {str(name): count for name, count in self._outcomes.items() if count},
        }
        self._before, self._written = self._messages, now
        try:
            with unit_of_work(self._sessions) as session:
                consumers.note(session, self.name, **values)
        except sa.exc.SQLAlchemyError as error:
            _log.warning("consumer not noted", extra={"error": repr(error)[:300]})

    def rests(self) -> bool:
        """Whether somebody has the consumers rest, as it was some seconds ago."""
        if (now := time.monotonic()) >= self._ask_at:
            self._ask_at = now + _ASK_EVERY_S
            try:
                with unit_of_work(self._sessions, write=False) as session:
                    rests = consumers.find_pause(session) is not None
            except sa.exc.SQLAlchemyError as error:
                _log.warning("pause not known", extra={"error": repr(error)[:300]})
            else:
                if rests != self._rests:
                    _log.info("paused" if rests else "resumed")
                self._rests = rests
        return self._rests

    def stop(self) -> None:
        """It ends, as it was asked to."""
        try:
            with unit_of_work(self._sessions) as session:
                consumers.leave(session, self.name)
        except sa.exc.SQLAlchemyError as error:
            _log.warning("consumer not forgotten", extra={"error": repr(error)[:300]})
