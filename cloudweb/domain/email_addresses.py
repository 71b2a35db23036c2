"""Whose e-mail address it is: another address, shown to be theirs, or vouched for by an admin."""

import dataclasses

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import accounts, audit, letters, mail, registration, texts
from cloudweb.domain.identity import Identity
from cloudweb.domain.registration import Rules
from cloudweb.models import Infrastructure, LinkPurpose, User, UserState, utc_now


def check_new(session: Session, user: User, email: str) -> str:
    """The address as it is stored. Raises BadRequest, and Conflict for one that somebody has."""
    email = accounts.checked_email(email)
    holder = accounts.find(session, email)
    if holder is not None:
        theirs = "theirs already" if holder.id == user.id else "another user's"
        raise faults.Conflict(f"{email} is {theirs}.")
    return email


def ask_change(
    session: Session, identity: Identity, rules: Rules, user_id: int, *, email: str, reason: str
) -> None:
    """Send a link to another address, which is the user's once they follow it.

    Raises ItemNotFound, BadRequest, Conflict.
    """
    user = registration.lock(session, user_id)
    email, reason = check_new(session, user, email), texts.reason(reason)
    registration.send_link(session, rules, user, LinkPurpose.CHANGE, to=email)
    audit.record(
        *(session, identity, "user:email-ask", "user", user.id),
        reason=reason,
        before=user.email,
        after=email,
    )


def confirm_change(session: Session, identity: Identity, rules: Rules, text: str) -> User:
    """Take the address over to which this link went, and tell the old one.

    Raises BadRequest, Conflict.
    """
    _, owner = registration.find_link(session, text)
    user = registration.lock(session, owner.id)
    link, _ = registration.find_link(session, text)  # once more: somebody may have been as quick
    if link.purpose is not LinkPurpose.CHANGE or link.email is None:
        raise faults.BadRequest("This link is not good any longer. Ask for a new one.")
    check_new(session, user, link.email)
    before, user.email, user.verified = user.email, link.email, utc_now()
    registration.use_up_links(session, user)
    regions = sa.update(Infrastructure).where(Infrastructure.owner == before)
    session.execute(regions.values(owner=user.email))  # they are known by their owner's address
    who = dataclasses.replace(identity, user_id=user.id, email=user.email, role=user.role)
    audit.record(*(session, who, "user:email", "user", user.id), before=before, after=user.email)
    mail.enqueue(session, rules.sealer, before, letters.address_changed(user.email))
    try:
        session.flush()
    except sa.exc.IntegrityError:
        raise faults.Conflict(f"{link.email} is another user's.") from None
    return user


def mark_verified(
    session: Session, identity: Identity, rules: Rules, user_id: int, *, reason: str = ""
) -> User:
    """Say for the user that the address is theirs; who waited for just that goes on.

    Raises ItemNotFound, Conflict.
    """
    user = registration.lock(session, user_id)
    if user.verified is not None:
        raise faults.Conflict(f"{user.email} is verified already.")
    before = user.state
    user.verified = utc_now()
    if before is UserState.UNVERIFIED:
        accepted = rules.accepts_unseen(user.email)
        user.state = UserState.ACTIVE if accepted else UserState.PENDING
    if user.state is UserState.ACTIVE and before is not UserState.ACTIVE:
        registration.send_link(session, rules, user, LinkPurpose.RESET)
    audit.record(
        *(session, identity, "user:verify", "user", user.id),
        reason=reason,
        before=before.value,
        after=user.state.value,
    )
    return user
