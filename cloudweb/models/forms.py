"""Forms that were sent, and forms that could not be: what was filled in is kept for a while."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from cloudweb.models.meta import (
    Base,
    LongText,
    created,
    pk,
    reference,
    str20,
    str50,
    str64,
    str255,
    table_args,
)


class SentForm(Base):
    """A confirmed form of the dashboard, by the key it had; ``location`` is where it led.

    Where it was about many things it has a ``title`` and a ``reason``, and ``items`` is what
    became of each (``domain.acts_on_many``).
    """

    __tablename__ = "sent_forms"
    __table_args__ = table_args(sa.Index(None, "created"), sa.Index(None, "request_id"))

    key: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    user_id: Mapped[int | None] = reference("users.id", nullable=True)
    verb: Mapped[str20]
    location: Mapped[str] = mapped_column(sa.String(1024), default="")
    items: Mapped[list[dict[str, Any]]] = mapped_column(sa.JSON(), default=list)
    title: Mapped[str255] = mapped_column(default="", server_default="")
    reason: Mapped[str255] = mapped_column(default="", server_default="")
    request_id: Mapped[str50] = mapped_column(default="", server_default="")
    created: Mapped[created]


class HeldForm(Base):
    """What somebody had filled in when their session ended, until they are back.

    ``digest`` is of the key in the address they come back by; ``sealed`` is the page, where the
    form leads, and its fields.
    """

    __tablename__ = "held_forms"
    __table_args__ = table_args(
        sa.UniqueConstraint("digest"), sa.Index(None, "user_id"), sa.Index(None, "created")
    )

    id: Mapped[pk]
    user_id: Mapped[int] = reference("users.id")
    digest: Mapped[str64]
    sealed: Mapped[str] = mapped_column(LongText)
    created: Mapped[created]
