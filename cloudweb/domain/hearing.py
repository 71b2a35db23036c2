"""Applies what is heard of jobs, from messages and from asking, in batches or one by one."""

import dataclasses
import datetime as dt
import enum
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import address_history, address_moves, effects, hearing_sql, states
from cloudweb.domain.address_history import Had
from cloudweb.domain.operations import ASK_NOW, advance, record_refused
from cloudweb.domain.states import (
    NetworkEvent,
    NicReport,
    OperationFacts,
    ServerFacts,
    StatusEvent,
)
from cloudweb.models import Backend, NicState, Operation, OperationState, utc_now

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
    changes = effects.Changes()
    effects.release_servers(session, servers.gone, changes)
    effects.end_operations(session, operations.ended, changes)
    stored = servers.finish(session, changes.servers)
    owners = changes.touch_networks(session)
    hearing_sql.update(session, stored, operations.changed, utc_now(), owners)
    changes.finish_networks(session)
    return outcomes


def apply_networks(session: Session, events: Sequence[NetworkEvent]) -> list[Outcome]:
    """Apply what is heard of jobs about networks, in order; again, and nothing changes.

    Raises ImpossibleMessage as ``apply_statuses`` does.
    """
    check(events)
    rows = session.scalars(
        sa.select(Operation)
        .join(Backend, Backend.id == Operation.backend_id)
        .where(
            Backend.name.in_({event.cluster for event in events}),
            Operation.job_id.in_({event.job_id for event in events}),
            Operation.server_id.is_(None),
            Operation.state.in_((OperationState.SUBMITTED, OperationState.RUNNING)),
        )
        .order_by(Operation.id)
        .with_for_update(of=Operation)
    ).all()
    known = {(row.job_id, row.opcode, row.target): row for row in rows}
    return [
        _apply_network(session, known.get((event.job_id, event.opcode, event.network)), event)
        for event in events
    ]


def _apply_network(session: Session, operation: Operation | None, event: NetworkEvent) -> Outcome:
    if operation is None:
        return Outcome.UNKNOWN
    if event.status == "error" and event.error is None:
        operation.due = ASK_NOW  # why it failed says what is there
        return Outcome.STALE
    status = "success" if states.is_done(event) else event.status
    if not advance(operation, status, event.error, None):
        return Outcome.STALE
    if operation.finished is not None:
        effects.end_network_operation(session, operation)
    return Outcome.APPLIED


def refuse(session: Session, claimed: Operation, *, error_class: str, message: str) -> None:
    """The cluster will never run an operation, which ends with all that follows."""
    if not record_refused(session, claimed, error_class=error_class, message=message):
        return
    settle(session, session.get_one(Operation, claimed.id))


def settle(session: Session, operation: Operation) -> None:
    """Do what follows from the end of an operation of which no job tells; its rows are locked."""
    if operation.server_id is None:
        effects.end_network_operation(session, operation)
        return
    changes = effects.Changes()
    if operation.opcode in states.WITH_EFFECTS:
        effects.end_operations(session, [effects.Ended(operation)], changes)
    changes.touch_networks(session)
    if changes.servers:
        hearing_sql.touch(session, sorted(changes.servers), utc_now())
    changes.finish_networks(session)


def check(events: Iterable[StatusEvent | NetworkEvent]) -> None:
    """Raise ImpossibleMessage if one of the events can never be applied."""
    latest = latest_time()
    for event in events:
        check_one(event, latest)


def check_one(event: StatusEvent | NetworkEvent, latest: dt.datetime) -> None:
    """Raise ImpossibleMessage if the event can never be applied."""
    if event.status not in states.STATUS_RANK:
        raise faults.ImpossibleMessage(f"Ganeti has no job status {event.status[:40]!r}.")
    check_time(event.time, latest)


def latest_time() -> dt.datetime:
    """The time that no event is after, unless a clock is wrong."""
    return utc_now() + _MAX_AHEAD


def check_time(time: dt.datetime, latest: dt.datetime) -> None:
    """Raise ImpossibleMessage for a time far in the future: all that comes would be older."""
    if time > latest:
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

    @property
    def gone(self) -> list[int]:
        """The servers that are no more, some for the first time."""
        return [facts.id for facts in self._changed.values() if facts.deleted]

    def finish(self, session: Session, moved: set[int]) -> list[tuple[ServerFacts, bool]]:
        """The servers that changed or ``moved`` and whether it shows; cards are written."""
        gone = set(self.gone)
        reported = {id_: nics for id_, nics in self._nics.items() if id_ not in gone}
        moved = moved | write_nics(session, reported)
        if moved:
            self._changed |= {f.id: f for f in self._known.values() if f.id in moved}
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
        self.ended: list[effects.Ended] = []
        """Those that have ended and have effects on cards."""
        if server_ids:
            for row in hearing_sql.lock_open_operations(session, list(server_ids)):
                facts = OperationFacts(*row)
                self._rows[facts.server_id, facts.job_id, facts.opcode] = facts

    def apply(self, server_id: int, event: StatusEvent) -> bool:
        operation = self._rows.get((server_id, event.job_id, event.opcode))
        if operation is None:
            return False
        if states.needs_a_look(event, operation.nic_id):
            operation.due = ASK_NOW
            self._changed[operation.id] = operation
            return False
        status = "success" if states.is_done(event) else event.status
        if not advance(operation, status, event.error, event.log):
            return False
        self._changed[operation.id] = operation
        if operation.finished and operation.nic_id and operation.opcode in states.WITH_EFFECTS:
            self.ended.append(effects.Ended(operation, event.nics or ()))
        return True

    @property
    def changed(self) -> Collection[OperationFacts]:
        return self._changed.values()


# --- network cards ------------------------------------------------------------------------------


def write_nics(session: Session, reports: dict[int, tuple[NicReport, ...]]) -> set[int]:
    """Bring the NICs of locked servers up to what is reported; which servers' NICs changed.

    An address that is reported is held in its network's pool from then on; one that another holds
    is not taken over, and neither is the MAC of a card of another server on the same cluster.
    """
    if not reports:
        return set()
    table = hearing_sql.NICS
    rows = session.execute(hearing_sql.CARDS.where(table.c.server_id.in_(reports))).all()
    changes: list[dict[str, Any]] = []
    moved: set[int] = set()
    said = [(row, report_of(row, reports[row.server_id])) for row in rows]
    kept = address_moves.apply(session, [(row, r.ip) for row, r in said if r and r.ip != row.ipv4])
    others = _macs_of_others(session, said)
    gone: list[Had] = []
    come: list[Had] = []
    for row, report in said:
        if report is None:
            continue
        # What another has is left to the next comparison to say.
        if row.id in kept:
            report = dataclasses.replace(report, ip=row.ipv4)
        if (row.server_id, report.mac) in others:
            report = dataclasses.replace(report, mac=row.mac)
        if differs(row, report):
            ipv6 = effects.ipv6_of(report.mac, row.cidr6) or row.ipv6
            if ipv6 != row.ipv6:
                gone += [Had(row.server_id, row.network_id, row.ipv6)] if row.ipv6 else []
                come.append(Had(row.server_id, row.network_id, ipv6))
            changes.append(
                {
                    "b_id": row.id,
                    "b_index": report.index,
                    "b_mac": report.mac,
                    "b_ipv4": report.ip,
                    "b_ipv6": ipv6,
                }
            )
            moved.add(row.server_id)
    if changes:
        given: dict[str, Any] = {
            name: sa.bindparam(f"b_{name}") for name in ("index", "mac", "ipv4", "ipv6")
        }
        update = sa.update(table).where(table.c.id == sa.bindparam("b_id")).values(given)
        session.connection().execute(update, changes)
    address_history.end(session, gone)
    address_history.begin(session, come)
    return moved


def _macs_of_others(
    session: Session, said: Sequence[tuple[hearing_sql.Card, NicReport | None]]
) -> set[tuple[int, str | None]]:
    """What new MACs are already another's on the same cluster, each with the server it is said of.

    One statement.
    """
    new = {(row.server_id, r.mac) for row, r in said if r and r.mac and r.mac != row.mac}
    if not new:
        return set()
    nics, servers = hearing_sql.NICS, hearing_sql.SERVERS
    theirs, mine = servers.alias(), servers.alias()
    rows = session.execute(
        sa.select(mine.c.id, nics.c.mac)
        .join_from(nics, theirs, theirs.c.id == nics.c.server_id)
        .join(mine, sa.and_(mine.c.backend_id == theirs.c.backend_id, mine.c.id != theirs.c.id))
        .where(
            nics.c.mac.in_({mac for _server_id, mac in new}),
            mine.c.id.in_({server_id for server_id, _mac in new}),
        )
    )
    return {(row[0], row[1]) for row in rows} & new


def report_of(row: hearing_sql.Card, reports: Sequence[NicReport]) -> NicReport | None:
    """What is said of a card: under its name, else its MAC, else of the nameless one in its place.

    A card that comes or goes has no place of its own: who is there may be another.
    """
    for report in reports:
        if report.name is not None and report.name == row.name:
            return report
    nameless = [report for report in reports if row.name is None or report.name is None]
    for report in nameless:
        if report.mac is not None and report.mac == row.mac:
            return report
    if row.state is not NicState.ACTIVE:
        return None
    return next((report for report in nameless if report.index == row.place), None)


def differs(row: hearing_sql.Card, report: NicReport) -> bool:
    """Whether a card is not as it is reported."""
    return bool((report.index, report.mac, report.ip) != (row.place, row.mac, row.ipv4))
