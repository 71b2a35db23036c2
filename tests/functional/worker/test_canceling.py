"""Canceling what a cluster has, or may have: the job's end is what counts."""

from pathlib import Path

from cloudweb.domain import identity, interventions, servers
from cloudweb.domain.states import ApiStatus
from cloudweb.models import Operation, OperationState, unit_of_work
from tests.functional.processes import running, wait_for
from tests.functional.worker.world import WORKER, World

CLI = identity.system("cli")


def cancel(world: World, operation_id: int) -> bool:
    with unit_of_work(world.sessions) as session:
        return interventions.cancel(session, CLI, operation_id, reason="Not wanted.")


def test_a_job_that_waits_for_another_is_canceled_by_its_cluster(world: World, ini: Path) -> None:
    with running(WORKER, ini):
        server = world.create()
        world.becomes(server, ApiStatus.ACTIVE)
        for _ in range(8):  # somebody else's jobs hold the instance, so ours has to wait
            world.by_hand(lambda c, name: c.reboot_instance(name, "hard", "by hand"), server)
        world.do(servers.shutdown, server)
        wait_for(lambda: world.operations()[-1].state is OperationState.SUBMITTED)
        assert cancel(world, world.operations()[-1].id) is False
        world.settled()
    assert world.operations()[-1].state is OperationState.CANCELED
    assert world.status(server) is ApiStatus.ACTIVE


def test_what_was_about_to_be_sent_is_never_sent_once_it_is_canceled(
    world: World, ini: Path
) -> None:
    world.faults(hang_s=30.0)
    with running(WORKER, ini) as worker:
        server = world.create()
        wait_for(lambda: world.operations()[0].sent)
        worker.kill()
        worker.wait()
    assert cancel(world, world.operations()[0].id) is False, "it may have reached the cluster"
    world.faults(hang_s=0.0)
    with running(WORKER, ini):
        world.settled(timeout_s=30)
    assert world.jobs() == []
    [operation] = world.operations()
    assert operation.state is OperationState.CANCELED
    with unit_of_work(world.sessions, write=False) as session:
        assert session.get_one(Operation, operation.id).sent is None
    assert world.status(server) is ApiStatus.DELETED
