"""Acts on many things at once: who did what, why, and what became of each; for everybody."""

import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import fleet, operation_lists, server_lists
from cloudweb.domain.filters import Field, Fields
from cloudweb.domain.identity import Identity
from cloudweb.domain.server_lists import ServerRow
from cloudweb.models import (
    OPEN_STATES,
    Backend,
    Operation,
    OperationState,
    SentForm,
    Server,
    User,
    utc_now,
)

FIELDS = Fields(
    at=SentForm.created,
    key=SentForm.key,
    what=SentForm.title,
    by=Field.of(User.email, nullable=True),
    reason=SentForm.reason,
    request=SentForm.request_id,
)
"""What acts are filtered and sorted by."""


@dataclasses.dataclass(frozen=True, slots=True)
class ActRow:
    """An act as lists show it."""

    form: SentForm
    by: str | None

    def count(self, result: str) -> int:
        """To how many of its things this came."""
        return sum(item["result"] == result for item in self.form.items)


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one of the things, and how it is now.

    ``operation`` is the newest that was asked of its cluster for it: what was failed may have
    been done again since.
    """

    item: Mapping[str, Any]
    operation: Operation | None
    server: ServerRow | None
    backend: Backend | None

    @property
    def there(self) -> bool:
        """Whether there is such a thing."""
        return self.server is not None or self.backend is not None

    @property
    def failed(self) -> bool:
        """Whether it was to be done and was not."""
        ended = self.operation is not None and self.operation.state is OperationState.ERROR
        return ended or self.item["result"] == "refused"

    @property
    def open(self) -> bool:
        """Whether it is still to be done."""
        return self.operation is not None and self.operation.state in OPEN_STATES


def keep(
    form: SentForm, identity: Identity, title: str, items: Iterable[Mapping[str, Any]]
) -> None:
    """Keep with a form that it was about many things, and what became of each.

    Each has ``id``, ``name``, ``of`` (vms, backends), ``verb``, ``result`` (asked, skipped,
    refused), ``why`` and ``operation``.
    """
    form.title = title[:255]
    form.reason, form.request_id = identity.reason[:255], identity.request_id
    form.items = [dict(item) for item in items]


def rows() -> sa.Select[Any]:
    """What every ActRow is made of."""
    query = (
        sa.select(SentForm, User.email)
        .outerjoin(User, User.id == SentForm.user_id)
        .where(SentForm.title != "")
    )
    return cast("sa.Select[Any]", query)


def get(session: Session, key: str) -> ActRow:
    """One act; one statement. Raises ItemNotFound."""
    row = session.execute(rows().where(SentForm.key == key)).one_or_none()
    if row is None:
        raise faults.ItemNotFound("There is no such act.")
    return ActRow(*row)


def find_of(session: Session, user_id: int | None, request_id: str) -> SentForm | None:
    """The act on many things in which somebody asked for something; one statement."""
    if user_id is None or not request_id:
        return None
    return session.scalar(
        sa.select(SentForm)
        .where(SentForm.request_id == request_id, SentForm.user_id == user_id, SentForm.title != "")
        .order_by(SentForm.created.desc())
        .limit(1)
    )


def outcomes(session: Session, act: SentForm) -> Sequence[Outcome]:
    """What became of each, in order; three statements at most."""
    asked = {item["operation"] for item in act.items if item.get("operation")}
    operations = operation_lists.list_newest(session, asked)
    ids = {item["id"] for item in act.items}
    servers: dict[int, ServerRow] = {}
    backends: dict[int, Backend] = {}
    if any(item.get("of") == "backends" for item in act.items):
        backends = {each.id: each for each in fleet.list_all(session)}
    else:
        query = server_lists.rows().where(Server.id.in_(ids))
        servers = {(row := ServerRow(*found)).server.id: row for found in session.execute(query)}
    return [
        Outcome(
            item,
            operations.get(item.get("operation") or 0),
            servers.get(item["id"]),
            backends.get(item["id"]),
        )
        for item in act.items
    ]


def purge(session: Session, *, older_than_days: int) -> int:
    """Do away with what is too old for the audit too; how many those were."""
    before = utc_now() - dt.timedelta(days=older_than_days)
    old = sa.delete(SentForm).where(SentForm.created < before, SentForm.title != "")
    return cast("int", session.execute(old).rowcount)  # type: ignore[attr-defined]
