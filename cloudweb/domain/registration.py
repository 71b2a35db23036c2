"""How an account begins, is accepted, changes and ends: sign-up, mailed links, moderation."""

import dataclasses
import datetime as dt
import re
import secrets
from typing import Self
from urllib.parse import urlencode

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import accounts, audit, letters, mail
from cloudweb.domain.identity import Identity
from cloudweb.models import (
    LinkPurpose,
    ListVersion,
    MailedLink,
    Role,
    User,
    UserState,
    WebSession,
    utc_now,
)
from cloudweb.sealing import Sealer
from cloudweb.settings import Settings


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """Who is accepted here, and what mails say."""

    sealer: Sealer = dataclasses.field(repr=False)
    public_url: str
    open: bool = True
    moderated: bool = True
    patterns: tuple[str, ...] = ()
    moderators: tuple[str, ...] = ()
    activation_link_s: int = 259_200
    reset_link_s: int = 3600
    terms_language: str = "en"
    """The original's of the terms of use."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The rules of this installation."""
        return cls(
            sealer=Sealer.of(settings),
            public_url=settings.public_url,
            open=settings.sign_up,
            moderated=settings.moderation,
            patterns=settings.activation_patterns,
            moderators=settings.moderators,
            activation_link_s=settings.activation_link_s,
            reset_link_s=settings.reset_link_s,
            terms_language=settings.terms_languages[0],
        )

    def accepts_unseen(self, email: str) -> bool:
        """Whether nobody has to look at this one."""
        return not self.moderated or any(
            re.fullmatch(pattern, email, re.IGNORECASE) for pattern in self.patterns
        )

    def page(self, path: str, **query: str) -> str:
        """The whole address of a page."""
        return f"{self.public_url}{path}" + (f"?{urlencode(query)}" if query else "")


def sign_up(session: Session, identity: Identity, rules: Rules, *, email: str, name: str) -> None:
    """Send a link to whoever has this address; who watches learns nothing of who is known.

    Raises BadRequest, Forbidden.
    """
    if not rules.open:
        raise faults.Forbidden("Nobody can sign up here; ask an operator.")
    email = accounts.checked_email(email)
    user = accounts.find(session, email)
    if user is None:
        try:
            with session.begin_nested():
                user = _begin(session, identity, email, name)
        except sa.exc.IntegrityError:  # somebody was as quick, and gets the link
            return
    if user.state is UserState.UNVERIFIED:
        send_link(session, rules, user, LinkPurpose.VERIFY)
    elif user.state is UserState.ACTIVE:
        letter = letters.known(rules.page("/admin/login"), rules.page("/account/forgotten"))
        mail.enqueue(session, rules.sealer, user.email, letter)


def _begin(session: Session, identity: Identity, email: str, name: str) -> User:
    name = " ".join(name.split())[:255] or email.partition("@")[0]
    user = User(email=email, name=name, role=Role.USER, state=UserState.UNVERIFIED)
    session.add(user)
    session.flush()  # the audit entry names its id
    session.add(ListVersion(user_id=user.id))
    audit.record(
        *(session, identity, "user:sign-up", "user", user.id), email=email, after=user.state.value
    )
    return user


def ask_reset(session: Session, identity: Identity, rules: Rules, *, email: str) -> None:
    """Send a link to a new password, if somebody active has this address. Raises BadRequest."""
    user = accounts.find(session, accounts.checked_email(email))
    if user is not None and user.state is UserState.ACTIVE:
        send_link(session, rules, user, LinkPurpose.RESET)
        audit.record(session, identity, "user:reset-ask", "user", user.id, email=user.email)


def send_activation(
    session: Session, identity: Identity, rules: Rules, user: User, *, reason: str = ""
) -> None:
    """Send a link by which the user becomes active, accepted already. Raises Conflict."""
    if user.state is UserState.ACTIVE:
        raise faults.Conflict(f"{user.email} is active.")
    send_link(session, rules, user, LinkPurpose.ACTIVATE)
    audit.record(
        *(session, identity, "user:activation-send", "user", user.id),
        reason=reason,
        email=user.email,
    )


def invite(session: Session, identity: Identity, rules: Rules, *, email: str, name: str) -> User:
    """A new user who is active once they follow the link they are sent, accepted already.

    Raises BadRequest, Conflict when there is a user with this address.
    """
    email = accounts.checked_email(email)
    if accounts.find(session, email) is not None:
        raise faults.Conflict(f"User {email} exists.")
    user = _begin(session, identity, email, name)
    send_activation(session, identity, rules, user)
    return user


def send_link(
    session: Session, rules: Rules, user: User, purpose: LinkPurpose, *, to: str = ""
) -> None:
    """Mail a link, to the user's address or to one that is to be theirs."""
    seconds = rules.reset_link_s if purpose is LinkPurpose.RESET else rules.activation_link_s
    text = secrets.token_urlsafe(32)
    session.add(
        MailedLink(
            user_id=user.id,
            purpose=purpose,
            digest=accounts.digest(text),
            expires=utc_now() + dt.timedelta(seconds=seconds),
            email=to or None,
        )
    )
    letter = letters.link(purpose, rules.page("/account/link", key=text), seconds)
    mail.enqueue(session, rules.sealer, to or user.email, letter, good_for_s=seconds)


def find_link(session: Session, text: str) -> tuple[MailedLink, User]:
    """The mailed link with this text that is still good, and whose. Raises BadRequest."""
    row = session.execute(
        sa.select(MailedLink, User)
        .join(User, MailedLink.user_id == User.id)
        .where(
            MailedLink.digest == accounts.digest(text),
            MailedLink.used.is_(None),
            MailedLink.expires > utc_now(),
        )
    ).one_or_none()
    if row is not None:
        link, user = row
        wanted = {
            LinkPurpose.VERIFY: (UserState.UNVERIFIED,),
            LinkPurpose.RESET: (UserState.ACTIVE,),
            LinkPurpose.CHANGE: tuple(UserState),
        }.get(link.purpose, tuple(set(UserState) - {UserState.ACTIVE}))
        if user.state in wanted:
            return link, user
    raise faults.BadRequest("This link is not good any longer. Ask for a new one.")


def follow_link(
    session: Session, identity: Identity, rules: Rules, text: str, *, password_hash: str
) -> User:
    """Set the password by a mailed link, once; an account that was not active may become so.

    Raises BadRequest.
    """
    _, owner = find_link(session, text)
    user = lock(session, owner.id)
    link, _ = find_link(session, text)  # once more: somebody may have been as quick
    if link.purpose is LinkPurpose.CHANGE:
        raise faults.BadRequest("This link is for an address, not for a password.")
    identity = dataclasses.replace(identity, user_id=user.id, email=user.email, role=user.role)
    _set_password(session, user, password_hash)
    before = user.state
    if link.purpose is not LinkPurpose.RESET:
        user.verified = utc_now()
        accepted = link.purpose is LinkPurpose.ACTIVATE or rules.accepts_unseen(user.email)
        user.state = UserState.ACTIVE if accepted else UserState.PENDING
    audit.record(
        *(session, identity, f"user:{link.purpose.value}", "user", user.id),
        before=before.value,
        after=user.state.value,
    )
    if user.state is UserState.PENDING:
        letter = letters.waits(user.email, rules.page(f"/admin/users/{user.id}"))
        for moderator in rules.moderators:
            mail.enqueue(session, rules.sealer, moderator, letter)
    elif link.purpose is LinkPurpose.RESET:
        _tell_of_password(session, rules, user)
    return user


def change_password(
    session: Session,
    identity: Identity,
    rules: Rules,
    user_id: int,
    *,
    password_hash: str,
    keep_session: str = "",
) -> User:
    """Set a password, end the user's sessions but the one of this text, and tell them by mail."""
    user = lock(session, user_id)
    _set_password(session, user, password_hash, keep_session=keep_session)
    audit.record(session, identity, "user:password", "user", user.id, email=user.email)
    _tell_of_password(session, rules, user)
    return user


def _set_password(
    session: Session, user: User, password_hash: str, *, keep_session: str = ""
) -> None:
    user.password_hash = password_hash
    end_sessions(session, user.id, but=keep_session)
    use_up_links(session, user)


def use_up_links(session: Session, user: User) -> None:
    """Have none of the user's mailed links be good any longer."""
    session.execute(
        sa.update(MailedLink)
        .where(MailedLink.user_id == user.id, MailedLink.used.is_(None))
        .values(used=utc_now())
    )


def _tell_of_password(session: Session, rules: Rules, user: User) -> None:
    letter = letters.password_changed(rules.page("/account/forgotten"))
    mail.enqueue(session, rules.sealer, user.email, letter)


def end_sessions(session: Session, user_id: int, *, but: str = "") -> int:
    """End the user's dashboard sessions, except the one of this text; how many went on till now.

    Those that have ended by themselves are forgotten, too: nothing is kept for them any more.
    """
    theirs = [WebSession.user_id == user_id, WebSession.digest != accounts.digest(but)]
    live = sa.select(sa.func.count()).where(*theirs, WebSession.expires > utc_now())
    count = session.scalar(live) or 0
    session.execute(sa.delete(WebSession).where(*theirs))
    return count


def lock(session: Session, user_id: int) -> User:
    """The user, locked, as they are now. Raises ItemNotFound."""
    user = session.scalar(
        sa.select(User)
        .where(User.id == user_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if user is None:
        raise faults.ItemNotFound(f"No user {user_id}.")
    return user


def activate(
    session: Session, identity: Identity, rules: Rules, user_id: int, *, reason: str = ""
) -> User:
    """Make the user active, whatever was before, and tell them. Raises ItemNotFound, Conflict."""
    user = lock(session, user_id)
    if user.state is UserState.ACTIVE:
        raise faults.Conflict(f"{user.email} is active.")
    accepted = user.state is UserState.PENDING
    if user.password_hash is None:
        send_link(session, rules, user, LinkPurpose.RESET)
    else:
        letter = letters.accepted(rules.page("/admin/login"))
        mail.enqueue(session, rules.sealer, user.email, letter)
    word = "accept" if accepted else "activate"
    _change_state(session, identity, user, UserState.ACTIVE, word, reason)
    return user


def reject(
    session: Session, identity: Identity, rules: Rules, user_id: int, *, reason: str
) -> User:
    """Refuse somebody who waits, and tell them why. Raises ItemNotFound, Conflict, BadRequest."""
    user, reason = lock(session, user_id), _reason(reason)
    if user.state not in (UserState.PENDING, UserState.UNVERIFIED):
        raise faults.Conflict(f"{user.email} is {user.state.value}, and does not wait.")
    if user.state is UserState.PENDING:
        mail.enqueue(session, rules.sealer, user.email, letters.rejected(reason))
    _change_state(session, identity, user, UserState.REJECTED, "reject", reason)
    return user


def deactivate(session: Session, identity: Identity, user_id: int, *, reason: str) -> User:
    """Shut an active user out of everything. Raises ItemNotFound, Conflict, BadRequest."""
    user, reason = lock(session, user_id), _reason(reason)
    if user.state is not UserState.ACTIVE:
        raise faults.Conflict(f"{user.email} is {user.state.value}, not active.")
    _keep_an_admin(session, identity, user)
    _change_state(session, identity, user, UserState.DEACTIVATED, "deactivate", reason)
    return user


def put_back(
    session: Session, identity: Identity, user_id: int, state: UserState, *, verified: bool
) -> User:
    """Have the user be as before what is undone: in this state, and verified or not.

    Raises ItemNotFound, Conflict.
    """
    user = lock(session, user_id)
    _keep_an_admin(session, identity, user)
    if not verified:
        user.verified = None
    _change_state(session, identity, user, state, "put-back", "")
    return user


def set_role(
    session: Session, identity: Identity, user_id: int, role: Role, *, reason: str = ""
) -> User:
    """Give the user another role; they have to sign in again. Raises ItemNotFound, Conflict."""
    user = lock(session, user_id)
    if user.role is role:
        raise faults.Conflict(f"{user.email} is {role.value} already.")
    _keep_an_admin(session, identity, user)
    before, user.role = user.role, role
    end_sessions(session, user.id)
    audit.record(
        *(session, identity, "user:role", "user", user.id),
        reason=reason[:255],
        before=before.value,
        after=role.value,
    )
    return user


def _change_state(
    session: Session, identity: Identity, user: User, state: UserState, word: str, reason: str
) -> None:
    before, user.state = user.state, state
    if state is not UserState.ACTIVE:
        end_sessions(session, user.id)
        use_up_links(session, user)
    audit.record(
        *(session, identity, f"user:{word}", "user", user.id),
        reason=reason,
        before=before.value,
        after=state.value,
    )


def _keep_an_admin(session: Session, identity: Identity, user: User) -> None:
    """Raises Conflict rather than shut out whoever acts, or the last one who could undo it."""
    if user.id == identity.user_id:
        raise faults.Conflict("You cannot do this to yourself; ask another admin.")
    if user.role is not Role.ADMIN or user.state is not UserState.ACTIVE:
        return
    others = session.scalars(
        sa.select(User.id)
        .where(User.role == Role.ADMIN, User.state == UserState.ACTIVE, User.id != user.id)
        .with_for_update()
    ).all()
    if not others:
        raise faults.Conflict(f"{user.email} is the only active admin.")


def _reason(text: str) -> str:
    reason = " ".join(text.split())
    if not reason or len(reason) > 255:
        raise faults.BadRequest(
            "Something is missing.", details={"reason": "Say why, in at most 255 characters."}
        )
    return reason
