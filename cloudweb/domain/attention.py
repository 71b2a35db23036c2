"""What an operator should look at: found in our own database, worst first."""

import dataclasses
import datetime as dt
import enum
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from cloudweb.domain import (
    dead_letters,
    differences,
    fitting,
    pool_days,
    pool_lists,
    reconcile,
    states,
    terms,
)
from cloudweb.domain.pool_lists import PoolRow
from cloudweb.models import (
    OPEN_STATES,
    AuditChain,
    Backend,
    ConsumerPause,
    Flavor,
    Operation,
    OperationState,
    OperState,
    Server,
    Terms,
    User,
    UserState,
    utc_now,
)

FAILED_WITHIN = dt.timedelta(hours=24)
WAITING_TOO_LONG = dt.timedelta(minutes=5)
RUNNING_TOO_LONG = dt.timedelta(hours=1)
NO_CONSUMER_AFTER = dt.timedelta(minutes=2)
CERTIFICATE_ENDS_WITHIN = dt.timedelta(days=30)
TERMS_OWED_SINCE = dt.timedelta(days=30)
POOL_TIGHT = 0.85
"""From which share in use on a pool needs somebody."""


class Condition(enum.StrEnum):
    """How a backend is, in the one word that matters most."""

    TAKING = "active"
    DRAINED = "drained"
    OFFLINE = "offline"
    UNREACHABLE = "unreachable"
    STALE = "stale"
    UNHEARD = "unheard"
    RESTRICTED = "not public"


class Severity(enum.StrEnum):
    CRITICAL = "critical"
    WARNING = "warning"


class Kind(enum.StrEnum):
    """What a concern is about; each has one place where something can be done about it."""

    UNREACHABLE = "unreachable"
    NO_BACKEND = "no backend"
    NO_ROOM = "no room"
    UNVERIFIED = "unverified"
    CERTIFICATE = "certificate"
    STALE = "stale"
    OVERDUE = "overdue"
    FAILED = "failed"
    WAITING = "waiting"
    STUCK = "stuck"
    BROKEN = "broken"
    DRIFT = "drift"
    DEAD_LETTERS = "dead letters"
    NO_CONSUMER = "no consumer"
    PAUSED = "paused"
    AUDIT = "audit"
    POOL = "pool"
    TERMS = "terms"
    REGIONS = "regions"


@dataclasses.dataclass(frozen=True, slots=True)
class Concern:
    """Something that needs a person. ``count`` is how many, where there can be many; ``text`` is
    what was found, where that was written down. Where nobody knows since when it is so, ``as_of``
    is when it was seen.
    """

    severity: Severity
    kind: Kind
    backend: Backend | None = None
    count: int = 1
    since: dt.datetime | None = None
    as_of: dt.datetime | None = None
    text: str = ""
    pool: PoolRow | None = None


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
    if is_stale(backend, stale_after_s):
        return Condition.STALE
    return Condition.TAKING if backend.public else Condition.RESTRICTED


def flags(backend: Backend) -> list[Condition]:
    """All that holds of a backend, in words: what was set, and whether it answers."""
    facts = {
        Condition.DRAINED: backend.drained,
        Condition.OFFLINE: backend.offline,
        Condition.UNREACHABLE: backend.unreachable_since is not None,
        Condition.RESTRICTED: not backend.public,
    }
    return [word for word, holds in facts.items() if holds] or [Condition.TAKING]


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
    """Everything that needs a person, worst and oldest first; four statements at most."""
    found = [
        *_about_backends(backends, flavors, stale_after_s),
        *_about_operations(session),
        *_about_watches(session, servers),
        *_about_pools(session),
    ]
    order = list(Severity)
    return sorted(found, key=lambda c: (order.index(c.severity), c.since or utc_now()))


def _about_backends(
    backends: Sequence[Backend], flavors: Sequence[Flavor], stale_after_s: float
) -> Iterator[Concern]:
    taking = [backend for backend in backends if fitting.is_open(backend)]
    if not taking:
        times = [backend.state_since or backend.created for backend in backends]
        last = max(times, default=None)
        yield Concern(Severity.CRITICAL, Kind.NO_BACKEND, count=len(backends), since=last)
    for backend in backends:
        if backend.drained and backend.drained_until and backend.drained_until < utc_now():
            yield Concern(Severity.WARNING, Kind.OVERDUE, backend, since=backend.drained_until)
        if backend.offline:
            continue
        if not backend.verify_tls:
            yield Concern(Severity.WARNING, Kind.UNVERIFIED, backend, as_of=backend.refreshed)
        ends = backend.certificate_ends
        if ends is not None and ends < utc_now() + CERTIFICATE_ENDS_WITHIN:
            if ends > utc_now():
                since = ends - CERTIFICATE_ENDS_WITHIN
                yield Concern(Severity.WARNING, Kind.CERTIFICATE, backend, since=since)
            else:
                yield Concern(Severity.CRITICAL, Kind.CERTIFICATE, backend, since=ends)
        if backend.unreachable_since is not None:
            yield Concern(
                Severity.CRITICAL, Kind.UNREACHABLE, backend, since=backend.unreachable_since
            )
        elif is_stale(backend, stale_after_s):
            yield Concern(Severity.WARNING, Kind.STALE, backend, since=backend.refreshed)
    for backend in taking:
        known = backend.refreshed is not None and bool(flavors)
        if known and not any(fitting.places(backend, flavor) for flavor in flavors):
            yield Concern(Severity.WARNING, Kind.NO_ROOM, backend, as_of=backend.refreshed)


def _about_operations(session: Session) -> Iterator[Concern]:
    now = utc_now()
    again = aliased(Operation)
    failed = sa.and_(
        Operation.state == OperationState.ERROR,
        Operation.finished > now - FAILED_WITHIN,
        ~sa.exists().where(again.retry_of_id == Operation.id),
    )
    waiting = sa.and_(
        Operation.state.in_(
            (OperationState.PENDING, OperationState.SUBMITTING, OperationState.DECLINED)
        ),
        Operation.created < now - WAITING_TOO_LONG,
    )
    counts = sa.union_all(
        _count(Kind.FAILED, failed, Operation.finished),
        _count(Kind.WAITING, waiting, Operation.created),
        _count(Kind.STUCK, _stuck(), Operation.submitted),
    )
    for kind, count, since in session.execute(counts):
        worst = Severity.CRITICAL if kind == Kind.FAILED.value else Severity.WARNING
        if count:
            yield Concern(worst, Kind(kind), count=count, since=since)


def _stuck() -> sa.ColumnElement[bool]:
    return sa.and_(
        Operation.state.in_((OperationState.SUBMITTED, OperationState.RUNNING)),
        Operation.submitted < utc_now() - RUNNING_TOO_LONG,
    )


def _count(
    kind: Kind, which: sa.ColumnElement[bool], time: sa.SQLColumnExpression[Any]
) -> sa.Select[str, int, Any]:
    return sa.select(sa.literal(kind.value), sa.func.count(), sa.func.min(time)).where(which)


def _about_pools(session: Session) -> Iterator[Concern]:
    rows = pool_lists.list_tight(session, share=POOL_TIGHT)
    tight = {row.pool.id: POOL_TIGHT * (row.held + row.free) for row in rows}
    days = pool_days.since(session, tight) if tight else {}
    for row in rows:
        severity = Severity.WARNING if row.free else Severity.CRITICAL
        day = days.get(row.pool.id, utc_now().date())
        since = dt.datetime.combine(day, dt.time(), dt.UTC)
        yield Concern(severity, Kind.POOL, pool=row, since=since)


def _about_watches(
    session: Session, servers: Mapping[int, Mapping[OperState, int]]
) -> Iterator[Concern]:
    """What each takes a figure or two to know; all of it one statement."""
    row = session.execute(
        sa.select(*(query.label(name) for name, query in _watched().items()))
    ).one()
    broken = sum(counts.get(OperState.ERROR, 0) for counts in servers.values())
    if broken:
        yield Concern(Severity.WARNING, Kind.BROKEN, count=broken, since=row.broken_since)
    if row.drift:
        yield Concern(Severity.WARNING, Kind.DRIFT, count=row.drift, as_of=row.compared)
    if row.letters:
        yield Concern(
            Severity.WARNING, Kind.DEAD_LETTERS, count=row.letters, since=row.oldest_letter
        )
    if row.paused is not None:
        yield Concern(Severity.WARNING, Kind.PAUSED, since=row.paused, text=row.why_paused)
    if row.noted is not None and utc_now() - row.noted > NO_CONSUMER_AFTER:
        yield Concern(Severity.CRITICAL, Kind.NO_CONSUMER, since=row.noted)
    if row.problem:
        yield Concern(Severity.CRITICAL, Kind.AUDIT, since=row.problem_since, text=row.problem)
    if row.owing:
        since = max(row.owed_from, row.first_owing) + TERMS_OWED_SINCE
        yield Concern(Severity.WARNING, Kind.TERMS, count=row.owing, since=since)
    if row.lacking:
        yield Concern(Severity.WARNING, Kind.REGIONS, count=row.lacking, as_of=row.regions_read)


def _watched() -> dict[str, sa.ScalarSelect[Any]]:
    """SQL for messages nobody could apply, whether anybody looks at the queues, what computing the
    audit's seals again found, who has not accepted the terms for long, what comparing clusters
    found, what regions lack of the promoted flavors, and since when.
    """
    letters, oldest_letter = dead_letters.waiting()
    drift, compared = reconcile.open_findings()
    long_ago = utc_now() - TERMS_OWED_SINCE
    owed = terms.number_in_force(long_ago, demanding=True)
    owing = (
        User.state == UserState.ACTIVE,
        User.created < long_ago,
        User.terms_number < owed,
    )
    broken = (Server.deleted == sa.false(), Server.state == OperState.ERROR)
    found = {
        "problem": sa.select(AuditChain.problem).where(AuditChain.id == 1),
        "problem_since": sa.select(AuditChain.broken_since).where(AuditChain.id == 1),
        "paused": sa.select(ConsumerPause.since).where(ConsumerPause.id == 1),
        "why_paused": sa.select(ConsumerPause.reason).where(ConsumerPause.id == 1),
        "owing": sa.select(sa.func.count()).select_from(User).where(*owing),
        "owed_from": sa.select(Terms.in_force).where(Terms.number == owed),
        "first_owing": sa.select(sa.func.min(User.created)).where(*owing),
        "broken_since": sa.select(
            sa.func.min(sa.func.coalesce(Server.state_time, Server.updated))
        ).where(*broken),
    }
    return {
        "noted": dead_letters.last_noted(),
        "letters": letters,
        "oldest_letter": oldest_letter,
        "drift": drift,
        "compared": compared,
        "lacking": differences.count_missing(),
        "regions_read": differences.oldest_reading(),
        **{name: query.scalar_subquery() for name, query in found.items()},
    }


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
