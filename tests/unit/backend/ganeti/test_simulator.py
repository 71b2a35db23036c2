"""The simulator keeps to its room, its order and its time, and outlives a restart."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from cloudweb.backend.ganeti import operations
from cloudweb.backend.ganeti.operations import create_body
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.backend.ganeti.simulator import ClusterSpec, Failure, Simulator, parse_spec
from cloudweb.backend.ganeti.simulator.opcodes import RUNNING_S

FACTOR = 0.02


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    spec = "alpha:nodes=2,memory=4G,cpus=2,disk=100G"
    with Simulator([spec], port=0, time_factor=FACTOR) as simulator:
        yield simulator


@pytest.fixture
def client(simulator: Simulator) -> Iterator[RapiClient]:
    with on(simulator) as client:
        yield client


def wanted(name: str, **changed: Any) -> dict[str, object]:
    body: dict[str, Any] = {
        "vcpus": 1,
        "ram_mb": 1024,
        "disk_gb": 1,
        "disk_template": "file",
        "os": "noop+default",
        "osparams": {},
        "nics": [{}],
    }
    return create_body(name=name, **{**body, **changed})


def on(simulator: Simulator) -> RapiClient:
    return RapiClient(simulator.url("alpha"), "cloudweb", "cloudweb")


def ended(client: RapiClient, job_id: int) -> Any:
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        job = client.job(job_id)
        if job.is_final:
            return job
        time.sleep(0.01)
    raise AssertionError(f"job {job_id} did not end")


def test_a_line_describes_a_cluster() -> None:
    spec = parse_spec("alpha:nodes=3,memory=2T,disk=10G,cpus=8,os=a+b,user=x")
    assert spec == ClusterSpec(
        "alpha",
        nodes=3,
        memory_mb=2 * 1024 * 1024,
        disk_mb=10 * 1024,
        cpus=8,
        os=("a", "b"),
        user="x",
    )


@pytest.mark.parametrize(
    "line", ["", "A", "a:nodes", "a:nodes=0", "a:nodes=x", "a:memory=1X", "a:odd=1", "a:name=b"]
)
def test_a_line_that_describes_none_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"is no|is not"):
        parse_spec(line)


def test_instances_go_where_there_is_most_room(client: RapiClient) -> None:
    for number in range(4):
        assert ended(client, client.create_instance(wanted(f"i-{number}"), "x")).error is None
    assert sorted(node.primaries for node in client.nodes_bulk()) == [2, 2]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"ram_mb": 5000}, "FailMem: 2"),
        ({"disk_gb": 200}, "FailDisk: 2"),
        ({"vcpus": 9}, "FailCPU: 2"),
    ],
)
def test_beyond_its_room_a_cluster_refuses(
    client: RapiClient, changed: dict[str, object], reason: str
) -> None:
    error = ended(client, client.create_instance(wanted("i-1", **changed), "x")).error
    assert error.code == "insufficient_resources"
    assert error.message.endswith(reason)
    assert client.instances_bulk() == []


def test_room_is_taken_while_an_instance_is_being_made(client: RapiClient) -> None:
    jobs = [client.create_instance(wanted(f"i-{n}", ram_mb=3000), "x") for n in range(3)]
    assert sorted(ended(client, job).status for job in jobs) == ["error", "success", "success"]


def test_a_stopped_instance_gives_its_memory_back_and_may_not_get_it_again(
    client: RapiClient,
) -> None:
    for name in ("a", "b"):
        ended(client, client.create_instance(wanted(name, ram_mb=3000), "x"))
    ended(client, client.shutdown_instance("a", "x"))
    ended(client, client.create_instance(wanted("c", ram_mb=3000), "x"))
    assert ended(client, client.startup_instance("a", "x")).error.code == "insufficient_resources"


def test_a_drained_or_offline_node_gets_nothing(simulator: Simulator, client: RapiClient) -> None:
    simulator.clusters["alpha"].set_node("n1", offline=None, drained=True)
    simulator.clusters["alpha"].set_node("n2", offline=True, drained=None)
    error = ended(client, client.create_instance(wanted("i-1"), "x")).error
    assert error.code == "insufficient_resources"
    first, second = client.nodes_bulk()
    assert (first.drained, first.offline) == (True, False)
    assert (second.offline, second.memory_total_mb, second.cpus) == (True, 0, 0)


def test_an_instance_on_an_offline_node_is_in_error(
    simulator: Simulator, client: RapiClient
) -> None:
    ended(client, client.create_instance(wanted("i-1"), "x"))
    for node in ("n1", "n2"):
        simulator.clusters["alpha"].set_node(node, offline=True, drained=None)
    instance = client.instance("i-1")
    assert (instance.status, instance.oper_state) == ("ERROR_nodeoffline", None)


def test_an_instance_shows_a_screen_only_where_it_is_told_to(
    simulator: Simulator, client: RapiClient
) -> None:
    ended(client, client.create_instance(wanted("i-1"), "x"))
    instance = client.instance("i-1")
    assert (instance.network_port, instance.serial_console) == (None, False)
    url, auth = simulator.url("alpha") + "/_sim/screens", ("cloudweb", "cloudweb")
    told: dict[str, Any] = {"name": "i-1", "host": "192.0.2.7", "port": 11_007, "serial": True}
    assert requests.post(url, json=told, auth=auth, timeout=5).status_code == 200
    instance = client.instance("i-1")
    assert (instance.pnode, instance.network_port) == ("192.0.2.7", 11_007)
    assert instance.serial_console
    for bad, status in ((told | {"port": "x"}, 400), (told | {"name": "i-2"}, 404)):
        assert requests.post(url, json=bad, auth=auth, timeout=5).status_code == status


def test_jobs_take_their_time(simulator: Simulator, client: RapiClient) -> None:
    job = ended(client, client.create_instance(wanted("i-1"), "x"))
    assert (job.ended - job.started).total_seconds() >= RUNNING_S["OP_INSTANCE_CREATE"] * FACTOR


def test_jobs_on_different_instances_run_beside_each_other(client: RapiClient) -> None:
    slow = {"osparams": {"img_id": "slow:20"}}
    first = client.create_instance(wanted("i-1", **slow), "x")
    second = client.create_instance(wanted("i-2"), "x")
    assert ended(client, second).ended < ended(client, first).ended


def test_a_job_that_waits_is_dropped_on_request(client: RapiClient) -> None:
    create = client.create_instance(wanted("i-1", osparams={"img_id": "slow:10"}), "x")
    while not client.instances_bulk():
        time.sleep(0.005)
    remove = client.delete_instance("i-1", "x")
    assert client.cancel_job(remove) is True
    job = ended(client, remove)
    assert (job.status, job.error.message) == ("canceled", "Job canceled by request")
    assert client.cancel_job(remove) is False
    assert ended(client, create).status == "success"
    assert client.instance("i-1").status == "running"


def test_the_next_jobs_fail_as_told(simulator: Simulator, client: RapiClient) -> None:
    failure = Failure(count=1, code="temp_insufficient_resources", message="not now")
    simulator.clusters["alpha"].faults.fail = {"OP_INSTANCE_CREATE": failure}
    error = ended(client, client.create_instance(wanted("i-1"), "x")).error
    assert (error.kind, error.message, error.code) == (
        "OpPrereqError",
        "not now",
        "temp_insufficient_resources",
    )
    assert ended(client, client.create_instance(wanted("i-1"), "y")).status == "success"


def test_a_create_that_breaks_leaves_an_instance(simulator: Simulator, client: RapiClient) -> None:
    simulator.clusters["alpha"].faults.fail = {"OP_INSTANCE_CREATE": Failure(kind="OpExecError")}
    assert ended(client, client.create_instance(wanted("i-1"), "x")).error.kind == "OpExecError"
    assert client.instance("i-1").status == "ADMIN_down"


def test_everything_outlives_a_restart(tmp_path: Path) -> None:
    path = str(tmp_path / "state.json")
    how: dict[str, Any] = {"port": 0, "time_factor": 0.2, "state_file": path}
    with Simulator(["alpha", "beta"], **how) as simulator, on(simulator) as client:
        job_id = client.create_instance(wanted("i-1"), "kept")
        name = client.info().uuid
    with Simulator(["alpha"], **how) as simulator, on(simulator) as client:
        assert client.info().uuid == name
        assert ended(client, job_id).status == "success"
        found = client.find_job("kept")
        assert found
        assert found.id == job_id
        assert client.instance("i-1").status == "running"
        assert client.delete_instance("i-1", "x") == job_id + 1
    with Simulator(["beta"], **how) as simulator:
        assert simulator.clusters["beta"].state.instances == {}


def test_the_control_urls_set_show_and_clear_faults(simulator: Simulator) -> None:
    url = simulator.url("alpha") + "/_sim"
    auth = ("cloudweb", "cloudweb")
    assert requests.get(f"{url}/faults", timeout=5).status_code == 401
    wrong = {"fail": {"OP_INSTANCE_CREATE": {"count": 2, "code": "wrong_state"}}, "delay_s": 0}
    shown = requests.post(f"{url}/faults", json=wrong, auth=auth, timeout=5).json()
    assert shown["fail"]["OP_INSTANCE_CREATE"]["count"] == 2
    assert requests.delete(f"{url}/faults", auth=auth, timeout=5).json()["fail"] == {}
    for bad in ({"odd": 1}, {"delay_s": "x"}, {"refuse": "maybe"}, {"fail": {"a": 1}}):
        assert requests.post(f"{url}/faults", json=bad, auth=auth, timeout=5).status_code == 400


def test_the_control_url_counts_requests(simulator: Simulator, client: RapiClient) -> None:
    client.info()
    client.version()
    client.delete_instance("i-1", "x")
    url = simulator.url("alpha") + "/_sim/requests"
    counts = requests.get(url, auth=("cloudweb", "cloudweb"), timeout=5).json()
    assert counts["total"] == 3
    assert counts["by"]["DELETE /2/instances/*"] == 1


def test_an_instance_is_made_where_its_networks_are_connected() -> None:
    with (
        Simulator(["alpha:nodes=2,groups=default+rack2"], port=0, time_factor=0.01) as simulator,
        on(simulator) as client,
    ):
        assert list(client.groups()) == ["default", "rack2"]
        connect = {"group": "rack2", "mode": "bridged", "link": "br1", "conflicts_check": False}
        network = {"network": "10.0.0.0/28", "tags": []}
        ended(client, operations.submit(client, "OP_NETWORK_ADD", "net", network, "add"))
        ended(client, operations.submit(client, "OP_NETWORK_CONNECT", "net", connect, "join"))
        ended(client, client.create_instance(wanted("a", nics=[{"network": "net"}]), "make"))
        assert client.network("net").groups == {"rack2": ("bridged", "br1")}
        assert client.instance("a").pnode == "n2.alpha.ganeti.test"


def test_a_file_of_before_there_were_networks_is_read(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    how: dict[str, Any] = {"port": 0, "time_factor": 0.01, "state_file": path}
    with Simulator(["alpha"], **how) as simulator, on(simulator) as client:
        job_id = client.delete_instance("nobody", "try")
        ended(client, job_id)
    kept = json.loads(path.read_text(encoding="utf-8"))
    alpha = kept["clusters"]["alpha"]
    del alpha["networks"]
    for job in alpha["jobs"]:
        job["instance"] = job.pop("target")
    path.write_text(json.dumps(kept), encoding="utf-8")
    with Simulator(["alpha"], **how) as simulator:
        assert simulator.clusters["alpha"].state.jobs[job_id].target == "nobody"
