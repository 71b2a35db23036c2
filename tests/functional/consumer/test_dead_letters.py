"""Dead letters: kept once, tried again, dropped by decision, and never let go otherwise."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pika
import pytest
import sqlalchemy as sa

from cloudweb import faults
from cloudweb.backend.agents.messages import Message
from cloudweb.backend.agents.publisher import Publisher
from cloudweb.backend.amqp.batch import Delivery
from cloudweb.backend.amqp.link import LETTER, letter_of
from cloudweb.backend.amqp.retrying import retry
from cloudweb.domain import dead_letters, identity, states
from cloudweb.domain.dead_letters import Letter
from cloudweb.models import (
    AuditEntry,
    DeadLetter,
    LetterState,
    OperState,
    Server,
    SessionFactory,
    unit_of_work,
)
from tests.functional.consumer.conftest import Bus, Fleet, wait_until
from tests.functional.processes import running

Make = Callable[..., Any]
CONSUMER = "cloudweb.backend.amqp.consumer"
DYING = "tests.functional.consumer.dying"
CLI = identity.system("cli")


def letter(body: bytes = b"{", **changes: str) -> Letter:
    values = {"letter": "a" * 36, "queue": "snf-events-op", "routing_key": "key", "reason": "so"}
    return Letter(**(values | changes), body=body)


def keep(sessions: SessionFactory, *letters: Letter) -> list[DeadLetter]:
    with unit_of_work(sessions) as session:
        dead_letters.keep(session, letters)
    with unit_of_work(sessions, write=False) as session:
        return list(session.scalars(sa.select(DeadLetter).order_by(DeadLetter.id)))


def test_a_letter_that_comes_twice_is_kept_once(sessions: SessionFactory) -> None:
    keep(sessions, letter(), letter())
    assert len(keep(sessions, letter(), letter(letter="b" * 36))) == 2


def test_a_letter_is_kept_whatever_it_holds(sessions: SessionFactory) -> None:
    body = bytes(range(256)) * 4096
    [kept] = keep(
        sessions,
        letter(body, routing_key="k" * 900, reason="\x00\ud800" * 900, traceback="\x1b" * 9000),
    )
    assert kept.body == body
    assert kept.reason.startswith("��")


def test_what_the_broker_gave_up_is_the_same_letter_each_time() -> None:
    given_up = Delivery(1, "snf-events-op-dl", "key", pika.BasicProperties(), b"x")
    assert letter_of(given_up).letter == letter_of(given_up).letter
    assert "gave it up" in letter_of(given_up).reason
    ours = Delivery(
        1, "snf-events-op-dl", "key", pika.BasicProperties(headers={LETTER: "c" * 36}), b"x"
    )
    assert letter_of(ours).letter == "c" * 36
    assert letter_of(ours).queue == "snf-events-op"


def test_after_what_was_wrong_is_mended_a_retry_applies_it(
    sessions: SessionFactory, make_fleet: Make
) -> None:
    fleet: Fleet = make_fleet(1)
    server = fleet.servers[0]
    [kept] = keep(sessions, letter(fleet.message(server, states.CREATE, "success")))

    with unit_of_work(sessions) as session:
        assert retry(session, CLI, kept.id)

    with unit_of_work(sessions, write=False) as session:
        assert session.get_one(Server, server.id).state is OperState.STARTED
        now = session.get_one(DeadLetter, kept.id)
        assert (now.state, now.tries) == (LetterState.APPLIED, 2)
        actions = session.scalars(sa.select(AuditEntry.action)).all()
    assert "letter:retry" in actions
    with unit_of_work(sessions) as session, pytest.raises(faults.Conflict):
        retry(session, CLI, kept.id)


def test_what_still_cannot_be_applied_stays_with_the_newest_reason(
    sessions: SessionFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    [kept] = keep(sessions, letter(b"[]"))
    with unit_of_work(sessions) as session:
        assert not retry(session, CLI, kept.id)

    def fail(*_arguments: object) -> None:
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr("cloudweb.backend.amqp.retrying.check", fail)
    [other] = keep(
        sessions,
        letter(json.dumps({"type": "eventd-heartbeat", "cluster": "c"}).encode(), letter="b" * 36),
    )[1:]
    with unit_of_work(sessions) as session:
        assert not retry(session, CLI, other.id)

    with unit_of_work(sessions, write=False) as session:
        first, second = session.scalars(sa.select(DeadLetter).order_by(DeadLetter.id))
    assert (first.state, first.tries) == (LetterState.WAITING, 2)
    assert "not a JSON object" in first.reason
    assert "nobody foresaw this" in second.reason
    assert "RuntimeError" in second.traceback


@pytest.mark.parametrize("reason", ["", "  ", "x" * 256, "a\x1bb"])
def test_dropping_needs_a_reason(sessions: SessionFactory, reason: str) -> None:
    [kept] = keep(sessions, letter())
    with unit_of_work(sessions) as session, pytest.raises(faults.BadRequest):
        dead_letters.drop(session, CLI, kept.id, reason=reason)


def test_the_consumer_moves_what_dies_into_the_database(
    bus: Bus, ini: Path, make_fleet: Make
) -> None:
    fleet: Fleet = make_fleet(2)
    bus.publish(b"{", *fleet.history(), b"{")
    with running(CONSUMER, ini):
        wait_until(
            fleet.is_finished,
            lambda: len(bus.dead_letters(fleet.sessions)) == 2,
            lambda: _counted(fleet.sessions) == set(bus.topology.names),
        )
    assert bus.count(bus.topology.operations.dead) == 0


def test_a_letter_buried_by_a_consumer_that_died_is_kept_once(
    bus: Bus, ini: Path, sessions: SessionFactory
) -> None:
    agent = Publisher([bus.url])
    agent.start()
    agent.put(Message(bus.topology.operations.keys[0], b"{"))
    assert agent.stop()
    with running(DYING, ini, "acknowledge") as dying:
        assert dying.wait(timeout=20) == -signal.SIGKILL
    assert bus.count(bus.topology.operations.dead) == 1
    with running(CONSUMER, ini):
        wait_until(lambda: bus.dead_letters(sessions) != [], bus.is_done)
        wait_until(lambda: bus.count(bus.topology.operations.dead) == 0)
    assert len(bus.dead_letters(sessions)) == 1


def _counted(sessions: SessionFactory) -> set[str]:
    with unit_of_work(sessions, write=False) as session:
        return {count.name for count in dead_letters.list_counts(session)}
