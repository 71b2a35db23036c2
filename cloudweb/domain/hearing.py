"""Applies what is heard of jobs, from messages and from asking, in batches or one by one."""

import enum
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import states
from cloudweb.domain.operations import advance
from cloudweb.domain.states import ServerFacts, StatusEvent
from cloudweb.models import (
    Backend,
    Nic,
    Operation,
    OperationState,
    Server,
    utc_now,
)

_MAX_AHEAD_S = 86_400

_FACTS = tuple(ServerFacts.__dataclass_fields__)
_FACT_COLUMNS = tuple(Server.__table__.c[name] for name in _FACTS)
_OPERATION_COLUMNS = (
    "id",
    "backend_id",
    "server_id",
    "job_id",
    "opcode",
    "state",
    "error",
    "error_class",
    "finished",
    "due",
)


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
    for event in events:
        _check(event)
    servers = _Servers(session, events)
    operations = _Operations(session, servers)
    outcomes = []
    for event in events:
        facts = servers.find(event)
        if facts is None:
            outcomes.append(Outcome.UNKNOWN)
            continue
        changed = servers.apply(facts, event)
        changed = operations.apply(facts, event) or changed
        outcomes.append(Outcome.APPLIED if changed else Outcome.STALE)
    servers.write(session)
    operations.write(session)
    return outcomes


def _check(event: StatusEvent) -> None:
    if event.status not in states.STATUS_RANK:
        raise faults.ImpossibleMessage(f"Ganeti has no job status {event.status[:40]!r}.")
    if (event.time - utc_now()).total_seconds() > _MAX_AHEAD_S:
        raise faults.ImpossibleMessage("The event is more than a day in the future.")


class _Servers:
    """The servers a batch is about: read and locked once, changed in memory, written once."""

    def __init__(self, session: Session, events: Sequence[StatusEvent]) -> None:
        self._backends = {
            name: backend_id
            for backend_id, name in session.execute(sa.select(Backend.id, Backend.name))
        }
        named = {event.cluster for event in events if event.cluster is not None}
        ids = {self._backends[name] for name in named if name in self._backends}
        if any(event.cluster is None for event in events):
            ids = set(self._backends.values())
        self._known: dict[tuple[int, str], ServerFacts] = {}
        self._by_name: dict[str, list[ServerFacts]] = {}
        self._before: dict[int, tuple[Any, ...]] = {}
        self._changed: dict[int, ServerFacts] = {}
        self._nics: dict[int, tuple[states.NicReport, ...]] = {}
        if ids:
            self._read(session, ids, {event.instance for event in events})

    def _read(self, session: Session, ids: set[int], names: set[str]) -> None:
        rows = session.execute(
            sa.select(*_FACT_COLUMNS)
            .where(Server.backend_id.in_(ids), Server.instance_name.in_(names))
            .order_by(Server.id)
            .with_for_update()
        )
        for row in rows:
            facts = ServerFacts(*row)
            self._known[facts.backend_id, facts.instance_name] = facts
            self._by_name.setdefault(facts.instance_name, []).append(facts)
            self._before[facts.id] = _visible(facts)

    def all(self) -> Iterable[ServerFacts]:
        return self._known.values()

    def find(self, event: StatusEvent) -> ServerFacts | None:
        """The server of an event; an event without a cluster must leave no doubt."""
        if event.cluster is None:
            named = self._by_name.get(event.instance, [])
            return named[0] if len(named) == 1 else None
        return self._known.get((self._backends.get(event.cluster, 0), event.instance))

    def apply(self, facts: ServerFacts, event: StatusEvent) -> bool:
        changed = facts.apply(event)
        if changed:
            self._changed[facts.id] = facts
            if event.nics is not None:
                self._nics[facts.id] = event.nics
        return changed

    def write(self, session: Session) -> None:
        now = utc_now()
        seen: list[dict[str, Any]] = []
        unseen: list[dict[str, Any]] = []
        for facts in self._changed.values():
            values = {name: getattr(facts, name) for name in _FACTS[3:]} | {"b_id": facts.id}
            if _visible(facts) != self._before[facts.id]:
                seen.append(values | {"updated": now})
            else:
                unseen.append(values)
        table = Server.__table__
        by_id = table.c.id == sa.bindparam("b_id")
        connection = session.connection()
        if seen:
            connection.execute(
                sa.update(table).where(by_id).values(version=table.c.version + 1), seen
            )
        if unseen:
            connection.execute(sa.update(table).where(by_id), unseen)
        gone = [facts.id for facts in self._changed.values() if facts.deleted]
        if gone:
            session.execute(sa.delete(Nic).where(Nic.server_id.in_(gone)))
        for server_id, nics in self._nics.items():
            apply_nics(session, server_id, nics)


def _visible(facts: ServerFacts) -> tuple[Any, ...]:
    return (states.api_status(facts), states.progress(facts))


class _Operations:
    """The operations a batch may finish: those of its servers whose jobs are open."""

    def __init__(self, session: Session, servers: _Servers) -> None:
        ids = [facts.id for facts in servers.all()]
        self._rows: dict[tuple[int, int], Operation] = {}
        self._changed: dict[int, Operation] = {}
        if not ids:
            return
        open_jobs = (OperationState.SUBMITTED, OperationState.RUNNING)
        table = Operation.__table__
        rows = session.execute(
            sa.select(*(table.c[name] for name in _OPERATION_COLUMNS))
            .where(Operation.server_id.in_(ids), Operation.state.in_(open_jobs))
            .order_by(Operation.id)
            .with_for_update()
        )
        for row in rows:
            self._rows[row.server_id, row.job_id] = Operation(**row._mapping)

    def apply(self, facts: ServerFacts, event: StatusEvent) -> bool:
        operation = self._rows.get((facts.id, event.job_id))
        if operation is None or operation.opcode != event.opcode:
            return False
        if states.needs_a_look(event):
            operation.due = utc_now()
            self._changed[operation.id] = operation
            return False
        status = "success" if states.is_gone(event) else event.status
        if not advance(operation, status, event.error, event.log):
            return False
        self._changed[operation.id] = operation
        return True

    def write(self, session: Session) -> None:
        if not self._changed:
            return
        table = Operation.__table__
        session.connection().execute(
            sa.update(table).where(table.c.id == sa.bindparam("b_id")),
            [
                {
                    "b_id": row.id,
                    "state": row.state,
                    "error": row.error,
                    "error_class": row.error_class,
                    "finished": row.finished,
                    "due": row.due,
                    "updated": utc_now(),
                }
                for row in self._changed.values()
            ],
        )


def apply_nics(session: Session, server_id: int, reports: Sequence[states.NicReport]) -> bool:
    """Make the NICs' addresses what the cluster says they are; whether anything changed."""
    nics = session.scalars(
        sa.select(Nic).where(Nic.server_id == server_id).order_by(Nic.index)
    ).all()
    by_index = {report.index: report for report in reports}
    changed = False
    for nic in nics:
        report = by_index.get(nic.index)
        if report is not None and (nic.mac, nic.ipv4) != (report.mac, report.ip):
            nic.mac, nic.ipv4 = report.mac, report.ip
            changed = True
    return changed


def apply_instances(
    session: Session, backend: Backend, reports: dict[str, tuple[states.NicReport, ...]]
) -> int:
    """Bring the NICs of a cluster's servers up to what the cluster has; how many servers moved."""
    rows = session.execute(
        sa.select(Server.id, Server.instance_name, Nic.index, Nic.mac, Nic.ipv4)
        .join(Nic, Nic.server_id == Server.id)
        .where(Server.backend_id == backend.id, Server.deleted == sa.false())
    )
    differing = set()
    for server_id, name, index, mac, ipv4 in rows:
        for report in reports.get(name, ()):
            if report.index == index and (report.mac, report.ip) != (mac, ipv4):
                differing.add((server_id, name))
    for server_id, name in sorted(differing):
        session.get_one(Server, server_id, with_for_update=True)
        apply_nics(session, server_id, reports[name])
    return len(differing)
