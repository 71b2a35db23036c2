"""Seals the audit: each entry's hash holds the one before, so that none can change or go unseen.

Who writes an entry takes no lock for it: entries are sealed afterwards, in the order in which they
are found, by one worker at a time.
"""

import dataclasses
import datetime as dt
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.models import AuditChain, AuditEntry, utc_now

_PORTION = 1000
_PLAIN = (
    *("id", "user_id", "actor", "role", "door", "address", "request_id", "action"),
    *("target_kind", "target_id", "reason", "operation_id", "details"),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain; as a text it is what to write down elsewhere."""

    number: int
    seal: str
    is_full: bool = False
    """Whether there may be more to seal."""

    def __str__(self) -> str:
        return f"{self.number}:{self.seal}"


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """What verifying found: how many entries hold, how many wait, and what is wrong first."""

    checked: int
    unsealed: int
    head: Head
    problem: str = ""


def seal_of(entry: AuditEntry, before: str) -> str:
    """The seal of an entry after one with that seal: SHA-256 in hexadecimal.

    Of the seal before, a line end, and the entry as JSON: keys in order, no spaces, UTF-8, times
    in UTC with microseconds.
    """
    content = {name: getattr(entry, name) for name in _PLAIN}
    content["at"] = entry.at.astimezone(dt.UTC).isoformat(timespec="microseconds")
    content["outcome"] = entry.outcome.value
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(f"{before}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()


def is_anything_unsealed(session: Session) -> bool:
    """Whether there is something to seal."""
    query = sa.select(AuditEntry.id).where(AuditEntry.seal_number.is_(None)).limit(1)
    return session.scalar(query) is not None


def seal(session: Session, *, at_most: int = _PORTION) -> Head | None:
    """Seal what is not; the new end of the chain, or None when another worker is at it."""
    chain = _lock(session)
    if chain is None:
        return None
    entries = session.scalars(
        sa.select(AuditEntry)
        .where(AuditEntry.seal_number.is_(None))
        .order_by(AuditEntry.id)
        .limit(at_most)
    ).all()
    updates = []
    for entry in entries:
        chain.number, chain.seal = chain.number + 1, seal_of(entry, chain.seal)
        updates.append({"b_id": entry.id, "number": chain.number, "seal": chain.seal})
    if updates:
        table = cast("sa.Table", AuditEntry.__table__)
        session.connection().execute(
            sa.update(table)
            .where(table.c.id == sa.bindparam("b_id"))
            .values(seal_number=sa.bindparam("number"), seal=sa.bindparam("seal")),
            updates,
        )
        for entry in entries:
            session.expunge(entry)  # as it was read it has no seal
    return Head(chain.number, chain.seal, len(entries) == at_most)


def _lock(session: Session) -> AuditChain | None:
    if session.get(AuditChain, 1) is None:
        session.add(AuditChain(id=1, number=0, seal="", kept_number=0, kept_seal=""))
        session.flush()  # who is second at this fails, and tries again
    return session.scalar(
        sa.select(AuditChain)
        .where(AuditChain.id == 1)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )


def verify(session: Session, *, noted: Head | None = None) -> Report:
    """Compute every seal again. ``noted`` is an end that was written down, which must still be in
    the chain.
    """
    chain = session.get(AuditChain, 1, populate_existing=True) or AuditChain(
        id=1, number=0, seal="", kept_number=0, kept_seal=""
    )
    unsealed = (
        session.scalar(
            sa.select(sa.func.count())
            .select_from(AuditEntry)
            .where(AuditEntry.seal_number.is_(None))
        )
        or 0
    )
    number, before, problem = chain.kept_number, chain.kept_seal, ""
    seen = noted is None or noted.number <= number
    for entry in _walk(session, number, chain.number):
        problem = _problem(entry, number + 1, before)
        if problem:
            break
        assert entry.seal is not None
        number, before = number + 1, entry.seal
        if noted is not None and noted.number == number:
            seen = noted.seal == before
            if not seen:
                problem = f"Entry {number} of the chain is not the one that was noted."
                break
    if not problem and (number, before) != (chain.number, chain.seal):
        problem = f"The chain ends at {number}, and should at {chain.number}."
    if not problem and not seen:
        problem = "The entry that was noted is not in the chain."
    return Report(number - chain.kept_number, unsealed, Head(number, before), problem)


def verify_some(session: Session, since: Head | None, *, at_most: int) -> Report:
    """Compute the next seals again after an end that held, from the beginning for None.

    ``head.is_full`` says that there is more to compute. What left for its age meanwhile is passed
    over.
    """
    chain = session.get(AuditChain, 1, populate_existing=True)
    if chain is None:
        return Report(0, 0, Head(0, ""))
    if since is None or since.number < chain.kept_number:
        since = Head(chain.kept_number, chain.kept_seal)
    number, before, checked = since.number, since.seal, 0
    for entry in _portion(session, number, min(chain.number, number + at_most), at_most=at_most):
        problem = _problem(entry, number + 1, before)
        if problem:
            return Report(checked, 0, Head(number, before), problem)
        assert entry.seal is not None
        number, before, checked = number + 1, entry.seal, checked + 1
    is_full = number < chain.number
    problem = ""
    if is_full and not checked:
        problem = f"The chain ends at {number}, and should at {chain.number}."
    elif not is_full and before != chain.seal:
        problem = f"The chain does not end in the seal that was noted at {chain.number}."
    return Report(checked, 0, Head(number, before, is_full), problem)


def note_verified(session: Session, problem: str) -> bool:
    """Keep what computing every seal again found; whether it is another problem than before."""
    chain = session.get(AuditChain, 1, with_for_update=True, populate_existing=True)
    if chain is None:
        return False
    is_new = problem[:255] != chain.problem
    chain.verified, chain.problem = utc_now(), problem[:255]
    if not problem:
        chain.broken_since = None
    elif chain.broken_since is None:
        chain.broken_since = chain.verified
    return is_new and bool(problem)


def _problem(entry: AuditEntry, number: int, before: str) -> str:
    if entry.seal_number != number:
        return f"Entry {number} of the chain is missing."
    if entry.seal != seal_of(entry, before):
        return f"Entry {number} of the chain (id {entry.id}) was changed after it was sealed."
    return ""


def _walk(session: Session, after: int, until: int) -> Iterator[AuditEntry]:
    while rows := _portion(session, after, until):
        yield from rows
        after = rows[-1].seal_number or 0
        session.expunge_all()


def _portion(
    session: Session, after: int, until: int, *, at_most: int = _PORTION
) -> Sequence[AuditEntry]:
    return session.scalars(
        sa.select(AuditEntry)
        .where(AuditEntry.seal_number > after, AuditEntry.seal_number <= until)
        .order_by(AuditEntry.seal_number)
        .limit(at_most)
    ).all()


def purge(session: Session, *, older_than_days: int) -> int:
    """Drop what is too old from the beginning of the chain; how many entries.

    The chain keeps the last seal it dropped, so that what is left can still be verified.
    """
    cutoff = utc_now() - dt.timedelta(days=older_than_days)
    chain = session.get(AuditChain, 1)
    if chain is None or not _begins_before(session, chain, cutoff):
        return 0
    chain = _lock(session)
    if chain is None:
        return 0
    last, seal_there = chain.kept_number, chain.kept_seal
    for entry in _portion(session, chain.kept_number, chain.number):
        if entry.seal_number != last + 1 or entry.at >= cutoff:
            break  # also where one is missing: that is for whoever verifies to find
        last, seal_there = last + 1, entry.seal or ""
    gone = session.execute(
        sa.delete(AuditEntry).where(
            AuditEntry.seal_number > chain.kept_number, AuditEntry.seal_number <= last
        )
    )
    chain.kept_number, chain.kept_seal = last, seal_there
    return int(gone.rowcount)  # type: ignore[attr-defined]


def _begins_before(session: Session, chain: AuditChain, cutoff: dt.datetime) -> bool:
    number = chain.kept_number + 1
    first = session.scalar(sa.select(AuditEntry.at).where(AuditEntry.seal_number == number))
    return first is not None and first < cutoff
