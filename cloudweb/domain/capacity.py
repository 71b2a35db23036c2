"""How full a cluster is: promised to servers, left if a node is lost, and hour by hour."""

import dataclasses
import datetime as dt
import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import fitting
from cloudweb.models import (
    Backend,
    BackendHour,
    BackendNetwork,
    BackendPin,
    Flavor,
    Network,
    Node,
    OperState,
    Server,
    User,
    utc_now,
)

_SHOWN = 50

# --- now ----------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Promised:
    """What the flavors of our servers on a cluster come to, and how many servers there are."""

    servers: Mapping[OperState, int]
    memory_mb: int
    disk_mb: int
    cpus: int
    cpus_running: int = 0
    """Those of the servers that run."""


NOTHING = Promised({}, 0, 0, 0)


def promised(session: Session, backend: Backend) -> Promised:
    """That of one cluster; one statement."""
    return promises(session, Server.backend_id == backend.id).get(backend.id, NOTHING)


def promises(
    session: Session, where: sa.ColumnElement[bool] | None = None
) -> Mapping[int, Promised]:
    """That of each cluster that has servers, by its id; one statement."""
    rows = session.execute(
        sa.select(
            Server.backend_id,
            Server.state,
            Flavor.disk_template,
            sa.func.count(),
            sa.func.sum(Flavor.ram_mb),
            sa.func.sum(Flavor.disk_gb),
            sa.func.sum(Flavor.cpu),
        )
        .join(Flavor, Flavor.id == Server.flavor_id)
        .where(sa.true() if where is None else where, Server.deleted == sa.false())
        .group_by(Server.backend_id, Server.state, Flavor.disk_template)
    )
    found: dict[int, Promised] = {}
    for backend_id, state, template, count, ram, disk, cpu in rows:
        before = found.get(backend_id, NOTHING)
        found[backend_id] = Promised(
            {**before.servers, state: before.servers.get(state, 0) + count},
            before.memory_mb + int(ram),
            before.disk_mb + int(disk) * 1024 * (2 if template == "drbd" else 1),
            before.cpus + int(cpu),
            before.cpus_running + (int(cpu) if state is OperState.STARTED else 0),
        )
    return found


@dataclasses.dataclass(frozen=True, slots=True)
class Loss:
    """What is left when the largest node is lost, and what it held is on the others."""

    node: Node
    held: int
    """All that it had, in use or free."""
    free: int
    """Less than nothing: so much is missing."""


@dataclasses.dataclass(frozen=True, slots=True)
class Losses:
    """That of each kind, by the node that has most of it; memory and disk in MiB."""

    memory: Loss
    disk: Loss
    cpus: Loss


def after_loss(nodes: Iterable[Node], promised: Promised) -> Losses | None:
    """What is free on all nodes that take instances, less all that the largest of them has.

    What ran there runs on others, and what was mirrored there is mirrored on others. None where
    there are fewer than two.
    """
    usable = [node for node in nodes if node.vm_capable and not (node.drained or node.offline)]
    if len(usable) < 2:
        return None

    def lose(total: Callable[[Node], int], free: int) -> Loss:
        largest = max(usable, key=lambda node: (total(node), node.name))
        return Loss(largest, total(largest), free - total(largest))

    return Losses(
        memory=lose(lambda node: node.memory_total_mb, sum(n.memory_free_mb for n in usable)),
        disk=lose(lambda node: node.disk_total_mb, sum(n.disk_free_mb for n in usable)),
        cpus=lose(lambda node: node.cpus, sum(n.cpus for n in usable) - promised.cpus_running),
    )


def count_fitting(backend: Backend, flavor: Flavor) -> int:
    """How many more servers of a flavor the cluster has room for, by its last figures."""
    if not fitting.fits(backend, flavor):
        return 0
    disk_mb = fitting.disk_mb(flavor)
    return min(
        (backend.memory_free_mb - 1) // max(1, flavor.ram_mb),
        backend.disk_free_mb // disk_mb if disk_mb else fitting.cpu_room(backend),
        fitting.cpu_room(backend),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Holds:
    """What else holds on to a cluster, by id: users that are pinned to it, networks on it."""

    pinned: Mapping[int, str]
    networks: Mapping[int, str]


def holds(session: Session, backend: Backend) -> Holds:
    """That, some of each; one statement."""
    pins = (
        sa.select(sa.literal("pin"), User.id, User.email)
        .join(BackendPin, BackendPin.user_id == User.id)
        .where(BackendPin.backend_id == backend.id)
    )
    nets = (
        sa.select(sa.literal("network"), Network.id, Network.name)
        .join(BackendNetwork, BackendNetwork.network_id == Network.id)
        .where(BackendNetwork.backend_id == backend.id, Network.deleted == sa.false())
    )
    both = sa.union_all(pins, nets).subquery()
    found: dict[str, dict[int, str]] = {"pin": {}, "network": {}}
    columns = list(both.c)
    for kind, id_, name in session.execute(
        sa.select(*columns).order_by(columns[0].desc(), columns[2], columns[1]).limit(2 * _SHOWN)
    ):
        if len(found[kind]) < _SHOWN:
            found[kind][id_] = name
    return Holds(found["pin"], found["network"])


# --- hour by hour -------------------------------------------------------------------------------


class Span(enum.StrEnum):
    """How far back one looks."""

    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"

    @property
    def hours(self) -> int:
        """How many hours that are."""
        return {Span.DAY: 24, Span.WEEK: 168, Span.MONTH: 720}[self]

    @property
    def step(self) -> int:
        """Of how many hours one point of a chart is the mean."""
        return {Span.DAY: 1, Span.WEEK: 6, Span.MONTH: 24}[self]


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    """What a cluster had from ``at`` on, in the mean; nothing is known where ``hours`` is 0."""

    at: dt.datetime
    hours: int = 0
    memory_percent: float = 0.0
    disk_percent: float = 0.0
    memory_free_mb: int = 0
    disk_free_mb: int = 0
    instances: int = 0


def note_hours(session: Session) -> int:
    """Write down what clusters that answer have, once an hour; how many those were.

    What is older than the longest span goes.
    """
    hour = utc_now().replace(minute=0, second=0, microsecond=0)
    known = sa.select(BackendHour.backend_id).where(BackendHour.hour == hour)
    backends = session.scalars(
        sa.select(Backend).where(
            Backend.removed.is_(None),
            Backend.refreshed >= hour,
            Backend.unreachable_since.is_(None),
            Backend.id.not_in(known),
        )
    ).all()
    for backend in backends:
        session.add(
            BackendHour(
                backend_id=backend.id,
                hour=hour,
                memory_total_mb=backend.memory_total_mb,
                memory_free_mb=backend.memory_free_mb,
                disk_total_mb=backend.disk_total_mb,
                disk_free_mb=backend.disk_free_mb,
                instances=backend.instances,
            )
        )
    oldest = hour - dt.timedelta(hours=Span.MONTH.hours + 24)
    session.execute(sa.delete(BackendHour).where(BackendHour.hour < oldest))
    return len(backends)


def list_points(session: Session, backend: Backend, span: Span) -> Sequence[Point]:
    """The points of a chart, oldest first; one statement."""
    return points_of(session, [backend], span)[backend.id]


def points_of(
    session: Session, backends: Sequence[Backend], span: Span
) -> dict[int, Sequence[Point]]:
    """The points of a chart of each, oldest first, by the backend's id; one statement."""
    now = utc_now().replace(minute=0, second=0, microsecond=0)
    last = now - dt.timedelta(hours=now.hour % span.step)
    first = last - dt.timedelta(hours=span.hours - span.step)
    rows = session.execute(
        sa.select(*cast("sa.Table", BackendHour.__table__).c)
        .where(
            BackendHour.backend_id.in_([backend.id for backend in backends]),
            BackendHour.hour >= first,
        )
        .order_by(BackendHour.hour)
    )
    step = dt.timedelta(hours=span.step)
    groups: dict[tuple[int, int], list[sa.Row[Any]]] = {}
    for row in rows:
        groups.setdefault((row.backend_id, (row.hour - first) // step), []).append(row)
    return {
        backend.id: [
            _mean(first + place * step, groups.get((backend.id, place), ()))
            for place in range(span.hours // span.step)
        ]
        for backend in backends
    }


def _mean(at: dt.datetime, rows: Sequence[sa.Row[Any]]) -> Point:
    if not rows:
        return Point(at)
    count = len(rows)
    return Point(
        at=at,
        hours=count,
        memory_percent=_used(
            sum(row.memory_total_mb for row in rows), sum(row.memory_free_mb for row in rows)
        ),
        disk_percent=_used(
            sum(row.disk_total_mb for row in rows), sum(row.disk_free_mb for row in rows)
        ),
        memory_free_mb=sum(row.memory_free_mb for row in rows) // count,
        disk_free_mb=sum(row.disk_free_mb for row in rows) // count,
        instances=round(sum(row.instances for row in rows) / count),
    )


def _used(total: int, free: int) -> float:
    return round(100 * (total - free) / total, 1) if total > 0 else 0.0
