"""What must be true in the end, looked at from both sides: the database and the clusters."""

import collections
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import cards, pools, states
from cloudweb.models import (
    OPEN_STATES,
    Backend,
    BackendNetwork,
    DeadLetter,
    Network,
    NetworkState,
    Nic,
    NicState,
    Operation,
    OperationState,
    OperState,
    Pool,
    PoolKind,
    PoolUse,
    PoolValue,
    Server,
    ServerMetadata,
    unit_of_work,
)
from tests.functional.chaos.clients import Client, Promise
from tests.functional.chaos.clusters import Card, SeenInstance, TakenJob
from tests.functional.chaos.poison import Poisoner
from tests.functional.chaos.stack import PREFIX, Stack

FAILED = (OperationState.ERROR, OperationState.CANCELED)
SHOWN = 6
"""So many of each kind of what is wrong are told."""


@dataclasses.dataclass
class Report:
    """What was counted, and what is wrong."""

    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    wrong: list[str] = dataclasses.field(default_factory=list)

    def check(self, what: str, looked_at: int, wrong: Sequence[str]) -> None:
        """Note how much was looked at for a rule, and where it was broken."""
        self.counts[what] = looked_at
        self.wrong += [f"{what}: {each}" for each in wrong]


class Audit:
    """Everything there is, read once."""

    def __init__(self, stack: Stack, clients: Sequence[Client], poisoner: Poisoner) -> None:
        self._clients, self._poisoner = clients, poisoner
        self._jobs: dict[str, list[TakenJob]] = {}
        for job in stack.clusters.jobs():
            self._jobs.setdefault(job.key, []).append(job)
        self._clusters = stack.clusters.look()
        with unit_of_work(stack.sessions, write=False) as session:
            self._read(session)

    def _read(self, session: Session) -> None:
        def all_of(model: type[Any], *order: Any) -> list[Any]:
            return list(session.scalars(sa.select(model).order_by(*order)))

        self._backends = {row.id: row.name for row in all_of(Backend, Backend.id)}
        self._servers: dict[int, Server] = {row.id: row for row in all_of(Server, Server.id)}
        self._nics: dict[int, list[Nic]] = {}
        for nic in all_of(Nic, Nic.server_id, Nic.index):
            self._nics.setdefault(nic.server_id, []).append(nic)
        self._networks: dict[int, Network] = {row.id: row for row in all_of(Network, Network.id)}
        self._placed: list[BackendNetwork] = all_of(BackendNetwork, BackendNetwork.id)
        self._operations: list[Operation] = all_of(Operation, Operation.id)
        self._by_request: dict[str, list[Operation]] = {}
        for operation in self._operations:
            self._by_request.setdefault(operation.request_id, []).append(operation)
        self._pools: dict[int, Pool] = {row.id: row for row in all_of(Pool, Pool.id)}
        held = sa.select(PoolValue).where(PoolValue.use == PoolUse.HELD)
        self._held: list[PoolValue] = list(session.scalars(held))
        self._letters: list[DeadLetter] = all_of(DeadLetter, DeadLetter.id)
        notes = sa.select(ServerMetadata).where(ServerMetadata.key == "note")
        self._notes = {row.server_id: row.value for row in session.scalars(notes)}

    def report(self) -> Report:
        """Hold everything against every rule."""
        report = Report()
        live = [server for server in self._servers.values() if not server.deleted]
        names = [(name, i) for name, c in self._clusters.items() for i in c.instances]
        report.check("servers in the database", len(live), list(self._servers_there(live)))
        report.check("instances on the clusters", len(names), list(self._orphans()))
        count = sum(len(self._nics.get(server.id, ())) for server in live)
        report.check("network cards", count, list(self._cards(live)))
        report.check("networks on clusters", len(self._placed), list(self._network_differences()))
        report.check("operations", len(self._operations), list(self._limbo()))
        jobs = sum(map(len, self._jobs.values()))
        report.check("jobs the clusters took", jobs, list(self._job_trails()))
        promises = [promise for client in self._clients for promise in client.promises]
        report.check("requests accepted", len(promises), list(self._broken_promises(promises)))
        known = sum(len(client.machines) for client in self._clients)
        report.check("servers clients know", known, list(self._expectations()))
        report.check("pool values held", len(self._held), list(self._pool_differences(live)))
        report.check("dead letters", len(self._letters), list(self._letter_differences()))
        answers = sum(sum(client.answers.values()) for client in self._clients)
        broken = [each for client in self._clients for each in client.broken]
        report.check("requests", answers, broken)
        return report

    # --- servers and cards

    def _instance(self, server: Server) -> SeenInstance | None:
        cluster = self._clusters[self._backends[server.backend_id]]
        return cluster.instances.get(server.instance_name)

    def _servers_there(self, live: Sequence[Server]) -> Iterator[str]:
        for server in live:
            instance, name = self._instance(server), server.instance_name
            if server.state is OperState.ERROR:
                continue  # why is held against what was promised
            if instance is None:
                yield f"{name} is {server.state.value}, and there is no instance"
            elif server.state not in (OperState.STARTED, OperState.STOPPED):
                yield f"{name} is still {server.state.value}"
            elif instance.running is not (server.state is OperState.STARTED):
                yield f"{name} is {server.state.value}, its instance is not"

    def _orphans(self) -> Iterator[str]:
        wanted = {
            (self._backends[server.backend_id], server.instance_name)
            for server in self._servers.values()
            if not server.deleted
        }
        for cluster, state in self._clusters.items():
            for name in state.instances:
                if (cluster, name) not in wanted:
                    yield f"{name} on {cluster} is nobody's"

    def _cards(self, live: Sequence[Server]) -> Iterator[str]:
        macs: collections.Counter[str | None] = collections.Counter()
        for server in live:
            if server.state is OperState.ERROR:
                continue
            instance, ours = self._instance(server), self._nics.get(server.id, [])
            macs.update(nic.mac for nic in ours)
            if instance is None:
                continue
            said = [self._card(nic) for nic in ours]
            if said != [*instance.cards]:
                yield f"{server.instance_name} has {instance.cards}, we say {said}"
            if [nic.index for nic in ours] != list(range(len(ours))):
                yield f"{server.instance_name} has cards at {[nic.index for nic in ours]}"
            for nic in ours:
                yield from self._card_state(server, nic, instance.tags)
        yield from (f"{n} cards have {mac}" for mac, n in macs.items() if n > 1)

    def _card(self, nic: Nic) -> Card:
        network = self._networks[nic.network_id]
        ganeti = cards.ganeti_name(network, f"{PREFIX}-") if network.cidr else None
        return (nic.name, nic.mac, nic.ipv4, ganeti)

    def _card_state(self, server: Server, nic: Nic, tags: Sequence[str]) -> Iterator[str]:
        if nic.state is not NicState.ACTIVE:
            yield f"{nic.name} of {server.instance_name} is {nic.state.value}"
        prefix = f"synnefo:network:{nic.index}:"
        worn = [cards.profile_of(tag) for tag in tags if tag.startswith(prefix)]
        wanted = [] if nic.firewall_profile is None else [cards.Profile(nic.firewall_profile)]
        if self._networks[nic.network_id].public and worn != wanted:
            yield f"{nic.name} of {server.instance_name} wears {worn}, we say {wanted}"

    def _network_differences(self) -> Iterator[str]:
        ours = {(self._backends[p.backend_id], p.name): p for p in self._placed}
        for (cluster, name), placed in ours.items():
            there = name in self._clusters[cluster].networks
            if placed.state is NetworkState.ERROR:
                yield f"{name} on {cluster} is in ERROR"
            elif there is (placed.state is NetworkState.DELETED):
                yield f"{name} on {cluster} is {placed.state.value}, there: {there}"
            elif placed.state is NetworkState.PENDING:
                yield f"{name} on {cluster} is still PENDING"
        for cluster, state in self._clusters.items():
            yield from (
                f"{n} on {cluster} is unknown" for n in state.networks if (cluster, n) not in ours
            )
        for network in self._networks.values():
            if network.state is NetworkState.DELETED and not network.deleted:
                yield f"network {network.id} is still being taken apart"

    # --- operations and jobs

    def _limbo(self) -> Iterator[str]:
        for operation in self._operations:
            if operation.state in OPEN_STATES:
                yield f"{_told(operation)} is {operation.state.value}: {operation.error}"
            elif operation.state in FAILED and not _is_explained(operation):
                yield f"{_told(operation)} is {operation.state.value} without a word"

    def _job_trails(self) -> Iterator[str]:
        """One job a key. What a cluster declined for now has a new key since."""
        known = {operation.key: operation for operation in self._operations}
        declined: collections.Counter[tuple[str, str, str]] = collections.Counter()
        for operation in self._operations:
            what = (operation.request_id, operation.opcode, operation.target)
            declined[what] += operation.declines
        for key, jobs in self._jobs.items():
            told = ", ".join(map(str, jobs))
            if len(jobs) > 1:
                yield f"submitted {len(jobs)} times: {told}"
            if key in known:
                continue
            what = (jobs[0].request_id, jobs[0].opcode, jobs[0].target)
            declined[what] -= 1
            if declined[what] < 0 or jobs[0].status != "error":
                yield f"nobody wrote down {told}"

    def _broken_promises(self, promises: Sequence[Promise]) -> Iterator[str]:
        for promise in promises:
            told = f"{promise.act} {promise.server_id or promise.network_id} ({promise.request_id})"
            if promise.server_id is not None and promise.server_id not in self._servers:
                yield f"{told}: there is no such server"
            elif promise.network_id is not None and promise.network_id not in self._networks:
                yield f"{told}: there is no such network"
            else:
                yield from (f"{told}: {w}" for w in self._effects(promise))

    def _effects(self, promise: Promise) -> Iterator[str]:
        mine = self._by_request.get(promise.request_id, [])
        failed = any(o.state in FAILED for o in mine)
        yield from (w for operation in mine for w in self._effect(operation))
        if promise.act == "delete" and promise.server_id is not None:
            excused = failed or self._was_removal_refused(promise.server_id)
            if not excused and not self._servers[promise.server_id].deleted:
                yield "the server is still there"
        elif promise.act == "drop network" and promise.network_id is not None:
            if not self._networks[promise.network_id].deleted and not failed:
                yield "the network is still there"
        elif promise.act != "network" and not mine:
            yield "nothing was written down"

    def _was_removal_refused(self, server_id: int) -> bool:
        """Whether a removal that was under way before failed, and says why."""
        return any(
            o.server_id == server_id and o.opcode == states.REMOVE and o.state in FAILED
            for o in self._operations
        )

    def _effect(self, operation: Operation) -> Iterator[str]:
        """A success is the success of one job; a removal also that there was nothing left."""
        jobs = self._jobs.get(operation.key, [])
        if operation.state is not OperationState.SUCCESS or not jobs:
            return
        if not any(job.status == "success" for job in jobs) and not _is_undoing(operation):
            yield f"{_told(operation)} is a success, its job is {jobs[0].status}"

    def _expectations(self) -> Iterator[str]:
        for client in self._clients:
            for id_, machine in client.machines.items():
                server = self._servers.get(id_)
                if server is None or server.deleted:
                    yield f"server {id_} is gone, and nobody asked for it"
                    continue
                if server.name not in machine.names:
                    yield f"server {id_} is called {server.name}, not one of {machine.names}"
                if self._notes.get(id_) not in machine.notes:
                    yield f"server {id_} says {self._notes.get(id_)}, not one of {machine.notes}"

    # --- pools and letters

    def _pool_differences(self, live: Sequence[Server]) -> Iterator[str]:
        used = collections.Counter(
            (nic.network_id, nic.ipv4, nic.server_id)
            for server in live
            for nic in self._nics.get(server.id, ())
            if nic.ipv4 is not None
        )
        addresses = collections.Counter((network, ip) for network, ip, _server in used.elements())
        yield from (f"{n} cards have {ip}" for (_net, ip), n in addresses.items() if n > 1)
        held = collections.Counter(filter(None, map(self._held_address, self._held)))
        yield from (f"{ip} of {server} leaked" for _net, ip, server in held - used)
        yield from (f"{ip} of {server} is not held" for _net, ip, server in used - held)
        yield from self._prefixes()

    def _held_address(self, value: PoolValue) -> tuple[int, str, int] | None:
        pool = self._pools[value.pool_id]
        if pool.kind is not PoolKind.IPV4 or pool.network_id is None:
            return None
        return (pool.network_id, pools.value(pool, value.number), value.holder_id or 0)

    def _prefixes(self) -> Iterator[str]:
        held = collections.Counter(
            (value.holder_id, pools.value(self._pools[value.pool_id], value.number))
            for value in self._held
            if self._pools[value.pool_id].kind is PoolKind.MAC_PREFIX
        )
        wanted = collections.Counter(
            (network.id, network.mac_prefix)
            for network in self._networks.values()
            if network.mac_prefix is not None and not network.deleted
        )
        yield from (f"prefix {prefix} of network {id_} leaked" for id_, prefix in held - wanted)
        yield from (
            f"prefix {prefix} of network {id_} is not held" for id_, prefix in wanted - held
        )

    def _letter_differences(self) -> Iterator[str]:
        kept = collections.Counter(letter.body for letter in self._letters)
        sent = collections.Counter(self._poisoner.sent)
        maybe = collections.Counter(self._poisoner.doubtful)
        yield from (f"{body[:200]!r} was lost" for body in sent - kept)
        why = {letter.body: letter.reason for letter in self._letters}
        extra = kept - sent - maybe
        yield from (f"{n} too many: {body[:300]!r}: {why[body]}" for body, n in extra.items())


def _told(operation: Operation) -> str:
    return f"operation {operation.id}, {operation.opcode} of {operation.target}"


def _is_explained(operation: Operation) -> bool:
    return bool(operation.error) or operation.state is OperationState.CANCELED


def _is_undoing(operation: Operation) -> bool:
    """Whether it is done as well where Ganeti knows no such thing (any more)."""
    return operation.opcode in (
        states.REMOVE,
        states.SET_PARAMS,
        states.DELETE_TAGS,
        states.DISCONNECT_NETWORK,
        states.REMOVE_NETWORK,
        states.ADD_NETWORK,
    )


def table(report: Report) -> str:
    """The counts, a line each, and the first of what is wrong of each kind."""
    width = max(map(len, report.counts))
    rules: dict[str, list[str]] = {what: [] for what in report.counts}
    for each in report.wrong:
        rules[each.partition(":")[0]].append(each)
    lines = [f"{'':<{width}}  counted  wrong"]
    for what, count in report.counts.items():
        lines.append(f"{what:<{width}}  {count:7d}  {len(rules[what]):5d}")
    lines += [f"WRONG {each}" for wrong in rules.values() for each in wrong[:SHOWN]]
    return "\n".join(lines)
