"""Flavors as operators' lists show them: who has them, and where there is room for more."""

import dataclasses
import datetime as dt
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import capacity, fitting, fleet
from cloudweb.domain.filters import Field, Fields
from cloudweb.models import AuditEntry, Backend, Flavor, Outcome, Server

_USED = (
    sa.select(Server.flavor_id, sa.func.count().label("servers"))
    .where(Server.deleted == sa.false())
    .group_by(Server.flavor_id)
    .subquery("used")
)
_SERVERS = sa.func.coalesce(_USED.c.servers, 0)

NAME: sa.ColumnElement[str] = (
    sa.literal("C")
    + sa.cast(Flavor.cpu, sa.String)
    + "R"
    + sa.cast(Flavor.ram_mb, sa.String)
    + "D"
    + sa.cast(Flavor.disk_gb, sa.String)
    + Flavor.disk_template
)
"""SQL for a flavor's name."""

FIELDS = Fields(
    id=Flavor.id,
    name=Field.of(NAME, nullable=False),
    cpu=Flavor.cpu,
    ram=Flavor.ram_mb,
    disk=Flavor.disk_gb,
    template=Flavor.disk_template,
    servers=Field.of(_SERVERS, nullable=False),
    deleted=Flavor.deleted,
)
"""What flavors are filtered and sorted by; memory in MiB, disk in GiB."""


def rows() -> sa.Select[Flavor, int]:
    """Every flavor, deleted or not, and how many servers have it, by id."""
    query = sa.select(Flavor, _SERVERS).outerjoin(_USED, _USED.c.flavor_id == Flavor.id)
    return query.order_by(Flavor.id)


@dataclasses.dataclass(frozen=True, slots=True)
class FlavorRow:
    """A flavor, and how many servers have it.

    ``takers`` are the backends that take anybody's servers of it, ``room`` is how many more they
    have room for by their last figures; ``created`` is when it was made, where that is known.
    """

    flavor: Flavor
    servers: int
    takers: Sequence[Backend] = ()
    room: int = 0
    created: dt.datetime | None = None


def with_room(session: Session, found: Sequence[FlavorRow]) -> list[FlavorRow]:
    """The same with backends, room and age; two statements."""
    backends = fleet.list_all(session)
    ids = [str(row.flavor.id) for row in found]
    rows = session.execute(
        sa.select(AuditEntry.target_id, sa.func.min(AuditEntry.at))
        .where(
            AuditEntry.target_kind == "flavor",
            AuditEntry.target_id.in_(ids),
            AuditEntry.action == "flavor:create",
            AuditEntry.outcome == Outcome.DONE,
        )
        .group_by(AuditEntry.target_id)
    )
    made = dict(row for row in rows)
    whole = []
    for row in found:
        takers = [backend for backend in backends if fitting.takes(backend, row.flavor)]
        room = sum(capacity.count_fitting(backend, row.flavor) for backend in takers)
        created = made.get(str(row.flavor.id))
        whole.append(FlavorRow(row.flavor, row.servers, takers, room, created))
    return whole
