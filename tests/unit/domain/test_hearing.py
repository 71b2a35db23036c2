"""What is heard of jobs, applied to the database in batches."""

import datetime as dt
import functools
import random
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cloudweb import faults
from cloudweb.domain import hearing, states
from cloudweb.domain.hearing import Outcome
from cloudweb.domain.states import NicReport, StatusEvent
from cloudweb.models import (
    Nic,
    Operation,
    OperationState,
    OperState,
    Server,
    SessionFactory,
    unit_of_work,
    utc_now,
)
from tests.unit.domain import histories

T0 = histories.T0
Make = Callable[..., Any]


def event(
    server: Server, opcode: str, status: str, *, at: float = 1, job: int = 1, **more: Any
) -> StatusEvent:
    assert server.instance_name
    time = T0 + dt.timedelta(seconds=at)
    return StatusEvent(server.instance_name, opcode, status, job, time, **more)


def apply(sessions: SessionFactory, *events: StatusEvent) -> list[Outcome]:
    with unit_of_work(sessions) as session:
        return hearing.apply_statuses(session, events)


def read(sessions: SessionFactory, server: Server) -> Server:
    with unit_of_work(sessions, write=False) as session:
        return session.get_one(Server, server.id)


def nics_of(sessions: SessionFactory, server: Server) -> list[tuple[str | None, str | None]]:
    with unit_of_work(sessions, write=False) as session:
        query = sa.select(Nic.mac, Nic.ipv4).where(Nic.server_id == server.id).order_by(Nic.index)
        return [(mac, ipv4) for mac, ipv4 in session.execute(query)]


def submit(
    sessions: SessionFactory, server: Server, opcode: str, job_id: int, **values: Any
) -> Operation:
    operation = Operation(
        key=uuid.uuid4().hex,
        backend_id=server.backend_id,
        server_id=server.id,
        opcode=opcode,
        target=server.instance_name or "",
        state=OperationState.SUBMITTED,
        job_id=job_id,
        **values,
    )
    with unit_of_work(sessions) as session:
        session.add(operation)
    return operation


def read_operation(sessions: SessionFactory, operation: Operation) -> Operation:
    with unit_of_work(sessions, write=False) as session:
        return session.get_one(Operation, operation.id)


def test_a_create_makes_its_server_active_and_ends_its_operation(
    sessions: SessionFactory, make_server: Make
) -> None:
    server = make_server(state=OperState.BUILD)
    operation = submit(sessions, server, states.CREATE, 7)
    course = [
        event(server, states.CREATE, status, at=n, job=7)
        for n, status in enumerate(("queued", "waiting", "running", "success"))
    ]
    assert apply(sessions, *course) == [Outcome.APPLIED] * 4
    after = read(sessions, server)
    assert (after.state, after.version) == (OperState.STARTED, server.version + 1)
    assert after.updated > server.updated
    assert (after.job_id, after.job_status) == (7, "success")
    done = read_operation(sessions, operation)
    assert (done.state, done.error) == (OperationState.SUCCESS, "")
    assert done.finished is not None


def test_what_nobody_can_see_moves_no_version(sessions: SessionFactory, make_server: Make) -> None:
    server = make_server()
    assert apply(sessions, event(server, "OP_INSTANCE_SET_PARAMS", "running")) == [Outcome.APPLIED]
    after = read(sessions, server)
    assert (after.version, after.updated) == (server.version, server.updated)
    assert after.job_opcode == "OP_INSTANCE_SET_PARAMS"


def test_a_reboot_can_be_seen_coming_and_going(sessions: SessionFactory, make_server: Make) -> None:
    server = make_server()
    apply(sessions, event(server, states.REBOOT, "running"))
    during = read(sessions, server)
    apply(sessions, event(server, states.REBOOT, "success", at=2))
    after = read(sessions, server)
    assert states.api_status(during) is states.ApiStatus.REBOOT
    assert [during.version, after.version] == [server.version + 1, server.version + 2]


def test_what_is_heard_again_changes_nothing(sessions: SessionFactory, make_server: Make) -> None:
    server = make_server(state=OperState.BUILD)
    done = event(server, states.CREATE, "success")
    apply(sessions, done)
    before = read(sessions, server)
    assert apply(sessions, done, done) == [Outcome.STALE] * 2
    after = read(sessions, server)
    assert (after.version, after.updated) == (before.version, before.updated)


def test_the_cluster_decides_between_instances_of_one_name(
    sessions: SessionFactory, make_server: Make, make_backend: Make
) -> None:
    one, other = make_backend(), make_backend()
    here = make_server(backend=one, instance_name="snf-same")
    there = make_server(backend=other, instance_name="snf-same")
    told = event(here, states.SHUTDOWN, "success", cluster=one.name)
    assert apply(sessions, told) == [Outcome.APPLIED]
    assert read(sessions, here).state is OperState.STOPPED
    assert read(sessions, there).state is OperState.STARTED
    assert apply(sessions, told._replace(cluster=None)) == [Outcome.UNKNOWN]


def test_what_is_not_ours_is_said_so(sessions: SessionFactory, make_server: Make) -> None:
    server = make_server()
    told = event(server, states.SHUTDOWN, "success")
    strangers = [
        told._replace(instance="web1"),
        told._replace(cluster="another.example.org"),
    ]
    assert apply(sessions, *strangers) == [Outcome.UNKNOWN] * 2
    assert read(sessions, server).state is OperState.STARTED


def test_a_failed_job_leaves_its_reason_on_the_operation(
    sessions: SessionFactory, make_server: Make
) -> None:
    server = make_server(state=OperState.BUILD)
    operation = submit(sessions, server, states.CREATE, 7)
    error = ("environment_error", "No node has a bridge br0")
    apply(sessions, event(server, states.CREATE, "error", job=7, error=error))
    done = read_operation(sessions, operation)
    assert (done.state, done.error_class, done.error) == (OperationState.ERROR, *error)
    assert read(sessions, server).state is OperState.ERROR


def test_a_failed_removal_without_a_reason_is_looked_at_soon(
    sessions: SessionFactory, make_server: Make
) -> None:
    server = make_server()
    operation = submit(sessions, server, states.REMOVE, 7, due=utc_now() + dt.timedelta(minutes=5))
    apply(sessions, event(server, states.REMOVE, "error", job=7))
    looked = read_operation(sessions, operation)
    assert looked.state is OperationState.SUBMITTED
    assert looked.due <= utc_now()


def test_a_removal_takes_the_cards_along(sessions: SessionFactory, make_server: Make) -> None:
    server = make_server()
    operation = submit(sessions, server, states.REMOVE, 7)
    gone = event(server, states.REMOVE, "error", job=7, error=(states.UNKNOWN_ENTITY, "Not known"))
    apply(sessions, gone)
    after = read(sessions, server)
    assert (after.state, after.deleted) == (OperState.DESTROYED, True)
    assert nics_of(sessions, server) == []
    assert read_operation(sessions, operation).state is OperationState.SUCCESS


def test_the_operation_of_another_job_is_left_alone(
    sessions: SessionFactory, make_server: Make
) -> None:
    server = make_server()
    operation = submit(sessions, server, states.SHUTDOWN, 7)
    apply(sessions, event(server, states.SHUTDOWN, "success", job=8))
    apply(sessions, event(server, states.STARTUP, "success", job=7))
    assert read_operation(sessions, operation).state is OperationState.SUBMITTED


def test_cards_come_with_a_message(sessions: SessionFactory, make_server: Make) -> None:
    server = make_server()
    nics = (NicReport(0, "aa:00:00:00:00:01", "10.0.0.1"),)
    told = event(server, "OP_INSTANCE_SET_PARAMS", "success", nics=nics)
    apply(sessions, told)
    assert nics_of(sessions, server) == [("aa:00:00:00:00:01", "10.0.0.1")]
    after = read(sessions, server)
    assert after.version == server.version + 1
    apply(sessions, told)
    assert read(sessions, server).version == after.version


def test_cards_of_an_older_event_are_not_taken(sessions: SessionFactory, make_server: Make) -> None:
    server = make_server()
    old = (NicReport(0, "aa:00:00:00:00:01", "10.0.0.1"),)
    apply(sessions, event(server, states.SHUTDOWN, "success", at=9))
    apply(sessions, event(server, "OP_INSTANCE_SET_PARAMS", "success", at=5, job=2, nics=old))
    assert nics_of(sessions, server) == [("aa:00:00:49:2e:7e", "192.168.32.6")]


@pytest.mark.parametrize(
    "changes",
    [{"status": "finished"}, {"time": dt.datetime(9999, 1, 1, tzinfo=dt.UTC)}],
    ids=["status", "future"],
)
def test_what_cannot_be_is_refused_and_nothing_is_stored(
    sessions: SessionFactory, make_server: Make, changes: dict[str, Any]
) -> None:
    server = make_server()
    good = event(server, states.SHUTDOWN, "success")
    with pytest.raises(faults.ImpossibleMessage):
        apply(sessions, good, good._replace(**changes))
    assert read(sessions, server).state is OperState.STARTED


@pytest.mark.parametrize(("address", "at_most"), [("192.168.32.6", 10), ("10.0.0.1", 13)])
def test_the_number_of_statements_does_not_grow_with_the_batch(
    sessions: SessionFactory,
    make_server: Make,
    make_backend: Make,
    count_statements: Make,
    address: str,
    at_most: int,
) -> None:
    """Cards with other addresses than they had are written to pools and history as well."""
    backend = make_backend()
    servers = [make_server(backend=backend, state=OperState.BUILD) for _ in range(12)]
    for n, server in enumerate(servers):
        submit(sessions, server, states.CREATE, n)

    def heard(first: int, last: int) -> list[StatusEvent]:
        return [
            event(
                server,
                states.CREATE,
                "success",
                at=n,
                job=n,
                nics=(NicReport(0, f"aa:00:00:00:00:{n:02x}", address),),
            )
            for n, server in enumerate(servers)
            if first <= n < last
        ]

    with count_statements() as few:
        apply(sessions, *heard(0, 2))
    with count_statements() as many:
        apply(sessions, *heard(2, 12))
    assert len(many) == len(few) <= at_most


@pytest.fixture
def new_server(make_server: Make, make_user: Make, make_backend: Make, make_flavor: Make) -> Make:
    """Makes servers being built, of one user on one cluster."""
    whose = {"owner": make_user(), "backend": make_backend(), "flavor": make_flavor()}
    return functools.partial(make_server, state=OperState.BUILD, **whose)


@hypothesis_settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(histories.histories(), st.randoms(use_true_random=False))
def test_any_order_any_repeats_and_any_batches_end_alike(
    sessions: SessionFactory,
    new_server: Make,
    history: list[StatusEvent],
    chance: random.Random,
) -> None:
    ends = []
    straight = make_subject(sessions, new_server, history)
    for heard in history:
        apply_watched(sessions, straight, [heard])
    ends.append(end_of(sessions, straight))
    mixed = make_subject(sessions, new_server, history)
    shuffled = history + chance.choices(history, k=chance.randint(0, 6))
    chance.shuffle(shuffled)
    while shuffled:
        size = chance.randint(1, len(shuffled))
        apply_watched(sessions, mixed, shuffled[:size])
        shuffled = shuffled[size:]
    ends.append(end_of(sessions, mixed))
    assert ends[0] == ends[1]
    before = read(sessions, mixed)
    apply_watched(sessions, mixed, history)
    after = read(sessions, mixed)
    assert (after.version, after.updated) == (before.version, before.updated)


def make_subject(sessions: SessionFactory, new: Make, history: list[StatusEvent]) -> Server:
    """A server being built, with an operation for every opcode of every job in its history."""
    server: Server = new()
    for job_id, opcode in sorted({(heard.job_id, heard.opcode) for heard in history}):
        submit(sessions, server, opcode, job_id)
    return server


def apply_watched(sessions: SessionFactory, server: Server, events: list[StatusEvent]) -> None:
    """Apply; the version and the time of the last change move with what can be seen, only."""
    assert server.instance_name
    before = read(sessions, server)
    apply(sessions, *(e._replace(instance=server.instance_name) for e in events))
    after = read(sessions, server)
    seen = [(states.api_status(row), states.progress(row)) for row in (before, after)]
    moved = seen[0] != seen[1]
    assert after.version - before.version == int(moved)
    assert (after.updated != before.updated) is moved


def end_of(sessions: SessionFactory, server: Server) -> dict[str, Any]:
    names = (
        "state",
        "deleted",
        "state_time",
        "state_job_id",
        "job_time",
        "job_id",
        "job_opcode",
        "job_status",
        "job_log",
    )
    row = read(sessions, server)
    with unit_of_work(sessions, write=False) as session:
        operations = session.execute(
            sa.select(Operation.opcode, Operation.state, Operation.error, Operation.error_class)
            .where(Operation.server_id == server.id)
            .order_by(Operation.job_id, Operation.opcode)
        ).all()
    return {name: getattr(row, name) for name in names} | {
        "operations": [tuple(operation) for operation in operations]
    }
