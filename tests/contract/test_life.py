"""The life of an instance, and of the jobs that make it."""

from datetime import UTC, datetime, timedelta

import pytest

from cloudweb.backend.ganeti.errors import BadRequest, NotFound
from cloudweb.backend.ganeti.objects import STATUSES
from cloudweb.backend.ganeti.rapi import RapiClient
from tests.contract.subject import Driver


def test_a_cluster_says_what_it_is(client: RapiClient) -> None:
    info = client.info()
    assert info.version.startswith("3.")
    assert info.name
    assert "ext" in info.enabled_disk_templates
    assert info.default_hypervisor in info.enabled_hypervisors


def test_nodes_say_what_room_they_have(client: RapiClient) -> None:
    node = client.nodes_bulk()[0]
    assert 0 < node.memory_free_mb <= node.memory_total_mb
    assert 0 < node.disk_free_mb <= node.disk_total_mb
    assert node.cpus > 0
    assert node.vm_capable
    assert not node.drained
    assert not node.offline


def test_a_created_instance_runs_as_it_was_asked_for(cluster: Driver) -> None:
    name = cluster.create(vcpus=2, ram_mb=256, disk_gb=3)
    instance = cluster.client.instance(name)
    assert (instance.status, instance.admin_state, instance.oper_state) == ("running", "up", True)
    assert (instance.vcpus, instance.memory_mb) == (2, 256)
    assert (instance.disk_template, instance.disk_sizes) == ("ext", (3072,))
    assert instance.os == "noop+default"
    assert instance.pnode in {node.name for node in cluster.client.nodes_bulk()}
    nic = instance.nics[0]
    assert (nic.index, nic.ip, nic.link, nic.mode) == (0, "198.51.100.7", "br1", "bridged")
    assert (nic.name, nic.network) == ("nic-1", None)
    assert len(nic.mac) == 17
    assert instance in cluster.client.instances_bulk()


def test_a_diskless_instance_has_no_disk(cluster: Driver) -> None:
    name = cluster.create(disk_template="diskless", nics=[])
    instance = cluster.client.instance(name)
    assert (instance.disk_template, instance.disk_sizes, instance.nics) == ("diskless", (), ())


def test_a_job_goes_through_its_states_in_order(cluster: Driver) -> None:
    name = cluster.new_name()
    job_id = cluster.client.create_instance(cluster.body(name), f"states:{name}")
    order = ["queued", "waiting", "running", "success"]
    seen = [cluster.client.job(job_id).status]
    while seen[-1] not in {"success", "error"}:
        status = cluster.client.job(job_id).status
        seen += [status] if status != seen[-1] else []
    assert seen == [status for status in order if status in seen]
    assert set(seen) <= STATUSES
    assert seen[-1] == "success"


def test_a_job_knows_its_times_and_its_opcode(cluster: Driver) -> None:
    name = cluster.new_name()
    job = cluster.run(cluster.client.create_instance(cluster.body(name), f"times:{name}"))
    assert job.received
    assert job.started
    assert job.ended
    assert job.received <= job.started <= job.ended
    assert job.event_time() == job.ended
    assert abs(datetime.now(UTC) - job.ended) < timedelta(minutes=5)
    op = job.ops[0]
    assert (op.opcode, op.instance, op.status) == ("OP_INSTANCE_CREATE", name, "success")
    assert op.log == "* starting instance..."
    assert op.error is None


def test_a_job_is_found_by_its_reason(cluster: Driver) -> None:
    name = cluster.new_name()
    reason = f"cloudweb:op/{name}&? 7"
    job_id = cluster.client.create_instance(cluster.body(name), reason)
    found = cluster.client.find_job(reason)
    assert found
    assert found.id == job_id
    assert reason in found.ops[0].reasons
    cluster.run(job_id)
    assert cluster.client.find_job(reason[:-1]) is None


def test_the_first_job_of_a_reason_is_found(cluster: Driver) -> None:
    name = cluster.create()
    reason = f"twice:{name}"
    first = cluster.run(cluster.client.shutdown_instance(name, reason))
    cluster.run(cluster.client.startup_instance(name, reason))
    assert cluster.client.find_job(reason) == first


def test_a_second_instance_of_a_name_already_exists(cluster: Driver) -> None:
    name = cluster.create()
    job = cluster.run(cluster.client.create_instance(cluster.body(name), f"again:{name}"))
    assert job.status == "error"
    assert job.error
    assert (job.error.kind, job.error.code) == ("OpPrereqError", "already_exists")
    assert job.error.message == f"Instance '{name}' is already in the cluster"
    assert cluster.client.instance(name).status == "running"


def test_an_instance_stops_and_starts(cluster: Driver) -> None:
    name = cluster.create()
    assert cluster.run(cluster.client.shutdown_instance(name, "stop")).status == "success"
    stopped = cluster.client.instance(name)
    assert (stopped.status, stopped.admin_state) == ("ADMIN_down", "down")
    assert stopped.oper_state is False
    assert cluster.run(cluster.client.startup_instance(name, "start")).status == "success"
    assert cluster.client.instance(name).status == "running"


def test_stopping_twice_and_starting_twice_succeed(cluster: Driver) -> None:
    name = cluster.create()
    jobs = [
        cluster.client.startup_instance(name, "start"),
        cluster.client.shutdown_instance(name, "stop"),
        cluster.client.shutdown_instance(name, "stop again"),
    ]
    assert [cluster.run(job).status for job in jobs] == ["success"] * 3
    assert cluster.client.instance(name).status == "ADMIN_down"


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_an_instance_reboots(cluster: Driver, kind: str) -> None:
    name = cluster.create()
    job = cluster.run(cluster.client.reboot_instance(name, kind, "reboot"))  # type: ignore[arg-type]
    assert (job.status, job.ops[0].opcode) == ("success", "OP_INSTANCE_REBOOT")
    assert cluster.client.instance(name).status == "running"


def test_a_reboot_starts_an_instance_that_is_stopped(cluster: Driver) -> None:
    name = cluster.create()
    cluster.run(cluster.client.shutdown_instance(name, "stop"))
    assert cluster.run(cluster.client.reboot_instance(name, "soft", "reboot")).status == "success"
    assert cluster.client.instance(name).status == "running"


def test_jobs_on_one_instance_run_in_order(cluster: Driver) -> None:
    name = cluster.create()
    jobs = [
        cluster.client.shutdown_instance(name, "stop"),
        cluster.client.startup_instance(name, "start"),
        cluster.client.shutdown_instance(name, "stop again"),
    ]
    ended = [cluster.run(job_id) for job_id in jobs]
    assert [job.status for job in ended] == ["success"] * 3
    times = [job.event_time() for job in ended]
    assert times == sorted(times)
    assert cluster.client.instance(name).status == "ADMIN_down"


def test_a_job_on_an_instance_that_is_not_made_yet_fails(cluster: Driver) -> None:
    # Names are looked up before locks are taken. A machine under load may be too slow to show it.
    for _ in range(20):
        name = cluster.new_name()
        create = cluster.client.create_instance(cluster.body(name), f"make:{name}")
        remove = cluster.run(cluster.client.delete_instance(name, f"remove:{name}"))
        assert cluster.run(create).status == "success"
        if remove.error:
            break
    assert remove.error
    assert remove.error.code == "unknown_entity"
    assert cluster.client.instance(name).status == "running"


def test_a_deleted_instance_is_gone(cluster: Driver) -> None:
    name = cluster.create()
    assert cluster.run(cluster.client.delete_instance(name, "delete")).status == "success"
    with pytest.raises(NotFound):
        cluster.client.instance(name)
    assert name not in {instance.name for instance in cluster.client.instances_bulk()}


@pytest.mark.parametrize("verb", ["delete", "startup", "shutdown"])
def test_a_job_on_an_unknown_instance_is_taken_and_fails(cluster: Driver, verb: str) -> None:
    job = cluster.run(getattr(cluster.client, f"{verb}_instance")("nobody", "try"))
    assert job.error
    assert (job.error.kind, job.error.code) == ("OpPrereqError", "unknown_entity")
    assert job.error.message == "Instance 'nobody' not known"


def test_an_unknown_instance_is_not_found(client: RapiClient) -> None:
    with pytest.raises(NotFound) as refusal:
        client.instance("nobody")
    assert refusal.value.status == 404


def test_an_unknown_job_is_not_found(client: RapiClient) -> None:
    with pytest.raises(NotFound):
        client.job(99999)
    assert client.cancel_job(99999) is False


def test_a_bad_body_is_refused_in_ganetis_words(client: RapiClient) -> None:
    with pytest.raises(BadRequest) as refusal:
        client.create_instance({"__version__": 1}, "bad")
    assert refusal.value.status == 400
    assert "'OP_INSTANCE_CREATE.instance_name' fails validation" in refusal.value.message
    assert not refusal.value.maybe_sent


def test_a_failing_os_script_leaves_an_instance_that_is_stopped(cluster: Driver) -> None:
    name = cluster.new_name()
    body = cluster.body(name, osparams={"img_id": "fail"})
    job = cluster.run(cluster.client.create_instance(body, f"fail:{name}"))
    assert job.error
    assert (job.error.kind, job.error.code) == ("OpExecError", None)
    assert "OS create script failed" in job.error.message
    left = cluster.client.instance(name)
    assert (left.status, left.admin_state) == ("ADMIN_down", "down")
    assert cluster.run(cluster.client.delete_instance(name, "clean")).status == "success"


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"os": "nonesuch+default"}, "Directory for OS nonesuch not found in search path"),
        ({"osparams": {"bogus": "1"}}, "are not supported by the OS noop: bogus"),
    ],
)
def test_a_bad_os_leaves_nothing(
    cluster: Driver, changed: dict[str, object], sentence: str
) -> None:
    name = cluster.new_name()
    body = cluster.body(name, **changed)
    job = cluster.run(cluster.client.create_instance(body, f"os:{name}"))
    assert job.error
    assert job.error.kind == "OpExecError"
    assert sentence in job.error.message
    with pytest.raises(NotFound):
        cluster.client.instance(name)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"ram_mb": 1024 * 1024 - 512}, "insufficient_resources"),
        ({"nics": [{"network": "nonesuch", "ip": "pool"}]}, "unknown_entity"),
        ({"disk_template": "plain"}, None),
    ],
)
def test_what_a_cluster_cannot_give_is_refused_before_it_begins(
    cluster: Driver, changed: dict[str, object], code: str | None
) -> None:
    name = cluster.new_name()
    body = cluster.body(name, **changed)
    job = cluster.run(cluster.client.create_instance(body, f"refuse:{name}"))
    assert job.error
    assert (job.error.kind, job.error.code) == ("OpPrereqError", code)


def test_a_cancel_is_a_wish_and_the_final_status_says_what_came_of_it(cluster: Driver) -> None:
    name = cluster.new_name()
    slow = cluster.body(name, osparams={"img_id": "slow:3"})
    create = cluster.client.create_instance(slow, f"slow:{name}")
    cluster.wait_until_known(name)
    remove = cluster.client.delete_instance(name, f"cancel:{name}")
    assert cluster.client.cancel_job(remove) in {True, False}
    job = cluster.run(remove)
    assert cluster.run(create).status == "success"
    there = {instance.name for instance in cluster.client.instances_bulk()}
    # A real Ganeti drops some jobs that wait, and lets others run.
    assert job.status == ("canceled" if name in there else "success")
    assert cluster.client.cancel_job(create) is False


def test_rehearsing_a_tag_is_a_job_that_is_about_no_instance(cluster: Driver) -> None:
    tag = "cloudweb:heartbeat:7f3a"
    job = cluster.succeed(cluster.client.rehearse_tag(tag, "a question"))
    again = cluster.succeed(cluster.client.rehearse_tag(tag, "a question"))
    assert [op.opcode for op in job.ops] == ["OP_TAGS_SET"]
    assert job.ops[0].instance is None
    assert job.ops[0].reasons[0] == "a question"
    assert again.id > job.id
