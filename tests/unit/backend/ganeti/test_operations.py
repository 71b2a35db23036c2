"""Bodies of creates, and which call an opcode is."""

from collections.abc import Iterator

import pytest

from cloudweb.backend.ganeti import operations
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.backend.ganeti.simulator import Simulator

WANTED = {
    "name": "snf-1",
    "vcpus": 2,
    "ram_mb": 1024,
    "disk_gb": 20,
    "os": "noop+default",
    "osparams": {"img_id": "x"},
    "nics": [],
}


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(["alpha"], port=0, time_factor=0.01) as simulator:
        yield simulator


def test_a_body_says_what_is_wanted() -> None:
    body = operations.create_body(**WANTED, disk_template="file")  # type: ignore[arg-type]
    assert body["__version__"] == 1
    assert body["mode"] == "create"
    assert body["instance_name"] == "snf-1"
    assert body["disks"] == [{"size": 20480}]
    assert body["beparams"] == {"vcpus": 2, "memory": 1024}
    assert (body["ip_check"], body["name_check"], body["conflicts_check"]) == (False,) * 3
    assert "hypervisor" not in body


@pytest.mark.parametrize(
    ("template", "provider", "seen", "disks"),
    [
        ("ext_vlmc", None, "ext", [{"size": 20480, "provider": "vlmc"}]),
        ("ext", "vlmc", "ext", [{"size": 20480, "provider": "vlmc"}]),
        ("diskless", None, "diskless", []),
    ],
)
def test_a_template_may_name_its_provider(
    template: str, provider: str | None, seen: str, disks: list[object]
) -> None:
    body = operations.create_body(**WANTED, disk_template=template, provider=provider)  # type: ignore[arg-type]
    assert (body["disk_template"], body["disks"]) == (seen, disks)


def test_bodies_share_nothing() -> None:
    nic = {"link": "br0"}
    wanted = {**WANTED, "nics": [nic], "disk_template": "file"}
    first = operations.create_body(**wanted)  # type: ignore[arg-type]
    first["osparams"]["added"] = "1"  # type: ignore[index]
    first["nics"][0]["link"] = "br9"  # type: ignore[index]
    second = operations.create_body(**wanted)  # type: ignore[arg-type]
    assert second["osparams"] == {"img_id": "x"}
    assert second["nics"] == [{"link": "br0"}]
    assert nic == {"link": "br0"}


@pytest.mark.parametrize(
    ("opcode", "arguments", "seen"),
    [
        ("OP_INSTANCE_REMOVE", {}, {}),
        ("OP_INSTANCE_STARTUP", {}, {}),
        ("OP_INSTANCE_SHUTDOWN", {}, {}),
        ("OP_INSTANCE_REBOOT", {"type": "SOFT"}, {"reboot_type": "soft"}),
        ("OP_INSTANCE_REBOOT", {"type": "HARD"}, {"reboot_type": "hard"}),
        (
            "OP_INSTANCE_CREATE",
            operations.create_body(**WANTED, disk_template="ext_vlmc"),  # type: ignore[arg-type]
            {"disk_template": "ext", "os_type": "noop+default"},
        ),
    ],
)
def test_an_opcode_becomes_its_job(
    simulator: Simulator, opcode: str, arguments: dict[str, object], seen: dict[str, object]
) -> None:
    with RapiClient(simulator.url("alpha"), "cloudweb", "cloudweb") as client:
        job_id = operations.submit(client, opcode, "snf-1", arguments, "why")
        op = client.job(job_id).ops[0]
    assert (op.opcode, op.instance, op.reasons[0]) == (opcode, "snf-1", "why")
    kept = simulator.clusters["alpha"].state.jobs[job_id].arguments
    assert {key: kept[key] for key in seen} == seen


def test_an_unknown_opcode_is_an_error_of_ours(simulator: Simulator) -> None:
    with RapiClient(simulator.url("alpha"), "cloudweb", "cloudweb") as client:
        with pytest.raises(ValueError, match="OP_CLUSTER_DESTROY"):
            operations.submit(client, "OP_CLUSTER_DESTROY", "x", {}, "why")
        with pytest.raises(ValueError, match="SOFT or HARD"):
            operations.submit(client, "OP_INSTANCE_REBOOT", "x", {"type": "odd"}, "why")
        with pytest.raises(ValueError, match="ASCII"):
            operations.submit(client, "OP_INSTANCE_REMOVE", "x", {}, "wörthy")


def test_a_network_is_asked_for_without_what_it_has_not(simulator: Simulator) -> None:
    wanted = {"network": "10.0.0.0/28", "gateway": None, "mac_prefix": None, "tags": []}
    with RapiClient(simulator.url("alpha"), "cloudweb", "cloudweb") as client:
        job_id = operations.submit(client, "OP_NETWORK_ADD", "snf-net-1", wanted, "r")
    job = simulator.clusters["alpha"].state.jobs[job_id]
    assert (job.opcode, job.target) == ("OP_NETWORK_ADD", "snf-net-1")
    assert "gateway" not in job.arguments


def test_a_card_is_plugged_in_at_once_where_that_is_possible(simulator: Simulator) -> None:
    change = {"nics": [["remove", "snf-nic-1", {}]]}
    with RapiClient(simulator.url("alpha"), "cloudweb", "cloudweb") as client:
        job_id = operations.submit(client, "OP_INSTANCE_SET_PARAMS", "snf-1", change, "r")
    arguments = simulator.clusters["alpha"].state.jobs[job_id].arguments
    assert (arguments["hotplug"], arguments["hotplug_if_possible"]) == (False, True)


@pytest.mark.parametrize("opcode", ["OP_TAGS_SET", "OP_TAGS_DEL"])
@pytest.mark.parametrize("arguments", [{}, {"tags": []}, {"tags": "one"}])
def test_tags_are_a_list_that_is_not_empty(
    simulator: Simulator, opcode: str, arguments: dict[str, object]
) -> None:
    with (
        RapiClient(simulator.url("alpha"), "cloudweb", "cloudweb") as client,
        pytest.raises(ValueError, match="tags"),
    ):
        operations.submit(client, opcode, "snf-1", arguments, "r")


@pytest.mark.parametrize("opcode", ["OP_NETWORK_RENAME", "OP_INSTANCE_MOVE"])
def test_an_opcode_that_is_not_known_is_refused(simulator: Simulator, opcode: str) -> None:
    with (
        RapiClient(simulator.url("alpha"), "cloudweb", "cloudweb") as client,
        pytest.raises(ValueError, match=opcode),
    ):
        operations.submit(client, opcode, "snf-1", {}, "r")
