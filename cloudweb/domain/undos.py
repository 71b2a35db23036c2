"""Undoing what one has just done: offered for some minutes, done once, if nothing has moved."""

import dataclasses
import datetime as dt
from collections.abc import Iterator, Sequence
from typing import cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit, forms, reverses
from cloudweb.domain.identity import Identity
from cloudweb.domain.undoable import Reverse, Step
from cloudweb.models import AuditEntry, Outcome, Undo, utc_now

GOOD_FOR = dt.timedelta(minutes=10)
_KEPT = dt.timedelta(days=30)
_BESIDE = frozenset({"notice:send"})
"""What goes with an act and cannot be undone."""


class Moved(faults.Conflict):
    """Something is no longer as the act had left it."""

    sentence = "It has changed since. Nothing was done."


class TooLate(faults.Conflict):
    """The minutes are over."""

    sentence = "It is too late to undo this. Nothing was done."


def until(undo: Undo) -> dt.datetime:
    """How long it can be undone."""
    return undo.created + GOOD_FOR


def is_open(undo: Undo) -> bool:
    """Whether it can still be undone, if nothing has moved."""
    return undo.done is None and utc_now() < until(undo)


def key(undo: Undo) -> str:
    """The key of the form that undoes it, the same on every page: it is sent once."""
    return forms.token("undo", undo.id)


def offer(session: Session, identity: Identity, *, title: str, location: str) -> Undo | None:
    """Note what this unit of work did, if all of it can be undone."""
    entries = [each for each in audit.written(session) if each.action not in _BESIDE]
    steps = [_step(each) for each in entries]
    if not steps or identity.user_id is None:
        return None
    if any(each.outcome is not Outcome.DONE for each in entries):
        return None
    found = [reverses.find(step) for step in steps]
    if any(reverse is None for reverse in found):
        return None
    stored = [
        {
            "entry": entry.id,
            "operation": entry.operation_id,
            "action": step.action,
            "target": step.target,
            "details": dict(step.details),
            "left": forms.token(reverse.left(session, step)),
        }
        for entry, step, reverse in zip(entries, steps, found, strict=True)
        if reverse is not None
    ]
    undo = Undo(user_id=identity.user_id, title=title[:255], location=location, steps=stored)
    session.add(undo)
    session.flush()  # its id goes into the address
    return undo


def _step(entry: AuditEntry) -> Step:
    return Step(entry.action, entry.target_id, entry.details)


def find(session: Session, identity: Identity, text: str) -> Undo | None:
    """What one has done by the number of its undoing, as an address has it."""
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        return None
    undo = session.get(Undo, int(text))
    return undo if undo is not None and undo.user_id == identity.user_id else None


def get(session: Session, identity: Identity, text: str) -> Undo:
    """The same. Raises ItemNotFound."""
    undo = find(session, identity, text)
    if undo is None:
        raise faults.ItemNotFound("There is nothing of yours to undo by this number.")
    return undo


def list_open(session: Session, identity: Identity, *, limit: int = 50) -> Sequence[Undo]:
    """What one has done and can still undo, newest first; one statement."""
    return session.scalars(
        sa.select(Undo)
        .where(
            Undo.user_id == identity.user_id,
            Undo.done.is_(None),
            Undo.created > utc_now() - GOOD_FOR,
        )
        .order_by(Undo.id.desc())
        .limit(limit)
    ).all()


def find_of(
    session: Session,
    identity: Identity,
    *,
    entry_id: int | None = None,
    operation_id: int | None = None,
    location: str | None = None,
) -> Undo | None:
    """What one can undo by which there is this entry of the audit, this operation, or that led to
    this page.
    """
    if location is not None:
        return next((u for u in list_open(session, identity) if u.location == location), None)
    wanted = operation_id if entry_id is None else entry_id
    for undo in list_open(session, identity):
        for step in undo.steps:
            if (step["operation"] if entry_id is None else step["entry"]) == wanted:
                return undo
    return None


def permissions(undo: Undo) -> set[str]:
    """What it takes to undo it."""
    return {reverse.permission for _, _, reverse in _steps(undo)}


def words(undo: Undo) -> list[str]:
    """What undoing it brings about."""
    return list(dict.fromkeys(reverse.words for _, _, reverse in _steps(undo)))


def has_page(undo: Undo) -> bool:
    """Whether the page it led to is still there."""
    return undo.done is None or not any(reverse.unmakes for _, _, reverse in _steps(undo))


def _steps(undo: Undo) -> Iterator[tuple[dict[str, object], Step, Reverse]]:
    for stored in undo.steps:
        step = Step(stored["action"], stored["target"], stored["details"])
        reverse = reverses.find(step)
        if reverse is None:
            raise TooLate
        yield stored, step, reverse


def apply(session: Session, identity: Identity, undo: Undo) -> bool:
    """Undo all of it, the last first; whether it was not undone before.

    Raises Moved, TooLate, and what the reverse raises.
    """
    session.refresh(undo, with_for_update=True)
    if undo.done is not None:
        return False
    if not is_open(undo):
        raise TooLate
    steps = list(_steps(undo))
    for stored, step, reverse in steps:
        if forms.token(reverse.left(session, step)) != stored["left"]:
            raise Moved(f"{step.action} {step.target}: {Moved.sentence}")
    for stored, step, reverse in reversed(steps):
        entry = cast("int", stored["entry"])
        reason = f"Undoes {undo.title} (entry {entry})"[:255]
        reverse.do(session, dataclasses.replace(identity, undoes=entry, reason=reason), step)
    undo.done = utc_now()
    return True


def forget_old(session: Session) -> int:
    """Do away with what could be undone a month ago; how many those were."""
    old = sa.delete(Undo).where(Undo.created < utc_now() - _KEPT)
    return cast("int", session.execute(old).rowcount)  # type: ignore[attr-defined]
