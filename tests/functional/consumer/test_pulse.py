"""What a consumer tells of itself, and that it rests while somebody has it rest."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloudweb import faults
from cloudweb.domain import consumers, identity, states
from cloudweb.domain.consumers import ConsumerState
from cloudweb.models import ConsumerProcess, SessionFactory, unit_of_work, utc_now
from cloudweb.settings import Settings
from tests.functional.consumer.conftest import Bus, Fleet
from tests.functional.processes import end, running, wait_for, write_ini

CONSUMER = "cloudweb.backend.amqp.consumer"
CLI = identity.system("cli")
Make = Callable[..., Any]


def told(sessions: SessionFactory) -> list[tuple[ConsumerProcess, ConsumerState]]:
    with unit_of_work(sessions, write=False) as session:
        pause = consumers.find_pause(session)
        return [(each, consumers.state_of(each, pause)) for each in consumers.list_all(session)]


def test_a_consumer_tells_of_itself_and_is_gone_when_it_ends(
    bus: Bus, ini: Path, sessions: SessionFactory
) -> None:
    with running(CONSUMER, ini) as process:
        [(row, state)] = wait_for(lambda: told(sessions))
        assert state is ConsumerState.LISTENING
        assert row.name.endswith(f":{process.pid}")
        assert row.broker
        assert row.broker_since is not None
        assert (row.error, row.messages) == ("", 0)
        assert end(process) == 0
    assert told(sessions) == []


def test_it_tells_how_far_behind_each_cluster_is_and_how_each_message_failed(
    bus: Bus, ini: Path, sessions: SessionFactory, make_fleet: Make
) -> None:
    fleet: Fleet = make_fleet(1)
    good = fleet.message(fleet.servers[0], states.CREATE, "queued")
    impossible = fleet.message(fleet.servers[0], states.CREATE, "running", jobId="7")
    bus.publish(good, impossible, b"{")
    with running(CONSUMER, ini):
        wait_for(lambda: len(bus.dead_letters(sessions)) == 2)
        wait_for(lambda: told(sessions)[0][0].lags, timeout_s=30)
        [(row, _)] = told(sessions)
    found = consumers.lags([row])[fleet.backend.name]
    assert found.seconds > dt.timedelta(days=30).total_seconds(), "the event is of long ago"
    letters = {each.kind: (each.cluster, each.event) for each in bus.dead_letters(sessions)}
    assert letters == {
        "ImpossibleMessage": (fleet.backend.name, f"ganeti-op-status {states.CREATE}"),
        "UnreadableMessage": ("", ""),
    }


def test_without_a_broker_it_says_that_there_is_none(
    tmp_path: Path, settings: Settings, sessions: SessionFactory
) -> None:
    ini = write_ini(tmp_path, settings, amqp_hosts=("amqp://nobody:x@127.0.0.1:1/%2f",))
    with running(CONSUMER, ini):
        [(row, state)] = wait_for(lambda: told(sessions))
    assert state is ConsumerState.NO_BROKER
    assert row.error
    assert row.broker_since is not None


def test_while_it_is_paused_messages_wait_and_then_are_applied(
    bus: Bus, ini: Path, sessions: SessionFactory
) -> None:
    with unit_of_work(sessions) as session:
        consumers.pause(session, CLI, reason="a new broker")
    bus.publish(b"{")
    with running(CONSUMER, ini) as process:
        [(_, state)] = wait_for(lambda: told(sessions))
        assert state is ConsumerState.PAUSED
        wait_for(lambda: bus.count() == 0)
        end(process)
    assert bus.count() == 1, "it was handed the message, and gave it back"
    with running(CONSUMER, ini):
        wait_for(lambda: told(sessions))
        with unit_of_work(sessions) as session:
            consumers.resume(session, CLI)
        wait_for(lambda: bus.dead_letters(sessions))


def test_a_consumer_long_silent_is_down_and_then_forgotten(sessions: SessionFactory) -> None:
    with unit_of_work(sessions) as session:
        consumers.note(session, "old:1", broker="rabbit")
        consumers.note(session, "new:2", broker="rabbit", messages=7)
    [_, (old, state)] = told(sessions)
    assert (old.name, state) == ("old:1", ConsumerState.LISTENING)
    for silent, wanted in ((dt.timedelta(minutes=3), 2), (dt.timedelta(days=2), 1)):
        with unit_of_work(sessions) as session:
            session.get_one(ConsumerProcess, "old:1").noted = utc_now() - silent
        if wanted == 2:
            assert told(sessions)[1][1] is ConsumerState.DOWN
        with unit_of_work(sessions) as session:
            consumers.note(session, "new:2", messages=8)
        assert len(told(sessions)) == wanted


def test_pausing_twice_and_resuming_what_listens_is_refused(sessions: SessionFactory) -> None:
    with unit_of_work(sessions) as session, pytest.raises(faults.Conflict):
        consumers.resume(session, CLI)
    with unit_of_work(sessions) as session:
        consumers.pause(session, CLI, reason="a new broker")
    with unit_of_work(sessions) as session, pytest.raises(faults.Conflict):
        consumers.pause(session, CLI, reason="another")
