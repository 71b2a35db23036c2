"""Who accepted which terms of use: a ledger that is only added to."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit, registration, terms, terms_languages, texts
from cloudweb.domain.filters import Fields
from cloudweb.domain.identity import Identity
from cloudweb.models import Acceptance, Terms, User, UserState, utc_now

_PORTION = 1000


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One acceptance, and whose."""

    acceptance: Acceptance
    email: str


def accept(session: Session, identity: Identity, *, text_digest: str) -> None:
    """Note that the actor accepts the version in force, whose text they were shown.

    Accepting twice is fine. Raises Conflict when there is none, Moved when it is another by now.
    """
    assert identity.user_id is not None
    user = registration.lock(session, identity.user_id)
    current = _current(session)
    if text_digest not in terms_languages.digests(session, current):
        raise terms.Moved
    _note(session, identity, user, current, text_digest)


def accept_for(session: Session, identity: Identity, user_id: int, *, reason: str) -> Terms:
    """Note that somebody accepted the version in force elsewhere; ``reason`` says where and how.

    Raises ItemNotFound, BadRequest, Conflict.
    """
    user, reason = registration.lock(session, user_id), texts.reason(reason)
    current = _current(session)
    noted = {"noted_by": identity.email, "reason": reason}
    if not _note(session, identity, user, current, current.text_digest, **noted):
        raise faults.Conflict(f"{user.email} has accepted version {current.number} already.")
    return current


def _current(session: Session) -> Terms:
    current = terms.in_force(session)
    if current is None:
        raise faults.Conflict("There are no terms of use to accept.")
    return current


def _note(
    session: Session,
    identity: Identity,
    user: User,
    current: Terms,
    text_digest: str,
    *,
    noted_by: str = "",
    reason: str = "",
) -> bool:
    where = (Acceptance.terms_id == current.id, Acceptance.user_id == user.id)
    if session.scalar(sa.select(Acceptance.id).where(*where)) is not None:
        return False
    assert current.number is not None
    session.add(
        Acceptance(
            terms_id=current.id,
            user_id=user.id,
            text_digest=text_digest,
            door=identity.door,
            address=identity.address[:50],
            request_id=identity.request_id,
            noted_by=noted_by[:255],
            reason=reason,
        )
    )
    before = user.terms_number
    user.terms_number = max(user.terms_number, current.number)
    audit.record(
        *(session, identity, "terms:accept", "user", user.id),
        reason=reason,
        number=current.number,
        text=text_digest,
        before=f"version {before}" if before else "none",
        after=f"version {current.number}",
    )
    return True


def list_own(session: Session, user_id: int) -> Sequence[tuple[Acceptance, Terms]]:
    """What one user accepted, newest first; one statement."""
    rows = session.execute(
        sa.select(Acceptance, Terms)
        .join(Terms, Acceptance.terms_id == Terms.id)
        .where(Acceptance.user_id == user_id)
        .order_by(Acceptance.id.desc())
        .limit(50)
    )
    return [(row[0], row[1]) for row in rows]


FIELDS = Fields(
    id=Acceptance.id,
    user=User.email,
    user_id=Acceptance.user_id,
    at=Acceptance.at,
    address=Acceptance.address,
    door=Acceptance.door,
    noted_by=Acceptance.noted_by,
    reason=Acceptance.reason,
    text=Acceptance.text_digest,
    request=Acceptance.request_id,
)
"""What acceptances are filtered and sorted by."""


def rows() -> sa.Select[Any]:
    """What every Row is made of."""
    query = sa.select(Acceptance, User.email).join(User, Acceptance.user_id == User.id)
    return cast("sa.Select[Any]", query)


def walk(session: Session, terms_id: int) -> Iterator[Row]:
    """Everybody who accepted a version, in the order they did, read in portions."""
    after = 0
    while True:
        found = session.execute(
            rows()
            .where(Acceptance.terms_id == terms_id, Acceptance.id > after)
            .order_by(Acceptance.id)
            .limit(_PORTION)
        ).all()
        if not found:
            return
        yield from (Row(*each) for each in found)
        after = found[-1][0].id


def count_of(session: Session, terms_id: int) -> int:
    """How many accepted this version."""
    counted = sa.select(sa.func.count()).where(Acceptance.terms_id == terms_id)
    return session.scalars(counted).one()


def count_owed(session: Session) -> tuple[int, int]:
    """How many active users owe their acceptance now, and how many active users there are."""
    demanded = sa.func.coalesce(terms.number_in_force(utc_now(), demanding=True), 0)
    owing = sa.func.coalesce(sa.func.sum(sa.case((User.terms_number < demanded, 1), else_=0)), 0)
    row = session.execute(
        sa.select(owing, sa.func.count()).where(User.state == UserState.ACTIVE)
    ).one()
    return int(row[0]), int(row[1])


def owes(session: Session, user: User) -> bool:
    """Whether the user has yet to accept the last version that has to be; one statement."""
    demanded = session.scalar(sa.select(terms.number_in_force(utc_now(), demanding=True)))
    return user.terms_number < (demanded or 0)
