"""Addresses that clusters report are held in our pools, and it is kept who had them when."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from cloudweb.domain import address_history, pools, servers, snapshots
from cloudweb.domain.snapshots import InstanceReport, Snapshot
from cloudweb.domain.states import NicReport
from cloudweb.models import (
    Network,
    Nic,
    PoolUse,
    PoolValue,
    Server,
    SessionFactory,
    unit_of_work,
    utc_now,
)

Make = Callable[..., Any]


@pytest.fixture
def net(sessions: SessionFactory, public_network: Network) -> Network:
    """The cloud's public network, with the addresses 203.0.113.0/29."""
    with unit_of_work(sessions) as session:
        network = session.get_one(Network, public_network.id)
        network.cidr, network.gateway, network.dhcp = "203.0.113.0/29", "203.0.113.1", True
        pools.create_addresses(session, network)
    return network


@pytest.fixture
def create(sessions: SessionFactory, cloud: Any, site: Any, net: Network) -> Callable[[], Server]:
    def make() -> Server:
        with unit_of_work(sessions) as session:
            return servers.create(
                session,
                cloud.owner.identity,
                site,
                name="web",
                flavor_id=cloud.flavor.id,
                image_ref=cloud.image.id,
                metadata={},
            )

    return make


def told(sessions: SessionFactory, *cards: tuple[Server, str | None]) -> set[int]:
    """What a cluster tells of the cards of these servers; whose show something new."""
    reports = {}
    with unit_of_work(sessions) as session:
        for server, address in cards:
            nic = session.scalars(sa.select(Nic).where(Nic.server_id == server.id)).one()
            reports[server.id] = (NicReport(0, "aa:00:00:00:00:01", address, nic.name),)
        return snapshots.write_cards(session, reports, {})


def held(sessions: SessionFactory) -> dict[int, int | None]:
    """Which server holds which place of the pool."""
    with unit_of_work(sessions, write=False) as session:
        query = sa.select(PoolValue).where(PoolValue.use == PoolUse.HELD)
        return {row.number: row.holder_id for row in session.scalars(query)}


def history(sessions: SessionFactory, **which: Any) -> list[tuple[str, int, bool]]:
    with unit_of_work(sessions, write=False) as session:
        rows = address_history.list_for(session, **which)
        return [(row.use.address, row.server.id, row.use.until is None) for row in rows]


def test_an_address_that_is_reported_is_held_and_the_old_one_is_given_back(
    sessions: SessionFactory, create: Callable[[], Server]
) -> None:
    server = create()
    assert held(sessions) == {2: server.id}
    assert told(sessions, (server, "203.0.113.5")) == {server.id}
    assert held(sessions) == {5: server.id}
    assert told(sessions, (server, "203.0.113.5")) == set()
    assert told(sessions, (server, None)) == {server.id}
    assert held(sessions) == {}
    assert told(sessions, (server, "198.51.100.9")) == {server.id}, "of no pool, and kept"
    assert held(sessions) == {}
    assert history(sessions, server_id=server.id) == [
        ("198.51.100.9", server.id, True),
        ("203.0.113.5", server.id, False),
        ("203.0.113.2", server.id, False),
    ]


def test_two_servers_may_change_addresses_and_none_takes_anothers(
    sessions: SessionFactory, create: Callable[[], Server]
) -> None:
    one, other = create(), create()
    told(sessions, (one, "203.0.113.3"), (other, "203.0.113.2"))
    assert held(sessions) == {3: one.id, 2: other.id}
    told(sessions, (one, "203.0.113.2"))
    assert held(sessions) == {3: one.id, 2: other.id}
    assert told(sessions, (one, "203.0.113.2")) == set(), "nothing moves again and again"
    with unit_of_work(sessions, write=False) as session:
        query = sa.select(Nic.ipv4).where(Nic.server_id == one.id)
        assert session.scalars(query).all() == ["203.0.113.3"]


def test_a_reserved_address_stays_reserved_when_a_server_has_it(
    sessions: SessionFactory, create: Callable[[], Server]
) -> None:
    server = create()
    told(sessions, (server, "203.0.113.1"))
    assert held(sessions) == {}


def test_who_had_an_address_is_known_afterwards_and_by_time(
    sessions: SessionFactory, cloud: Any, create: Callable[[], Server]
) -> None:
    first = create()
    with unit_of_work(sessions) as session:
        servers.delete(session, cloud.owner.identity, first.id)
    then = utc_now()
    second = create()
    both = [("203.0.113.2", second.id, True), ("203.0.113.2", first.id, False)]
    assert history(sessions, address="203.0.113.2") == both
    assert history(sessions, address="203.0.113.2", at=utc_now()) == both[:1]
    assert history(sessions, address="203.0.113.2", at=then) == []
    with unit_of_work(sessions) as session:
        assert address_history.purge(session, older_than_days=1) == 0
        assert address_history.purge(session, older_than_days=-1) == 1
    assert history(sessions, address="203.0.113.2") == both[:1]


IPV6 = "2001:db8:1:0:a800:ff:fe00:1"  # what a card with the MAC aa:00:00:00:00:01 gives itself


@pytest.fixture
def net6(sessions: SessionFactory, net: Network) -> Network:
    """The same network with a subnet of IPv6, where cards choose their address by their MAC."""
    with unit_of_work(sessions) as session:
        session.get_one(Network, net.id).cidr6 = "2001:db8:1::/64"
    return net


@pytest.mark.usefixtures("net6")
def test_who_had_an_ipv6_address_is_known_too(
    sessions: SessionFactory, create: Callable[[], Server], cloud: Any
) -> None:
    server = create()
    for _ in range(2):
        told(sessions, (server, "203.0.113.2"))
    assert history(sessions, address=IPV6.upper()) == [(IPV6, server.id, True)]
    with unit_of_work(sessions) as session:
        card = session.scalars(sa.select(Nic).where(Nic.server_id == server.id)).one()
        other = NicReport(0, "aa:00:00:00:00:02", "203.0.113.2", card.name)
        snapshots.write_cards(session, {server.id: (other,)}, {})
    second = IPV6[:-1] + "2"
    assert history(sessions, address=IPV6) == [(IPV6, server.id, False)]
    assert history(sessions, address=second) == [(second, server.id, True)]
    with unit_of_work(sessions) as session:
        servers.delete(session, cloud.owner.identity, server.id)
    assert history(sessions, address=second) == [(second, server.id, False)]


def test_a_card_that_comes_and_goes_behind_our_back_has_its_ipv6_address_meanwhile(
    sessions: SessionFactory, create: Callable[[], Server], net6: Network
) -> None:
    server = create()
    there = NicReport(1, "aa:00:00:00:00:01", "203.0.113.4", "eth1", "lan")
    with unit_of_work(sessions) as session:
        own = session.scalars(sa.select(Nic).where(Nic.server_id == server.id)).one()
        first = NicReport(0, "aa:00:00:00:00:09", own.ipv4, own.name)
        for reports in ((first, there), (first,)):
            snapshots.write_cards(session, {server.id: reports}, {"lan": net6.id})
            session.flush()
            lasts = [
                row.use.until is None for row in address_history.list_for(session, address=IPV6)
            ]
            assert lasts == [len(reports) == 2]


def test_a_snapshot_of_the_cluster_moves_the_address_and_is_quick(
    sessions: SessionFactory, create: Callable[[], Server], cloud: Any
) -> None:
    server = create()
    taken = utc_now() + dt.timedelta(minutes=1)
    report = InstanceReport(server.instance_name or "", running=True)
    with unit_of_work(sessions) as session:
        seen = snapshots.apply(session, cloud.backend.id, Snapshot(taken, {report.name: report}))
    assert seen.moved == 0, "something is still to be done on it"
