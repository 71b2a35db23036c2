"""What an operator should look at: found in our own database, worst first."""

import dataclasses
import datetime as dt
import enum
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import fleet, states
from cloudweb.models import (
    OPEN_STATES,
    Backend,
    Flavor,
    Operation,
    OperationState,
    OperState,
    utc_now,
)

FAILED_WITHIN = dt.timedelta(hours=24)
WAITING_TOO_LONG = dt.timedelta(minutes=5)


class Condition(enum.StrEnum):
    """How a backend is, in the one word that matters most."""

    TAKING = "taking"
    DRAINED = "drained"
    OFFLINE = "offline"
    UNREACHABLE = "unreachable"
    STALE = "stale"
    UNHEARD = "unheard"


class Severity(enum.StrEnum):
    CRITICAL = "critical"
    WARNING = "warning"


class Kind(enum.StrEnum):
    """What a concern is about; each has one place where something can be done about it."""

    UNREACHABLE = "unreachable"
    NO_BACKEND = "no backend"
    NO_ROOM = "no room"
    UNVERIFIED = "unverified"
    STALE = "stale"
    FAILED = "failed"
    WAITING = "waiting"
    BROKEN = "broken"


@dataclasses.dataclass(frozen=True, slots=True)
class Concern:
    """Something that needs a person. ``count`` is how many, where there can be many."""

    severity: Severity
    kind: Kind
    backend: Backend | None = None
    count: int = 1
    since: dt.datetime | None = None


def condition(backend: Backend, *, stale_after_s: float) -> Condition:
    """The backend's condition: what was set by hand first, then what the cluster shows."""
    if backend.offline:
        return Condition.OFFLINE
    if backend.unreachable_since is not None:
        return Condition.UNREACHABLE
    if backend.drained:
        return Condition.DRAINED
    if backend.refreshed is None:
        return Condition.UNHEARD
    return Condition.STALE if is_stale(backend, stale_after_s) else Condition.TAKING


def is_stale(backend: Backend, stale_after_s: float) -> bool:
    """Whether the backend's figures are older than they should ever get."""
    if backend.refreshed is None or backend.offline:
        return False
    return utc_now() - backend.refreshed > dt.timedelta(seconds=stale_after_s)


def list_concerns(
    session: Session,
    backends: Sequence[Backend],
    flavors: Sequence[Flavor],
    servers: Mapping[int, Mapping[OperState, int]],
    *,
    stale_after_s: float,
) -> list[Concern]:
    """Everything that needs a person, worst and oldest first; two statements."""
    found = [
        *_about_backends(backends, flavors, stale_after_s),
        *_about_operations(session),
        *_about_servers(servers),
    ]
    order = list(Severity)
    return sorted(found, key=lambda c: (order.index(c.severity), c.since or utc_now()))


def _about_backends(
    backends: Sequence[Backend], flavors: Sequence[Flavor], stale_after_s: float
) -> Iterator[Concern]:
    taking = [backend for backend in backends if not backend.drained and not backend.offline]
    if not taking:
        yield Concern(Severity.CRITICAL, Kind.NO_BACKEND, count=len(backends))
    for backend in backends:
        if backend.offline:
            continue
        if not backend.verify_tls:
            yield Concern(Severity.WARNING, Kind.UNVERIFIED, backend)
        if backend.unreachable_since is not None:
            yield Concern(
                Severity.CRITICAL, Kind.UNREACHABLE, backend, since=backend.unreachable_since
            )
        elif is_stale(backend, stale_after_s):
            yield Concern(Severity.WARNING, Kind.STALE, backend, since=backend.refreshed)
    for backend in taking:
        known = backend.refreshed is not None and bool(flavors)
        if known and not any(places(backend, flavor) for flavor in flavors):
            yield Concern(Severity.WARNING, Kind.NO_ROOM, backend)


def places(backend: Backend, flavor: Flavor) -> bool:
    """Whether the backend takes this flavor and, by its last figures, has room for one more."""
    return fleet.takes(backend, flavor) and fleet.fits(backend, flavor)


def _about_operations(session: Session) -> Iterator[Concern]:
    now = utc_now()
    failed = sa.and_(
        Operation.state == OperationState.ERROR, Operation.finished > now - FAILED_WITHIN
    )
    count, since = _count(session, failed, Operation.finished)
    if count:
        yield Concern(Severity.CRITICAL, Kind.FAILED, count=count, since=since)
    waiting = sa.and_(
        Operation.state.in_((OperationState.PENDING, OperationState.SUBMITTING)),
        Operation.created < now - WAITING_TOO_LONG,
    )
    count, since = _count(session, waiting, Operation.created)
    if count:
        yield Concern(Severity.WARNING, Kind.WAITING, count=count, since=since)


def _count(
    session: Session, which: sa.ColumnElement[bool], time: sa.SQLColumnExpression[Any]
) -> tuple[int, dt.datetime | None]:
    row = session.execute(sa.select(sa.func.count(), sa.func.min(time)).where(which)).one()
    return row[0], row[1]


def _about_servers(servers: Mapping[int, Mapping[OperState, int]]) -> Iterator[Concern]:
    broken = sum(counts.get(OperState.ERROR, 0) for counts in servers.values())
    if broken:
        yield Concern(Severity.WARNING, Kind.BROKEN, count=broken)


def count_operations(
    session: Session, state: OperationState | None = None, *, at_most: int = 10_000
) -> int:
    """How many operations there are (in this state), counted no further than ``at_most`` + 1."""
    some = sa.select(Operation.id).limit(at_most + 1)
    if state is not None:
        some = some.where(Operation.state == state)
    return session.scalar(sa.select(sa.func.count()).select_from(some.subquery())) or 0


def count_builds(session: Session, backend_id: int) -> int:
    """How many servers are still to be built on this backend."""
    return (
        session.scalar(
            sa.select(sa.func.count()).where(
                Operation.backend_id == backend_id,
                Operation.opcode == states.CREATE,
                Operation.state.in_(OPEN_STATES),
            )
        )
        or 0
    )


def is_anything_open(session: Session) -> bool:
    """Whether any cluster is still to do something."""
    query = sa.select(Operation.id).where(Operation.state.in_(OPEN_STATES)).limit(1)
    return session.scalar(query) is not None
