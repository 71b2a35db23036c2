"""Terms of use: drafts, versions that come into force, and who owes their acceptance."""

import datetime as dt
import enum
import hashlib

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit
from cloudweb.domain.identity import Identity
from cloudweb.models import Terms, TermsFormat, TermsText, TermsTranslation, utc_now

LONGEST = 100_000
"""Characters of a text."""


class TermsState(enum.StrEnum):
    DRAFT = "draft"
    SCHEDULED = "scheduled"
    IN_FORCE = "in force"
    SUPERSEDED = "superseded"


class Moved(faults.Conflict):
    """The version, or what is in force, is no longer as it was when the page was made."""

    sentence = "The terms have changed since this page was made."


def digest(text: str) -> str:
    """The SHA-256 by which a text is known, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def number_in_force(
    now: dt.datetime | sa.BindParameter[dt.datetime], *, demanding: bool = False
) -> sa.ScalarSelect[int | None]:
    """SQL for the number of the version in force, or of the last that had to be accepted."""
    query = sa.select(sa.func.max(Terms.number)).where(Terms.in_force <= now)
    if demanding:
        query = query.where(Terms.requires_acceptance)
    return query.scalar_subquery()


def in_force(session: Session) -> Terms | None:
    """The version in force, if there is one."""
    return session.scalar(sa.select(Terms).where(Terms.number == number_in_force(utc_now())))


def state_of(terms: Terms, current: Terms | None) -> TermsState:
    """What a version is, when ``current`` is in force."""
    if terms.number is None:
        return TermsState.DRAFT
    if current is None or current.number is None or terms.number > current.number:
        return TermsState.SCHEDULED
    return TermsState.IN_FORCE if terms.id == current.id else TermsState.SUPERSEDED


def get(session: Session, terms_id: int) -> Terms:
    """One version or draft. Raises ItemNotFound."""
    found = session.get(Terms, terms_id)
    if found is None:
        raise faults.ItemNotFound(f"No terms {terms_id}.")
    return found


def get_published(session: Session, number: int) -> Terms:
    """The published version with this number. Raises ItemNotFound."""
    found = session.scalar(sa.select(Terms).where(Terms.number == number))
    if found is None:
        raise faults.ItemNotFound(f"There is no version {number} of the terms of use.")
    return found


def text_of(session: Session, terms: Terms) -> str:
    """The text, as it was written."""
    return session.get_one(TermsText, terms.text_digest).text


def checked(text: str, summary: str) -> tuple[str, str]:
    """A text and what it changes as they are stored. Raises BadRequest by field."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n") + "\n"
    summary = " ".join(summary.split())
    wrong = {}
    if not text.strip():
        wrong["text"] = "There is no text."
    elif len(text) > LONGEST:
        wrong["text"] = f"A text has at most {LONGEST:,} characters; this one has {len(text):,}."
    elif any(ord(c) < 32 and c not in "\n\t" for c in text):
        wrong["text"] = "It holds control characters: is it a text?"
    if not summary or len(summary) > 255 or not summary.isprintable():
        wrong["summary"] = "Say in a line what is new, in at most 255 characters."
    if wrong:
        raise faults.BadRequest("The terms cannot be kept like this.", details=wrong)
    return text, summary


def add(
    session: Session,
    identity: Identity,
    *,
    text: str,
    summary: str,
    kind: TermsFormat = TermsFormat.MARKDOWN,
    requires_acceptance: bool = True,
) -> Terms:
    """A new draft. Raises BadRequest."""
    text, summary = checked(text, summary)
    draft = Terms(
        format=kind,
        text_digest=keep(session, text),
        summary=summary,
        requires_acceptance=requires_acceptance,
        author=identity.email[:255],
    )
    session.add(draft)
    session.flush()  # the audit entry names its id
    audit.record(
        *(session, identity, "terms:add", "terms", draft.id),
        text=draft.text_digest,
        after=f"a draft: {summary}",
    )
    return draft


def before(session: Session, found: Terms) -> Terms | None:
    """The published version before this one whose text is another."""
    return session.scalar(
        sa.select(Terms)
        .where(Terms.number < found.number, Terms.text_digest != found.text_digest)
        .order_by(Terms.number.desc())
        .limit(1)
    )


def change(
    session: Session,
    identity: Identity,
    terms_id: int,
    *,
    text: str,
    summary: str,
    kind: TermsFormat,
    requires_acceptance: bool,
    seen: int,
) -> Terms:
    """Change a draft that is still in version ``seen``.

    Raises ItemNotFound, BadRequest, Moved, and Conflict for what is published.
    """
    draft = lock_draft(session, terms_id)
    text, summary = checked(text, summary)
    if draft.version != seen:
        raise Moved
    before = draft.text_digest
    draft.text_digest = keep(session, text)
    draft.summary, draft.format = summary, kind
    draft.requires_acceptance = requires_acceptance
    draft.version += 1
    audit.record(
        *(session, identity, "terms:change", "terms", draft.id),
        before=before,
        after=draft.text_digest,
    )
    return draft


def drop(session: Session, identity: Identity, terms_id: int, *, seen: int) -> None:
    """Throw a draft away. Raises ItemNotFound, Moved, Conflict."""
    draft = lock_draft(session, terms_id)
    if draft.version != seen:
        raise Moved
    session.execute(sa.delete(TermsTranslation).where(TermsTranslation.terms_id == draft.id))
    session.delete(draft)
    audit.record(
        *(session, identity, "terms:drop", "terms", draft.id),
        before=draft.text_digest,
        summary=draft.summary,
    )


def keep(session: Session, text: str) -> str:
    """Store a text under its hash, which is given."""
    key = digest(text)
    if session.get(TermsText, key) is None:
        session.add(TermsText(digest=key, text=text))
        session.flush()  # the version names it
    return key


def lock(session: Session, terms_id: int) -> Terms:
    """The version, locked, as it is now. Raises ItemNotFound."""
    found = session.scalar(
        sa.select(Terms)
        .where(Terms.id == terms_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise faults.ItemNotFound(f"No terms {terms_id}.")
    return found


def lock_draft(session: Session, terms_id: int) -> Terms:
    """The draft, locked. Raises ItemNotFound, and Conflict for what is published."""
    found = lock(session, terms_id)
    if found.number is not None:
        raise faults.Conflict(f"Version {found.number} is published and can no longer change.")
    return found
