"""Messages nobody could apply: kept, looked at, tried again, or dropped by somebody's decision."""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import cast

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit, texts
from cloudweb.domain.filters import Fields
from cloudweb.domain.identity import Identity
from cloudweb.models import DeadLetter, LetterState, Outcome, QueueCount, utc_now

LETTERS = cast(sa.Table, DeadLetter.__table__)
_MAX_TRACEBACK = 8000
_MAX_READ = 1_048_576


@dataclasses.dataclass(frozen=True, slots=True)
class Letter:
    """A message from the dead letters; ``letter`` is None where the broker itself gave up on it."""

    letter: str
    queue: str
    routing_key: str
    body: bytes
    reason: str
    traceback: str = ""
    kind: str = ""
    """The class of what was raised when it was applied."""


GIVEN_UP = "GivenUp"
"""The kind of what the broker itself gave up."""


@dataclasses.dataclass(frozen=True, slots=True)
class Failures:
    """How many messages could not be applied, of one kind of failure: lately, and still waiting."""

    kind: str
    last_hour: int
    last_day: int
    waiting: int


def list_failures(session: Session) -> Sequence[Failures]:
    """The kinds of failures of the last 24 hours, most first; one statement."""
    now = utc_now()

    def how_many(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
        return sa.func.sum(sa.case((condition, 1), else_=0))

    count = sa.func.count()
    rows = session.execute(
        sa.select(
            DeadLetter.kind,
            how_many(DeadLetter.received > now - dt.timedelta(hours=1)),
            count,
            how_many(DeadLetter.state == LetterState.WAITING),
        )
        .where(DeadLetter.received > now - dt.timedelta(hours=24))
        .group_by(DeadLetter.kind)
        .order_by(count.desc(), DeadLetter.kind)
    )
    return [Failures(row[0], int(row[1]), row[2], int(row[3])) for row in rows]


def list_kinds(session: Session) -> Sequence[str]:
    """Every kind of failure that a letter here has; one statement."""
    query = sa.select(DeadLetter.kind).where(DeadLetter.kind != "").distinct()
    return session.scalars(query.order_by(DeadLetter.kind).limit(200)).all()


def _said(body: bytes) -> tuple[str, str]:
    """The cluster that a message names and what it tells of, as far as it can be read."""
    try:
        said = orjson.loads(body) if len(body) <= _MAX_READ else None
    except orjson.JSONDecodeError:
        said = None
    if not isinstance(said, dict):
        return "", ""
    words = [said[key] for key in ("type", "operation") if isinstance(said.get(key), str)]
    cluster = said.get("cluster")
    named = texts.shown(cluster)[:255] if isinstance(cluster, str) else ""
    return named, texts.shown(" ".join(words))[:100]


def keep(session: Session, letters: Sequence[Letter]) -> int:
    """Keep what is not kept yet; how many that were. Never fails because of what a letter holds."""
    by_id = {letter.letter: letter for letter in letters}
    known = set(session.scalars(sa.select(LETTERS.c.letter).where(LETTERS.c.letter.in_(by_id))))
    new = [letter for name, letter in by_id.items() if name not in known]
    said = {letter.letter: _said(letter.body) for letter in new}
    session.add_all(
        DeadLetter(
            letter=letter.letter,
            queue=letter.queue[:100],
            routing_key=texts.shown(letter.routing_key)[:255],
            cluster=said[letter.letter][0],
            event=said[letter.letter][1],
            body=letter.body,
            kind=texts.shown(letter.kind)[:64],
            reason=texts.shown(letter.reason)[:1000] or "No reason was given.",
            traceback=texts.shown(letter.traceback)[-_MAX_TRACEBACK:],
        )
        for letter in new
    )
    return len(new)


def get(session: Session, letter_id: int) -> DeadLetter:
    """The letter. Raises ItemNotFound."""
    letter = session.get(DeadLetter, letter_id)
    if letter is None:
        raise faults.ItemNotFound(f"No dead letter {letter_id}.")
    return letter


def lock_waiting(session: Session, letter_id: int) -> DeadLetter:
    """The letter, locked, if it still waits. Raises ItemNotFound, Conflict."""
    letter = session.get(DeadLetter, letter_id, with_for_update=True)
    if letter is None:
        raise faults.ItemNotFound(f"No dead letter {letter_id}.")
    if letter.state is not LetterState.WAITING:
        raise faults.Conflict(f"Dead letter {letter_id} is {letter.state.value} already.")
    return letter


FIELDS = Fields(
    id=DeadLetter.id,
    received=DeadLetter.received,
    queue=DeadLetter.queue,
    routing_key=DeadLetter.routing_key,
    backend=DeadLetter.cluster,
    event=DeadLetter.event,
    kind=DeadLetter.kind,
    tries=DeadLetter.tries,
    tried=DeadLetter.tried,
    state=DeadLetter.state,
    reason=DeadLetter.reason,
)
"""What dead letters are filtered and sorted by."""


def rows() -> sa.Select[DeadLetter]:
    """Every dead letter, newest first."""
    return sa.select(DeadLetter).order_by(DeadLetter.id.desc())


def list_recent(
    session: Session,
    *,
    state: LetterState | None = LetterState.WAITING,
    before_id: int | None = None,
    limit: int = 50,
) -> Sequence[DeadLetter]:
    """Letters, newest first, by keyset; one statement."""
    query = rows().limit(limit)
    if state is not None:
        query = query.where(DeadLetter.state == state)
    if before_id is not None:
        query = query.where(DeadLetter.id < before_id)
    return session.scalars(query).all()


def count_waiting(session: Session, *, at_most: int = 10_000) -> int:
    """How many wait for a decision, counted no further than ``at_most`` + 1."""
    waiting = sa.select(DeadLetter.id).where(DeadLetter.state == LetterState.WAITING)
    some = waiting.limit(at_most + 1).subquery()
    return session.scalar(sa.select(sa.func.count()).select_from(some)) or 0


def waiting() -> tuple[sa.ScalarSelect[int], sa.ScalarSelect[dt.datetime]]:
    """SQL for how many wait for a decision, and since when."""
    these = DeadLetter.state == LetterState.WAITING
    return (
        sa.select(sa.func.count()).where(these).scalar_subquery(),
        sa.select(sa.func.min(DeadLetter.received)).where(these).scalar_subquery(),
    )


def note_applied(session: Session, identity: Identity, letter: DeadLetter) -> None:
    """It was applied after all."""
    letter.tries, letter.tried = letter.tries + 1, utc_now()
    _settle(session, identity, letter, LetterState.APPLIED, "retry", "")


def note_failed(
    session: Session,
    identity: Identity,
    letter: DeadLetter,
    kind: str,
    reason: str,
    traceback: str = "",
) -> None:
    """It could not be applied this time either: it stays, with the newest reason."""
    letter.tries, letter.tried = letter.tries + 1, utc_now()
    letter.kind = kind[:64]
    letter.reason, letter.traceback = (
        texts.shown(reason)[:1000],
        texts.shown(traceback)[-_MAX_TRACEBACK:],
    )
    audit.record(
        *(session, identity, "letter:retry", "letter", letter.id),
        outcome=Outcome.FAILED,
        error=letter.reason,
        queue=letter.queue,
    )


def drop(session: Session, identity: Identity, letter_id: int, *, reason: str) -> None:
    """Decide that a letter is not wanted. Raises ItemNotFound, Conflict, BadRequest."""
    reason = texts.reason(reason)
    letter = lock_waiting(session, letter_id)
    _settle(session, identity, letter, LetterState.DROPPED, "drop", reason)


def _settle(
    session: Session,
    identity: Identity,
    letter: DeadLetter,
    state: LetterState,
    verb: str,
    reason: str,
) -> None:
    before, letter.state = letter.state, state
    letter.settled, letter.settled_by_id = utc_now(), identity.user_id
    audit.record(
        *(session, identity, f"letter:{verb}", "letter", letter.id),
        reason=reason,
        before=before.value,
        after=state.value,
        queue=letter.queue,
    )


def note_counts(session: Session, counts: Mapping[str, tuple[int, int]]) -> None:
    """Keep how many messages and consumers each queue has now."""
    known = {
        row.name: row
        for row in session.scalars(
            sa.select(QueueCount)
            .where(QueueCount.name.in_(counts))
            .order_by(QueueCount.name)
            .with_for_update()
        )
    }
    for name, (waiting, consumers) in sorted(counts.items()):
        row = known.get(name)
        if row is None:
            session.add(QueueCount(name=name, waiting=waiting, consumers=consumers))
        else:
            row.waiting, row.consumers, row.noted = waiting, consumers, utc_now()


COUNT_FIELDS = Fields(
    name=QueueCount.name,
    waiting=QueueCount.waiting,
    consumers=QueueCount.consumers,
    noted=QueueCount.noted,
)
"""What queues are filtered and sorted by."""


def count_rows() -> sa.Select[QueueCount]:
    """Every queue as a consumer last saw it, by name."""
    return sa.select(QueueCount).order_by(QueueCount.name)


def list_counts(session: Session) -> Sequence[QueueCount]:
    """Every queue as a consumer last saw it, by name; one statement."""
    return session.scalars(count_rows()).all()


def last_noted() -> sa.ScalarSelect[dt.datetime]:
    """SQL for when a consumer last looked at the queues; null when none ever did."""
    return sa.select(sa.func.max(QueueCount.noted)).scalar_subquery()
