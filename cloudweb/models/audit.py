"""The record of who changed what, through which door, and the chain that seals it."""

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
    str20,
    str50,
    str64,
    str255,
    table_args,
)
from cloudweb.models.operations import Operation


class Outcome(enum.StrEnum):
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


class AuditEntry(Base):
    """One act, or an attempt at one; rows are only ever added, and sealed once."""

    __tablename__ = "audit"
    __table_args__ = table_args(
        sa.Index(None, "target_kind", "target_id", "id"),
        sa.Index(None, "user_id", "id"),
        sa.UniqueConstraint("seal_number"),
    )

    id: Mapped[pk]
    at: Mapped[created]
    user_id: Mapped[int | None] = reference("users.id", nullable=True)
    actor: Mapped[str255]
    role: Mapped[str20]
    door: Mapped[str20]
    address: Mapped[str50] = mapped_column(default="")
    request_id: Mapped[str50] = mapped_column(default="")
    action: Mapped[str64]
    target_kind: Mapped[str20]
    target_id: Mapped[str64]
    reason: Mapped[str255] = mapped_column(default="")
    operation_id: Mapped[int | None] = reference("operations.id", nullable=True)
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    outcome: Mapped[Outcome] = mapped_column(default=Outcome.DONE, server_default="done")
    seal_number: Mapped[bigint | None]
    """Its place in the chain; none until a worker has sealed it."""
    seal: Mapped[str64 | None]
    """SHA-256 of the entry and of the seal before it."""

    operation: Mapped[Operation | None] = relationship(viewonly=True, lazy="raise")
    """What a cluster was asked; only where a query brings it along."""


class AuditChain(Base):
    """The two ends of the chain, in the one row there is.

    ``kept_number`` and ``kept_seal`` are those of the newest entry that was too old to keep: the
    chain goes on from there.
    """

    __tablename__ = "audit_chain"

    id: Mapped[pk]
    number: Mapped[bigint] = mapped_column(default=0)
    seal: Mapped[str64] = mapped_column(default="")
    kept_number: Mapped[bigint] = mapped_column(default=0)
    kept_seal: Mapped[str64] = mapped_column(default="")
    verified: Mapped[dt.datetime | None]
    """When a worker last computed every seal again."""
    problem: Mapped[str255] = mapped_column(default="", server_default="")
    """What was wrong then; nothing when all held."""
    broken_since: Mapped[dt.datetime | None]
    """When that was first seen."""
