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
from sqlalchemy.orm import Session

from cloudweb.backend.amqp.messages import ClusterEvent, Event, decode
from cloudweb.domain import building, dead_letters, fleet, hearing, hearing_cards
from cloudweb.domain.building import ProgressEvent
from cloudweb.domain.dead_letters import Letter
from cloudweb.domain.hearing_cards import CardsEvent
from cloudweb.domain.states import NetworkEvent, StatusEvent
from cloudweb.faults import Fault
from cloudweb.models import SessionFactory, unit_of_work

log = logging.getLogger(__name__)


class DatabaseAway(Exception):
    """Nothing is wrong with the messages: the database cannot take them now."""


class Delivery(NamedTuple):
    """A message the broker delivered and has not been told what became of."""

    tag: int
    queue: str
    routing_key: str
    properties: pika.BasicProperties
    body: bytes
    redelivered: bool = False
    """Whether it was delivered before, to us or another, and not acknowledged."""


@dataclasses.dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that cannot be applied, and why."""

    delivery: Delivery
    kind: str
    """The class of what was raised."""
    reason: str
    traceback: str = ""


@dataclasses.dataclass(slots=True)
class Verdict:
    """What became of a batch: stored for good, but not yet said to the broker."""

    outcomes: collections.Counter[str]
    dead: list[DeadLetter]
    oldest: dt.datetime | None
    """The time of the oldest event that made sense."""
    oldest_of: dict[str, dt.datetime]
    """The same of each cluster that is named."""


def keep(sessions: SessionFactory, letters: Sequence[Letter]) -> int:
    """Keep what came from the dead letters; how many were new. Raises DatabaseAway."""
    try:
        with unit_of_work(sessions) as session:
            return dead_letters.keep(session, letters)
    except sa.exc.SQLAlchemyError as error:
        # Whatever it was: a letter is never let go.
        raise DatabaseAway(" ".join(str(error.args[0]).split())[:300]) from error


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
    return Verdict(outcomes, dead, oldest, _oldest_of(events))


def _oldest_of(events: Sequence[Event]) -> dict[str, dt.datetime]:
    found: dict[str, dt.datetime] = {}
    for event in events:
        if not isinstance(event, ProgressEvent) and event.cluster is not None:
            found[event.cluster] = min(event.time, found.get(event.cluster, event.time))
    return found


def _read(
    deliveries: Sequence[Delivery],
) -> tuple[list[tuple[Delivery, Event]], list[DeadLetter]]:
    """The messages that make sense, with their events, and those that do not."""
    heard: list[tuple[Delivery, Event]] = []
    dead: list[DeadLetter] = []
    latest = hearing.latest_time()
    for delivery in deliveries:
        try:
            event = decode(delivery.body)
            check(event, latest)
        except Fault as fault:
            dead.append(DeadLetter(delivery, type(fault).__name__, fault.message))
        else:
            heard.append((delivery, event))
    return heard, dead


def check(event: Event, latest: dt.datetime) -> None:
    """Raise ImpossibleMessage if the event, of ``latest`` at most, can never be applied."""
    if isinstance(event, StatusEvent | NetworkEvent):
        hearing.check_one(event, latest)
    else:
        hearing.check_time(event.time, latest)


def _apply_alone(
    sessions: SessionFactory,
    delivery: Delivery,
    event: Event,
    outcomes: collections.Counter[str],
) -> DeadLetter | None:
    try:
        outcomes.update(_apply(sessions, [event]))
    except DatabaseAway:
        raise
    except Fault as fault:
        return DeadLetter(delivery, type(fault).__name__, fault.message)
    except Exception as error:  # noqa: BLE001  (for the dead letters, with its traceback)
        return DeadLetter(delivery, type(error).__name__, repr(error), traceback.format_exc())
    return None


def _apply(sessions: SessionFactory, events: Sequence[Event]) -> Sequence[str]:
    if not events:
        return ()
    try:
        outcomes: list[str] = []
        networks = [event for event in events if isinstance(event, NetworkEvent)]
        others = [event for event in events if not isinstance(event, NetworkEvent)]
        for part in (others, networks):  # what they lock is in another order
            if part:
                with unit_of_work(sessions) as session:
                    outcomes += apply_in(session, part)
        return outcomes
    except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
        # A value no column takes, a constraint that is broken: the message's. Anything else (gone,
        # full, locked, read-only, not migrated) will pass, and no message must be lost by it.
        if isinstance(error, sa.exc.DataError | sa.exc.IntegrityError):
            raise
        raise DatabaseAway(" ".join(str(error.args[0]).split())[:300]) from error


def apply_in(session: Session, events: Sequence[Event]) -> list[str]:
    """Each kind at once, in the order in which their locks are to be taken."""
    clusters = [event for event in events if isinstance(event, ClusterEvent)]
    outcomes: list[str] = [
        hearing.Outcome.APPLIED
        if fleet.note_heard(session, event.cluster, event.tag)
        else hearing.Outcome.UNKNOWN
        for event in clusters
    ]
    statuses = [event for event in events if isinstance(event, StatusEvent)]
    outcomes += hearing.apply_statuses(session, statuses) if statuses else []
    cards = [event for event in events if isinstance(event, CardsEvent)]
    outcomes += hearing_cards.apply_cards(session, cards)
    progress = [event for event in events if isinstance(event, ProgressEvent)]
    outcomes += building.apply_progress(session, progress)
    networks = [event for event in events if isinstance(event, NetworkEvent)]
    outcomes += hearing.apply_networks(session, networks) if networks else []
    return outcomes
