"""Applies a batch of messages in one transaction; a bad one among them harms no other."""

import collections
import dataclasses
import datetime as dt
import logging
import traceback
from collections.abc import Sequence
from typing import NamedTuple

import pika
import sqlalchemy as sa

from cloudweb.backend.amqp.messages import decode
from cloudweb.domain import hearing
from cloudweb.domain.states import StatusEvent
from cloudweb.faults import Fault
from cloudweb.models import SessionFactory, unit_of_work

log = logging.getLogger(__name__)


class DatabaseAway(Exception):
    """Nothing is wrong with the messages: the database cannot take them now."""


class Delivery(NamedTuple):
    """A message the broker delivered and has not been told what became of."""

    tag: int
    routing_key: str
    properties: pika.BasicProperties
    body: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that cannot be applied, and why."""

    delivery: Delivery
    reason: str
    traceback: str = ""


@dataclasses.dataclass(slots=True)
class Verdict:
    """What became of a batch: stored for good, but not yet said to the broker."""

    outcomes: collections.Counter[str]
    dead: list[DeadLetter]
    oldest: dt.datetime | None
    """The time of the oldest event that made sense."""


def apply(sessions: SessionFactory, deliveries: Sequence[Delivery]) -> Verdict:
    """Apply the messages in order; when this returns, what they changed is committed.

    Raises:
        DatabaseAway: some may have been applied; applying all again is harmless.
    """
    heard, dead = _read(deliveries)
    events = [event for _, event in heard]
    outcomes: collections.Counter[str] = collections.Counter()
    try:
        outcomes.update(_apply(sessions, events))
    except DatabaseAway:
        raise
    except Exception as error:  # noqa: BLE001  (whatever it was: one message must not stop others)
        log.info("batch failed, applying one by one", extra={"error": repr(error)[:500]})
        outcomes.clear()
        for delivery, event in heard:
            letter = _apply_alone(sessions, delivery, event, outcomes)
            if letter is not None:
                dead.append(letter)
    oldest = min((event.time for event in events), default=None)
    return Verdict(outcomes, dead, oldest)


def _read(
    deliveries: Sequence[Delivery],
) -> tuple[list[tuple[Delivery, StatusEvent]], list[DeadLetter]]:
    """The messages that make sense, with their events, and those that do not."""
    heard: list[tuple[Delivery, StatusEvent]] = []
    dead: list[DeadLetter] = []
    for delivery in deliveries:
        try:
            event = decode(delivery.body)
            hearing.check((event,))
        except Fault as fault:
            dead.append(DeadLetter(delivery, fault.message))
        else:
            heard.append((delivery, event))
    return heard, dead


def _apply_alone(
    sessions: SessionFactory,
    delivery: Delivery,
    event: StatusEvent,
    outcomes: collections.Counter[str],
) -> DeadLetter | None:
    try:
        outcomes.update(_apply(sessions, [event]))
    except DatabaseAway:
        raise
    except Fault as fault:
        return DeadLetter(delivery, fault.message)
    except Exception as error:  # noqa: BLE001  (for the dead letters, with its traceback)
        return DeadLetter(delivery, repr(error), traceback.format_exc())
    return None


def _apply(sessions: SessionFactory, events: Sequence[StatusEvent]) -> Sequence[str]:
    if not events:
        return ()
    try:
        with unit_of_work(sessions) as session:
            return hearing.apply_statuses(session, events)
    except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
        # A value no column takes, a constraint that is broken: the message's. Anything else (gone,
        # full, locked, read-only, not migrated) will pass, and no message must be lost by it.
        if isinstance(error, sa.exc.DataError | sa.exc.IntegrityError):
            raise
        raise DatabaseAway(" ".join(str(error.args[0]).split())[:300]) from error
