"""Publishing terms of use: what would follow, and doing it if that is still so."""

import dataclasses
import datetime as dt
import hashlib

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit, terms, terms_languages, texts
from cloudweb.domain.identity import Identity
from cloudweb.models import Terms, Token, User, UserState, utc_now

_EARLIEST = dt.timedelta(minutes=1)
_FURTHEST = dt.timedelta(days=730)


@dataclasses.dataclass(frozen=True, slots=True)
class Impact:
    """What comes with a version: users who are asked, tokens that are refused until they accept.

    ``programs`` are those of the users who have no password, so nobody can accept for them at a
    page: ``cloudweb term accept`` does. ``number`` is the one it gets.
    """

    users: int
    programs: int
    tokens: int
    token: str
    number: int


def preview(session: Session, draft: Terms) -> Impact:
    """What publishing the draft would bring about; three statements."""
    newest = session.scalar(sa.select(sa.func.max(Terms.number))) or 0
    token, number = _token_of(draft, newest), draft.number or newest + 1
    if not draft.requires_acceptance:
        return Impact(0, 0, 0, token, number)
    active = User.state == UserState.ACTIVE
    without = sa.func.coalesce(sa.func.sum(sa.case((User.password_hash.is_(None), 1), else_=0)), 0)
    users, programs = session.execute(sa.select(sa.func.count(), without).where(active)).one()
    tokens = session.scalar(
        sa.select(sa.func.count())
        .select_from(Token)
        .join(User, Token.user_id == User.id)
        .where(
            active,
            Token.revoked.is_(None),
            sa.or_(Token.expires.is_(None), Token.expires > utc_now()),
        )
    )
    return Impact(users, int(programs), tokens or 0, token, number)


def publish(
    session: Session,
    identity: Identity,
    terms_id: int,
    *,
    in_force: dt.datetime | None = None,
    reason: str,
    seen: str | None = None,
) -> Terms:
    """Give a draft its number, from now on or from a later time; texts are never changed after.

    ``seen`` is the token of a preview. Doing again what was just done changes nothing.
    Raises ItemNotFound, BadRequest, Moved, and Conflict for what is published.
    """
    draft = terms.lock(session, terms_id)
    if draft.number is not None:
        if seen is not None and draft.published_by == identity.email:
            return draft
        raise faults.Conflict(f"It is published already, as version {draft.number}.")
    reason = texts.reason(reason)
    if seen is not None and seen != _token(session, draft):
        raise terms.Moved
    now = utc_now()
    last = session.execute(
        sa.select(Terms.number, Terms.in_force)
        .where(Terms.number.is_not(None))
        .order_by(Terms.number.desc())
        .limit(1)
    ).one_or_none()
    start = _checked_start(in_force, now, last[1] if last else None)
    draft.number = (last[0] or 0) + 1 if last else 1
    draft.in_force, draft.published, draft.published_by = start, now, identity.email[:255]
    audit.record(
        *(session, identity, "terms:publish", "terms", draft.id),
        reason=reason,
        number=draft.number,
        text=draft.text_digest,
        in_force=start.isoformat(),
        before=f"a draft, after version {last[0]}" if last else "a draft, of the first version",
        after=f"version {draft.number}, in force from {start:%Y-%m-%d %H:%M} UTC",
    )
    return draft


def _checked_start(
    wanted: dt.datetime | None, now: dt.datetime, last: dt.datetime | None
) -> dt.datetime:
    problem = ""
    if wanted is not None and wanted < now - _EARLIEST:
        problem = "This is in the past. Leave it empty to begin now."
    elif wanted is not None and wanted > now + _FURTHEST:
        problem = "This is more than two years away."
    elif last is not None and (wanted or now) < last:
        problem = f"The version before begins at {last:%Y-%m-%d %H:%M} UTC; this one comes later."
    if problem:
        raise faults.BadRequest("The terms cannot begin then.", details={"in_force": problem})
    return max(wanted, now) if wanted is not None else now


def why_not_withdrawn(session: Session, found: Terms) -> str:
    """Why a version cannot be withdrawn; empty when it can. Two statements."""
    current = terms.in_force(session)
    if current is None or current.id != found.id:
        return "Only what is in force is withdrawn."
    if terms.before(session, found) is None:
        return "No version before it has another text to go back to."
    return ""


def withdraw(session: Session, identity: Identity, terms_id: int) -> Terms:
    """Make a draft of the text, in all its languages, that held before the version in force.

    Publishing it withdraws that. Raises ItemNotFound, Conflict.
    """
    found = terms.get(session, terms_id)
    if why_not := why_not_withdrawn(session, found):
        raise faults.Conflict(why_not)
    earlier = terms.before(session, found)
    assert earlier is not None
    draft = terms.add(
        *(session, identity),
        text=terms.text_of(session, earlier),
        summary=f"Version {found.number} is withdrawn: version {earlier.number} holds again",
        kind=earlier.format,
        requires_acceptance=found.requires_acceptance,
    )
    terms_languages.copy(session, earlier, draft)
    return draft


def unschedule(session: Session, identity: Identity, terms_id: int, *, reason: str) -> Terms:
    """Make a version that is not yet in force a draft again. Raises ItemNotFound, Conflict."""
    found = terms.lock(session, terms_id)
    if found.in_force is None or found.in_force <= utc_now():
        raise faults.Conflict("Only a version that is not in force yet becomes a draft again.")
    reason = texts.reason(reason)
    number, start = found.number, found.in_force
    found.number = found.in_force = found.published = found.published_by = None
    found.version += 1
    audit.record(
        *(session, identity, "terms:unschedule", "terms", found.id),
        reason=reason,
        number=number,
        in_force=start.isoformat(),
        before=f"version {number}, in force from {start:%Y-%m-%d %H:%M} UTC",
        after="a draft",
    )
    return found


def _token(session: Session, draft: Terms) -> str:
    return _token_of(draft, session.scalar(sa.select(sa.func.max(Terms.number))) or 0)


def _token_of(draft: Terms, newest: int) -> str:
    text = f"{draft.id}:{draft.version}:{draft.number}:{newest}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]
