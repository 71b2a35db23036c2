"""What admins do about a user: what would follow, and that it still would when they confirm."""

import dataclasses
import enum
import hashlib
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import (
    accounts,
    audit,
    letters,
    mail,
    quotas,
    registration,
    texts,
    web_sessions,
)
from cloudweb.domain.identity import Identity
from cloudweb.domain.mail import Letter
from cloudweb.models import (
    MAX_ID,
    MailedLink,
    Quota,
    Resource,
    Server,
    Token,
    User,
    WebSession,
    utc_now,
)
from cloudweb.sealing import Sealer


class Act(enum.StrEnum):
    """What can be done; the value is its place in the address."""

    ACTIVATE = "activate"
    SEND = "send"
    REJECT = "reject"
    DEACTIVATE = "deactivate"
    ROLE = "role"
    FACTOR = "factor"
    SESSIONS = "sessions"
    QUOTA = "quota"
    EMAIL = "email"
    VERIFY = "verify"
    MAIL = "mail"


@dataclasses.dataclass(frozen=True, slots=True)
class Preview:
    """What the user has that an act may touch; ``token`` stands for how they were seen."""

    sessions: int
    tokens: int
    servers: int
    token: str


def preview(session: Session, user: User, act: Act) -> Preview:
    """What there is to end or to keep; four statements at most."""
    now = utc_now()
    row = session.execute(
        sa.select(
            _count(WebSession.user_id == user.id, WebSession.expires > now),
            _count(
                Token.user_id == user.id,
                Token.revoked.is_(None),
                sa.or_(Token.expires.is_(None), Token.expires > now),
            ),
            _count(Server.user_id == user.id, Server.deleted == sa.false()),
        )
    ).one()
    return Preview(row[0], row[1], row[2], token(session, user, act))


def _count(*where: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
    return sa.select(sa.func.count()).where(*where).scalar_subquery()


def token(session: Session, user: User, act: Act) -> str:
    """Changes with whatever the act depends on, and with the act itself."""
    parts: list[object] = [act, user.id, user.state, user.role, user.totp_sealed, user.verified]
    if act in (Act.SEND, Act.ACTIVATE, Act.EMAIL):
        newest = sa.select(sa.func.max(MailedLink.id)).where(MailedLink.user_id == user.id)
        parts.append(session.scalar(newest))
    if act is Act.SESSIONS:
        live = WebSession.expires > utc_now()
        ids = sa.select(WebSession.id).where(WebSession.user_id == user.id, live)
        keys = sa.select(Token.id).where(Token.user_id == user.id, Token.revoked.is_(None))
        parts += [*session.scalars(ids.order_by(WebSession.id)), "", *session.scalars(keys)]
    if act is Act.QUOTA:
        own = sa.select(Quota.resource, Quota.limit).where(Quota.user_id == user.id)
        parts += sorted(map(str, session.execute(own)))
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:32]


def end_sessions(
    session: Session,
    identity: Identity,
    user: User,
    *,
    only: int | None = None,
    tokens: bool,
    reason: str,
) -> int:
    """End every session of the locked user, or one, and revoke their tokens if asked.

    How many sessions ended. Raises BadRequest, and Conflict where that one has ended already.
    """
    reason = texts.reason(reason)
    revoked = 0
    if tokens:
        done = session.execute(
            sa.update(Token)
            .where(Token.user_id == user.id, Token.revoked.is_(None))
            .values(revoked=utc_now())
        )
        revoked = int(done.rowcount)  # type: ignore[attr-defined]
    if only is None:
        ended = registration.end_sessions(session, user.id)
        audit.record(
            *(session, identity, "session:end-all", "user", user.id),
            reason=reason,
            sessions=ended,
            tokens=revoked,
            before="signed in" if ended else "not signed in",
            after="signed out",
        )
        return ended
    one = (WebSession.id == only, WebSession.user_id == user.id)
    told = web_sessions.describe(session, *one)
    done = session.execute(sa.delete(WebSession).where(*one))
    if not done.rowcount:  # type: ignore[attr-defined]
        raise faults.Conflict(f"{user.email} has no session {only}; it may have ended already.")
    audit.record(
        *(session, identity, "session:end", "user", user.id),
        reason=reason,
        ended=only,
        tokens=revoked,
        before=told,
        after="ended",
    )
    return 1


def letter(identity: Identity, *, subject: str, text: str) -> Letter:
    """What a user is sent when somebody of staff writes this. Raises BadRequest by field."""
    return letters.written(*letters.checked(subject, text), identity.email)


def write(
    session: Session, identity: Identity, sealer: Sealer, user: User, *, subject: str, text: str
) -> None:
    """Mail the user what somebody of staff has written. Raises BadRequest by field."""
    subject, text = letters.checked(subject, text)
    mail.enqueue(session, sealer, user.email, letter(identity, subject=subject, text=text))
    audit.record(
        *(session, identity, "user:mail", "user", user.id), subject=subject, characters=len(text)
    )


def set_limits(
    session: Session,
    identity: Identity,
    user: User,
    given: Mapping[Resource, str],
    *,
    defaults: quotas.Limits,
    reason: str,
) -> int:
    """Set the user's own limits: a number, ``unlimited``, or nothing for what the settings say.

    How many changed. Raises BadRequest by field, and then none does.
    """
    wanted: dict[Resource, tuple[bool, int | None]] = {}
    wrong: dict[str, str] = {}
    for resource, text in given.items():
        try:
            wanted[resource] = _limit(text)
        except ValueError:
            wrong[resource.value] = "A whole number, unlimited, or nothing."
    try:
        reason = texts.reason(reason)
    except faults.BadRequest as fault:
        wrong |= fault.fields
    if wrong:
        raise faults.BadRequest("The limits cannot be set like this.", details=wrong)
    who = dataclasses.replace(identity, reason=reason)
    changed = 0
    for each in quotas.show(session, user, defaults):
        own, limit = wanted.get(each.resource, (False, None))
        if (own, limit) == (each.own, each.limit) or not (own or each.own):
            continue
        if own:
            quotas.set_own(session, who, user, each.resource, limit)
        else:
            quotas.unset_own(session, who, user, each.resource)
        changed += 1
    return changed


def _limit(text: str) -> tuple[bool, int | None]:
    """Whether there is a limit of one's own, and which. Raises ValueError."""
    text = text.strip().lower()
    if text in ("", "unlimited"):
        return bool(text), None
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or int(text) > MAX_ID:
        raise ValueError(text)
    return True, int(text)


def list_tokens(session: Session, user_id: int) -> Sequence[Token]:
    """The user's tokens that are good, newest first."""
    return session.scalars(
        sa.select(Token)
        .where(
            Token.user_id == user_id,
            Token.revoked.is_(None),
            sa.or_(Token.expires.is_(None), Token.expires > utc_now()),
        )
        .order_by(Token.id.desc())
        .limit(50)
    ).all()


def touch(session: Session, user_id: int, web_session_id: int) -> None:
    """Note that somebody is here."""
    session.execute(sa.update(User).where(User.id == user_id).values(last_seen=utc_now()))
    accounts.touch_session(session, web_session_id)
