"""Networks and cards, made on simulated clusters by a worker that is a process of its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cloudweb.backend.ganeti.objects import ClusterNetwork, InstanceNic
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.domain import attachments, firewalls, networks, pools, servers
from cloudweb.domain.cards import Profile
from cloudweb.domain.identity import system
from cloudweb.domain.states import ApiStatus
from cloudweb.models import (
    Backend,
    EventSource,
    Network,
    NetworkKind,
    Nic,
    NicState,
    OperationState,
    PoolKind,
    PoolUse,
    PoolValue,
    unit_of_work,
)
from tests.functional.processes import running, wait_for
from tests.functional.worker.world import WORKER, World

RULES = networks.Rules((NetworkKind.MAC_FILTERED,), "prv0", "snf-")


class Nets:
    """A user's networks over the clusters of a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        with unit_of_work(world.sessions) as session:
            pools.create(
                session, system("cli"), kind=PoolKind.MAC_PREFIX, base="aa:00:0", size=4096
            )

    def do(self, act: Any, *given: Any, **more: Any) -> Any:
        with unit_of_work(self.world.sessions) as session:
            return act(session, self.world.cloud.owner.identity, *given, **more)

    def make(self) -> int:
        network: Network = self.do(networks.create, RULES, name="private")
        return network.id

    def connect(self, network_id: int, server_id: int) -> None:
        self.do(attachments.connect, RULES, network_id, server_id=server_id)

    def disconnect(self, network_id: int, server_id: int) -> None:
        self.do(attachments.disconnect, network_id, server_id=server_id)

    def cards(self, server_id: int) -> Sequence[Nic]:
        with unit_of_work(self.world.sessions, write=False) as session:
            wanted = sa.select(Nic).where(Nic.server_id == server_id).order_by(Nic.index)
            return session.scalars(wanted).all()

    def is_on(self, server_id: int, network_id: int) -> bool:
        """Whether the server has a card there that works and whose address is known."""
        return any(
            card.network_id == network_id and card.state is NicState.ACTIVE and card.mac
            for card in self.cards(server_id)
        )

    def is_gone(self, network_id: int) -> bool:
        with unit_of_work(self.world.sessions, write=False) as session:
            return session.get_one(Network, network_id).deleted

    def held(self) -> int:
        """How many addresses and prefixes somebody has."""
        with unit_of_work(self.world.sessions, write=False) as session:
            held = sa.select(sa.func.count()).where(PoolValue.use == PoolUse.HELD)
            return session.scalar(held) or 0

    def on_cluster(self) -> list[ClusterNetwork]:
        with self._client() as client:
            return client.networks_bulk()

    def instance_cards(self, server_id: int) -> tuple[InstanceNic, ...]:
        with self._client() as client:
            return client.instance(f"snf-{server_id}").nics

    def tags(self, server_id: int) -> tuple[str, ...]:
        with self._client() as client:
            return client.instance(f"snf-{server_id}").tags

    def _client(self) -> RapiClient:
        return RapiClient(self.world.simulator.url("alpha"), "cloudweb", "cloudweb")


@pytest.fixture
def nets(world: World) -> Nets:
    return Nets(world)


def active(world: World) -> int:
    server = world.create()
    world.becomes(server, ApiStatus.ACTIVE)
    return server


def test_a_server_is_put_on_a_network_and_taken_off_and_put_on_again(
    world: World, nets: Nets, ini: Path
) -> None:
    with running(WORKER, ini):
        server, network = active(world), nets.make()
        for _ in range(2):
            nets.connect(network, server)
            wait_for(lambda: nets.is_on(server, network))
            [made] = nets.on_cluster()
            card = nets.instance_cards(server)[1]
            ours = nets.cards(server)[1]
            assert made.groups == {"default": ("bridged", "prv0")}
            assert (card.network, card.name) == (made.name, f"snf-nic-{ours.id}")
            assert (card.mac, card.ip) == (ours.mac, ours.ipv4)
            assert made.mac_prefix
            assert card.mac.startswith(made.mac_prefix)
            nets.disconnect(network, server)
            wait_for(lambda: len(nets.cards(server)) == 1)
            assert len(nets.instance_cards(server)) == 1
        assert {op.state for op in world.settled()} == {OperationState.SUCCESS}
        assert world.jobs().count("OP_NETWORK_ADD") == 1


def test_a_network_is_deleted_with_servers_on_it(world: World, nets: Nets, ini: Path) -> None:
    with running(WORKER, ini):
        one, two, network = active(world), active(world), nets.make()
        for server in (one, two):
            nets.connect(network, server)
        nets.do(networks.delete, network)
        wait_for(lambda: nets.is_gone(network))
        assert nets.on_cluster() == []
        assert [len(nets.instance_cards(server)) for server in (one, two)] == [1, 1]
        assert nets.held() == 0
        assert {op.state for op in world.settled()} == {OperationState.SUCCESS}


def test_a_server_is_deleted_with_its_card(world: World, nets: Nets, ini: Path) -> None:
    with running(WORKER, ini):
        server, network = active(world), nets.make()
        nets.connect(network, server)
        world.do(servers.delete, server)
        world.becomes(server, ApiStatus.DELETED)
        assert nets.held() == 1  # the prefix of the network
        nets.do(networks.delete, network)
        wait_for(lambda: nets.is_gone(network))
        assert (nets.held(), nets.on_cluster()) == (0, [])


@pytest.mark.parametrize(
    "opcode", ["OP_NETWORK_ADD", "OP_NETWORK_CONNECT", "OP_INSTANCE_SET_PARAMS"]
)
def test_a_worker_killed_between_leaves_one_network_and_one_card(
    world: World, nets: Nets, ini: Path, opcode: str
) -> None:
    with running(WORKER, ini) as worker:
        server, network = active(world), nets.make()
        world.faults(delay_after_accept_s=0.4)
        nets.connect(network, server)
        wait_for(lambda: opcode in world.jobs())
        worker.kill()
        worker.wait()
    world.faults(delay_after_accept_s=0.0)
    with running(WORKER, ini):
        wait_for(lambda: nets.is_on(server, network), timeout_s=40)
        assert {op.state for op in world.settled()} == {OperationState.SUCCESS}
    assert world.jobs().count("OP_NETWORK_ADD") == 1
    assert world.jobs().count("OP_INSTANCE_SET_PARAMS") == 1
    assert len(nets.on_cluster()) == 1
    assert len(nets.instance_cards(server)) == 2


def test_a_card_that_the_cluster_refuses_is_undone(world: World, nets: Nets, ini: Path) -> None:
    world.faults(fail={"OP_INSTANCE_SET_PARAMS": {"count": 1, "code": "wrong_state"}})
    with running(WORKER, ini):
        server, network = active(world), nets.make()
        nets.connect(network, server)
        wait_for(lambda: len(nets.cards(server)) == 1)
        assert nets.held() == 1
        nets.connect(network, server)
        wait_for(lambda: nets.is_on(server, network))


def test_networks_are_followed_by_asking_where_agents_tell_of_servers(
    world: World, nets: Nets, ini: Path
) -> None:
    with running(WORKER, ini):
        server, network = active(world), nets.make()
    with unit_of_work(world.sessions) as session:
        session.get_one(Backend, world.cloud.backend.id).event_source = EventSource.AGENTS
    with running(WORKER, ini):
        nets.connect(network, server)
        wait_for(lambda: "OP_INSTANCE_SET_PARAMS" in world.jobs())
    assert [op.state for op in world.operations()[1:3]] == [OperationState.SUCCESS] * 2


def test_a_firewall_is_a_tag_of_the_instance(world: World, nets: Nets, ini: Path) -> None:
    with running(WORKER, ini):
        server = active(world)
        for profile, mode in ((Profile.ENABLED, "protected"), (Profile.PROTECTED, "limited")):
            nets.do(firewalls.set_profile, server, profile=profile)
            world.settled()
            assert nets.tags(server) == (f"synnefo:network:0:{mode}",)
            assert nets.cards(server)[0].firewall_profile == profile
        assert {op.state for op in world.settled()} == {OperationState.SUCCESS}


def test_the_groups_of_a_cluster_are_known(world: World, ini: Path) -> None:
    with running(WORKER, ini):
        active(world)

        def groups() -> list[str]:
            with unit_of_work(world.sessions, write=False) as session:
                return session.get_one(Backend, world.cloud.backend.id).node_groups

        wait_for(lambda: groups() == ["default"])
