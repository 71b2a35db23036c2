"""Finds how pools differ from what uses their values: our own rows, and what a cluster has."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import pool_care, pools
from cloudweb.domain.network_drift import NetworkSnapshot
from cloudweb.domain.pool_care import Wrong
from cloudweb.domain.snapshots import Snapshot
from cloudweb.models import (
    OPEN_STATES,
    Backend,
    BackendNetwork,
    Drift,
    Finding,
    Network,
    NetworkState,
    Operation,
    Pool,
    PoolUse,
    PoolValue,
    Server,
)

_KINDS = {
    Wrong.LEAKED: Drift.POOL_LEAKED,
    Wrong.UNHELD: Drift.POOL_UNHELD,
    Wrong.DOUBLED: Drift.POOL_DOUBLED,
    Wrong.MISSING: Drift.POOL_ROWS,
}
_OURS = {
    Wrong.LEAKED: "held for {who}",
    Wrong.UNHELD: "free",
    Wrong.DOUBLED: "one value",
    Wrong.MISSING: "{who}",
}
_USED = {
    Wrong.LEAKED: "used by nobody",
    Wrong.UNHELD: "used by {who}",
    Wrong.DOUBLED: "used or held by {who}",
    Wrong.MISSING: "",
}
_REMEDIES = {
    Wrong.LEAKED: "It can be taken again.",
    Wrong.UNHELD: "It is held for who uses it.",
}
_DECIDE = "A person has to decide who keeps it."


# --- pools and our own rows ---------------------------------------------------------------------


def detect_own(session: Session) -> list[Finding]:
    """What is wrong in the pools by our own cards and networks alone; eight statements."""
    return [_own(each) for each in pool_care.check(session)]


def _own(each: pool_care.Finding) -> Finding:
    fix: dict[str, Any] = {"pool": each.pool.id, "wrong": each.wrong.value, "who": each.who}
    if each.wrong not in _REMEDIES:
        fix["decide"] = True
    return Finding(
        kind=_KINDS[each.wrong],
        network_id=each.pool.network_id,
        target=each.value or f"{each.pool.kind.value} pool {each.pool.id}",
        ours=_OURS[each.wrong].format(who=each.who)[:255],
        theirs=_USED[each.wrong].format(who=each.who)[:255],
        remedy=_REMEDIES.get(each.wrong, _DECIDE),
        fix=fix,
    )


# --- addresses and a cluster --------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class _Value:
    use: PoolUse
    holder: tuple[str | None, int | None]
    reason: str


_FREE = _Value(PoolUse.FREE, (None, None), "")


@dataclasses.dataclass(frozen=True, slots=True)
class _Network:
    """A network's pool, what of it is not free, and whom the cluster's instances are there."""

    network: Network
    pool: Pool
    values: Mapping[int, _Value]
    used: frozenset[str]
    reserved: frozenset[str]
    users: Mapping[str, list[str]]


def detect(
    session: Session, backend: Backend, instances: Snapshot, snapshot: NetworkSnapshot
) -> list[Finding]:
    """How the addresses of our networks differ from a cluster's; a constant number of statements.

    Left out is what an instance has on which something is to be done, or whose server changed
    since the snapshot.
    """
    servers = _servers(session, backend.id, instances)
    unsettled = _unsettled(session, backend.id, instances)
    found: list[Finding] = []
    for network in _networks(session, backend.id, instances, snapshot):
        never = pools.never_free(session, network.pool)
        for address in sorted(network.used | network.reserved | set(network.users)):
            number = pools.number_of(network.pool, address)
            users = network.users.get(address, [])
            if number is None or number in never or unsettled.intersection(users):
                continue
            value = network.values.get(number, _FREE)
            found += _compare(backend, network, address, number, value, users, servers)
        found += _not_kept(backend, network)
    return found


def _compare(
    backend: Backend,
    network: _Network,
    address: str,
    number: int,
    value: _Value,
    users: list[str],
    servers: Mapping[str, int],
) -> Iterator[Finding]:
    holders = [(pools.SERVER, servers[name]) for name in users if name in servers]
    fix = _fix(network, number, value)
    if len(users) > 1 or (value.use is PoolUse.HELD and users and value.holder not in holders):
        held = _spelt(value)
        said = (held, f"instances {', '.join(users)}")
        yield _finding(Drift.POOL_DOUBLED, network, address, *said, _DECIDE, {"decide": True})
    elif value.use is not PoolUse.FREE:
        return
    elif holders:
        kind, holder_id = holders[0]
        fix |= {"to": "held", "holder": holder_id}
        said = ("free", f"instance {users[0]} has it")
        remedy = f"It is held for {kind} {holder_id}."
        yield _finding(Drift.POOL_UNHELD, network, address, *said, remedy, fix)
    else:
        why = f"instance {users[0]} has it" if users else "used"
        theirs = "reserved" if address in network.reserved else why
        fix |= {"to": "reserved", "reason": _reason(backend)}
        said = ("free", theirs)
        yield _finding(Drift.POOL_SYNC, network, address, *said, "It is kept from use.", fix)


def _not_kept(backend: Backend, network: _Network) -> Iterator[Finding]:
    """What was kept from use because this cluster did, and it does no more."""
    for number, value in sorted(network.values.items()):
        address = pools.value(network.pool, number)
        if value.use is not PoolUse.RESERVED or value.reason != _reason(backend):
            continue
        if address not in network.used | network.reserved and address not in network.users:
            fix = _fix(network, number, value) | {"to": "free"}
            said = (_spelt(value), "free")
            remedy = "It can be taken again."
            yield _finding(Drift.POOL_SYNC, network, address, *said, remedy, fix)


def _reason(backend: Backend) -> str:
    return f"Kept or used by {backend.name}."


def _spelt(value: _Value) -> str:
    if value.use is PoolUse.HELD:
        return f"held for {value.holder[0]} {value.holder[1]}"
    return "kept from use" if value.use is PoolUse.RESERVED else "free"


def _fix(network: _Network, number: int, value: _Value) -> dict[str, Any]:
    was = [value.use.value, *value.holder, value.reason]
    return {"pool": network.pool.id, "number": number, "was": was}


def _finding(
    kind: Drift,
    network: _Network,
    address: str,
    ours: str,
    theirs: str,
    remedy: str,
    fix: dict[str, Any],
) -> Finding:
    return Finding(
        kind=kind,
        network_id=network.network.id,
        target=address,
        ours=ours[:255],
        theirs=theirs[:255],
        remedy=remedy,
        fix=fix,
    )


def _servers(session: Session, backend_id: int, instances: Snapshot) -> dict[str, int]:
    rows = session.execute(
        sa.select(Server.instance_name, Server.id).where(
            Server.backend_id == backend_id, Server.deleted == sa.false()
        )
    )
    return {name: id_ for name, id_ in rows if name and name in instances.instances}


def _unsettled(session: Session, backend_id: int, instances: Snapshot) -> set[str]:
    open_ones = sa.select(Operation.target).where(
        Operation.backend_id == backend_id, Operation.state.in_(OPEN_STATES)
    )
    changed = sa.select(Server.instance_name).where(
        Server.backend_id == backend_id, Server.updated >= instances.taken
    )
    names = {*session.scalars(open_ones), *session.scalars(changed)}
    return {name for name in names if name is not None}


def _networks(
    session: Session, backend_id: int, instances: Snapshot, snapshot: NetworkSnapshot
) -> Iterator[_Network]:
    rows = session.execute(
        sa.select(BackendNetwork.name, Network, Pool)
        .join(Network, Network.id == BackendNetwork.network_id)
        .join(Pool, Pool.network_id == Network.id)
        .where(
            BackendNetwork.backend_id == backend_id,
            BackendNetwork.state == NetworkState.ACTIVE,
            Network.state == NetworkState.ACTIVE,
        )
        .order_by(Network.id)
    ).all()
    values = _values(session, backend_id)
    users: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name, instance in sorted(instances.instances.items()):
        for nic in instance.nics:
            if nic.network is not None and nic.ip is not None:
                users[nic.network][nic.ip].append(name)
    for name, network, pool in rows:
        report = snapshot.networks.get(name)
        if report is not None:
            mine = values.get(pool.id, {})
            yield _Network(network, pool, mine, report.used, report.reserved, users[name])


def _values(session: Session, backend_id: int) -> dict[int, dict[int, _Value]]:
    """What is not free in the pools of a cluster's networks."""
    here = (
        sa.select(Pool.id)
        .join(BackendNetwork, BackendNetwork.network_id == Pool.network_id)
        .where(BackendNetwork.backend_id == backend_id)
    )
    rows = session.execute(
        sa.select(
            *(PoolValue.pool_id, PoolValue.number, PoolValue.use),
            *(PoolValue.holder_kind, PoolValue.holder_id, PoolValue.reason),
        ).where(PoolValue.pool_id.in_(here), PoolValue.use != PoolUse.FREE)
    )
    found: dict[int, dict[int, _Value]] = defaultdict(dict)
    for pool_id, number, use, kind, holder_id, reason in rows:
        found[pool_id][number] = _Value(use, (kind, holder_id), reason)
    return found
