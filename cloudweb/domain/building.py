"""How far a server's disk has been written, and what the image helper said while it was."""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import hearing_sql
from cloudweb.domain.hearing import Outcome
from cloudweb.domain.states import ServerFacts
from cloudweb.models import Diagnostic, OperState, utc_now

DIAGNOSTICS = cast(sa.Table, Diagnostic.__table__)
MAX_A_SERVER = 1000
"""What a helper says beyond so many is not kept."""


@dataclasses.dataclass(frozen=True, slots=True)
class DiagnosticReport:
    """One thing said: how grave, by whom, in a sentence and perhaps at length."""

    level: str
    source: str
    message: str
    details: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class ProgressEvent:
    """A percentage (0 to 100), something said, or both, about the server being built."""

    instance: str
    time: dt.datetime
    percent: int | None = None
    report: DiagnosticReport | None = None


def apply_progress(session: Session, events: Sequence[ProgressEvent]) -> list[Outcome]:
    """Apply events in a constant number of statements; the order and repeats change nothing.

    A percentage only grows. What was said at the same moment in the same words was said once.
    """
    if not events:
        return []
    servers = _Servers(session, {event.instance for event in events})
    outcomes = [servers.apply(event) for event in events]
    servers.finish(session)
    return outcomes


class _Servers:
    """The servers a batch is about: locked and read once, changed in memory, written once."""

    def __init__(self, session: Session, names: set[str]) -> None:
        self._by_name: dict[str, list[ServerFacts]] = {}
        for _cluster, *row in hearing_sql.lock_servers(session, None, names):
            facts = ServerFacts(*row)
            self._by_name.setdefault(facts.instance_name, []).append(facts)
        ids = [facts.id for named in self._by_name.values() for facts in named]
        self._said = _already_said(session, ids)
        self._grown: dict[int, ServerFacts] = {}
        self._new: list[dict[str, object]] = []

    def apply(self, event: ProgressEvent) -> Outcome:
        named = self._by_name.get(event.instance, [])
        if len(named) != 1:
            return Outcome.UNKNOWN
        [facts] = named
        grew = self._grow(facts, event.percent)
        noted = event.report is not None and self._note(facts, event, event.report)
        return Outcome.APPLIED if grew or noted else Outcome.STALE

    def _grow(self, facts: ServerFacts, percent: int | None) -> bool:
        if facts.deleted or percent is None or percent <= facts.build_percentage:
            return False
        facts.build_percentage = percent
        self._grown[facts.id] = facts
        return True

    def _note(self, facts: ServerFacts, event: ProgressEvent, report: DiagnosticReport) -> bool:
        said = self._said.setdefault(facts.id, set())
        key = (event.time, report.source, report.message)
        if facts.deleted or key in said or len(said) >= MAX_A_SERVER:
            return False
        said.add(key)
        self._new.append(
            {
                "server_id": facts.id,
                "created": utc_now(),
                "source_date": event.time,
                **dataclasses.asdict(report),
            }
        )
        return True

    def finish(self, session: Session) -> None:
        if self._new:
            session.connection().execute(sa.insert(DIAGNOSTICS), self._new)
        if self._grown:
            servers = hearing_sql.SERVERS
            by_id = servers.c.id == sa.bindparam("b_id")
            values = sa.update(servers).where(by_id).values(build_percentage=sa.bindparam("b_now"))
            grown = [{"b_id": f.id, "b_now": f.build_percentage} for f in self._grown.values()]
            session.connection().execute(values, grown)
        shown = {id_ for id_, f in self._grown.items() if f.state is not OperState.STARTED}
        moved = sorted(shown | {cast(int, row["server_id"]) for row in self._new})
        if moved:
            hearing_sql.touch(session, moved, utc_now())


def _already_said(
    session: Session, server_ids: Sequence[int]
) -> dict[int, set[tuple[dt.datetime, str, str]]]:
    said: dict[int, set[tuple[dt.datetime, str, str]]] = {}
    if server_ids:
        d = DIAGNOSTICS.c
        query = sa.select(d.server_id, d.source_date, d.source, d.message)
        for server_id, *key in session.execute(query.where(d.server_id.in_(server_ids))):
            said.setdefault(server_id, set()).add((key[0], key[1], key[2]))
    return said
