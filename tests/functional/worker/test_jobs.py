"""The worker reads the queues of clusters, and has a job dropped that nobody here asked for."""

from pathlib import Path

from cloudweb.backend.ganeti.operations import create_body
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.domain import cluster_jobs, identity, job_cancels
from cloudweb.domain.cluster_jobs import JobRow
from cloudweb.domain.states import ApiStatus
from cloudweb.models import Backend, OperationState, unit_of_work
from tests.functional.cli.conftest import Terminal
from tests.functional.processes import running, wait_for
from tests.functional.worker.world import WORKER, World

CLI = identity.system("cli")
ALPHA = "alpha.ganeti.test"


def find(world: World, job_id: int) -> JobRow | None:
    with unit_of_work(world.sessions, write=False) as session:
        return cluster_jobs.find_row(session, ALPHA, job_id)


def read(world: World, job_id: int, status: str) -> JobRow:
    """The job, once it is known to be so and was read whole."""
    wait_for(lambda: (row := find(world, job_id)) and row.job.read_status == status)
    row = find(world, job_id)
    assert row is not None
    return row


def test_jobs_by_hand_and_ours_are_known_with_their_logs_and_without_secrets(
    world: World, ini: Path
) -> None:
    url = world.simulator.url("alpha")
    with running(WORKER, ini), RapiClient(url, "cloudweb", "cloudweb") as client:
        server = world.create()
        world.becomes(server, ApiStatus.ACTIVE)
        [operation] = world.settled()
        assert operation.job_id is not None
        ours = read(world, operation.job_id, "success")
        assert (ours.operation_id, ours.server_name) == (operation.id, "web")
        body = create_body(
            name="web1.example.org",
            vcpus=1,
            ram_mb=128,
            disk_gb=1,
            disk_template="file",
            os="noop+default",
            osparams={"img_passwd": "hunter2"},
            nics=[],
        )
        theirs = read(world, client.create_instance(body, "by hand"), "success")
        assert theirs.whose == "remote API: by hand"
        assert theirs.job.target == "web1.example.org"
        assert theirs.job.took_ms is not None
        assert "hunter2" not in theirs.job.detail
        assert "message" in theirs.job.detail
        failed = read(world, client.create_instance(body, "again"), "error")
        assert failed.job.error_class == "already_exists"


def test_a_job_that_waits_is_dropped_whoever_asked_for_it(world: World, ini: Path) -> None:
    url = world.simulator.url("alpha")
    with running(WORKER, ini), RapiClient(url, "cloudweb", "cloudweb") as client:
        server = world.create()
        world.becomes(server, ApiStatus.ACTIVE)
        name = f"snf-{server}"
        jobs = [client.reboot_instance(name, "hard", "by hand") for _ in range(60)]
        wait_for(lambda: find(world, jobs[-1]))
        with unit_of_work(world.sessions) as session:
            backend = world.cloud.backend
            job_cancels.cancel(session, CLI, backend, jobs[-1], reason="Too many.")
        read(world, jobs[-1], "canceled")


def test_what_failed_on_anothers_instance_is_done_again_once_though_the_answer_is_lost(
    world: World, ini: Path
) -> None:
    cli = Terminal(ini)
    url, name = world.simulator.url("alpha"), "web1.example.org"
    with running(WORKER, ini), RapiClient(url, "cloudweb", "cloudweb") as client:
        body = create_body(
            name=name,
            vcpus=1,
            ram_mb=128,
            disk_gb=1,
            disk_template="file",
            os="noop+default",
            osparams={},
            nics=[],
        )
        read(world, client.create_instance(body, "by hand"), "success")
        world.faults(fail={"OP_INSTANCE_SHUTDOWN": {"kind": "OpExecError"}})
        failed = client.submit(
            "PUT", f"/2/instances/{name}/shutdown", "by hand", body={"timeout": 60}
        )
        read(world, failed, "error")
        world.faults(drop_after_accept=1)
        words = ("job", "retry", failed, "--backend", ALPHA, "--reason", "It hung.")
        rehearsed = cli(*words, "--dry-run")
        assert not world.operations()
        assert "does job" in rehearsed
        assert cli.json(*words)["retry_id"] == world.operations()[0].id
        assert "does it again already" in cli.refusal(*words)
        [operation] = world.settled()
        assert (operation.state, operation.server_id) == (OperationState.SUCCESS, None)
        assert not client.instance(name).oper_state
        again = read(world, operation.job_id or 0, "success")
        assert again.operation_id == operation.id
        assert '"timeout":60' in again.job.detail
    assert world.jobs().count("OP_INSTANCE_SHUTDOWN") == 2


def test_a_job_about_the_cluster_is_done_again(world: World, ini: Path) -> None:
    cli = Terminal(ini)
    url = world.simulator.url("alpha")
    with running(WORKER, ini), RapiClient(url, "cloudweb", "cloudweb") as client:
        world.faults(fail={"OP_CLUSTER_REDIST_CONF": {"kind": "OpExecError"}})
        failed = client.submit("PUT", "/2/redistribute-config", "by hand")
        read(world, failed, "error")
        cli("job", "retry", failed, "--backend", ALPHA, "--reason", "The node is back.")
        [operation] = world.settled()
        assert operation.state is OperationState.SUCCESS


def test_a_new_cluster_that_is_not_the_one_that_is_meant_is_asked_nothing_else(
    world: World, ini: Path
) -> None:
    def backend() -> Backend:
        with unit_of_work(world.sessions, write=False) as session:
            return session.get_one(Backend, world.cloud.backend.id)

    with unit_of_work(world.sessions) as session:
        row = session.get_one(Backend, world.cloud.backend.id)
        row.name, row.refreshed = "gnt.example.org", None
    with running(WORKER, ini):
        wait_for(lambda: backend().last_error)
        asked = world.simulator.clusters["alpha"].requests
        wait_for(lambda: asked["GET /2/info"] > 1)  # by then the rest would have been asked too
    assert backend().last_error == f"The cluster that answers is {ALPHA}, not gnt.example.org."
    assert backend().unreachable_since is not None
    assert not world.asked("alpha", "/2/jobs")
    assert not world.asked("alpha", "/2/instances")
