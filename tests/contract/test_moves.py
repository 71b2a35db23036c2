"""Moving instances between nodes: what a cluster does, and what it refuses in which words.

A real cluster under test may have one node only: what needs two is shown on a simulated one.
"""

from collections.abc import Iterator

import pytest

from cloudweb.backend.ganeti.errors import BadRequest
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.backend.ganeti.simulator import Simulator
from tests.contract.subject import Driver, Subject

MIGRATE, FAILOVER = "OP_INSTANCE_MIGRATE", "OP_INSTANCE_FAILOVER"


@pytest.mark.parametrize("opcode", [MIGRATE, FAILOVER])
def test_disks_of_one_node_keep_an_instance_there(cluster: Driver, opcode: str) -> None:
    name = cluster.create(disk_template="file")
    error = cluster.fail(cluster.submit(opcode, name, {"from": "n1"}))
    verb = "migrations" if opcode == MIGRATE else "failovers"
    assert (error.kind, error.code) == ("OpPrereqError", "wrong_state")
    assert error.message == f"Instance's disk layout 'file' does not allow {verb}"


@pytest.mark.parametrize("opcode", [MIGRATE, FAILOVER])
def test_what_does_not_exist_is_not_moved(cluster: Driver, opcode: str) -> None:
    name = cluster.create()
    assert cluster.fail(cluster.submit(opcode, "never", {})).code == "unknown_entity"
    unknown = cluster.submit(opcode, name, {"target_node": "nowhere.example.org"})
    assert cluster.fail(unknown).code == "unknown_entity"


def test_a_move_to_where_it_is_is_refused(cluster: Driver) -> None:
    name = cluster.create()
    here = cluster.client.instance(name).pnode
    error = cluster.fail(cluster.submit(FAILOVER, name, {"target_node": here}))
    assert error.code == "wrong_state"
    assert error.message == f"Cannot migrate instance {name} to its primary ({here})"


def test_an_evacuation_of_a_way_that_there_is_not_is_refused(client: RapiClient) -> None:
    with pytest.raises(BadRequest):
        client.evacuate_node(client.nodes_bulk()[0].name, {"mode": "everything"}, "never")


@pytest.mark.parametrize(
    ("opcode", "given"),
    [
        ("OP_INSTANCE_SHUTDOWN", {"timeout": 60, "no_remember": True}),
        ("OP_INSTANCE_STARTUP", {"force": True}),
        ("OP_INSTANCE_REBOOT", {"reboot_type": "full", "ignore_secondaries": True}),
        ("OP_CLUSTER_REDIST_CONF", {}),
    ],
)
def test_what_a_job_was_given_is_given_again(
    cluster: Driver, opcode: str, given: dict[str, object]
) -> None:
    name = "" if opcode.startswith("OP_CLUSTER") else cluster.create()
    job_id = cluster.submit(opcode, name, {"again": given})
    cluster.succeed(job_id)
    [op] = cluster.client.job_as_sent(job_id)["ops"]  # type: ignore[misc]
    assert op["OP_ID"] == opcode
    assert {key: op[key] for key in given} == given


@pytest.mark.parametrize(
    ("opcode", "given"),
    [
        ("OP_INSTANCE_MIGRATE", {"mode": "live", "allow_failover": True}),
        ("OP_INSTANCE_FAILOVER", {"ignore_consistency": True, "shutdown_timeout": 60}),
    ],
)
def test_what_a_move_was_given_is_given_again(
    cluster: Driver, opcode: str, given: dict[str, object]
) -> None:
    name = cluster.create(disk_template="file")
    job_id = cluster.submit(opcode, name, {"again": given})
    cluster.fail(job_id)
    [op] = cluster.client.job_as_sent(job_id)["ops"]  # type: ignore[misc]
    assert {key: op[key] for key in given} == given


def test_a_migration_off_a_node_is_a_job_that_makes_others(cluster: Driver) -> None:
    name = cluster.create(disk_template="file")
    here = cluster.client.instance(name).pnode or ""
    given = {"again": {"mode": "live"}}
    job = cluster.succeed(cluster.submit("OP_NODE_MIGRATE", here, given))
    [op] = job.ops
    assert op.jobs
    errors = [cluster.client.job(made) for made in op.jobs]
    assert all(made.ops[0].opcode == "OP_INSTANCE_MIGRATE" for made in errors)


# --- two nodes ----------------------------------------------------------------------------------


@pytest.fixture
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """A simulated cluster of three nodes, with disks on one, on two and on any."""
    spec = "pair:nodes=3,memory=4G,templates=drbd+sharedfile+file"
    with Simulator([spec], port=0, time_factor=0.02) as simulator:
        url = simulator.url("pair")
        subject = Subject(url, "cloudweb", "cloudweb", "", job_timeout_s=20)
        with RapiClient(url, "cloudweb", "cloudweb") as client:
            yield Driver(client, subject)


def test_an_instance_is_moved_while_it_runs_to_a_node_that_is_chosen_or_named(
    pair: Driver,
) -> None:
    name = pair.create(disk_template="sharedfile")
    first = pair.client.instance(name).pnode
    pair.succeed(pair.submit(MIGRATE, name, {"from": first}))
    moved = pair.client.instance(name)
    assert moved.oper_state
    assert moved.pnode != first
    pair.succeed(pair.submit(MIGRATE, name, {"from": moved.pnode, "target_node": first}))
    assert pair.client.instance(name).pnode == first


def test_a_mirrored_instance_goes_to_its_mirror_only(pair: Driver) -> None:
    name = pair.create(disk_template="drbd")
    before = pair.client.instance(name)
    [mirror] = before.snodes
    third = next(
        node.name for node in pair.client.nodes_bulk() if node.name not in (before.pnode, mirror)
    )
    error = pair.fail(pair.submit(MIGRATE, name, {"target_node": third}))
    assert "cannot be migrated to arbitrary nodes" in error.message
    pair.succeed(pair.submit(MIGRATE, name))
    after = pair.client.instance(name)
    assert (after.pnode, after.snodes) == (mirror, (before.pnode,))


def test_what_does_not_run_is_only_failed_over_and_stays_stopped(pair: Driver) -> None:
    name = pair.create(disk_template="sharedfile")
    pair.succeed(pair.submit("OP_INSTANCE_SHUTDOWN", name))
    before = pair.client.instance(name)
    error = pair.fail(pair.submit(MIGRATE, name))
    assert (error.code, error.message) == ("wrong_state", "Can't migrate, please use failover")
    pair.succeed(pair.submit(FAILOVER, name))
    after = pair.client.instance(name)
    assert after.pnode != before.pnode
    assert not after.oper_state


def test_nothing_is_moved_to_where_it_has_no_room(pair: Driver) -> None:
    names = [pair.create(disk_template="sharedfile", ram_mb=2048) for _ in range(3)]
    where = {name: pair.client.instance(name).pnode for name in names}
    first, second, _third = names
    error = pair.fail(pair.submit(MIGRATE, first, {"target_node": where[second]}))
    assert error.code == "insufficient_resources"
    assert "Not enough memory on node" in error.message
    assert pair.fail(pair.submit(MIGRATE, first)).code == "insufficient_resources"


def test_an_evacuation_is_a_job_that_makes_others(pair: Driver) -> None:
    name = pair.create(disk_template="drbd")
    before = pair.client.instance(name)
    [mirror] = before.snodes
    job = pair.succeed(pair.submit("OP_NODE_EVACUATE", mirror, {"mode": "secondary-only"}))
    [op] = job.ops
    [made] = op.jobs
    assert op.instance is None
    pair.succeed(made)
    [elsewhere] = pair.client.instance(name).snodes
    assert elsewhere not in (mirror, before.pnode)


# --- roles of nodes -----------------------------------------------------------------------------


def test_the_master_keeps_its_role(cluster: Driver) -> None:
    master = next(node.name for node in cluster.client.nodes_bulk() if node.role == "M")
    for role in ("drained", "offline", "regular"):
        error = cluster.fail(cluster.submit("OP_NODE_SET_PARAMS", master, {"role": role}))
        assert error.kind == "OpPrereqError"
        assert "master role can be changed only via master-failover" in error.message


def test_a_role_that_there_is_not_is_refused(client: RapiClient) -> None:
    with pytest.raises(BadRequest, match="Can't set 'king' role"):
        client.set_node_role(client.nodes_bulk()[0].name, "king", "never")


def test_a_node_is_drained_and_offline_and_back(cluster: Driver) -> None:
    second = next((node for node in cluster.client.nodes_bulk() if node.role in ("C", "R")), None)
    if second is None:
        return  # a real cluster under test may have a master only
    for role, letters in (
        *(("regular", "CR"), ("master-candidate", "C"), ("drained", "D"), ("offline", "O")),
        *(("regular", "CR"), ("drained", "D"), ("regular", "CR")),
    ):
        cluster.succeed(cluster.submit("OP_NODE_SET_PARAMS", second.name, {"role": role}))
        node = next(n for n in cluster.client.nodes_bulk() if n.name == second.name)
        assert (node.role or "?") in letters, role
        assert (node.drained, node.offline) == (role == "drained", role == "offline")
