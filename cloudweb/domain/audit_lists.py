"""The audit as operators' lists show it."""

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import contains_eager

from cloudweb.domain.filters import Fields
from cloudweb.domain.identity import Identity
from cloudweb.models import AuditEntry, Operation

FIELDS = Fields(
    id=AuditEntry.id,
    at=AuditEntry.at,
    actor=AuditEntry.actor,
    role=AuditEntry.role,
    door=AuditEntry.door,
    address=AuditEntry.address,
    request=AuditEntry.request_id,
    action=AuditEntry.action,
    kind=AuditEntry.target_kind,
    target=AuditEntry.target_id,
    outcome=AuditEntry.outcome,
    reason=AuditEntry.reason,
    operation=AuditEntry.operation_id,
    job=Operation.job_id,
    number=AuditEntry.seal_number,
)
"""What entries are filtered and sorted by; ``number`` is an entry's place in the chain, ``job``
Ganeti's of the operation that was asked for.
"""


def rows(identity: Identity | None = None) -> sa.Select[Any]:
    """Every entry, each with its operation's job, or those of one actor."""
    query = (
        sa.select(AuditEntry)
        .outerjoin(AuditEntry.operation)
        .options(contains_eager(AuditEntry.operation).load_only(Operation.job_id))
    )
    return query if identity is None else query.where(AuditEntry.user_id == identity.user_id)


def about(target_kind: str, target_id: object) -> sa.ColumnElement[bool]:
    """Whether an entry is about this one thing."""
    return sa.and_(AuditEntry.target_kind == target_kind, AuditEntry.target_id == str(target_id))


def job_of(entry: AuditEntry) -> int | None:
    """Ganeti's number of the job that an entry of ``rows`` is about, or that came of it."""
    if entry.operation is not None:
        return entry.operation.job_id
    found = entry.details.get("job")
    return found if isinstance(found, int) else None


def before_after(details: Mapping[str, Any]) -> tuple[str, str, Mapping[str, str]]:
    """What was before, what is after, and what else there is to say, each as a text."""
    others = {name: _text(v) for name, v in details.items() if name not in ("before", "after")}
    return _text(details.get("before", "")), _text(details.get("after", "")), others


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def as_row(entry: AuditEntry) -> dict[str, object]:
    """An entry for programs: all that is sealed, and the seal."""
    return {
        "number": entry.seal_number,
        "id": entry.id,
        "at": entry.at,
        "actor": entry.actor,
        "user_id": entry.user_id,
        "role": entry.role,
        "door": entry.door,
        "address": entry.address,
        "request": entry.request_id,
        "action": entry.action,
        "kind": entry.target_kind,
        "target": entry.target_id,
        "outcome": entry.outcome.value,
        "reason": entry.reason,
        "operation": entry.operation_id,
        "details": entry.details,
        "seal": entry.seal,
    }
