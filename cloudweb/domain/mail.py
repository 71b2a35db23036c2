"""The mails that are to be sent: written down with the change they tell of, sent by the worker."""

import dataclasses
import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.models import Mail, MailState, utc_now
from cloudweb.sealing import Sealer

KEPT = dt.timedelta(days=30)
_LONGEST_WAIT_S = 3600


@dataclasses.dataclass(frozen=True, slots=True)
class Letter:
    """What a mail says; plain text, with nothing in its subject that a stranger wrote."""

    subject: str
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Claimed:
    """A mail to be sent now, and by which claim."""

    id: int
    recipient: str
    subject: str
    text: str = dataclasses.field(repr=False)
    due: dt.datetime = dataclasses.field(repr=False)


def enqueue(
    session: Session, sealer: Sealer, recipient: str, letter: Letter, *, good_for_s: int = 259_200
) -> Mail:
    """Write a mail down; it is sent after the commit, unless it takes longer than that."""
    now = utc_now()
    mail = Mail(
        recipient=recipient,
        subject=letter.subject,
        text_sealed=sealer.seal(letter.text),
        created=now,
        due=now,
        expires=now + dt.timedelta(seconds=good_for_s),
    )
    session.add(mail)
    return mail


def claim(session: Session, sealer: Sealer, *, lease_s: float, limit: int) -> list[Claimed]:
    """Take due mails, for so long; whoever took them and died is relieved after that."""
    now = utc_now()
    rows = session.scalars(
        sa.select(Mail)
        .where(Mail.state == MailState.WAITING, Mail.due <= now)
        .order_by(Mail.due, Mail.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    claimed = []
    for mail in rows:
        if mail.expires <= now:
            _settle(mail, MailState.FAILED, mail.error or "It was of no use any longer.")
            continue
        try:
            text = sealer.open(mail.text_sealed)
        except ValueError as error:
            _settle(mail, MailState.FAILED, str(error))
            continue
        mail.due = now + dt.timedelta(seconds=lease_s)
        mail.tries += 1
        claimed.append(Claimed(mail.id, mail.recipient, mail.subject, str(text), mail.due))
    return claimed


def count_due(session: Session) -> int:
    """How many mails could be sent now."""
    return (
        session.scalar(
            sa.select(sa.func.count()).where(Mail.state == MailState.WAITING, Mail.due <= utc_now())
        )
        or 0
    )


def note_sent(session: Session, claimed: Claimed) -> None:
    """It was handed over; its text is forgotten."""
    mail = _mine(session, claimed)
    if mail is not None:
        _settle(mail, MailState.SENT, "")


def note_failed(session: Session, claimed: Claimed, error: str, *, for_good: bool) -> None:
    """It was not taken: it is tried again, ever later, unless it never will be."""
    mail = _mine(session, claimed)
    if mail is None:
        return
    if for_good:
        _settle(mail, MailState.FAILED, error)
        return
    wait = min(_LONGEST_WAIT_S, 15 * 2 ** min(mail.tries - 1, 10))
    mail.error, mail.due = error[:255], utc_now() + dt.timedelta(seconds=wait)


def purge(session: Session) -> int:
    """Forget mails that were settled long ago; how many."""
    done = session.execute(sa.delete(Mail).where(Mail.settled < utc_now() - KEPT))
    return int(done.rowcount)  # type: ignore[attr-defined]


def _mine(session: Session, claimed: Claimed) -> Mail | None:
    """The mail, locked, if nobody took it over meanwhile."""
    return session.scalar(
        sa.select(Mail)
        .where(Mail.id == claimed.id, Mail.state == MailState.WAITING, Mail.due == claimed.due)
        .with_for_update()
    )


def _settle(mail: Mail, state: MailState, error: str) -> None:
    mail.state, mail.error, mail.settled = state, error[:255], utc_now()
    mail.text_sealed = ""
