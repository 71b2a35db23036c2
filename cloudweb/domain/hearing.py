"""Applies what is heard of jobs, from messages and from asking, in batches or one by one."""

import datetime as dt
import enum
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import hearing_sql, states
from cloudweb.domain.operations import ASK_NOW, advance
from cloudweb.domain.states import NicReport, OperationFacts, ServerFacts, StatusEvent
from cloudweb.models import Backend, Nic, Server, utc_now

_MAX_AHEAD = dt.timedelta(days=1)


class Outcome(enum.StrEnum):
    """What became of an event."""

    APPLIED = "applied"
    STALE = "stale"
    UNKNOWN = "not ours"


def apply_status(session: Session, event: StatusEvent) -> Outcome:
    """Apply one event. Raises ImpossibleMessage."""
    return apply_statuses(session, [event])[0]


def apply_statuses(session: Session, events: Sequence[StatusEvent]) -> list[Outcome]:
    """Apply events in order, in a number of statements that does not grow with them.

    Locks the servers, then the operations. Applying an event again changes nothing.

    Raises:
        ImpossibleMessage: a status Ganeti does not have, or a time far in the future.
    """
    check(events)
    servers = _Servers(session, events)
    operations = _Operations(session, servers.ids)
    outcomes = []
    for event in events:
        facts = servers.find(event)
        if facts is None:
            outcomes.append(Outcome.UNKNOWN)
            continue
        changed = servers.apply(facts, event)
        changed = operations.apply(facts.id, event) or changed
        outcomes.append(Outcome.APPLIED if changed else Outcome.STALE)
    hearing_sql.update(session, servers.finish(session), operations.changed, utc_now())
    return outcomes


def check(events: Iterable[StatusEvent]) -> None:
    """Raise ImpossibleMessage if one of the events can never be applied."""
    latest = utc_now() + _MAX_AHEAD
    for event in events:
        if event.status not in states.STATUS_RANK:
            raise faults.ImpossibleMessage(f"Ganeti has no job status {event.status[:40]!r}.")
        if event.time > latest:
            raise faults.ImpossibleMessage("The event is more than a day in the future.")


# --- servers ------------------------------------------------------------------------------------


class _Servers:
    """The servers a batch is about: read and locked once, changed in memory, written once."""

    def __init__(self, session: Session, events: Sequence[StatusEvent]) -> None:
        self._known: dict[tuple[str, str], ServerFacts] = {}
        self._by_name: dict[str, list[ServerFacts]] = {}
        self._before: dict[int, tuple[states.ApiStatus, int]] = {}
        self._changed: dict[int, ServerFacts] = {}
        self._nics: dict[int, tuple[NicReport, ...]] = {}
        clusters = {event.cluster for event in events if event.cluster is not None}
        anywhere = any(event.cluster is None for event in events)
        names = {event.instance for event in events}
        rows = hearing_sql.lock_servers(session, None if anywhere else clusters, names)
        for cluster, *row in rows:
            facts = ServerFacts(*row)
            self._known[cluster, facts.instance_name] = facts
            self._by_name.setdefault(facts.instance_name, []).append(facts)
            self._before[facts.id] = _visible(facts)

    @property
    def ids(self) -> list[int]:
        """The servers found, in the order in which they are locked."""
        return list(self._before)

    def find(self, event: StatusEvent) -> ServerFacts | None:
        """The server of an event; an event without a cluster must leave no doubt."""
        if event.cluster is None:
            named = self._by_name.get(event.instance, [])
            return named[0] if len(named) == 1 else None
        return self._known.get((event.cluster, event.instance))

    def apply(self, facts: ServerFacts, event: StatusEvent) -> bool:
        if not facts.apply(event):
            return False
        self._changed[facts.id] = facts
        # Cards are not dated: those of an event older than the server's state are left to the
        # next look at the cluster.
        if event.nics is not None and _is_current(facts, event):
            self._nics[facts.id] = event.nics
        return True

    def finish(self, session: Session) -> list[tuple[ServerFacts, bool]]:
        """The servers that changed and whether it shows; their cards are seen to."""
        gone = [facts.id for facts in self._changed.values() if facts.deleted]
        if gone:
            session.execute(sa.delete(Nic).where(Nic.server_id.in_(gone)))
        reported = {id_: nics for id_, nics in self._nics.items() if id_ not in gone}
        moved = _write_nics(session, reported)
        return [
            (facts, facts.id in moved or _visible(facts) != self._before[facts.id])
            for facts in self._changed.values()
        ]


def _visible(facts: ServerFacts) -> tuple[states.ApiStatus, int]:
    return states.api_status(facts), states.progress(facts)


def _is_current(facts: ServerFacts, event: StatusEvent) -> bool:
    return facts.state_time is None or event.time >= facts.state_time


# --- operations ---------------------------------------------------------------------------------


class _Operations:
    """The operations a batch may finish: those of its servers whose jobs are open."""

    def __init__(self, session: Session, server_ids: Collection[int]) -> None:
        self._rows: dict[tuple[int, int, str], OperationFacts] = {}
        self._changed: dict[int, OperationFacts] = {}
        if server_ids:
            for row in hearing_sql.lock_open_operations(session, list(server_ids)):
                facts = OperationFacts(*row)
                self._rows[facts.server_id, facts.job_id, facts.opcode] = facts

    def apply(self, server_id: int, event: StatusEvent) -> bool:
        operation = self._rows.get((server_id, event.job_id, event.opcode))
        if operation is None:
            return False
        if states.needs_a_look(event):
            operation.due = ASK_NOW
            self._changed[operation.id] = operation
            return False
        status = "success" if states.is_gone(event) else event.status
        if not advance(operation, status, event.error, event.log):
            return False
        self._changed[operation.id] = operation
        return True

    @property
    def changed(self) -> Collection[OperationFacts]:
        return self._changed.values()


# --- network cards ------------------------------------------------------------------------------


def _write_nics(session: Session, reports: dict[int, tuple[NicReport, ...]]) -> set[int]:
    """Bring the NICs of locked servers up to what is reported; which servers' NICs changed."""
    if not reports:
        return set()
    table = hearing_sql.NICS
    columns = (table.c.id, table.c.server_id, table.c.index, table.c.mac, table.c.ipv4)
    rows = session.execute(sa.select(*columns).where(table.c.server_id.in_(reports)))
    by_place = {
        (server_id, report.index): report for server_id, nics in reports.items() for report in nics
    }
    changes: list[dict[str, Any]] = []
    moved: set[int] = set()
    for nic_id, server_id, index, mac, ipv4 in rows:
        report = by_place.get((server_id, index))
        if report is not None and (report.mac, report.ip) != (mac, ipv4):
            changes.append({"b_id": nic_id, "mac": report.mac, "ipv4": report.ip})
            moved.add(server_id)
    if changes:
        by_id = table.c.id == sa.bindparam("b_id")
        session.connection().execute(sa.update(table).where(by_id), changes)
    return moved


def apply_instances(
    session: Session, backend: Backend, reports: dict[str, tuple[NicReport, ...]]
) -> int:
    """Bring the NICs of a cluster's servers up to what the cluster has; how many servers moved."""
    rows = session.execute(
        sa.select(Server.id, Server.instance_name, Nic.index, Nic.mac, Nic.ipv4)
        .join(Nic, Nic.server_id == Server.id)
        .where(Server.backend_id == backend.id, Server.deleted == sa.false())
    )
    differing: dict[int, tuple[NicReport, ...]] = {}
    for server_id, name, index, mac, ipv4 in rows:
        reported = reports.get(name or "", ())
        if any(r.index == index and (r.mac, r.ip) != (mac, ipv4) for r in reported):
            differing[server_id] = reported
    if not differing:
        return 0
    alive = hearing_sql.lock_alive(session, sorted(differing))
    moved = _write_nics(session, {id_: differing[id_] for id_ in alive})
    if moved:
        hearing_sql.touch(session, sorted(moved), utc_now())
    return len(moved)
