"""All instances of a cluster as it told of them at one time, and what our servers take from it.

Servers on which something is still to be done, or that changed after the cluster was asked, are
left alone: the next snapshot tells. What needs a decision is found by ``domain.reconcile``.
"""

import dataclasses
import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import address_history, effects, hearing, hearing_sql, pools
from cloudweb.domain.address_history import Had
from cloudweb.domain.hearing_sql import CARDS, NICS, SERVERS, Card
from cloudweb.domain.states import NicReport
from cloudweb.models import (
    OPEN_STATES,
    BackendNetwork,
    Network,
    NicState,
    Operation,
    OperState,
    utc_now,
)


@dataclasses.dataclass(frozen=True, slots=True)
class InstanceReport:
    """An instance as its cluster has it; ``running`` is None where its node does not say."""

    name: str
    running: bool | None
    node: str | None = None
    vcpus: int = 0
    memory_mb: int = 0
    nics: tuple[NicReport, ...] = ()
    disk_mb: int | None = None
    """All disks together; None where that is not known."""
    disk_template: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """All instances of a cluster, by name, asked for at ``taken`` by our clock."""

    taken: dt.datetime
    instances: Mapping[str, InstanceReport]


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """What a snapshot led to: how many servers show something new, and whose instance is gone."""

    moved: int
    missing: frozenset[str]


_COLUMNS = tuple(
    SERVERS.c[name]
    for name in ("id", "instance_name", "state", "node", "updated", "job_time", "version")
)
_Row = sa.Row[*tuple[Any, ...]]


def apply(session: Session, backend_id: int, snapshot: Snapshot) -> Seen:
    """Bring the servers of a cluster up to a snapshot: state, node and cards.

    A constant number of statements, and none that writes where nothing differs.
    """
    rows = settled(session, backend_id, snapshot)
    by_server = cards_of(session, backend_id)
    networks = networks_of(session, backend_id)
    missing = frozenset(
        row.instance_name
        for row in rows
        if row.instance_name not in snapshot.instances and row.state is not OperState.ERROR
    )
    here = [
        (row, snapshot.instances[row.instance_name])
        for row in rows
        if row.instance_name in snapshot.instances
    ]
    differing = {
        row.id: (row.version, report)
        for row, report in here
        if target_state(row.state, report) is not None
        or differing_cards(by_server.get(row.id, ()), report.nics, networks)
    }
    moved = _bring_up(session, differing, networks) if differing else 0
    _note_nodes(session, [(row, report) for row, report in here if row.node != report.node])
    return Seen(moved, missing)


def settled(session: Session, backend_id: int, snapshot: Snapshot) -> list[_Row]:
    """The servers of a cluster on which nothing is open and nothing newer than the snapshot."""
    still_open = sa.select(Operation.server_id).where(
        Operation.backend_id == backend_id,
        Operation.state.in_(OPEN_STATES),
        Operation.server_id.is_not(None),
    )
    busy = set(session.scalars(still_open))
    rows = session.execute(
        sa.select(*_COLUMNS)
        .where(
            SERVERS.c.backend_id == backend_id,
            SERVERS.c.deleted == sa.false(),
            SERVERS.c.updated < snapshot.taken,
            sa.or_(SERVERS.c.job_time.is_(None), SERVERS.c.job_time < snapshot.taken),
        )
        .order_by(SERVERS.c.id)
    )
    return [row for row in rows if row.id not in busy]


def target_state(state: OperState, report: InstanceReport) -> OperState | None:
    """What a running or stopped server is by the report, if it is not that."""
    if report.running is None or state not in (OperState.STARTED, OperState.STOPPED):
        return None
    target = OperState.STARTED if report.running else OperState.STOPPED
    return target if target is not state else None


def cards_of(session: Session, backend_id: int) -> dict[int, list[Card]]:
    """The cards of each server of a cluster."""
    rows = session.execute(
        CARDS.join(SERVERS, SERVERS.c.id == NICS.c.server_id).where(
            SERVERS.c.backend_id == backend_id, SERVERS.c.deleted == sa.false()
        )
    )
    found: dict[int, list[Card]] = {}
    for row in rows:
        found.setdefault(row.server_id, []).append(row)
    return found


def networks_of(session: Session, backend_id: int) -> dict[str, int]:
    """Our networks on a cluster by their names there."""
    rows = session.execute(
        sa.select(BackendNetwork.name, BackendNetwork.network_id).where(
            BackendNetwork.backend_id == backend_id
        )
    )
    return {row[0]: row[1] for row in rows}


# --- cards --------------------------------------------------------------------------------------


def differing_cards(
    cards: Iterable[Card], reports: Sequence[NicReport], networks: Mapping[str, int]
) -> list[str]:
    """In what a server's cards are not as its cluster has them: a sentence each."""
    found = []
    matched = _match(cards, reports)
    for card, report in matched:
        if report is None:
            found.append(f"card {card.place} is not there")
        elif hearing.differs(card, report):
            found.append(f"card {report.index} has {report.mac}, {report.ip or 'no address'}")
    found += [
        f"card {report.index} on {report.network} is not known"
        for report, _network_id in _unknown(matched, reports, networks)
    ]
    return found


_Matches = list[tuple[Card, NicReport | None]]


def _match(cards: Iterable[Card], reports: Sequence[NicReport]) -> _Matches:
    """Each card with what is told of it, surest first: no two are told of by the same."""
    left = list(reports)
    matched: _Matches = []
    for card in sorted(cards, key=lambda card: not _is_sure(card, reports)):
        report = hearing.report_of(card, left)
        if report is not None:
            left.remove(report)
        matched.append((card, report))
    return matched


def _is_sure(card: Card, reports: Sequence[NicReport]) -> bool:
    return any(
        (report.name is not None and report.name == card.name)
        or (report.mac is not None and report.mac == card.mac)
        for report in reports
    )


def _unknown(
    matched: _Matches, reports: Sequence[NicReport], networks: Mapping[str, int]
) -> list[tuple[NicReport, int]]:
    """What is told of cards on networks of ours that we do not have, each with its network."""
    known = {report.index for _card, report in matched if report is not None}
    return [
        (report, networks[report.network])
        for report in reports
        if report.index not in known and report.network is not None and report.network in networks
    ]


def write_cards(
    session: Session, reported: Mapping[int, tuple[NicReport, ...]], networks: Mapping[str, int]
) -> set[int]:
    """Make the cards of locked servers what their cluster has; which servers' cards changed.

    A card on a network that is not ours is left out.
    """
    moved: set[int] = set()
    changes = effects.Changes()
    rows = session.execute(CARDS.where(NICS.c.server_id.in_(reported)).order_by(NICS.c.id)).all()
    for server_id, reports in reported.items():
        matched = _match([row for row in rows if row.server_id == server_id], reports)
        for card in (card for card, report in matched if report is None):
            effects.drop_card(session, card)
            changes.networks.add(card.network_id)
            moved.add(server_id)
        for report, network_id in _unknown(matched, reports, networks):
            if _add(session, server_id, network_id, report):
                changes.networks.add(network_id)
                moved.add(server_id)
    moved |= hearing.write_nics(session, dict(reported))
    changes.touch_networks(session)
    changes.finish_networks(session)
    return moved


def _add(session: Session, server_id: int, network_id: int, report: NicReport) -> bool:
    if report.ip is not None:
        try:
            pools.hold_address(session, network_id, report.ip, server_id=server_id)
        except faults.Conflict:
            return False  # two servers have it: an operator has to decide
    ipv6 = effects.ipv6_of(report.mac, session.get_one(Network, network_id).cidr6)
    had = [Had(server_id, network_id, each) for each in (report.ip, ipv6) if each]
    address_history.begin(session, had)
    values = {
        "server_id": server_id,
        "network_id": network_id,
        "index": report.index,
        "name": report.name,
        "state": NicState.ACTIVE,
        "mac": report.mac,
        "ipv4": report.ip,
        "ipv6": ipv6,
    }
    session.execute(sa.insert(NICS).values(values))
    return True


# --- writing ------------------------------------------------------------------------------------


def _bring_up(
    session: Session,
    differing: Mapping[int, tuple[int, InstanceReport]],
    networks: Mapping[str, int],
) -> int:
    """Change what differs of the servers that are still as they were read; how many moved."""
    locked = lock_unchanged(session, {id_: version for id_, (version, _) in differing.items()})
    moved = set()
    for row in locked:
        target = target_state(row.state, differing[row.id][1])
        if target is not None:
            by_id = SERVERS.c.id == row.id
            session.execute(sa.update(SERVERS).where(by_id).values(state=target))
            moved.add(row.id)
    reports = {row.id: differing[row.id][1].nics for row in locked}
    if reports:
        moved |= write_cards(session, reports, networks)
    if moved:
        hearing_sql.touch(session, sorted(moved), utc_now())
    return len(moved)


def lock_unchanged(session: Session, versions: Mapping[int, int]) -> list[_Row]:
    """Those of these servers that still have this version and nothing to be done; locked, by id."""
    ids = list(versions)
    rows = session.execute(
        sa.select(*_COLUMNS)
        .where(SERVERS.c.id.in_(ids), SERVERS.c.deleted == sa.false())
        .order_by(SERVERS.c.id)
        .with_for_update()
    ).all()
    busy = set(
        session.scalars(
            sa.select(Operation.server_id).where(
                Operation.server_id.in_(ids), Operation.state.in_(OPEN_STATES)
            )
        )
    )
    return [row for row in rows if row.version == versions[row.id] and row.id not in busy]


def _note_nodes(session: Session, moved: Collection[tuple[_Row, InstanceReport]]) -> None:
    """Nodes are for operators: no version moves with them."""
    if moved:
        by_id = SERVERS.c.id == sa.bindparam("b_id")
        update = sa.update(SERVERS).where(by_id).values(node=sa.bindparam("b_node"))
        nodes = [{"b_id": row.id, "b_node": report.node} for row, report in moved]
        session.connection().execute(update, sorted(nodes, key=lambda node: node["b_id"]))
