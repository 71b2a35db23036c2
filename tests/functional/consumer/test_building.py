"""Progress, what image helpers say, clusters that change and heartbeats, over a real broker."""

import datetime as dt
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cloudweb.backend.amqp.messages import decode
from cloudweb.domain import building
from cloudweb.domain.building import ProgressEvent
from cloudweb.faults import ImpossibleMessage
from cloudweb.models import Backend, Diagnostic, OperState, Server, SessionFactory, unit_of_work
from tests.functional.consumer.conftest import Bus, Fleet, wait_until
from tests.functional.processes import running

Make = Callable[..., Any]
CONSUMER = "cloudweb.backend.amqp.consumer"
TIME = dt.datetime(2024, 5, 1, 12, 0, tzinfo=dt.UTC)


def said(server: Server, kind: str, second: int = 0, **more: Any) -> bytes:
    at = int(TIME.timestamp()) + second
    message = {"type": kind, "instance": server.instance_name, "event_time": [at, 0]}
    return json.dumps(message | more).encode()


def percentage(sessions: SessionFactory, server: Server) -> int:
    with unit_of_work(sessions, write=False) as session:
        return session.get_one(Server, server.id).build_percentage


def diagnostics(sessions: SessionFactory, server: Server) -> list[Diagnostic]:
    with unit_of_work(sessions, write=False) as session:
        query = sa.select(Diagnostic).where(Diagnostic.server_id == server.id)
        return list(session.scalars(query.order_by(Diagnostic.source_date)))


def test_what_helpers_say_is_written_down_once(
    bus: Bus, ini: Path, make_fleet: Make, sessions: SessionFactory
) -> None:
    fleet: Fleet = make_fleet(1)
    [server] = fleet.servers
    messages = [
        said(server, "image-copy-progress", 1, progress=47.3),
        said(server, "image-helper", 2, subtype="task-start", task="FixPartitionTable"),
        said(server, "image-copy-progress", 3, progress=112),
        said(
            server,
            "image-error",
            4,
            messages=["no", "space\x00 left"],
            stderr="dd: \x1b[31mfailed\nat once",
        ),
    ]
    bad = [
        said(server, "image-copy-progress", progress=-1),
        said(server, "image-copy-progress", progress="many"),
        said(server, "poem"),
        b"{",
    ]
    key = bus.queue("progress").keys[0]
    bus.publish(*reversed(messages), *bad, *messages, key=key)

    with running(CONSUMER, ini):
        wait_until(
            lambda: percentage(sessions, server) == 100,
            lambda: len(bus.dead_letters(sessions, "progress")) == len(bad),
        )

    assert bus.count(bus.queue("progress").name) == 0
    assert [letter.body for letter in bus.dead_letters(sessions, "progress")] == bad
    first, second = diagnostics(sessions, server)
    assert (first.level, first.source) == ("DEBUG", "image-helper-task-start")
    assert first.message == "FixPartitionTable"
    assert (second.level, second.source) == ("ERROR", "image-error")
    assert second.message == "no space  left"
    assert second.details == "dd:  [31mfailed\nat once"


def test_clusters_and_heartbeats_are_heard(
    bus: Bus, ini: Path, make_fleet: Make, sessions: SessionFactory
) -> None:
    fleet: Fleet = make_fleet(1)
    name = fleet.backend.name
    for cluster in (name, "nobody.example.org"):
        bus.publish(
            json.dumps({"type": "eventd-heartbeat", "cluster": cluster, "tag": "a:1"}).encode(),
            json.dumps(
                {"type": "ganeti-cluster-status", "cluster": cluster, "event_time": [1, 0]}
            ).encode(),
            key=bus.queue("cluster").keys[0],
        )

    def heard() -> bool:
        with unit_of_work(sessions, write=False) as session:
            return session.get_one(Backend, fleet.backend.id).heartbeat == "a:1"

    with running(CONSUMER, ini):
        wait_until(heard, lambda: bus.count(bus.queue("cluster").name) == 0)
    assert bus.dead_letters(sessions, "cluster") == []


def test_in_any_order_and_however_often_progress_ends_the_same(
    sessions: SessionFactory, make_server: Make
) -> None:
    ends = set()
    for order in itertools.permutations((10, 80, 45)):
        server = make_server(state=OperState.BUILD)
        name = server.instance_name or ""
        for percent in (*order, *order):
            with unit_of_work(sessions) as session:
                building.apply_progress(session, [ProgressEvent(name, TIME, percent)])
        ends.add(percentage(sessions, server))
    assert ends == {80}


def test_progress_moves_the_version_only_while_it_shows(
    sessions: SessionFactory, make_server: Make
) -> None:
    for state, moves in ((OperState.BUILD, 1), (OperState.STARTED, 0)):
        server = make_server(state=state)
        event = ProgressEvent(server.instance_name or "", TIME, 50)
        for _ in range(2):
            with unit_of_work(sessions) as session:
                building.apply_progress(session, [event])
        with unit_of_work(sessions, write=False) as session:
            assert session.get_one(Server, server.id).version == server.version + moves


def test_a_deleted_server_hears_nothing_more(sessions: SessionFactory, make_server: Make) -> None:
    server = make_server(state=OperState.DESTROYED, deleted=True)
    with unit_of_work(sessions) as session:
        event = ProgressEvent(server.instance_name or "", TIME, 50)
        assert building.apply_progress(session, [event]) == ["stale"]


@pytest.mark.parametrize("batch", [1, 100])
def test_a_batch_takes_a_constant_number_of_statements(
    sessions: SessionFactory, make_server: Make, count_statements: Make, batch: int
) -> None:
    server = make_server(state=OperState.BUILD)
    report = building.DiagnosticReport("INFO", "image-info", "so")
    events = [
        ProgressEvent(server.instance_name or "", TIME + dt.timedelta(seconds=n), n % 100, report)
        for n in range(1, batch + 1)
    ]
    with count_statements() as counter, unit_of_work(sessions) as session:
        building.apply_progress(session, events)
    assert len(counter) <= 8


@pytest.mark.parametrize(
    ("changes", "percent"),
    [
        ({"rprogress": 12.34, "wprogress": 10.0}, 12),
        ({"wprogress": 100.0}, 100),
        ({}, 0),
    ],
)
def test_agents_of_old_tell_progress_too(changes: dict[str, float], percent: int) -> None:
    message = {"type": "ganeti-create-progress", "instance": "snf-1"} | changes
    event = decode(json.dumps(message).encode())
    assert isinstance(event, ProgressEvent)
    assert event.percent == percent


@pytest.mark.parametrize(
    "message",
    [
        {"type": "image-info"},
        {"type": "image-info", "instance": 7},
        {"type": "image-info", "instance": "snf-1", "event_time": [1]},
        {"type": "eventd-heartbeat"},
        {"type": "eventd-heartbeat", "cluster": "c", "tag": 5},
        {"type": "ganeti-cluster-status", "cluster": ""},
        {"type": ["image-info"]},
    ],
)
def test_what_is_no_message_is_told_why(message: dict[str, Any]) -> None:
    with pytest.raises(ImpossibleMessage):
        decode(json.dumps(message).encode())
