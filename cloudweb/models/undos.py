"""What somebody did in the dashboard and can still undo."""

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from cloudweb.models.meta import Base, created, pk, reference, str255, table_args


class Undo(Base):
    """One act that can be undone by who did it, for some minutes.

    ``steps`` are its entries in the audit: what was done to what, and a token of what that left
    behind. ``location`` is the page it led to.
    """

    __tablename__ = "undos"
    __table_args__ = table_args(sa.Index(None, "user_id", "id"), sa.Index(None, "created"))

    id: Mapped[pk]
    user_id: Mapped[int] = reference("users.id")
    title: Mapped[str255]
    location: Mapped[str] = mapped_column(sa.String(1024))
    steps: Mapped[list[dict[str, Any]]] = mapped_column(sa.JSON())
    created: Mapped[created]
    done: Mapped[dt.datetime | None]
    """When it was undone."""
