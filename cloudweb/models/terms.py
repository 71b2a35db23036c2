"""The terms of use: texts by their hash, versions, and the ledger of who accepted which."""

import datetime as dt
import enum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from cloudweb.models.meta import (
    Base,
    LongText,
    bigint,
    created,
    pk,
    reference,
    str20,
    str50,
    str64,
    str255,
    table_args,
)


class TermsFormat(enum.StrEnum):
    MARKDOWN = "markdown"
    HTML = "html"


class TermsText(Base):
    """One text, under its SHA-256; it is never changed, and two versions may have the same."""

    __tablename__ = "terms_texts"

    digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    text: Mapped[str] = mapped_column(LongText)


class Terms(Base):
    """A version of the terms: a draft until it has a number, and unchangeable from then on.

    Numbers come into force in their order.
    """

    __tablename__ = "terms"
    __table_args__ = table_args(sa.UniqueConstraint("number"))

    id: Mapped[pk]
    number: Mapped[int | None]
    format: Mapped[TermsFormat]
    text_digest: Mapped[str] = mapped_column(sa.String(64), sa.ForeignKey("terms_texts.digest"))
    summary: Mapped[str255]
    requires_acceptance: Mapped[bool]
    version: Mapped[bigint] = mapped_column(default=1)
    """Moves with every change of a draft."""
    created: Mapped[created]
    author: Mapped[str255]
    published: Mapped[dt.datetime | None]
    published_by: Mapped[str255 | None]
    in_force: Mapped[dt.datetime | None]
    """From when on it is in force; none for a draft."""
    told_up_to: Mapped[bigint] = mapped_column(default=0, server_default="0")
    """The last user, by id, who was told of it by mail or owed nothing."""
    told: Mapped[dt.datetime | None]
    """When the last of those who owe their acceptance was told."""


class TermsTranslation(Base):
    """What a version says in another language than that of its original."""

    __tablename__ = "terms_translations"

    terms_id: Mapped[int] = reference("terms.id", primary_key=True)
    language: Mapped[str20] = mapped_column(primary_key=True)
    text_digest: Mapped[str] = mapped_column(sa.String(64), sa.ForeignKey("terms_texts.digest"))
    summary: Mapped[str255]


class Acceptance(Base):
    """Somebody accepted a version, by the text they were shown; rows are only ever added."""

    __tablename__ = "terms_acceptances"
    __table_args__ = table_args(
        sa.UniqueConstraint("terms_id", "user_id"), sa.Index(None, "user_id")
    )

    id: Mapped[pk]
    terms_id: Mapped[int] = reference("terms.id")
    user_id: Mapped[int] = reference("users.id")
    text_digest: Mapped[str64]
    at: Mapped[created]
    door: Mapped[str20]
    address: Mapped[str50] = mapped_column(default="")
    request_id: Mapped[str50] = mapped_column(default="")
    noted_by: Mapped[str255] = mapped_column(default="")
    """Who wrote it down for them, where they did not themselves."""
    reason: Mapped[str255] = mapped_column(default="")
