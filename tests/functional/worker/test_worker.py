"""The worker as a process of its own, before simulated clusters that fail in every way."""

import datetime as dt
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cloudweb.domain import servers, states
from cloudweb.domain.states import ApiStatus
from cloudweb.models import (
    Backend,
    EventSource,
    Nic,
    Operation,
    OperationState,
    Server,
    unit_of_work,
    utc_now,
)
from tests.functional.processes import end, running, wait_for
from tests.functional.worker.world import WORKER, World


def test_a_server_lives_from_build_to_deleted(world: World, ini: Path) -> None:
    with running(WORKER, ini) as worker:
        server = world.create()
        world.becomes(server, ApiStatus.ACTIVE)
        world.do(servers.shutdown, server)
        world.becomes(server, ApiStatus.STOPPED)
        world.do(servers.start, server)
        world.becomes(server, ApiStatus.ACTIVE)
        for kind in ("SOFT", "HARD"):
            world.do(servers.reboot, server, kind=kind)
            world.settled()
        world.do(servers.delete, server)
        world.becomes(server, ApiStatus.DELETED)
        assert world.instances() == []
        assert [op.state for op in world.settled()] == [OperationState.SUCCESS] * 6
        assert end(worker) == 0


def test_an_active_server_has_the_address_of_its_card(world: World, ini: Path) -> None:
    with running(WORKER, ini):
        server = world.create()
        world.becomes(server, ApiStatus.ACTIVE)
    with unit_of_work(world.sessions, write=False) as session:
        [nic] = session.scalars(sa.select(Nic).where(Nic.server_id == server))
        assert nic.mac


def test_operations_on_one_server_run_in_order(world: World, ini: Path) -> None:
    with running(WORKER, ini):
        server = world.create()
        world.becomes(server, ApiStatus.ACTIVE)
        for verb in (servers.shutdown, servers.start, servers.shutdown, servers.start):
            world.do(verb, server)
        world.settled()
    assert (
        world.jobs()[1:]
        == [
            "OP_INSTANCE_SHUTDOWN",
            "OP_INSTANCE_STARTUP",
        ]
        * 2
    )
    assert world.status(server) is ApiStatus.ACTIVE


def test_a_building_server_that_is_deleted_leaves_no_orphan(world: World, ini: Path) -> None:
    with running(WORKER, ini):
        server = world.create()
        wait_for(lambda: world.operations()[0].job_id)
        world.do(servers.delete, server)
        world.becomes(server, ApiStatus.DELETED)
    assert world.instances() == []
    assert world.jobs() == ["OP_INSTANCE_CREATE", "OP_INSTANCE_REMOVE"]


def test_a_worker_killed_before_the_answer_was_stored_makes_no_second_instance(
    world: World, ini: Path
) -> None:
    world.faults(delay_after_accept_s=30.0)
    with running(WORKER, ini) as worker:
        server = world.create()
        wait_for(lambda: world.jobs() == ["OP_INSTANCE_CREATE"])
        worker.kill()
        worker.wait()
    assert world.operations()[0].state is OperationState.SUBMITTING
    world.faults(delay_after_accept_s=0.0)
    with running(WORKER, ini):
        world.becomes(server, ApiStatus.ACTIVE)
    assert world.jobs() == ["OP_INSTANCE_CREATE"]
    assert len(world.instances()) == 1


def test_a_worker_killed_before_anything_was_sent_is_made_good(world: World, ini: Path) -> None:
    world.faults(hang_s=30.0)
    with running(WORKER, ini) as worker:
        server = world.create()
        wait_for(lambda: world.operations()[0].sent)
        worker.kill()
        worker.wait()
    world.faults(hang_s=0.0)
    with running(WORKER, ini):
        world.becomes(server, ApiStatus.ACTIVE, timeout_s=30)
    assert world.jobs() == ["OP_INSTANCE_CREATE"]


def test_a_worker_held_up_for_half_its_lease_sends_only_after_claiming_anew(
    world: World, ini: Path
) -> None:
    with running("tests.functional.worker.held_up", ini):
        server = world.create()
        world.becomes(server, ApiStatus.ACTIVE)
    [operation] = world.operations()
    assert operation.attempts == 2
    assert world.jobs() == ["OP_INSTANCE_CREATE"]


def test_a_lost_answer_is_found_again_by_its_reason(world: World, ini: Path) -> None:
    world.faults(drop_after_accept=1)
    with running(WORKER, ini):
        server = world.create()
        world.becomes(server, ApiStatus.ACTIVE)
    assert world.jobs() == ["OP_INSTANCE_CREATE"]


def test_what_was_sent_before_ganeti_archives_jobs_is_not_sent_again_but_said_to_be_unknown(
    world: World, ini: Path
) -> None:
    with running(WORKER, ini) as worker:
        server = world.create()
        world.becomes(server, ApiStatus.ACTIVE)
        world.faults(delay_after_accept_s=30.0)
        world.do(servers.reboot, server, kind="HARD")
        wait_for(lambda: "OP_INSTANCE_REBOOT" in world.jobs())
        worker.kill()
        worker.wait()
    world.faults(delay_after_accept_s=0.0)
    world.simulator.clusters["alpha"].show(lambda _, state: state.jobs.clear())
    with unit_of_work(world.sessions) as session:
        long_ago = utc_now() - dt.timedelta(hours=7)
        session.execute(sa.update(Operation).values(sent=long_ago))
    with running(WORKER, ini):
        [_create, reboot] = world.settled()
    assert world.jobs() == []
    assert (reboot.state, reboot.error_class) == (OperationState.ERROR, states.UNANSWERED)
    assert "cannot be found any more" in reboot.error


@pytest.mark.parametrize("fault", [{"refuse": "close"}, {"refuse": "503"}, {"unauthorized": True}])
def test_a_cluster_that_is_away_is_asked_again_when_it_is_back(
    world: World, ini: Path, fault: dict[str, Any]
) -> None:
    world.faults(**fault)
    with running(WORKER, ini):
        server = world.create()
        wait_for(lambda: world.operations()[0].attempts >= 2)
        assert world.status(server) is ApiStatus.BUILD
        world.faults(refuse="", unauthorized=False)
        world.becomes(server, ApiStatus.ACTIVE, timeout_s=30)
    assert len(world.instances()) == 1


def test_an_unreachable_cluster_is_marked_and_unmarked(world: World, ini: Path) -> None:
    def since() -> Any:
        with unit_of_work(world.sessions, write=False) as session:
            return session.get_one(Backend, world.cloud.backend.id).unreachable_since

    world.faults(unauthorized=True)
    with running(WORKER, ini):
        wait_for(since)
        world.faults(unauthorized=False)
        wait_for(lambda: since() is None)


def test_a_create_that_ganeti_refuses_is_an_error_with_its_class(world: World, ini: Path) -> None:
    world.faults(fail={"OP_INSTANCE_CREATE": {"count": 1, "code": "insufficient_resources"}})
    with running(WORKER, ini):
        server = world.create()
        world.becomes(server, ApiStatus.ERROR)
        [operation] = world.settled()
        assert (operation.state, operation.error_class) == (
            OperationState.ERROR,
            "insufficient_resources",
        )
        world.do(servers.delete, server)
        world.becomes(server, ApiStatus.DELETED)


def test_one_hanging_cluster_does_not_hold_up_another(
    world: World, ini: Path, make_backend: Callable[..., Backend]
) -> None:
    other = make_backend()
    world.join(other, "beta")
    world.faults("alpha", hang_s=60.0)
    with running(WORKER, ini):
        made = [world.create() for _ in range(6)]
        with unit_of_work(world.sessions, write=False) as session:
            there = [s for s in made if session.get_one(Server, s).backend_id == other.id]
        assert there
        started = time.monotonic()
        for server in there:
            world.becomes(server, ApiStatus.ACTIVE)
        assert time.monotonic() - started < 15
        assert {world.status(s) for s in made if s not in there} == {ApiStatus.BUILD}


def test_two_workers_do_nothing_twice(world: World, ini: Path) -> None:
    with running(WORKER, ini), running(WORKER, ini):
        made = [world.create() for _ in range(10)]
        for server in made:
            world.becomes(server, ApiStatus.ACTIVE, timeout_s=40)
    assert world.jobs() == ["OP_INSTANCE_CREATE"] * 10
    assert len(world.instances()) == 10


def test_a_job_ganeti_forgot_is_judged_by_what_the_instance_is(world: World, ini: Path) -> None:
    with running(WORKER, ini) as worker:
        server = world.create()
        world.becomes(server, ApiStatus.ACTIVE)
        end(worker)
    with unit_of_work(world.sessions) as session:
        session.execute(
            sa.update(Operation).values(
                state=OperationState.SUBMITTED, job_id=987_654, finished=None
            )
        )
    with running(WORKER, ini):
        assert [op.state for op in world.settled()] == [OperationState.SUCCESS]
    assert world.status(server) is ApiStatus.ACTIVE


def test_jobs_of_a_cluster_that_loses_its_agents_are_asked_about(world: World, ini: Path) -> None:
    def events(source: EventSource) -> None:
        with unit_of_work(world.sessions) as session:
            session.get_one(Backend, world.cloud.backend.id).event_source = source

    events(EventSource.AGENTS)
    with running(WORKER, ini):
        server = world.create()
        wait_for(lambda: len(world.instances()) == 1)
        time.sleep(0.5)
        assert world.status(server) is ApiStatus.BUILD
        events(EventSource.AGENTLESS)
        world.becomes(server, ApiStatus.ACTIVE)
