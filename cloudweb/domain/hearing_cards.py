"""Applies what hooks on the clusters tell of network cards; the newest word on a server counts."""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import cards, hearing, hearing_sql
from cloudweb.domain.hearing import Outcome
from cloudweb.domain.states import NicReport, ServerFacts
from cloudweb.models import utc_now

SERVERS, NICS = hearing_sql.SERVERS, hearing_sql.NICS


@dataclasses.dataclass(frozen=True, slots=True)
class CardsEvent:
    """All cards of an instance, at a time, and the firewall mode of each that has one."""

    instance: str
    time: dt.datetime
    nics: tuple[NicReport, ...]
    modes: Mapping[int, str] = dataclasses.field(default_factory=dict)
    cluster: str | None = None


def apply_cards(session: Session, events: Sequence[CardsEvent]) -> list[Outcome]:
    """Apply events in a constant number of statements; the order and repeats change nothing."""
    if not events:
        return []
    known = _lock(session, events)
    ids = [facts.id for named in known.values() for facts in named.values()]
    heard = _last_heard(session, ids)
    newest: dict[int, CardsEvent] = {}
    outcomes = []
    for event in events:
        facts = _find(known, event)
        if facts is None:
            outcomes.append(Outcome.UNKNOWN)
        elif facts.deleted or event.time <= heard.get(facts.id, event.time - dt.timedelta(1)):
            outcomes.append(Outcome.STALE)
        else:
            heard[facts.id], newest[facts.id] = event.time, event
            outcomes.append(Outcome.APPLIED)
    _store(session, newest)
    return outcomes


_Known = dict[str, dict[str, ServerFacts]]


def _lock(session: Session, events: Sequence[CardsEvent]) -> _Known:
    """The servers of these instances, locked: by instance, then by cluster."""
    known: _Known = {}
    names = {event.instance for event in events}
    for cluster, *row in hearing_sql.lock_servers(session, None, names):
        facts = ServerFacts(*row)
        known.setdefault(facts.instance_name, {})[cluster] = facts
    return known


def _find(known: _Known, event: CardsEvent) -> ServerFacts | None:
    """The server of an event; an event without a cluster must leave no doubt."""
    named = known.get(event.instance, {})
    if event.cluster is not None:
        return named.get(event.cluster)
    return next(iter(named.values())) if len(named) == 1 else None


def _last_heard(session: Session, server_ids: Sequence[int]) -> dict[int, dt.datetime]:
    query = sa.select(SERVERS.c.id, SERVERS.c.cards_time).where(
        SERVERS.c.id.in_(server_ids), SERVERS.c.cards_time.is_not(None)
    )
    return {row[0]: row[1] for row in session.execute(query)}


def _store(session: Session, newest: Mapping[int, CardsEvent]) -> None:
    if not newest:
        return
    by_id = SERVERS.c.id == sa.bindparam("b_id")
    update = sa.update(SERVERS).where(by_id).values(cards_time=sa.bindparam("b_time"))
    times = [{"b_id": id_, "b_time": event.time} for id_, event in newest.items()]
    session.connection().execute(update, times)
    moved = hearing.write_nics(session, {id_: event.nics for id_, event in newest.items()})
    moved |= _write_profiles(session, newest)
    if moved:
        hearing_sql.touch(session, sorted(moved), utc_now())


def _write_profiles(session: Session, newest: Mapping[int, CardsEvent]) -> set[int]:
    """Firewalls as the instances' tags have them; a card without a tag keeps what it has."""
    with_modes = [id_ for id_, event in newest.items() if event.modes]
    if not with_modes:
        return set()
    columns = (NICS.c.id, NICS.c.server_id, NICS.c.index, NICS.c.firewall_profile)
    changes: list[dict[str, Any]] = []
    moved = set()
    for id_, server_id, index, profile in session.execute(
        sa.select(*columns).where(NICS.c.server_id.in_(with_modes))
    ):
        said = cards.profile_of_mode(newest[server_id].modes.get(index, ""))
        if said is not None and said.value != profile:
            changes.append({"b_id": id_, "b_profile": said.value})
            moved.add(server_id)
    if changes:
        by_id = NICS.c.id == sa.bindparam("b_id")
        values: dict[str, Any] = {"firewall_profile": sa.bindparam("b_profile")}
        session.connection().execute(sa.update(NICS).where(by_id).values(values), changes)
    return moved
