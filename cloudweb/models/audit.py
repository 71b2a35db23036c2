"""The record of who changed what, through which door."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from cloudweb.models.meta import (
    Base,
    created,
    pk,
    reference,
    str20,
    str50,
    str64,
    str255,
    table_args,
)


class AuditEntry(Base):
    """One act; rows are only ever added."""

    __tablename__ = "audit"
    __table_args__ = table_args(
        sa.Index(None, "target_kind", "target_id", "id"), sa.Index(None, "user_id", "id")
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
