"""Who listens to the message bus, and whether they are told to rest."""

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from cloudweb.models.meta import Base, bigint, created, pk, reference, str255, utc_now


class ConsumerProcess(Base):
    """A consumer as it last told of itself; its counts are since it began."""

    __tablename__ = "consumer_processes"

    name: Mapped[str] = mapped_column(sa.String(100), primary_key=True)
    """Machine and process."""
    started: Mapped[created]
    noted: Mapped[dt.datetime] = mapped_column(default=utc_now)
    broker: Mapped[str255] = mapped_column(default="")
    """The host it listens to; empty while none answers."""
    broker_since: Mapped[dt.datetime | None]
    """Since when it listens there, or since when none answers."""
    error: Mapped[str] = mapped_column(sa.String(500), default="")
    last_message: Mapped[dt.datetime | None]
    messages: Mapped[bigint] = mapped_column(default=0)
    redelivered: Mapped[bigint] = mapped_column(default=0)
    per_second: Mapped[float] = mapped_column(sa.Double(), default=0.0)
    """Since it told of itself before."""
    unacked: Mapped[int] = mapped_column(default=0)
    lag_s: Mapped[float | None] = mapped_column(sa.Double(), default=None)
    lags: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    """Of each cluster how old the oldest event of its last messages was, and when they came."""
    outcomes: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What became of how many messages."""


class ConsumerPause(Base):
    """Consumers rest while there is a row, which has the id 1."""

    __tablename__ = "consumer_pauses"

    id: Mapped[pk]
    since: Mapped[created]
    user_id: Mapped[int | None] = reference("users.id", nullable=True)
    actor: Mapped[str] = mapped_column(sa.String(254))
    reason: Mapped[str255]
