"""Mails that wait to be sent, and the links in them."""

import datetime as dt
import enum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from cloudweb.models.meta import Base, created, pk, reference, str64, str255, table_args, text


class MailState(enum.StrEnum):
    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"


class Mail(Base):
    """A mail the worker sends; its text is sealed, and gone once it was sent or given up."""

    __tablename__ = "mails"
    __table_args__ = table_args(sa.Index(None, "state", "due"))

    id: Mapped[pk]
    recipient: Mapped[str] = mapped_column(sa.String(254))
    subject: Mapped[str255]
    text_sealed: Mapped[text]
    state: Mapped[MailState] = mapped_column(default=MailState.WAITING)
    created: Mapped[created]
    due: Mapped[dt.datetime]
    """When it may be tried; while it is tried, when others may take it over."""
    expires: Mapped[dt.datetime]
    """From when on it is of no use."""
    tries: Mapped[int] = mapped_column(default=0)
    settled: Mapped[dt.datetime | None]
    error: Mapped[str255] = mapped_column(default="")


class LinkPurpose(enum.StrEnum):
    VERIFY = "verify"
    """Who signed up shows that the address is theirs."""
    ACTIVATE = "activate"
    """The same, and an admin who sent it has accepted them."""
    RESET = "reset"
    CHANGE = "change"
    """Somebody has another address from now on: the one the link was sent to."""


class MailedLink(Base):
    """A mailed link, good once, to choose a password by or take an address over; its SHA-256."""

    __tablename__ = "mailed_links"
    __table_args__ = table_args(sa.UniqueConstraint("digest"), sa.Index(None, "user_id"))

    id: Mapped[pk]
    user_id: Mapped[int] = reference("users.id")
    purpose: Mapped[LinkPurpose]
    digest: Mapped[str64]
    created: Mapped[created]
    expires: Mapped[dt.datetime]
    used: Mapped[dt.datetime | None]
    email: Mapped[str | None] = mapped_column(sa.String(254))
    """The address it was sent to, where that is not the user's yet."""
