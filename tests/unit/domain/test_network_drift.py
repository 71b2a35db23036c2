"""Differences between networks and those of a cluster: found exactly, mended as found."""

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from cloudweb.domain import (
    identity,
    mending,
    network_drift,
    networks,
    operator_networks,
    pools,
    reconcile,
)
from cloudweb.domain.network_drift import NetworkReport, NetworkSnapshot
from cloudweb.domain.networks import Rules, Subnets
from cloudweb.models import (
    Backend,
    BackendNetwork,
    Network,
    NetworkKind,
    NetworkState,
    Nic,
    Operation,
    PoolKind,
    SessionFactory,
    unit_of_work,
    utc_now,
)

Make = Callable[..., Any]
CLI = identity.system("cli")
RULES = Rules(user_kinds=(), mac_filtered_link="prv0", instance_prefix="snf-")
GROUPS = ("default", "second")
ALL = frozenset(GROUPS)


@dataclasses.dataclass
class Cluster:
    """A backend, the networks that are written down there, and what its cluster tells."""

    sessions: SessionFactory
    backend: Backend
    owner: Any

    def network(self, row: NetworkState | None = NetworkState.ACTIVE, **values: Any) -> Network:
        """A private network; ``row`` is its state on the cluster, None for nothing there."""
        with unit_of_work(self.sessions) as session:
            network = networks.new("lab", NetworkKind.CUSTOM, Subnets("10.0.0.0/28"), dhcp=True)
            network.user_id, network.link = self.owner.user.id, "br0"
            networks.add(session, CLI, RULES, network)
            for name, value in values.items():
                setattr(network, name, value)
            if row is not None:
                session.add(
                    BackendNetwork(
                        network_id=network.id,
                        backend_id=self.backend.id,
                        name=f"snf-net-{network.id}",
                        state=row,
                        updated=utc_now() - dt.timedelta(hours=1),
                    )
                )
        return network

    def compare(self, *reports: NetworkReport) -> dict[tuple[str, str], int]:
        taken = utc_now() + dt.timedelta(seconds=1)
        snapshot = NetworkSnapshot(taken, {each.name: each for each in reports}, GROUPS)
        with unit_of_work(self.sessions) as session:
            backend = session.get_one(Backend, self.backend.id)
            found = network_drift.detect(session, backend, snapshot, "snf-")
            reconcile.keep(session, backend, taken=utc_now(), found=found)
        return {(each.kind.value, each.target): each.id for each in found}

    def mend(self, *ids: int) -> list[tuple[str, str, str]]:
        """What the cluster is to do afterwards: opcode, network, group."""
        with unit_of_work(self.sessions) as session:
            mending.apply(session, CLI, ids, reason="Because.")
        with unit_of_work(self.sessions, write=False) as session:
            rows = session.scalars(sa.select(Operation).order_by(Operation.id))
            return [(o.opcode, o.target, o.arguments.get("group", "")) for o in rows]

    def row(self, network: Network) -> BackendNetwork | None:
        with unit_of_work(self.sessions, write=False) as session:
            return session.scalar(
                sa.select(BackendNetwork).where(BackendNetwork.network_id == network.id)
            )


@pytest.fixture
def cluster(sessions: SessionFactory, make_backend: Make, make_user: Make) -> Cluster:
    return Cluster(sessions, make_backend(node_groups=list(GROUPS)), make_user())


def name(network: Network) -> str:
    return f"snf-net-{network.id}"


def there(network: Network, groups: frozenset[str] = ALL, **values: Any) -> NetworkReport:
    return NetworkReport(name(network), groups, **values)


def test_each_kind_is_found_by_itself(cluster: Cluster, make_server: Make) -> None:
    same, missing, hanging = cluster.network(), cluster.network(), cluster.network()
    unsynced = cluster.network(NetworkState.ERROR)
    stale = cluster.network(state=NetworkState.DELETED)
    left = cluster.network(state=NetworkState.DELETED)
    everywhere, elsewhere = cluster.network(None, everywhere=True), cluster.network(None)
    used = cluster.network(None)
    server = make_server(backend=cluster.backend)
    with unit_of_work(cluster.sessions) as session:
        session.add(Nic(server_id=server.id, network_id=used.id, index=1))
    found = cluster.compare(
        there(same),
        there(hanging, frozenset({"default"})),
        there(unsynced),
        there(left),
        there(used),
        NetworkReport("snf-net-4711", ALL),
        NetworkReport("by-hand", ALL),
    )
    assert set(found) == {
        ("network-missing", name(missing)),
        ("network-groups", name(hanging)),
        ("network-state", name(unsynced)),
        ("network-stale", name(stale)),
        ("network-orphan", name(left)),
        ("network-parted", name(everywhere)),
        ("network-parted", name(used)),
        ("network-orphan", "snf-net-4711"),
    }
    assert elsewhere


def test_what_is_missing_is_made_and_what_hangs_is_connected(cluster: Cluster) -> None:
    missing, hanging = cluster.network(), cluster.network()
    found = cluster.compare(there(hanging, frozenset({"second"})))
    todo = cluster.mend(*found.values())
    assert sorted(todo) == sorted(
        [
            ("OP_NETWORK_ADD", name(missing), ""),
            ("OP_NETWORK_CONNECT", name(missing), "default"),
            ("OP_NETWORK_CONNECT", name(missing), "second"),
            ("OP_NETWORK_CONNECT", name(hanging), "default"),
        ]
    )
    for network in (missing, hanging):
        row = cluster.row(network)
        assert row is not None
        assert row.state is NetworkState.PENDING
    assert cluster.compare() == {}, "while something is to be done nothing is found"


def test_what_is_there_is_written_down(cluster: Cluster) -> None:
    unsynced = cluster.network(NetworkState.PENDING)
    parted = cluster.network(None, everywhere=True)
    found = cluster.compare(there(unsynced), there(parted))
    assert cluster.mend(*found.values()) == []
    for network in (unsynced, parted):
        row = cluster.row(network)
        assert row is not None
        assert (row.name, row.state) == (name(network), NetworkState.ACTIVE)


def test_a_network_to_be_everywhere_is_made_on_a_cluster_that_came_later(
    cluster: Cluster, make_backend: Make
) -> None:
    network = cluster.network(None)
    with unit_of_work(cluster.sessions) as session:
        row = session.get_one(Network, network.id)
        operator_networks.make_everywhere(session, CLI, RULES, row)
    later = Cluster(cluster.sessions, make_backend(node_groups=["default"]), cluster.owner)
    [(kind, _name)] = found = later.compare()
    assert kind == "network-parted"
    todo = later.mend(*found.values())
    assert todo[-2:] == [
        ("OP_NETWORK_ADD", name(network), ""),
        ("OP_NETWORK_CONNECT", name(network), "default"),
    ]


def test_a_deletion_ends_where_nothing_is_left_and_goes_on_where_there_is(
    cluster: Cluster, sessions: SessionFactory
) -> None:
    with unit_of_work(sessions) as session:
        pools.create(session, CLI, kind=PoolKind.BRIDGE, base="prv", size=2)
    gone = cluster.network(state=NetworkState.DELETED)
    left = cluster.network(state=NetworkState.DELETED)
    found = cluster.compare(there(left, frozenset({"second"})))
    todo = cluster.mend(*found.values())
    assert todo == [
        ("OP_NETWORK_DISCONNECT", name(left), "second"),
        ("OP_NETWORK_REMOVE", name(left), ""),
    ]
    with unit_of_work(sessions, write=False) as session:
        assert session.get_one(Network, gone.id).deleted
        assert not session.get_one(Network, left.id).deleted


def test_an_orphan_with_instances_is_left_to_a_person(cluster: Cluster) -> None:
    orphan = NetworkReport("snf-net-4711", ALL, instances=("by-hand-1",))
    [id_] = cluster.compare(orphan).values()
    with pytest.raises(mending.Moved) as refused:
        cluster.mend(id_)
    assert "A person has to" in str(refused.value.details)


def test_what_has_moved_is_left_and_the_rest_of_the_choice_is_done(cluster: Cluster) -> None:
    moved, same = cluster.network(NetworkState.ERROR), cluster.network(NetworkState.ERROR)
    found = cluster.compare(there(moved), there(same))
    with unit_of_work(cluster.sessions) as session:
        session.get_one(Network, moved.id).state = NetworkState.DELETED
    cluster.mend(*found.values())
    for network, state in ((moved, NetworkState.ERROR), (same, NetworkState.ACTIVE)):
        row = cluster.row(network)
        assert row is not None
        assert row.state is state


def test_finding_takes_as_many_statements_for_many_networks(
    cluster: Cluster, count_statements: Make
) -> None:
    def compare(count: int) -> int:
        made = [cluster.network() for _ in range(count)]
        taken = utc_now() + dt.timedelta(seconds=1)
        snapshot = NetworkSnapshot(taken, {name(n): there(n, frozenset()) for n in made}, GROUPS)
        with unit_of_work(cluster.sessions) as session:
            backend = session.get_one(Backend, cluster.backend.id)
            with count_statements() as counter:
                network_drift.detect(session, backend, snapshot, "snf-")
        return len(counter)

    assert compare(2) == compare(9) <= 3
