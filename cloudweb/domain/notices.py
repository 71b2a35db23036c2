"""Mails to the owners of servers about what is done to these: one each, that names theirs."""

import dataclasses
import datetime as dt
from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import audit, letters, mail
from cloudweb.domain.identity import Identity
from cloudweb.domain.mail import Letter
from cloudweb.models import Server, User, UserState
from cloudweb.sealing import Sealer

_NAMED = 50


@dataclasses.dataclass(frozen=True, slots=True)
class Owner:
    """Who gets a mail, and which servers of theirs it is about."""

    email: str
    servers: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Notice:
    """What is told: a subject, and what happens; nothing a stranger wrote.

    ``writer`` is who wrote it, where it is in somebody's own words.
    """

    subject: str
    text: str
    writer: str = ""


_BY = "by whoever runs the cloud"
NOTICES = {
    "start": Notice("Your servers are started", f"These servers of yours are started {_BY}:"),
    "shutdown": Notice(
        "Your servers are shut down",
        f"These servers of yours are shut down {_BY}. You can start them again:",
    ),
    "reboot": Notice("Your servers are rebooted", f"These servers of yours are rebooted {_BY}:"),
    "suspend": Notice(
        "Your servers are suspended",
        f"These servers of yours are suspended {_BY}: they are shut down, and you can do nothing "
        "with them until that ends. What is on their disks stays:",
    ),
    "unsuspend": Notice(
        "Your servers are no longer suspended",
        "You can start and use these servers of yours again:",
    ),
    "destroy": Notice(
        "Your servers are destroyed",
        f"These servers of yours are destroyed {_BY}, with all that was on their disks:",
    ),
}
"""What owners are told, by what is done."""


def drained(until: dt.datetime | None = None) -> Notice:
    """What owners are told when the cluster of their servers is drained."""
    end = f", until {until:%Y-%m-%d %H:%M} UTC if all goes well" if until is not None else ""
    return Notice(
        "Your servers are where something will be worked on",
        f"The cluster with these servers of yours takes no new ones for now{end}. They run on, and"
        " you can use them as before:",
    )


OFFLINE = Notice(
    "Your servers cannot be started or stopped for now",
    f"The cluster with these servers of yours is not reached for now, so ordered {_BY}. What runs"
    " goes on, but cannot be started, stopped or changed until it is back:",
)
"""What owners are told when the cluster of their servers is taken offline."""


def owners(session: Session, where: sa.ColumnElement[bool]) -> Sequence[Owner]:
    """Whose servers these are that are not deleted, by address; one statement.

    Who is not active gets no mail.
    """
    rows = session.execute(
        sa.select(User.email, Server.name, Server.id)
        .join_from(Server, User, Server.user_id == User.id)
        .where(where, Server.deleted == sa.false(), User.state == UserState.ACTIVE)
        .order_by(User.email, Server.id)
    )
    found: dict[str, list[str]] = {}
    for email, name, server_id in rows:
        found.setdefault(email, []).append(f"{name} ({server_id})")
    return [Owner(email, tuple(names)) for email, names in found.items()]


def without(owner: Owner, names: Collection[str]) -> Owner:
    """The same, but for these servers."""
    return Owner(owner.email, tuple(name for name in owner.servers if name not in names))


def letter(notice: Notice, owner: Owner, reason: str) -> Letter:
    """What one owner is sent."""
    names = [f"  {name}" for name in owner.servers[:_NAMED]]
    if len(owner.servers) > _NAMED:
        names.append(f"  and {len(owner.servers) - _NAMED} more")
    why = f"\n\nThe reason given is:\n\n  {reason}" if reason else ""
    text = f"{notice.text}\n\n" + "\n".join(names) + why
    if notice.writer:
        return letters.written(notice.subject, text, notice.writer)
    return Letter(notice.subject, f"{text}\n")


def send(
    session: Session,
    identity: Identity,
    sealer: Sealer,
    notice: Notice,
    to: Sequence[Owner],
    *,
    reason: str,
) -> int:
    """Write the mails down, to be sent after the commit; how many."""
    for owner in to:
        mail.enqueue(session, sealer, owner.email, letter(notice, owner, reason))
    if to:
        audit.record(
            *(session, identity, "notice:send", "mail", len(to)),
            reason=reason,
            subject=notice.subject,
            mails=len(to),
            servers=sum(len(owner.servers) for owner in to),
        )
    return len(to)
