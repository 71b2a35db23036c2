"""Messages that could not be applied, kept until somebody decides; and how full the queues are."""

import datetime as dt
import enum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from cloudweb.models.meta import (
    Base,
    LongBytes,
    pk,
    reference,
    str64,
    str255,
    table_args,
    utc_now,
)


class LetterState(enum.StrEnum):
    """A dead letter waits until it is applied after all, or dropped by somebody."""

    WAITING = "waiting"
    APPLIED = "applied"
    DROPPED = "dropped"


class DeadLetter(Base):
    """A message as it came, why it could not be applied, and how often that was tried.

    ``letter`` is the id it got when it was put to the dead letters: by it one that comes twice is
    kept once.
    """

    __tablename__ = "dead_letters"
    __table_args__ = table_args(
        sa.UniqueConstraint("letter"), sa.Index(None, "state", "id"), sa.Index(None, "received")
    )

    id: Mapped[pk]
    letter: Mapped[str] = mapped_column(sa.String(36))
    queue: Mapped[str] = mapped_column(sa.String(100))
    routing_key: Mapped[str255]
    cluster: Mapped[str255] = mapped_column(default="", server_default="")
    """Which it is from, by its own word."""
    event: Mapped[str] = mapped_column(sa.String(100), default="", server_default="")
    """What it tells of: its type, and the opcode if it is about a job."""
    body: Mapped[bytes] = mapped_column(LongBytes)
    kind: Mapped[str64] = mapped_column(default="", server_default="")
    """The class of what was raised when it was last tried."""
    reason: Mapped[str] = mapped_column(sa.String(1000))
    traceback: Mapped[str] = mapped_column(sa.Text(), default="")
    state: Mapped[LetterState] = mapped_column(default=LetterState.WAITING)
    tries: Mapped[int] = mapped_column(default=1)
    received: Mapped[dt.datetime] = mapped_column(default=utc_now)
    tried: Mapped[dt.datetime] = mapped_column(default=utc_now)
    settled: Mapped[dt.datetime | None]
    settled_by_id: Mapped[int | None] = reference("users.id", nullable=True)


class QueueCount(Base):
    """How much a queue held when a consumer last looked."""

    __tablename__ = "queue_counts"

    name: Mapped[str] = mapped_column(sa.String(100), primary_key=True)
    waiting: Mapped[int]
    consumers: Mapped[int]
    noted: Mapped[dt.datetime] = mapped_column(default=utc_now)
