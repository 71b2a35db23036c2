"""Users, their tokens and passwords, and who a credential belongs to."""

import datetime as dt
import functools
import hashlib
import re
import secrets
from collections.abc import Sequence

import argon2
import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit
from cloudweb.domain.identity import Identity
from cloudweb.models import (
    ListVersion,
    Role,
    SignInAttempt,
    Token,
    User,
    UserState,
    WebSession,
    utc_now,
)

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+", re.ASCII)


@functools.cache
def _hasher() -> argon2.PasswordHasher:
    return argon2.PasswordHasher()


@functools.cache
def _no_password() -> str:
    return _hasher().hash(secrets.token_hex(16))


def digest(credential: str) -> str:
    """What is stored of a random credential: its SHA-256, in hexadecimal."""
    return hashlib.sha256(credential.encode("utf-8", "replace")).hexdigest()


def create(
    session: Session,
    identity: Identity,
    *,
    email: str,
    name: str = "",
    role: Role = Role.USER,
    password: str | None = None,
) -> User:
    """A new active user. Raises BadRequest or Conflict."""
    email = email.strip().lower()
    if not _EMAIL.fullmatch(email) or len(email) > 254:
        raise faults.BadRequest(f"{email!r} is not an e-mail address.")
    if find(session, email) is not None:
        raise faults.Conflict(f"User {email} exists.")
    if password is not None and len(password) < 10:
        raise faults.BadRequest("A password needs at least 10 characters.")
    user = User(
        email=email,
        name=name or email.partition("@")[0],
        role=role,
        password_hash=_hasher().hash(password) if password else None,
    )
    session.add(user)
    session.flush()  # the audit entry names its id
    session.add(ListVersion(user_id=user.id))
    audit.record(session, identity, "user:create", "user", user.id, email=email, role=role.value)
    return user


def find(session: Session, email: str) -> User | None:
    """The user with this e-mail address, if any."""
    return session.scalar(sa.select(User).where(User.email == email.strip().lower()))


def get(session: Session, email: str) -> User:
    """The user with this e-mail address. Raises ItemNotFound."""
    user = find(session, email)
    if user is None:
        raise faults.ItemNotFound(f"No user {email}.")
    return user


def email_of(session: Session, user_id: int | None) -> str:
    """The e-mail address of a user; cloudweb itself, which has no id, is "system"."""
    user = session.get(User, user_id) if user_id is not None else None
    return user.email if user is not None else "system"


def list_users(session: Session) -> Sequence[User]:
    """Every user, by e-mail address."""
    return session.scalars(sa.select(User).order_by(User.email)).all()


def add_token(
    session: Session, identity: Identity, user: User, *, name: str, expires: dt.datetime | None
) -> str:
    """A new API token for the user; this text is the only copy there will ever be."""
    text = secrets.token_urlsafe(32)
    token = Token(user_id=user.id, name=name, digest=digest(text), expires=expires)
    session.add(token)
    session.flush()  # the audit entry names its id
    audit.record(session, identity, "token:add", "token", token.id, user=user.email, name=name)
    return text


def revoke_tokens(session: Session, identity: Identity, user: User, *, name: str) -> int:
    """Revoke the user's tokens of this name; how many there were."""
    tokens = session.scalars(
        sa.select(Token)
        .where(Token.user_id == user.id, Token.name == name, Token.revoked.is_(None))
        .with_for_update()
    ).all()
    for token in tokens:
        token.revoked = utc_now()
        audit.record(
            session, identity, "token:revoke", "token", token.id, user=user.email, name=name
        )
    return len(tokens)


def by_token(session: Session, text: str, *, address: str, request_id: str) -> Identity | None:
    """Whose valid token this is; one statement."""
    row = (
        session.connection()
        .execute(_BY_TOKEN, {"given": digest(text), "now": utc_now()})
        .one_or_none()
    )
    if row is None:
        return None
    return Identity(row[0], row[1], row[2], "api", address, request_id, row[3])


_users, _tokens, _lists = User.__table__.c, Token.__table__.c, ListVersion.__table__.c
_BY_TOKEN = (
    sa.select(_users.id, _users.email, _users.role, _lists.version)
    .join_from(Token.__table__, User.__table__, _tokens.user_id == _users.id)
    .outerjoin(ListVersion.__table__, _lists.user_id == _users.id)
    .where(
        _tokens.digest == sa.bindparam("given"),
        _tokens.revoked.is_(None),
        sa.or_(_tokens.expires.is_(None), _tokens.expires > sa.bindparam("now")),
        _users.state == UserState.ACTIVE,
    )
)


def find_credentials(session: Session, email: str) -> tuple[User | None, str]:
    """Who may sign in to the dashboard with this address, and the hash to check a password with.

    For anybody else None, and a hash of nothing: to check a password takes everybody as long.
    """
    user = find(session, email) if "\0" not in email else None
    if (
        user is None
        or user.password_hash is None
        or user.state is not UserState.ACTIVE
        or user.role is Role.USER
    ):
        return None, _no_password()
    return user, user.password_hash


def matches(password_hash: str, password: str) -> bool:
    """Whether the password is the hash's; slow on purpose, so hold no transaction meanwhile."""
    try:
        return _hasher().verify(password_hash, password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


def open_session(session: Session, identity: Identity, *, absolute_s: int) -> str:
    """A dashboard session for whoever proved to be this; the text for the cookie."""
    assert identity.user_id is not None
    text = secrets.token_urlsafe(32)
    now = utc_now()
    session.execute(sa.delete(WebSession).where(WebSession.expires < now))
    session.add(
        WebSession(
            user_id=identity.user_id,
            digest=digest(text),
            last_seen=now,
            expires=now + dt.timedelta(seconds=absolute_s),
        )
    )
    audit.record(session, identity, "session:open", "user", identity.user_id)
    return text


def find_session(session: Session, text: str, *, idle_s: int) -> tuple[WebSession, User] | None:
    """The live dashboard session of a cookie's text, and its user; one statement."""
    now = utc_now()
    row = session.execute(
        sa.select(WebSession, User)
        .join(User, WebSession.user_id == User.id)
        .where(
            WebSession.digest == digest(text),
            WebSession.expires > now,
            WebSession.last_seen > now - dt.timedelta(seconds=idle_s),
            User.state == UserState.ACTIVE,
        )
    ).one_or_none()
    return (row[0], row[1]) if row is not None else None


def touch_session(session: Session, web_session_id: int) -> None:
    """Note that the session is in use."""
    session.execute(
        sa.update(WebSession).where(WebSession.id == web_session_id).values(last_seen=utc_now())
    )


def sign_out(session: Session, identity: Identity, text: str) -> None:
    """End the session of a cookie's text; ending it twice is fine."""
    session.execute(sa.delete(WebSession).where(WebSession.digest == digest(text)))
    audit.record(session, identity, "session:close", "user", identity.user_id)


def count_attempt(session: Session, *, email: str, address: str, window_s: int) -> list[int]:
    """Count one attempt to sign in against the e-mail and the address; the ids to forget it by.

    Commit this before checking the rate: then attempts made at once count each other. What is too
    old to matter is forgotten.
    """
    old = utc_now() - dt.timedelta(seconds=window_s)
    session.execute(sa.delete(SignInAttempt).where(SignInAttempt.at < old))
    attempts = [SignInAttempt(subject=subject) for subject in _subjects(email, address)]
    session.add_all(attempts)
    session.flush()  # their ids are what the caller keeps
    return [attempt.id for attempt in attempts]


def forget_attempt(session: Session, ids: Sequence[int]) -> None:
    """The attempt was good, or was not made at all."""
    session.execute(sa.delete(SignInAttempt).where(SignInAttempt.id.in_(ids)))


def check_sign_in_rate(
    session: Session, *, email: str, address: str, limit: int, window_s: int
) -> None:
    """Raises TooManyRequests when more than ``limit`` attempts were made lately, this one too."""
    since = utc_now() - dt.timedelta(seconds=window_s)
    for subject in _subjects(email, address):
        count, first = session.execute(
            sa.select(sa.func.count(), sa.func.min(SignInAttempt.at)).where(
                SignInAttempt.subject == subject, SignInAttempt.at > since
            )
        ).one()
        if count > limit:
            wait = (first + dt.timedelta(seconds=window_s) - utc_now()).total_seconds()
            raise faults.TooManyRequests(
                "Too many failed attempts. Try again later.", retry_after_s=max(1, int(wait))
            )


def _subjects(email: str, address: str) -> tuple[str, str]:
    return (digest(f"email:{email.strip().lower()}"), digest(f"address:{address}"))
