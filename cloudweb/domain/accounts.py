"""Users, their tokens and passwords, and who a credential belongs to."""

import dataclasses
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
from cloudweb.domain import audit, terms
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
from cloudweb.models.meta import UtcDateTime

_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]*)(?:\.[A-Za-z0-9-]+)+"
)
LONGEST_PASSWORD = 1000
_ENDED_KEPT = dt.timedelta(days=1)


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
    email = checked_email(email)
    if find(session, email) is not None:
        raise faults.Conflict(f"User {email} exists.")
    user = User(
        email=email,
        name=name or email.partition("@")[0],
        role=role,
        password_hash=hashed(password) if password is not None else None,
    )
    session.add(user)
    session.flush()  # the audit entry names its id
    session.add(ListVersion(user_id=user.id))
    audit.record(
        *(session, identity, "user:create", "user", user.id),
        email=email,
        role=role.value,
        after=f"{user.state.value}, {role.value}",
    )
    return user


def rename(session: Session, identity: Identity, user: User, *, name: str) -> None:
    """Call a user something else. Raises BadRequest."""
    name = " ".join(name.split())
    if not 0 < len(name) <= 255:
        raise faults.BadRequest("A name has 1 to 255 characters.")
    audit.record(session, identity, "user:rename", "user", user.id, before=user.name, after=name)
    user.name = name


def checked_email(text: str) -> str:
    """The e-mail address as it is stored. Raises BadRequest for what is none."""
    email = text.strip().lower()
    if not _EMAIL.fullmatch(email) or len(email) > 254:
        raise faults.BadRequest(
            f"{email[:254]!r} is not an e-mail address.",
            details={"email": "Not an e-mail address."},
        )
    return email


def hashed(password: str) -> str:
    """A password as it is stored; slow on purpose. Raises BadRequest for one that is no good."""
    if len(password) < 10:
        raise faults.BadRequest("A password needs at least 10 characters.")
    if len(password) > LONGEST_PASSWORD:
        raise faults.BadRequest(f"A password has at most {LONGEST_PASSWORD} characters.")
    return _hasher().hash(password)


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
    session: Session,
    identity: Identity,
    user: User,
    *,
    name: str,
    expires: dt.datetime | None,
    read_only: bool = False,
) -> str:
    """A new API token for the user; this text is the only copy there will ever be."""
    text = secrets.token_urlsafe(32)
    token = Token(
        user_id=user.id, name=name, digest=digest(text), expires=expires, read_only=read_only
    )
    session.add(token)
    session.flush()  # the audit entry names its id
    audit.record(
        session,
        identity,
        "token:add",
        "token",
        token.id,
        user=user.email,
        name=name,
        read_only=read_only,
        after="read" if read_only else "read and write",
    )
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
            *(session, identity, "token:revoke", "token", token.id),
            user=user.email,
            name=name,
            before="good",
            after="revoked",
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
    return Identity(
        *(row[0], row[1], row[2], "api", address, request_id, row[3], row[4], not row[5]),
        owes_terms=row[6] < (row[7] or 0),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class TokenOwner:
    """Whose a valid token is, and since and until when it is valid."""

    token: str = dataclasses.field(repr=False)
    user_id: int
    email: str
    name: str
    role: Role
    created: dt.datetime
    expires: dt.datetime | None


def owner_of(session: Session, text: str) -> TokenOwner:
    """Whose valid token this is; one statement. Raises Unauthorized, which says why it is none."""
    row = session.execute(
        sa.select(Token, User)
        .join(User, Token.user_id == User.id)
        .where(Token.digest == digest(text), Token.revoked.is_(None))
    ).one_or_none()
    if row is None:
        raise faults.Unauthorized
    token, user = row
    if token.expires is not None and token.expires <= utc_now():
        raise faults.Unauthorized("Authentication expired")
    if user.state is not UserState.ACTIVE:
        raise faults.Unauthorized("User inactive")
    return TokenOwner(text, user.id, user.email, user.name, user.role, token.created, token.expires)


_users, _tokens, _lists = User.__table__.c, Token.__table__.c, ListVersion.__table__.c
_BY_TOKEN = (
    sa.select(
        _users.id,
        _users.email,
        _users.role,
        _lists.version,
        _lists.changed,
        _tokens.read_only,
        _users.terms_number,
        terms.number_in_force(sa.bindparam("now", type_=UtcDateTime()), demanding=True),
    )
    .join_from(Token.__table__, User.__table__, _tokens.user_id == _users.id)
    .outerjoin(ListVersion.__table__, _lists.user_id == _users.id)
    .where(
        _tokens.digest == sa.bindparam("given"),
        _tokens.revoked.is_(None),
        sa.or_(_tokens.expires.is_(None), _tokens.expires > sa.bindparam("now")),
        _users.state == UserState.ACTIVE,
    )
)


def find_credentials(
    session: Session, email: str, *, staff_only: bool = True
) -> tuple[User | None, str]:
    """Who may sign in with this address, and the hash to check a password with.

    To the dashboard only staff may. For anybody else None, and a hash of nothing: to check a
    password takes everybody as long.
    """
    user = find(session, email) if "\0" not in email else None
    if (
        user is None
        or user.password_hash is None
        or user.state is not UserState.ACTIVE
        or (staff_only and user.role is Role.USER)
    ):
        return None, _no_password()
    return user, user.password_hash


def matches(password_hash: str, password: str) -> bool:
    """Whether the password is the hash's; slow on purpose, so hold no transaction meanwhile."""
    try:
        return _hasher().verify(password_hash, password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


def open_session(
    session: Session, identity: Identity, *, absolute_s: int, agent: str = "", pending: bool = False
) -> str:
    """A dashboard session for whoever proved to be this; the text for the cookie.

    One that is ``pending`` opens nothing but the pages that ask for the second factor.
    """
    assert identity.user_id is not None
    text = secrets.token_urlsafe(32)
    now = utc_now()
    # One that ended by itself stays a while: it tells whose form comes too late.
    session.execute(sa.delete(WebSession).where(WebSession.expires < now - _ENDED_KEPT))
    session.add(
        WebSession(
            user_id=identity.user_id,
            digest=digest(text),
            last_seen=now,
            expires=now + dt.timedelta(seconds=absolute_s),
            pending=pending,
            address=identity.address[:50],
            agent=agent[:255],
        )
    )
    if not pending:
        session.execute(sa.update(User).where(User.id == identity.user_id).values(last_seen=now))
        audit.record(
            *(session, identity, "session:open", "user", identity.user_id), agent=agent[:255]
        )
    return text


def touch_session(session: Session, web_session_id: int) -> None:
    """Note that the session is in use."""
    session.execute(
        sa.update(WebSession).where(WebSession.id == web_session_id).values(last_seen=utc_now())
    )


def drop_session(session: Session, text: str) -> None:
    """Forget the session of a cookie's text, if there is one."""
    session.execute(sa.delete(WebSession).where(WebSession.digest == digest(text)))


def sign_out(session: Session, identity: Identity, text: str) -> None:
    """End the session of a cookie's text; ending it twice is fine."""
    agent = session.scalar(sa.select(WebSession.agent).where(WebSession.digest == digest(text)))
    drop_session(session, text)
    audit.record(session, identity, "session:close", "user", identity.user_id, agent=agent)


def count_attempt(
    session: Session, *, email: str, address: str, window_s: int, kind: str = ""
) -> list[int]:
    """Count one attempt to sign in against the e-mail and the address; the ids to forget it by.

    Other kinds of attempts, such as asking for mail, count for themselves.

    Commit this before checking the rate: then attempts made at once count each other. What is too
    old to matter is forgotten.
    """
    old = utc_now() - dt.timedelta(seconds=window_s)
    session.execute(sa.delete(SignInAttempt).where(SignInAttempt.at < old))
    attempts = [SignInAttempt(subject=subject) for subject in _subjects(email, address, kind)]
    session.add_all(attempts)
    session.flush()  # their ids are what the caller keeps
    return [attempt.id for attempt in attempts]


def forget_attempt(session: Session, ids: Sequence[int]) -> None:
    """The attempt was good, or was not made at all."""
    session.execute(sa.delete(SignInAttempt).where(SignInAttempt.id.in_(ids)))


def check_sign_in_rate(
    session: Session,
    *,
    email: str,
    address: str,
    limit: int,
    window_s: int,
    kind: str = "",
    address_limit: int | None = None,
) -> None:
    """Raises TooManyRequests when more than ``limit`` attempts were made lately, this one too."""
    since = utc_now() - dt.timedelta(seconds=window_s)
    limits = (limit, limit if address_limit is None else address_limit)
    for subject, most in zip(_subjects(email, address, kind), limits, strict=True):
        count, first = session.execute(
            sa.select(sa.func.count(), sa.func.min(SignInAttempt.at)).where(
                SignInAttempt.subject == subject, SignInAttempt.at > since
            )
        ).one()
        if count > most:
            wait = (first + dt.timedelta(seconds=window_s) - utc_now()).total_seconds()
            raise faults.TooManyRequests(
                "Too many failed attempts. Try again later.", retry_after_s=max(1, int(wait))
            )


def _subjects(email: str, address: str, kind: str) -> tuple[str, str]:
    before = f"{kind}:" if kind else ""
    return (
        digest(f"{before}email:{email.strip().lower()}"),
        digest(f"{before}address:{address}"),
    )
