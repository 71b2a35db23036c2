"""Jobs of clusters, ours and everybody's, as their queues were when last read."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from cloudweb.models.meta import (
    Base,
    BigId,
    LongText,
    UtcDateTime,
    bigint,
    reference,
    str20,
    str64,
    str255,
    table_args,
)


class ClusterJob(Base):
    """A job in a cluster's queue; one that is over is kept for a day.

    The operation and the server it is about have no foreign keys: they never keep those from going.
    """

    __tablename__ = "cluster_jobs"
    __table_args__ = table_args(
        sa.Index(None, "status"),
        sa.Index(None, "opcode"),
        sa.Index(None, "target"),
        sa.Index(None, "received"),
        sa.Index(None, "operation_id"),
    )

    backend_id: Mapped[int] = reference("backends.id", primary_key=True)
    job_id: Mapped[int] = mapped_column(sa.BigInteger(), primary_key=True, autoincrement=False)
    status: Mapped[str20]
    """As Ganeti spells it."""
    opcode: Mapped[str64]
    """That of the first of its steps."""
    steps: Mapped[int] = mapped_column(default=1)
    target: Mapped[str255] = mapped_column(default="")
    """Ganeti's name of the instance, node or network it is about."""
    tool: Mapped[str64] = mapped_column(default="")
    """What asked for it, such as gnt-instance."""
    reason: Mapped[str255] = mapped_column(default="")
    operation_id: Mapped[int | None] = mapped_column(BigId, default=None)
    """Ours that it does, or is a part of."""
    server_id: Mapped[int | None] = mapped_column(BigId, default=None)
    received: Mapped[dt.datetime]
    started: Mapped[dt.datetime | None]
    ended: Mapped[dt.datetime | None]
    took_ms: Mapped[bigint | None] = mapped_column(default=None)
    error_class: Mapped[str | None] = mapped_column(sa.String(40), default=None)
    error: Mapped[str] = mapped_column(sa.String(2000), default="")
    read_status: Mapped[str20] = mapped_column(default="")
    """Its status when all of it was last read; empty when it never was, or is to be anew."""
    detail: Mapped[str] = mapped_column(LongText, default="", deferred=True)
    """All of it, in JSON as Ganeti shows it, without secrets."""
    cancel_wanted: Mapped[dt.datetime | None]
    """Since when somebody wants it canceled."""
    cancel_asked: Mapped[dt.datetime | None] = mapped_column(UtcDateTime(), default=None)
    """When its cluster was last asked to."""
    retry_id: Mapped[int | None] = mapped_column(BigId, default=None)
    """The operation that does it again, since it failed."""
