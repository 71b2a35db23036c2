"""Values that only one holder may have."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from cloudweb import faults
from cloudweb.domain import identity, pool_lists, pools
from cloudweb.models import (
    Network,
    NetworkKind,
    Pool,
    PoolKind,
    PoolUse,
    PoolValue,
    SessionFactory,
    unit_of_work,
)

CLI = identity.system("cli")
BRIDGE, MAC_PREFIX = PoolKind.BRIDGE, PoolKind.MAC_PREFIX


@pytest.fixture
def make_pool(sessions: SessionFactory) -> Callable[..., Pool]:
    def make(kind: PoolKind, base: str, size: int) -> Pool:
        with unit_of_work(sessions) as session:
            return pools.create(session, CLI, kind=kind, base=base, size=size)

    return make


@pytest.fixture
def make_network(sessions: SessionFactory) -> Callable[..., Network]:
    def make(cidr: str, gateway: str | None = None) -> Network:
        with unit_of_work(sessions) as session:
            network = Network(
                name="net",
                kind=NetworkKind.CUSTOM,
                cidr=cidr,
                gateway=gateway,
                mode="bridged",
                link="br0",
            )
            session.add(network)
            session.flush()
            pools.create_addresses(session, network)
        return network

    return make


def _uses(sessions: SessionFactory) -> Counter[PoolUse]:
    with unit_of_work(sessions, write=False) as session:
        return Counter(session.scalars(sa.select(PoolValue.use)))


def _take(sessions: SessionFactory, kind: PoolKind, holder: int = 1) -> str:
    with unit_of_work(sessions) as session:
        return pools.take(session, kind, holder_kind="network", holder_id=holder)


def test_a_bridge_pool_of_twenty_is_prv1_to_prv20(
    sessions: SessionFactory, make_pool: Callable[..., Pool]
) -> None:
    make_pool(BRIDGE, "prv", 20)
    assert [_take(sessions, BRIDGE) for _ in range(20)] == [f"prv{n}" for n in range(1, 21)]
    with pytest.raises(faults.ServiceUnavailable, match="Failed to allocate network resources"):
        _take(sessions, BRIDGE)


def test_of_65536_mac_prefixes_the_16383_local_unicast_ones_but_the_first_are_free(
    sessions: SessionFactory, make_pool: Callable[..., Pool]
) -> None:
    pool = make_pool(MAC_PREFIX, "aa:00:0", 65_536)
    with unit_of_work(sessions, write=False) as session:
        [row] = pool_lists.list_all(session)
        free = session.scalars(
            sa.select(PoolValue.number).where(PoolValue.use == PoolUse.FREE)
        ).all()
    assert (row.free, row.held, row.reserved) == (16_383, 0, 49_153)
    assert {pools.value(pool, number)[:2] for number in free} == {"aa", "ae", "b2", "b6"}
    assert pools.value(pool, 65_535) == "b9:ff:f"
    assert _take(sessions, MAC_PREFIX) == "aa:00:1"


def test_leading_zeros_of_a_mac_prefix_stay(
    sessions: SessionFactory, make_pool: Callable[..., Pool]
) -> None:
    make_pool(MAC_PREFIX, "02:00:0", 16)
    assert _take(sessions, MAC_PREFIX) == "02:00:1"


@pytest.mark.parametrize(
    ("cidr", "gateway", "free", "first"),
    [
        ("10.0.0.0/24", "10.0.0.1", 253, "10.0.0.2"),
        ("10.0.0.0/24", None, 254, "10.0.0.1"),
        ("10.0.0.0/29", "10.0.0.6", 5, "10.0.0.1"),
        ("10.0.0.0/16", None, 65_534, "10.0.0.1"),
    ],
)
def test_the_addresses_of_a_network_but_its_own_and_the_gateway_are_free(
    sessions: SessionFactory,
    make_network: Callable[..., Network],
    cidr: str,
    gateway: str | None,
    free: int,
    first: str,
) -> None:
    network = make_network(cidr, gateway)
    assert _uses(sessions)[PoolUse.FREE] == free
    with unit_of_work(sessions) as session:
        assert pools.take_address(session, network, server_id=7) == first


def test_a_subnet_of_two_addresses_is_full(
    sessions: SessionFactory, make_network: Callable[..., Network]
) -> None:
    network = make_network("10.0.0.0/31")
    with unit_of_work(sessions) as session, pytest.raises(faults.OverLimit, match="is full"):
        pools.take_address(session, network, server_id=7)


@pytest.mark.parametrize(
    ("kind", "base", "size"),
    [
        (BRIDGE, "prv", 0),
        (BRIDGE, "prv", 65_537),
        (BRIDGE, "prv1", 5),
        (BRIDGE, "", 5),
        (BRIDGE, "a b", 5),
        (BRIDGE, "averylongname", 1000),
        (MAC_PREFIX, "aa:00", 5),
        (MAC_PREFIX, "AA:00:0", 5),
        (MAC_PREFIX, "ff:ff:0", 17),
        (PoolKind.IPV4, "10.0.0.0", 5),
    ],
)
def test_what_cannot_be_a_pool_is_refused(
    sessions: SessionFactory,
    make_pool: Callable[..., Pool],
    kind: PoolKind,
    base: str,
    size: int,
) -> None:
    with pytest.raises(faults.BadRequest):
        make_pool(kind, base, size)
    assert not _uses(sessions)


def test_pools_do_not_overlap(make_pool: Callable[..., Pool]) -> None:
    make_pool(BRIDGE, "prv", 5)
    make_pool(MAC_PREFIX, "aa:00:0", 16)
    with pytest.raises(faults.Conflict):
        make_pool(BRIDGE, "prv", 9)
    with pytest.raises(faults.Conflict):
        make_pool(MAC_PREFIX, "aa:00:f", 16)
    make_pool(MAC_PREFIX, "aa:01:0", 16)


def test_the_lowest_free_value_of_the_oldest_pool_is_taken(
    sessions: SessionFactory, make_pool: Callable[..., Pool]
) -> None:
    make_pool(BRIDGE, "prv", 2)
    make_pool(BRIDGE, "vlan", 2)
    assert [_take(sessions, BRIDGE, n) for n in (1, 2, 3)] == ["prv1", "prv2", "vlan1"]
    with unit_of_work(sessions) as session:
        assert pools.release_holder(session, "network", [1, 99]) == 1
    assert _take(sessions, BRIDGE) == "prv1"


def test_an_address_is_given_back_once_and_only_by_its_holder(
    sessions: SessionFactory, make_network: Callable[..., Network]
) -> None:
    network = make_network("10.0.0.0/29")
    with unit_of_work(sessions) as session:
        address = pools.take_address(session, network, server_id=7)
        assert not pools.release_address(session, network.id, address, server_id=8)
        assert pools.release_address(session, network.id, address, server_id=7)
        assert not pools.release_address(session, network.id, address)
        assert not pools.release_address(session, network.id, "10.0.0.0")
        assert not pools.release_address(session, network.id, "192.168.0.1")
        assert not pools.release_address(session, 999_999, address)
    assert _uses(sessions)[PoolUse.RESERVED] == 2


def test_an_address_somebody_has_can_be_noted(
    sessions: SessionFactory, make_network: Callable[..., Network]
) -> None:
    network = make_network("10.0.0.0/29", "10.0.0.1")
    with unit_of_work(sessions) as session:
        assert pools.hold_address(session, network.id, "10.0.0.2", server_id=7)
        assert pools.hold_address(session, network.id, "10.0.0.2", server_id=7)
        assert pools.hold_address(session, network.id, "10.0.0.1", server_id=7)
        assert not pools.hold_address(session, network.id, "10.1.0.2", server_id=7)
        with pytest.raises(faults.Conflict, match="held by server 7"):
            pools.hold_address(session, network.id, "10.0.0.2", server_id=8)
        assert pools.take_address(session, network, server_id=8) == "10.0.0.3"
    assert _uses(sessions)[PoolUse.RESERVED] == 3


def test_a_pool_grows_and_shrinks_but_not_over_a_held_value(
    sessions: SessionFactory, make_pool: Callable[..., Pool]
) -> None:
    pool = make_pool(BRIDGE, "prv", 8)
    taken = [_take(sessions, BRIDGE, holder) for holder in (31, 32, 33)]
    with unit_of_work(sessions) as session:
        pools.resize(session, CLI, session.get_one(Pool, pool.id), size=16)
    assert _uses(sessions) == {PoolUse.FREE: 13, PoolUse.HELD: 3}
    with (
        pytest.raises(faults.Conflict, match="prv3 is held by network 33"),
        unit_of_work(sessions) as session,
    ):
        pools.resize(session, CLI, session.get_one(Pool, pool.id), size=2)
    both = "prv2 is held by network 32, prv3 is held by network 33"
    with pytest.raises(faults.Conflict, match=both), unit_of_work(sessions) as session:
        pools.resize(session, CLI, session.get_one(Pool, pool.id), size=1)
    with unit_of_work(sessions) as session:
        pools.resize(session, CLI, session.get_one(Pool, pool.id), size=3)
        assert [held.value for held in pool_lists.list_held(session, pool)] == taken
    assert _uses(sessions) == {PoolUse.HELD: 3}


def test_a_mac_prefix_pool_that_grows_keeps_what_is_not_local_unicast_from_use(
    sessions: SessionFactory, make_pool: Callable[..., Pool]
) -> None:
    pool = make_pool(MAC_PREFIX, "aa:ff:0", 4)
    with unit_of_work(sessions) as session:
        pools.resize(session, CLI, session.get_one(Pool, pool.id), size=32)
    assert _uses(sessions) == {PoolUse.FREE: 15, PoolUse.RESERVED: 17}


def test_a_transaction_that_is_not_committed_gives_its_value_back(
    sessions: SessionFactory, make_pool: Callable[..., Pool]
) -> None:
    make_pool(BRIDGE, "prv", 2)
    session = sessions.write()
    assert pools.take(session, BRIDGE, holder_kind="network", holder_id=1) == "prv1"
    session.close()
    assert _take(sessions, BRIDGE) == "prv1"


class _Crowd:
    """Many that take addresses of one network and give them back, for a while."""

    def __init__(self, sessions: SessionFactory, network: Network) -> None:
        self.sessions, self.network = sessions, network
        self.holders: dict[str, int] = {}
        self.guard = threading.Lock()
        self.twice: list[str] = []
        self.errors: list[BaseException] = []
        self.taken = 0
        self.until = time.monotonic() + 3

    def run(self, server_id: int) -> None:
        luck = random.Random(server_id)
        mine: list[str] = []
        try:
            while time.monotonic() < self.until:
                if mine and (luck.random() < 0.5 or len(mine) > 4):
                    self._give_back(mine.pop(luck.randrange(len(mine))), server_id)
                else:
                    mine += self._take(server_id)
            for address in mine:
                self._give_back(address, server_id)
        except BaseException as error:
            self.errors.append(error)
            raise

    def _take(self, server_id: int) -> list[str]:
        try:
            with unit_of_work(self.sessions) as session:
                address = pools.take_address(session, self.network, server_id=server_id)
                if server_id % 3 == 0:
                    time.sleep(0.001)
        except faults.OverLimit:
            return []
        with self.guard:
            if address in self.holders:
                self.twice.append(address)
            self.holders[address] = server_id
            self.taken += 1
        return [address]

    def _give_back(self, address: str, server_id: int) -> None:
        with self.guard:
            del self.holders[address]
        with unit_of_work(self.sessions) as session:
            assert pools.release_address(session, self.network.id, address, server_id=server_id)


def test_however_many_take_and_give_back_no_address_is_given_twice_and_none_is_lost(
    sessions: SessionFactory, make_network: Callable[..., Network]
) -> None:
    network = make_network("10.0.0.0/27")
    crowd = _Crowd(sessions, network)
    threads = [threading.Thread(target=crowd.run, args=(n,)) for n in range(1, 11)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not crowd.errors
    assert not crowd.twice
    assert crowd.taken > 50
    assert _uses(sessions) == {PoolUse.FREE: 30, PoolUse.RESERVED: 2}
