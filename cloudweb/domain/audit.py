"""Writes down who changed what, in the transaction that changes it."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain.identity import Identity
from cloudweb.models import AuditEntry, Operation, Outcome

_WRITTEN = "audit entries"


def record(
    session: Session,
    identity: Identity,
    action: str,
    target_kind: str,
    target_id: object,
    *,
    reason: str = "",
    operation: Operation | None = None,
    outcome: Outcome = Outcome.DONE,
    **details: Any,
) -> None:
    """Add one entry; ``details`` must be JSON values and hold no secret."""
    if identity.undoes is not None:
        details["undoes"] = identity.undoes
    entry = AuditEntry(
        user_id=identity.user_id,
        actor=identity.email,
        role=identity.role.value,
        door=identity.door,
        address=identity.address[:50],
        request_id=identity.request_id,
        action=action,
        target_kind=target_kind,
        target_id=str(target_id)[:64],
        reason=(reason or identity.reason)[:255],
        operation_id=operation.id if operation is not None else None,
        outcome=outcome,
        details=details,
    )
    session.add(entry)
    if identity.door == "dashboard":
        session.info.setdefault(_WRITTEN, []).append(entry)


def written(session: Session) -> Sequence[AuditEntry]:
    """What the pages have written in this unit of work and not taken back, in order."""
    session.flush()  # entries get their ids
    added: Sequence[AuditEntry] = session.info.get(_WRITTEN, ())
    return sorted((e for e in added if sa.inspect(e).persistent), key=lambda entry: entry.id)


def list_for(
    session: Session, target_kind: str, target_id: object, *, limit: int = 20
) -> Sequence[AuditEntry]:
    """What was done to one object, newest first; one statement."""
    return session.scalars(
        sa.select(AuditEntry)
        .where(AuditEntry.target_kind == target_kind, AuditEntry.target_id == str(target_id))
        .order_by(AuditEntry.id.desc())
        .limit(limit)
    ).all()
