"""Users, their API tokens, dashboard sessions and sign-in attempts."""

import datetime as dt
import enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cloudweb.models.meta import (
    Base,
    bigint,
    created,
    pk,
    reference,
    str50,
    str64,
    str255,
    table_args,
)


class Role(enum.StrEnum):
    """What kind of person this is; a plain user owns servers and sees no dashboard."""

    USER = "user"
    VIEWER = "viewer"
    HELPDESK = "helpdesk"
    OPERATOR = "operator"
    FLAVOR_MANAGER = "flavor manager"
    ADMIN = "admin"


class UserState(enum.StrEnum):
    UNVERIFIED = "unverified"
    PENDING = "pending"
    ACTIVE = "active"
    REJECTED = "rejected"
    DEACTIVATED = "deactivated"


class Theme(enum.StrEnum):
    """The colours of the pages; the system's unless another is chosen."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"
    CONTRAST = "contrast"


class Density(enum.StrEnum):
    """How close the rows of tables are."""

    COMFORTABLE = "comfortable"
    COMPACT = "compact"


class User(Base):
    """A person or a program with an e-mail address."""

    __tablename__ = "users"
    __table_args__ = table_args(sa.UniqueConstraint("email"))

    id: Mapped[pk]
    email: Mapped[str] = mapped_column(sa.String(254))
    name: Mapped[str255]
    role: Mapped[Role]
    state: Mapped[UserState] = mapped_column(default=UserState.ACTIVE)
    password_hash: Mapped[str255 | None]
    created: Mapped[created]
    verified: Mapped[dt.datetime | None]
    """When it was shown that the e-mail address is theirs."""
    totp_sealed: Mapped[str255 | None]
    totp_step: Mapped[bigint] = mapped_column(default=0, server_default="0")
    """The last time step whose code was used: a code is good once."""
    last_seen: Mapped[dt.datetime | None]
    """When they last used a page; to a minute."""
    terms_number: Mapped[bigint] = mapped_column(default=0, server_default="0")
    """The newest version of the terms of use that they accepted; 0 for none."""
    theme: Mapped[Theme] = mapped_column(default=Theme.SYSTEM, server_default="system")
    density: Mapped[Density] = mapped_column(
        default=Density.COMFORTABLE, server_default="comfortable"
    )
    time_zone: Mapped[str64] = mapped_column(default="UTC", server_default="UTC")
    language: Mapped[str] = mapped_column(sa.String(20), default="", server_default="")
    """In which they are shown the terms of use; none leaves it to their browser."""
    slash_key: Mapped[bool] = mapped_column(default=True, server_default=sa.true())
    """Whether the key / leads to the search: WCAG 2.1.4 wants such keys to be turned off."""


class Token(Base):
    """An API token; only its SHA-256 is kept."""

    __tablename__ = "tokens"
    __table_args__ = table_args(sa.UniqueConstraint("digest"), sa.Index(None, "user_id"))

    id: Mapped[pk]
    user_id: Mapped[int] = reference("users.id")
    name: Mapped[str255]
    digest: Mapped[str64]
    created: Mapped[created]
    expires: Mapped[dt.datetime | None]
    revoked: Mapped[dt.datetime | None]
    read_only: Mapped[bool] = mapped_column(default=False, server_default=sa.false())

    user: Mapped[User] = relationship(lazy="raise_on_sql")


class WebSession(Base):
    """A signed-in browser; the cookie holds a random text, this row its SHA-256."""

    __tablename__ = "web_sessions"
    __table_args__ = table_args(
        sa.UniqueConstraint("digest"), sa.Index(None, "user_id"), sa.Index(None, "expires")
    )

    id: Mapped[pk]
    user_id: Mapped[int] = reference("users.id")
    digest: Mapped[str64]
    created: Mapped[created]
    last_seen: Mapped[dt.datetime]
    expires: Mapped[dt.datetime]
    pending: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    """The password was right; the second factor is still to come."""
    totp_sealed: Mapped[str255 | None]
    """A secret that is offered and not confirmed yet."""
    address: Mapped[str50] = mapped_column(default="", server_default="")
    agent: Mapped[str255] = mapped_column(default="", server_default="")
    flashes: Mapped[list[Any]] = mapped_column(sa.JSON(), default=list)

    user: Mapped[User] = relationship(lazy="raise_on_sql")


class RecoveryCode(Base):
    """What stands in for the second factor, once; a hash is kept until it is used."""

    __tablename__ = "recovery_codes"
    __table_args__ = table_args(sa.UniqueConstraint("user_id", "digest"))

    id: Mapped[pk]
    user_id: Mapped[int] = reference("users.id")
    digest: Mapped[str64]


class SignInAttempt(Base):
    """A failed sign-in, counted per e-mail and per address (``subject``)."""

    __tablename__ = "sign_in_attempts"
    __table_args__ = table_args(sa.Index(None, "subject", "at"), sa.Index(None, "at"))

    id: Mapped[pk]
    subject: Mapped[str64]
    at: Mapped[created]
