"""The worker writes down what differs, and removes the orphans that somebody chose."""

from pathlib import Path

from cloudweb.backend.ganeti.operations import create_body
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.domain import identity, mending, networks, pools, reconcile
from cloudweb.domain.networks import Rules, Subnets
from cloudweb.domain.reconcile import FindingRow
from cloudweb.models import Backend, NetworkKind, OperationState, unit_of_work
from tests.functional.processes import running, wait_for
from tests.functional.worker.world import WORKER, World

CLI = identity.system("cli")
RULES = Rules(user_kinds=(), mac_filtered_link="prv0", instance_prefix="snf-")


def found(world: World) -> list[FindingRow]:
    with unit_of_work(world.sessions, write=False) as session:
        return reconcile.list_open(session)


def compare(world: World) -> None:
    with unit_of_work(world.sessions) as session:
        reconcile.want(session, CLI, [session.get_one(Backend, world.cloud.backend.id)])


def test_an_orphan_is_found_by_the_worker_and_removed_once_chosen(world: World, ini: Path) -> None:
    with RapiClient(world.simulator.url("alpha"), "cloudweb", "cloudweb") as client:
        body = create_body(
            name="snf-4711",
            vcpus=1,
            ram_mb=128,
            disk_gb=1,
            disk_template="file",
            os="noop+default",
            osparams={},
            nics=[],
        )
        client.create_instance(body, "by hand")
        wait_for(client.instances_bulk)
    with running(WORKER, ini):
        [row] = wait_for(lambda: found(world))
        assert (row.finding.kind.value, row.finding.target) == ("orphan", "snf-4711")
        assert world.instances() == ["snf-4711"], "finding changes nothing"
        with unit_of_work(world.sessions) as session:
            mending.apply(session, CLI, [row.finding.id], reason="Nobody's.")
        [removal] = world.settled()
        assert (removal.state, removal.server_id) == (OperationState.SUCCESS, None)
        assert world.instances() == []
        compare(world)
        with unit_of_work(world.sessions, write=False) as session:
            assert reconcile.list_newest(session, [world.cloud.backend])[0].is_due
        wait_for(lambda: not _is_due(world))
        assert found(world) == []


def test_networks_and_pools_are_compared_by_the_worker_and_mended_on_the_cluster(
    world: World, ini: Path
) -> None:
    with unit_of_work(world.sessions) as session:
        wanted = networks.new("lab", NetworkKind.CUSTOM, Subnets("10.0.0.0/28"), dhcp=True)
        wanted.user_id, wanted.link, wanted.everywhere = world.cloud.owner.user.id, "br0", True
        networks.add(session, CLI, RULES, wanted)
        pools.take_address(session, wanted, server_id=4711)
    with RapiClient(world.simulator.url("alpha"), "cloudweb", "cloudweb") as client:
        body = {"network": "203.0.113.0/28", "conflicts_check": False, "tags": []}
        client.add_network(body | {"network_name": "snf-net-4711"}, "by hand")
        wait_for(client.networks_bulk)
        how = {"network_mode": "bridged", "network_link": "br0", "conflicts_check": False}
        client.connect_network("snf-net-4711", how | {"group_name": "default"}, "by hand")
        wait_for(lambda: client.network("snf-net-4711").groups)
        with running(WORKER, ini):
            rows = wait_for(lambda: three if len(three := found(world)) == 3 else None)
            assert [(row.finding.kind.value, row.where) for row in rows] == [
                ("network-orphan", "alpha.ganeti.test"),
                ("network-parted", "alpha.ganeti.test"),
                ("pool-leaked", ""),
            ]
            with unit_of_work(world.sessions) as session:
                ids = {row.finding.id for row in rows}
                mending.apply(session, CLI, ids, reason="Tidy up.")
            assert {each.state for each in world.settled()} == {OperationState.SUCCESS}
            [network] = client.networks_bulk()
            assert (network.name, list(network.groups)) == (f"snf-net-{wanted.id}", ["default"])
            compare(world)
            wait_for(lambda: not _is_due(world))
            wait_for(lambda: found(world) == [])


def _is_due(world: World) -> bool:
    with unit_of_work(world.sessions, write=False) as session:
        return reconcile.list_newest(session, [world.cloud.backend])[0].is_due


def test_a_cluster_that_does_not_answer_is_left_out_and_said_so(world: World, ini: Path) -> None:
    server = world.create()
    compare(world)
    world.faults(refuse="503")
    with running(WORKER, ini):
        wait_for(lambda: not _is_due(world))
    with unit_of_work(world.sessions, write=False) as session:
        [newest] = reconcile.list_newest(session, [world.cloud.backend])
    assert newest.error
    assert newest.run is None
    assert found(world) == []
    assert server
