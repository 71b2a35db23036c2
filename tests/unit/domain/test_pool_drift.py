"""Differences between pools and what uses their values, here and on a cluster."""

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from cloudweb.domain import identity, mending, pool_drift, pools, reconcile
from cloudweb.domain.network_drift import NetworkReport, NetworkSnapshot
from cloudweb.domain.snapshots import InstanceReport, Snapshot
from cloudweb.domain.states import NicReport
from cloudweb.models import (
    Backend,
    BackendNetwork,
    Network,
    NetworkState,
    Nic,
    Pool,
    PoolKind,
    PoolUse,
    PoolValue,
    Server,
    SessionFactory,
    unit_of_work,
    utc_now,
)

Make = Callable[..., Any]
CLI = identity.system("cli")
NAME = "snf-net-1"


@dataclasses.dataclass
class Addresses:
    """The public network with 203.0.113.0/28, and what its cluster tells of it."""

    sessions: SessionFactory
    backend: Backend
    network: Network
    make_server: Make

    def server(self, address: str | None = None, *, held: bool = True) -> Server:
        made: Server = self.make_server(backend=self.backend)
        with unit_of_work(self.sessions) as session:
            nic = session.scalars(sa.select(Nic).where(Nic.server_id == made.id)).one()
            session.execute(sa.update(Nic).where(Nic.id == nic.id).values(ipv4=address))
            if address is not None and held:
                pools.hold_address(session, self.network.id, address, server_id=made.id)
        return made

    def use(self, address: str) -> tuple[PoolUse, int | None, str]:
        with unit_of_work(self.sessions, write=False) as session:
            pool = session.scalars(sa.select(Pool).where(Pool.network_id.is_not(None))).one()
            number = pools.number_of(pool, address)
            row = session.get_one(PoolValue, (pool.id, number))
            return row.use, row.holder_id, row.reason

    def compare(
        self,
        *instances: tuple[str | Server, str],
        used: tuple[str, ...] = (),
        reserved: tuple[str, ...] = (),
    ) -> dict[tuple[str, str], int]:
        """What is found where these have these addresses, and the cluster keeps others."""
        taken = utc_now() + dt.timedelta(seconds=1)
        reports = {}
        for who, address in instances:
            name = who if isinstance(who, str) else who.instance_name or ""
            card = NicReport(0, "aa:00:00:00:00:01", address, None, NAME)
            reports[name] = InstanceReport(name, running=True, nics=(card,))
        all_used = frozenset({*used, *reserved, *(address for _, address in instances)})
        report = NetworkReport(NAME, used=all_used, reserved=frozenset(reserved))
        snapshot = NetworkSnapshot(taken, {NAME: report}, ("default",))
        with unit_of_work(self.sessions) as session:
            backend = session.get_one(Backend, self.backend.id)
            found = pool_drift.detect(session, backend, Snapshot(taken, reports), snapshot)
            reconcile.keep(session, backend, taken=utc_now(), found=found)
        return {(each.kind.value, each.target): each.id for each in found}

    def check(self) -> dict[tuple[str, str], int]:
        with unit_of_work(self.sessions) as session:
            found = pool_drift.detect_own(session)
            reconcile.keep(session, None, taken=utc_now(), found=found)
        return {(each.kind.value, each.target): each.id for each in found}

    def mend(self, *ids: int) -> None:
        with unit_of_work(self.sessions) as session:
            mending.apply(session, CLI, ids, reason="Because.")


@pytest.fixture
def net(
    sessions: SessionFactory, public_network: Network, make_backend: Make, make_server: Make
) -> Addresses:
    backend = make_backend()
    with unit_of_work(sessions) as session:
        network = session.get_one(Network, public_network.id)
        network.cidr, network.gateway = "203.0.113.0/28", "203.0.113.1"
        pools.create_addresses(session, network)
        session.add(
            BackendNetwork(
                network_id=network.id,
                backend_id=backend.id,
                name=NAME,
                state=NetworkState.ACTIVE,
            )
        )
    return Addresses(sessions, backend, network, make_server)


def test_what_a_cluster_keeps_or_uses_is_kept_and_given_free_again(net: Addresses) -> None:
    mine = net.server("203.0.113.4")
    found = net.compare(
        (mine, "203.0.113.4"),
        ("by-hand", "203.0.113.6"),
        used=("203.0.113.7",),
        reserved=("203.0.113.0", "203.0.113.1", "203.0.113.5", "203.0.113.15"),
    )
    wanted = ["203.0.113.5", "203.0.113.6", "203.0.113.7"]
    assert sorted(found) == [("pool-sync", address) for address in wanted]
    net.mend(*found.values())
    assert {net.use(address)[0] for address in wanted} == {PoolUse.RESERVED}
    again = net.compare((mine, "203.0.113.4"), ("by-hand", "203.0.113.6"), used=("203.0.113.7",))
    assert list(again) == [("pool-sync", "203.0.113.5")], "the cluster keeps it no more"
    net.mend(*again.values())
    assert net.use("203.0.113.5") == (PoolUse.FREE, None, "")


def test_what_an_operator_keeps_is_not_given_free(net: Addresses, sessions: SessionFactory) -> None:
    with unit_of_work(sessions) as session:
        pool = session.scalars(sa.select(Pool)).one()
        pools.keep_from_use(session, pool, [5])
    assert net.compare() == {}


def test_an_address_that_a_server_has_there_is_held_for_it(net: Addresses) -> None:
    server = net.server()
    found = net.compare((server, "203.0.113.4"))
    assert list(found) == [("pool-unheld", "203.0.113.4")]
    net.mend(*found.values())
    assert net.use("203.0.113.4")[:2] == (PoolUse.HELD, server.id)
    assert net.compare((server, "203.0.113.4")) == {}


def test_an_address_of_two_is_left_to_a_person(net: Addresses) -> None:
    server = net.server("203.0.113.4")
    found = net.compare((server, "203.0.113.4"), ("by-hand", "203.0.113.4"))
    assert list(found) == [("pool-doubled", "203.0.113.4")]
    assert list(net.compare(("by-hand", "203.0.113.4"))) == [("pool-doubled", "203.0.113.4")]
    with pytest.raises(mending.Moved):
        net.mend(*net.compare(("by-hand", "203.0.113.4")).values())


def test_a_value_that_was_taken_meanwhile_is_not_touched(net: Addresses) -> None:
    found = net.compare(used=("203.0.113.7",))
    other = net.server("203.0.113.7")
    with pytest.raises(mending.Moved) as refused:
        net.mend(*found.values())
    assert refused.value.details == "203.0.113.7: The value has changed since."
    assert net.use("203.0.113.7")[:2] == (PoolUse.HELD, other.id)


def test_our_own_rows_show_what_leaked_is_unheld_or_doubled(
    net: Addresses, sessions: SessionFactory
) -> None:
    with unit_of_work(sessions) as session:
        pools.create(session, CLI, kind=PoolKind.BRIDGE, base="prv", size=3)
        pools.take(session, PoolKind.BRIDGE, holder_kind=pools.NETWORK, holder_id=4711)
    unheld = net.server("203.0.113.3", held=False)
    net.server("203.0.113.5")
    net.server("203.0.113.5", held=False)
    found = net.check()
    assert set(found) == {
        ("pool-leaked", "prv1"),
        ("pool-unheld", "203.0.113.3"),
        ("pool-doubled", "203.0.113.5"),
    }
    with unit_of_work(sessions, write=False) as session:
        rows = reconcile.list_open(session)
        assert {row.where for row in rows} == {""}
        assert sum(reconcile.count_open(session).values()) == 3
    net.mend(found["pool-leaked", "prv1"], found["pool-unheld", "203.0.113.3"])
    assert net.use("203.0.113.3")[:2] == (PoolUse.HELD, unheld.id)
    assert list(net.check()) == [("pool-doubled", "203.0.113.5")]


def test_what_is_no_longer_leaked_is_not_given_free(
    net: Addresses, sessions: SessionFactory
) -> None:
    server = net.server("203.0.113.3")
    with unit_of_work(sessions) as session:
        session.execute(sa.update(Nic).where(Nic.server_id == server.id).values(ipv4=None))
    found = net.check()
    assert list(found) == [("pool-leaked", "203.0.113.3")]
    with unit_of_work(sessions) as session:
        session.execute(sa.update(Nic).where(Nic.server_id == server.id).values(ipv4="203.0.113.3"))
    with pytest.raises(mending.Moved):
        net.mend(*found.values())
    assert net.use("203.0.113.3")[:2] == (PoolUse.HELD, server.id)
