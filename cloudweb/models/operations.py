"""Operations: what cloudweb wants a cluster to do, written with the change that wants it."""

import datetime as dt
import enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from cloudweb.models.meta import (
    Base,
    BigId,
    UtcDateTime,
    bigint,
    created,
    pk,
    reference,
    str20,
    str50,
    str64,
    str255,
    table_args,
    utc_now,
)


class OperationState(enum.StrEnum):
    PENDING = "pending"
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    RUNNING = "running"
    DECLINED = "declined"
    """Its job failed for want of what may be had later, or elsewhere: the worker decides."""
    SUCCESS = "success"
    ERROR = "error"
    CANCELED = "canceled"


OPEN_STATES = (
    OperationState.PENDING,
    OperationState.SUBMITTING,
    OperationState.SUBMITTED,
    OperationState.RUNNING,
    OperationState.DECLINED,
)


class Operation(Base):
    """One Ganeti job to be: the row of the outbox and the record of what became of it.

    ``key`` goes into the job's reason trail; by it a job whose answer was lost is found again.
    ``sent`` is set before anything is sent and cleared only when it surely was not accepted.
    ``due`` is when a worker should next submit the row, or when its job was last asked about.
    """

    __tablename__ = "operations"
    __table_args__ = table_args(
        sa.UniqueConstraint("key"),
        sa.UniqueConstraint("retry_of_id"),
        sa.Index(None, "backend_id", "state", "due"),
        sa.Index(None, "backend_id", "state", "id"),
        sa.Index(None, "server_id", "state", "id"),
        sa.Index(None, "network_id", "backend_id", "state", "id"),
        sa.Index(None, "backend_id", "job_id"),
        sa.Index(None, "state", "id"),
        sa.Index(None, "finished"),
    )

    id: Mapped[pk]
    key: Mapped[str] = mapped_column(sa.String(32))
    backend_id: Mapped[int] = reference("backends.id")
    server_id: Mapped[int | None] = reference("servers.id", nullable=True)
    network_id: Mapped[int | None] = reference("networks.id", nullable=True)
    """The network the operation makes, unmakes or attaches to; see ``domain.operations.claim``."""
    nic_id: Mapped[bigint | None] = mapped_column(default=None)
    """The card it is about, whose row may be gone."""
    user_id: Mapped[int | None] = reference("users.id", nullable=True)
    request_id: Mapped[str50] = mapped_column(default="")
    reason: Mapped[str255] = mapped_column(default="")
    opcode: Mapped[str64]
    target: Mapped[str255]
    """Ganeti's name of the object the opcode is about."""
    arguments: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[OperationState] = mapped_column(default=OperationState.PENDING)
    job_id: Mapped[bigint | None] = mapped_column(default=None)
    attempts: Mapped[int] = mapped_column(default=0)
    declines: Mapped[int] = mapped_column(default=0, server_default="0")
    """How many jobs of it have failed for now only; each time ``key`` is a new one."""
    due: Mapped[dt.datetime] = mapped_column(UtcDateTime(), default=utc_now)
    worker: Mapped[str64] = mapped_column(default="")
    sent: Mapped[dt.datetime | None]
    submitted: Mapped[dt.datetime | None]
    finished: Mapped[dt.datetime | None]
    cancel_wanted: Mapped[dt.datetime | None]
    """Since when somebody wants it canceled that may be with the cluster already."""
    cancel_asked: Mapped[dt.datetime | None]
    """When the cluster was last asked to."""
    retry_of_id: Mapped[int | None] = mapped_column(BigId, default=None)
    """The failed one that this does again; a foreign key would keep MariaDB from deleting both."""
    error_class: Mapped[str20 | None] = mapped_column(sa.String(40), default=None)
    error: Mapped[str] = mapped_column(sa.String(2000), default="")
    created: Mapped[created]
    updated: Mapped[dt.datetime] = mapped_column(UtcDateTime(), default=utc_now, onupdate=utc_now)
