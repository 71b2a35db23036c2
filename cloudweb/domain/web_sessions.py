"""The browsers somebody is signed in with, and their tokens, as they see and end them."""

import datetime as dt
import secrets
from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import accounts, audit, terms
from cloudweb.domain.identity import Identity
from cloudweb.models import OPEN_STATES, Operation, Token, User, UserState, WebSession, utc_now


class SignedIn(NamedTuple):
    """A live dashboard session, whose it is, whether they owe terms, and how many operations of
    theirs are still to end.
    """

    session: WebSession
    user: User
    owes_terms: bool
    under_way: int


def find_session(session: Session, text: str, *, idle_s: int) -> SignedIn | None:
    """Who a cookie's text signs in; one statement."""
    now = utc_now()
    under_way = (
        sa.select(sa.func.count())
        .where(Operation.state.in_(OPEN_STATES), Operation.user_id == User.id)
        .correlate(User)
        .scalar_subquery()
    )
    row = session.execute(
        sa.select(WebSession, User, terms.number_in_force(now, demanding=True), under_way)
        .join(User, WebSession.user_id == User.id)
        .where(
            WebSession.digest == accounts.digest(text),
            WebSession.expires > now,
            WebSession.pending.is_(False),
            WebSession.last_seen > now - dt.timedelta(seconds=idle_s),
            User.state == UserState.ACTIVE,
        )
    ).one_or_none()
    if row is None:
        return None
    return SignedIn(row[0], row[1], row[1].terms_number < (row[2] or 0), row[3])


def list_own(session: Session, user_id: int) -> Sequence[WebSession]:
    """The user's live sessions, the one used last first."""
    return session.scalars(
        sa.select(WebSession)
        .where(
            WebSession.user_id == user_id,
            WebSession.expires > utc_now(),
            WebSession.pending.is_(False),
        )
        .order_by(WebSession.last_seen.desc(), WebSession.id.desc())
        .limit(100)
    ).all()


def find_pending(session: Session, text: str) -> WebSession | None:
    """The session of a cookie's text that only lacks the second factor."""
    return session.scalar(
        sa.select(WebSession).where(
            WebSession.digest == accounts.digest(text),
            WebSession.pending.is_(True),
            WebSession.expires > utc_now(),
        )
    )


def owner_of(session: Session, text: str) -> int | None:
    """Whose session a cookie's text is or was, as long as nobody ended it; it opens nothing."""
    return session.scalar(
        sa.select(WebSession.user_id).where(
            WebSession.digest == accounts.digest(text), WebSession.pending.is_(False)
        )
    )


def renew(session: Session, identity: Identity, text: str, *, by: str) -> str:
    """Who has this session showed again, ``by`` what, who they are: the text of their new one.

    It ends when the old one would have. Raises Unauthorized when that has ended meanwhile.
    """
    old = session.scalar(
        sa.select(WebSession)
        .where(WebSession.digest == accounts.digest(text), WebSession.user_id == identity.user_id)
        .with_for_update()
    )
    if old is None:
        raise faults.Unauthorized
    new = secrets.token_urlsafe(32)
    old.digest, old.created, old.last_seen = accounts.digest(new), utc_now(), utc_now()
    audit.record(session, identity, "session:prove", "user", identity.user_id, by=by)
    return new


def end(session: Session, identity: Identity, session_id: int) -> None:
    """End one of one's own sessions. Raises ItemNotFound."""
    one = (WebSession.id == session_id, WebSession.user_id == identity.user_id)
    told = describe(session, *one)
    done = session.execute(sa.delete(WebSession).where(*one))
    if not done.rowcount:  # type: ignore[attr-defined]
        raise faults.ItemNotFound("That session has ended already.")
    audit.record(
        *(session, identity, "session:end", "user", identity.user_id),
        ended=session_id,
        before=told,
        after="ended",
    )


def describe(session: Session, *which: sa.ColumnElement[bool]) -> str:
    """Where a session is, for the audit: its address and browser."""
    found = session.execute(sa.select(WebSession.address, WebSession.agent).where(*which)).first()
    return " ".join(filter(None, found)) if found is not None else ""


def list_tokens(session: Session, user_id: int) -> Sequence[Token]:
    """The user's tokens that are not revoked, newest first."""
    return session.scalars(
        sa.select(Token)
        .where(Token.user_id == user_id, Token.revoked.is_(None))
        .order_by(Token.id.desc())
        .limit(200)
    ).all()


def revoke_token(session: Session, identity: Identity, token_id: int) -> None:
    """Revoke one of one's own tokens. Raises ItemNotFound."""
    token = session.scalar(
        sa.select(Token)
        .where(Token.id == token_id, Token.user_id == identity.user_id, Token.revoked.is_(None))
        .with_for_update()
    )
    if token is None:
        raise faults.ItemNotFound(f"You have no token {token_id}.")
    token.revoked = utc_now()
    audit.record(
        *(session, identity, "token:revoke", "token", token.id),
        user=identity.email,
        name=token.name,
        before="good",
        after="revoked",
    )
