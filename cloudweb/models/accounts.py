"""Users, their API tokens, dashboard sessions and sign-in attempts."""

import datetime as dt
import enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cloudweb.models.meta import Base, created, pk, reference, str64, str255, table_args


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
    flashes: Mapped[list[Any]] = mapped_column(sa.JSON(), default=list)

    user: Mapped[User] = relationship(lazy="raise_on_sql")


class SignInAttempt(Base):
    """A failed sign-in, counted per e-mail and per address (``subject``)."""

    __tablename__ = "sign_in_attempts"
    __table_args__ = table_args(sa.Index(None, "subject", "at"), sa.Index(None, "at"))

    id: Mapped[pk]
    subject: Mapped[str64]
    at: Mapped[created]
