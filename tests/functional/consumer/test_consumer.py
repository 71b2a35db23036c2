"""The consumer as a process of its own: what it hears, what it refuses, how it ends."""

import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pika
import pytest

from cloudweb.backend.agents.messages import network_status
from cloudweb.backend.amqp import batch
from cloudweb.backend.amqp.batch import Delivery
from cloudweb.backend.ganeti.jobs import Job, JobOp
from cloudweb.domain import hearing, operations, states
from cloudweb.domain.identity import system
from cloudweb.models import (
    BackendNetwork,
    Network,
    Operation,
    OperationState,
    OperState,
    SessionFactory,
    unit_of_work,
)
from cloudweb.settings import Settings
from tests.functional.consumer.conftest import Bus, Fleet, wait_until
from tests.functional.processes import end, running, wait_for, write_ini
from tests.ports import free_port

CONSUMER = "cloudweb.backend.amqp.consumer"
DYING = "tests.functional.consumer.dying"

Make = Callable[..., Any]


def run_to_its_end(ini: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", CONSUMER, str(ini)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def test_what_clusters_say_is_written_down(bus: Bus, ini: Path, make_fleet: Make) -> None:
    fleet: Fleet = make_fleet(12)
    bus.publish(*fleet.history())
    with running(CONSUMER, ini):
        wait_until(fleet.is_finished, bus.is_done)
    assert bus.count() == 0
    assert bus.dead_letters(fleet.sessions) == []


def test_everything_twice_and_in_reverse_order_ends_the_same(
    bus: Bus, ini: Path, make_fleet: Make
) -> None:
    fleet: Fleet = make_fleet(12)
    bus.publish(*reversed(fleet.history()), *reversed(fleet.history()))
    with running(CONSUMER, ini) as process:
        wait_until(fleet.is_finished)
        before = fleet.versions()
        bus.publish(*reversed(fleet.history()))
        wait_until(bus.is_done)
        assert end(process) == 0
    assert bus.count() == 0
    assert fleet.versions() == before


def test_two_consumers_do_nothing_twice(bus: Bus, ini: Path, make_fleet: Make) -> None:
    fleet: Fleet = make_fleet(30)
    bus.publish(*fleet.history(), *fleet.history())
    with running(CONSUMER, ini), running(CONSUMER, ini):
        wait_until(fleet.is_finished, bus.is_done)
    assert bus.count() == 0
    # Built and shut down are at most two changes that can be seen.
    assert all(version <= 2 + n % 2 for n, (version, _) in enumerate(fleet.versions()))


@pytest.mark.parametrize("where", ["commit", "acknowledge"])
def test_killed_in_the_middle_of_a_batch(bus: Bus, ini: Path, make_fleet: Make, where: str) -> None:
    fleet: Fleet = make_fleet(2)
    bus.publish(*fleet.history())
    with running(DYING, ini, where) as process:
        assert process.wait(20) == -signal.SIGKILL
    stored = [version for version, _ in fleet.versions()]
    assert stored == ([2, 2] if where == "acknowledge" else [1, 1])
    wait_for(lambda: bus.count() == len(fleet.history()))
    with running(CONSUMER, ini):
        wait_until(fleet.is_finished, bus.is_done)
    assert bus.count() == 0
    assert [version for version, _ in fleet.versions()] == [2, 3]


def test_what_makes_no_sense_goes_to_the_dead_letters(
    bus: Bus, ini: Path, make_fleet: Make
) -> None:
    fleet: Fleet = make_fleet(1)
    server = fleet.servers[0]
    bad = {
        b"{": "not JSON",
        b"[]": "not a JSON object",
        b"\xff\xfe": "not JSON",
        b"[" * 100_000: "not JSON",
        fleet.message(server, states.CREATE, "success", type="foo"): "type",
        fleet.message(server, states.CREATE, "success", event_time=None): "event_time",
        fleet.message(server, states.CREATE, "success", status="finished"): "no job status",
        fleet.message(server, states.CREATE, "success", event_time=[2**33, 0]): "future",
    }
    good = fleet.history()
    bus.publish(good[0], *bad, *good[1:])
    with running(CONSUMER, ini):
        wait_until(
            fleet.is_finished,
            lambda: len(bus.dead_letters(fleet.sessions)) == len(bad),
            bus.is_done,
        )
    letters = bus.dead_letters(fleet.sessions)
    assert [letter.body for letter in letters] == list(bad)
    for letter, expected in zip(letters, bad.values(), strict=True):
        assert expected in letter.reason
    assert bus.count(bus.topology.operations.dead) == 0
    assert bus.count() == 0


def test_what_is_not_ours_is_acknowledged(bus: Bus, ini: Path, make_fleet: Make) -> None:
    fleet: Fleet = make_fleet(1)
    stranger = fleet.message(fleet.servers[0], states.CREATE, "success", instance="web1")
    elsewhere = fleet.message(fleet.servers[0], states.CREATE, "success", cluster="elsewhere")
    bus.publish(stranger, elsewhere, *fleet.history())
    with running(CONSUMER, ini):
        wait_until(fleet.is_finished, bus.is_done)
    assert bus.count() == 0
    assert bus.dead_letters(fleet.sessions) == []


def test_a_message_that_cannot_be_applied_harms_no_other(
    sessions: SessionFactory, make_fleet: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet: Fleet = make_fleet(3)
    poison = fleet.servers[1].instance_name
    apply = hearing.apply_statuses

    def trip(session: Any, events: Any) -> Any:
        if any(event.instance == poison for event in events):
            raise RuntimeError("what nobody thought of")
        return apply(session, events)

    monkeypatch.setattr(hearing, "apply_statuses", trip)
    bodies = [fleet.message(server, states.CREATE, "success") for server in fleet.servers]
    verdict = batch.apply(
        sessions,
        [
            Delivery(n, "queue", "key", pika.BasicProperties(), body)
            for n, body in enumerate(bodies)
        ],
    )
    assert verdict.outcomes == {"applied": 2}
    (letter,) = verdict.dead
    assert letter.delivery.tag == 1
    assert letter.reason == "RuntimeError('what nobody thought of')"
    assert "Traceback" in letter.traceback
    built = [OperState.STARTED, OperState.BUILD, OperState.BUILD, OperState.STARTED]
    assert [row[1] for row in fleet.effects()] == built


def test_what_is_said_of_a_network_ends_its_operation(
    sessions: SessionFactory, make_backend: Make, public_network: Network
) -> None:
    backend = make_backend()
    with unit_of_work(sessions) as session:
        made = BackendNetwork(network_id=public_network.id, backend_id=backend.id, name="snf-net-1")
        session.add(made)
        operation = operations.enqueue_network(session, system("cli"), made, states.ADD_NETWORK)
        operation.state, operation.job_id = OperationState.SUBMITTED, 7
    op = JobOp(states.ADD_NETWORK, None, "success", input={"network_name": "snf-net-1"})
    said = network_status(Job(7, "success", (op,)), op, backend.name)
    letter = Delivery(1, "queue", said.routing_key, pika.BasicProperties(), said.body)
    assert batch.apply(sessions, [letter]).outcomes == {"applied": 1}
    assert batch.apply(sessions, [letter]).outcomes == {"not ours": 1}
    with unit_of_work(sessions, write=False) as session:
        assert session.get_one(Operation, operation.id).state is OperationState.SUCCESS


def test_sigterm_ends_it_cleanly(bus: Bus, ini: Path, make_fleet: Make) -> None:
    fleet: Fleet = make_fleet(10)
    with running(CONSUMER, ini) as process:
        bus.publish(*fleet.history())
        wait_until(fleet.is_finished, bus.is_done)
        assert end(process) == 0
    assert bus.count() == 0


def test_sigterm_in_the_middle_leaves_the_rest_to_the_next(
    bus: Bus, ini: Path, make_fleet: Make
) -> None:
    fleet: Fleet = make_fleet(10)
    bus.publish(*fleet.history() * 20)
    with running(CONSUMER, ini) as process:
        wait_until(lambda: any(row[3] for row in fleet.effects()))
        assert end(process) == 0
    assert bus.count() > 0
    assert bus.count() % 10 == 0  # a batch is finished and acknowledged as a whole


def test_without_a_broker_to_listen_to_it_says_so(tmp_path: Path, settings: Settings) -> None:
    done = run_to_its_end(write_ini(tmp_path, settings, amqp_hosts=()))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: Setting cloudweb.amqp_hosts names no broker to listen to.\n"


def test_a_queue_of_another_kind_is_one_clear_sentence(
    bus: Bus, tmp_path: Path, settings: Settings, amqp_url: str, prefix: str
) -> None:
    ini = write_ini(
        tmp_path,
        settings,
        instance_prefix=f"{prefix}-",
        amqp_hosts=(amqp_url,),
        amqp_queue_type="classic",
    )
    done = run_to_its_end(ini)
    assert done.returncode == 1
    assert f"Queue '{prefix}-events-op-dl' is on the broker already" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_tries_every_host_and_counts(
    bus: Bus, tmp_path: Path, settings: Settings, make_fleet: Make, amqp_url: str, prefix: str
) -> None:
    port = free_port()
    ini = write_ini(
        tmp_path,
        settings,
        instance_prefix=f"{prefix}-",
        amqp_hosts=("amqp://guest:guest@127.0.0.1:1/", amqp_url),
        consumer_metrics_port=port,
    )
    fleet: Fleet = make_fleet(2)
    bus.publish(b"{", *fleet.history())
    with running(CONSUMER, ini):
        wait_until(fleet.is_finished)

        def figures() -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                text: str = answer.read().decode()
                return text

        wait_for(lambda: 'outcome="dead letter"} 1.0' in figures())
        assert 'cloudweb_consumer_messages_total{outcome="applied"} 12.0' in figures()
        assert "cloudweb_consumer_connected 1.0" in figures()
        assert "cloudweb_consumer_batch_seconds_count" in figures()
