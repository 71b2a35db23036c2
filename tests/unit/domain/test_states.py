"""What jobs mean for a server, event by event."""

import dataclasses
import datetime as dt

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudweb.domain import states
from cloudweb.domain.states import ApiStatus, ServerFacts, StatusEvent
from cloudweb.models import OperState
from tests.unit.domain import histories

T0 = histories.T0


def facts(**values: object) -> ServerFacts:
    return dataclasses.replace(histories.new_server(), **values)  # type: ignore[arg-type]


def event(opcode: str, status: str, *, at: float = 1, job: int = 1, **more: object) -> StatusEvent:
    time = T0 + dt.timedelta(seconds=at)
    return StatusEvent("snf-1", opcode, status, job, time, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("opcode", "status", "after"),
    [
        (states.CREATE, "success", OperState.STARTED),
        (states.CREATE, "error", OperState.ERROR),
        (states.CREATE, "canceled", OperState.ERROR),
        (states.STARTUP, "success", OperState.STARTED),
        (states.STARTUP, "error", OperState.BUILD),
        (states.SHUTDOWN, "success", OperState.STOPPED),
        (states.SHUTDOWN, "canceled", OperState.BUILD),
        (states.REBOOT, "success", OperState.STARTED),
        (states.REMOVE, "success", OperState.DESTROYED),
        (states.REMOVE, "error", OperState.BUILD),
        ("OP_INSTANCE_MIGRATE", "success", OperState.BUILD),
        ("OP_TO_COME", "success", OperState.BUILD),
        (states.CREATE, "queued", OperState.BUILD),
        (states.CREATE, "waitlock", OperState.BUILD),
        (states.CREATE, "running", OperState.BUILD),
        (states.CREATE, "canceling", OperState.BUILD),
    ],
)
def test_a_job_moves_its_server(opcode: str, status: str, after: OperState) -> None:
    server = facts()
    error = (None, "Broken") if status == "error" else None
    assert server.apply(event(opcode, status, error=error))
    assert server.state is after
    assert server.deleted is (after is OperState.DESTROYED)
    assert (server.job_id, server.job_opcode, server.job_status) == (1, opcode, status)


@pytest.mark.parametrize(
    "error", [None, (states.NO_ROOM, "No node"), (states.NO_ROOM_NOW, "Not now")]
)
def test_a_server_is_to_be_built_until_it_is_sure_that_it_cannot_be(error: object) -> None:
    server = facts()
    failed = event(states.CREATE, "error", error=error)
    assert server.apply(failed)
    assert (server.state, server.job_status) == (OperState.BUILD, "error")
    assert states.needs_a_look(failed) is (error is None)


def test_the_same_event_again_is_stale() -> None:
    server = facts()
    assert server.apply(event(states.CREATE, "success"))
    assert not server.apply(event(states.CREATE, "success"))


def test_an_older_success_that_comes_later_is_stale() -> None:
    server = facts()
    assert server.apply(event(states.SHUTDOWN, "success", at=20, job=2))
    assert not server.apply(event(states.STARTUP, "success", at=10, job=1))
    assert server.state is OperState.STOPPED


def test_an_error_of_a_newer_job_does_not_hide_an_older_success() -> None:
    server = facts()
    assert server.apply(event(states.SHUTDOWN, "error", at=20, job=2))
    assert server.apply(event(states.STARTUP, "success", at=10, job=1))
    assert (server.state, server.job_id) == (OperState.STARTED, 2)


def test_a_finished_job_stays_finished_when_the_clock_went_back() -> None:
    server = facts()
    assert server.apply(event(states.REBOOT, "running", at=20))
    assert server.apply(event(states.REBOOT, "success", at=10))
    assert not server.apply(event(states.REBOOT, "running", at=20))
    assert (server.job_status, states.api_status(server)) == ("success", ApiStatus.ACTIVE)


def test_each_opcode_of_a_job_is_followed() -> None:
    server = facts()
    assert server.apply(event(states.SHUTDOWN, "success", at=5))
    assert server.apply(event(states.STARTUP, "running", at=6))
    assert (server.state, server.job_opcode) == (OperState.STOPPED, states.STARTUP)


def test_a_removal_that_found_nothing_removes() -> None:
    server = facts(state=OperState.ERROR)
    nothing = event(states.REMOVE, "error", error=(states.UNKNOWN_ENTITY, "Instance not known"))
    assert server.apply(nothing)
    assert (server.state, server.deleted) == (OperState.DESTROYED, True)


def test_a_removal_that_failed_without_a_reason_needs_a_look() -> None:
    assert states.needs_a_look(event(states.REMOVE, "error"))
    assert not states.needs_a_look(event(states.REMOVE, "error", error=(None, "Disk busy")))
    assert not states.needs_a_look(event(states.REMOVE, "success"))


def test_nothing_brings_a_destroyed_server_back() -> None:
    server = facts()
    assert server.apply(event(states.REMOVE, "success", at=5, job=2))
    assert not server.apply(event(states.STARTUP, "success", at=9, job=3))
    assert not server.apply(event(states.REMOVE, "success", at=9, job=4))
    assert (server.state, server.job_id) == (OperState.DESTROYED, 2)


def test_a_reboot_shows_until_it_is_over() -> None:
    server = facts(state=OperState.STARTED)
    for status in ("queued", "waiting", "running"):
        server.apply(event(states.REBOOT, status))
        assert states.api_status(server) is ApiStatus.REBOOT
    server.apply(event(states.REBOOT, "success"))
    assert states.api_status(server) is ApiStatus.ACTIVE


def test_progress_is_100_once_active() -> None:
    assert states.progress(facts(state=OperState.STARTED)) == 100
    assert states.progress(facts(build_percentage=40)) == 40


def test_a_log_is_stored_as_far_as_it_can_be() -> None:
    server = facts()
    server.apply(event(states.CREATE, "running", log="a\0b" + "x" * 600))
    assert server.job_log == "ab" + "x" * 498


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories.histories(), st.data())
def test_the_order_of_events_does_not_matter(
    history: list[StatusEvent], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(history), max_size=6))
    shuffled = data.draw(st.permutations(history + again))
    one, other = histories.new_server(), histories.new_server()
    for heard in history:
        one.apply(heard)
    for heard in shuffled:
        other.apply(heard)
    assert one == other
    assert not any(other.apply(heard) for heard in shuffled)
