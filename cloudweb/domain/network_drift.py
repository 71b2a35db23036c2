"""Finds how the networks of a cluster and ours differ; what the cluster has is handed in."""

import dataclasses
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import cards
from cloudweb.models import (
    OPEN_STATES,
    Backend,
    BackendNetwork,
    Drift,
    Finding,
    Network,
    NetworkState,
    Nic,
    Operation,
    Server,
)


@dataclasses.dataclass(frozen=True, slots=True)
class NetworkReport:
    """A network as its cluster has it: ``groups`` it is connected to, ``instances`` on it.

    ``used`` are the addresses nobody can get any more, ``reserved`` those of them that no instance
    may have.
    """

    name: str
    groups: frozenset[str] = frozenset()
    used: frozenset[str] = frozenset()
    reserved: frozenset[str] = frozenset()
    instances: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class NetworkSnapshot:
    """All networks of a cluster by name, and its node groups, asked for at ``taken``."""

    taken: dt.datetime
    networks: Mapping[str, NetworkReport]
    groups: tuple[str, ...]


_Row = tuple[BackendNetwork, Network]


def detect(
    session: Session, backend: Backend, snapshot: NetworkSnapshot, prefix: str
) -> list[Finding]:
    """How a cluster's networks differ from ours; a constant number of statements.

    Left out is what the cluster is still to do something to, or what changed since the snapshot.
    """
    busy = _busy(session, backend.id)
    rows = _rows(session, backend.id)
    settled = [
        (row, network)
        for row, network in rows
        if network.id not in busy and row.name not in busy and row.updated < snapshot.taken
    ]
    found: list[Finding] = []
    for row, network in settled:
        if row.state is not NetworkState.DELETED:
            found += _of_row(row, network, snapshot)
    parted = _parted(session, backend, {row.network_id: row for row, _ in rows})
    for network in (each for each in parted if each.id not in busy):
        found += _of_parted(network, snapshot, prefix)
    return [*found, *_orphans(rows, settled, parted, snapshot, prefix, busy)]


def _busy(session: Session, backend_id: int) -> set[int | str]:
    """What is being made or unmade on a cluster: networks by id, and by Ganeti's name."""
    rows = session.execute(
        sa.select(Operation.network_id, Operation.target).where(
            Operation.backend_id == backend_id,
            Operation.server_id.is_(None),
            Operation.state.in_(OPEN_STATES),
        )
    )
    return {which for row in rows for which in row if which is not None}


def _rows(session: Session, backend_id: int) -> list[_Row]:
    rows = session.execute(
        sa.select(BackendNetwork, Network)
        .join(Network, Network.id == BackendNetwork.network_id)
        .where(BackendNetwork.backend_id == backend_id)
        .order_by(BackendNetwork.id)
    )
    return [(row[0], row[1]) for row in rows]


def _of_row(row: BackendNetwork, network: Network, snapshot: NetworkSnapshot) -> Iterator[Finding]:
    report = snapshot.networks.get(row.name)
    ours = row.state.value
    if network.state is NetworkState.DELETED:
        if report is None:
            yield _finding(
                *(Drift.NETWORK_STALE, row.name, network, "being deleted", "no network"),
                remedy="Nothing of it is left there, and ours can go.",
                fix=_as_found(row, network),
            )
        return
    if report is None:
        yield _finding(
            *(Drift.NETWORK_MISSING, row.name, network, ours, "no network"),
            remedy="It is made there and connected to all node groups.",
            fix=_as_found(row, network),
        )
        return
    hanging = [group for group in snapshot.groups if group not in report.groups]
    if hanging:
        yield _finding(
            *(Drift.NETWORK_GROUPS, row.name, network, ours, _not_in(hanging)),
            remedy="It is connected to these node groups.",
            fix=_as_found(row, network) | {"groups": hanging},
        )
    elif row.state is not NetworkState.ACTIVE:
        yield _finding(
            *(Drift.NETWORK_STATE, row.name, network, ours, "there and connected"),
            remedy="Ours is ACTIVE there.",
            fix=_as_found(row, network),
        )


def _not_in(groups: Iterable[str]) -> str:
    return f"not connected to {', '.join(groups)}"


def _parted(
    session: Session, backend: Backend, rows: Mapping[int, BackendNetwork]
) -> list[Network]:
    """The networks of which nothing is written down on a cluster, and should be.

    That is where a server of it has a card, and for a network that is to be everywhere.
    """
    used = (
        sa.select(Nic.network_id)
        .join(Server, Server.id == Nic.server_id)
        .where(Server.backend_id == backend.id, Server.deleted == sa.false())
    )
    wanted = session.scalars(
        sa.select(Network)
        .where(
            Network.deleted == sa.false(),
            Network.state == NetworkState.ACTIVE,
            Network.cidr.is_not(None),
            sa.or_(Network.backend_id.is_(None), Network.backend_id == backend.id),
            sa.or_(Network.everywhere == sa.true(), Network.id.in_(used)),
        )
        .order_by(Network.id)
    )
    return [
        network
        for network in wanted
        if network.id not in rows or rows[network.id].state is NetworkState.DELETED
    ]


def _of_parted(network: Network, snapshot: NetworkSnapshot, prefix: str) -> Iterator[Finding]:
    if network.updated >= snapshot.taken:
        return
    name = cards.ganeti_name(network, prefix)
    report = snapshot.networks.get(name)
    fix = {"row": None, "network_state": network.state.value, "prefix": prefix}
    if report is None:
        yield _finding(
            *(Drift.NETWORK_PARTED, name, network, "nothing written down", "no network"),
            remedy="It is made there and connected to all node groups.",
            fix=fix | {"there": False},
        )
        return
    hanging = [group for group in snapshot.groups if group not in report.groups]
    yield _finding(
        *(Drift.NETWORK_PARTED, name, network, "nothing written down"),
        _not_in(hanging) if hanging else "there and connected",
        remedy="It is written down, and connected where it is not.",
        fix=fix | {"there": True, "groups": hanging},
    )


def _orphans(
    rows: Iterable[_Row],
    settled: Iterable[_Row],
    parted: Iterable[Network],
    snapshot: NetworkSnapshot,
    prefix: str,
    busy: set[int | str],
) -> Iterator[Finding]:
    """Networks named like ours that nobody wants, and those left when theirs was deleted."""
    known = {row.name: (row, network) for row, network in rows}
    unchanged = {row.id for row, _network in settled}
    wanted = {cards.ganeti_name(network, prefix) for network in parted}
    for name, report in sorted(snapshot.networks.items()):
        row, network = known.get(name, (None, None))
        if name in wanted or name in busy or (row is None and not name.startswith(f"{prefix}net-")):
            continue
        if row is not None and network is not None:
            gone = row.state is NetworkState.DELETED or network.state is NetworkState.DELETED
            if not gone or row.id not in unchanged:
                continue
        yield _orphan(name, report, row, network)


def _orphan(
    name: str, report: NetworkReport, row: BackendNetwork | None, network: Network | None
) -> Finding:
    fix: dict[str, Any] = {"groups": sorted(report.groups)}
    if row is not None and network is not None:
        fix |= _as_found(row, network)
    remedy = "It is disconnected and removed from Ganeti."
    theirs = "there"
    if report.instances:
        theirs = f"{len(report.instances)} instances are on it: {', '.join(report.instances)}"
        remedy = "A person has to take these instances off it first."
        fix = {"decide": True}
    ours = "no network" if network is None else "deleted" if network.deleted else "being deleted"
    return _finding(Drift.NETWORK_ORPHAN, name, network, ours, theirs, remedy=remedy, fix=fix)


def _as_found(row: BackendNetwork, network: Network) -> dict[str, Any]:
    return {"row": row.id, "state": row.state.value, "network_state": network.state.value}


def _finding(
    kind: Drift,
    name: str,
    network: Network | None,
    ours: str,
    theirs: str,
    *,
    remedy: str,
    fix: dict[str, Any],
) -> Finding:
    return Finding(
        kind=kind,
        network_id=network.id if network is not None else None,
        target=name,
        ours=ours,
        theirs=theirs[:255],
        remedy=remedy,
        fix=fix,
    )
