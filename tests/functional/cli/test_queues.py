"""``cloudweb queue``: what waits, and what is decided about dead letters."""

import orjson

from cloudweb.domain import dead_letters
from cloudweb.domain.dead_letters import Letter
from cloudweb.models import SessionFactory, unit_of_work
from tests.functional.cli.conftest import Terminal


def bury(sessions: SessionFactory, *bodies: bytes) -> list[int]:
    with unit_of_work(sessions) as session:
        dead_letters.keep(
            session,
            [
                Letter(f"{n:036}", "snf-events-op", "ganeti.snf.event.op", body, "It is no JSON.")
                for n, body in enumerate(bodies)
            ],
        )
        return [row.id for row in reversed(dead_letters.list_recent(session))]


def test_letters_are_listed_inspected_retried_and_dropped(
    cli: Terminal, sessions: SessionFactory
) -> None:
    first, second = bury(sessions, b"{", b'{"type": "eventd-heartbeat", "cluster": "nobody"}')

    listed = cli.json("queue", "letters")
    assert [row["id"] for row in listed] == [second, first]
    assert cli.json("queue", "inspect", str(first))["body"] == "{"
    assert "It is no JSON." in cli("queue", "letters")

    [counted] = cli.json("queue", "errors")
    assert counted == {"kind": "", "last_hour": 2, "last_day": 2, "waiting": 2}

    tried = cli.run("queue", "retry", "--all", "--json")
    assert tried.exit_code == 1
    outcome = orjson.loads(tried.stdout)
    assert [(row["id"], row["applied"]) for row in outcome] == [(first, False), (second, True)]

    assert cli.run("queue", "drop", first).exit_code == 2, "a reason is required"
    cli("queue", "drop", str(first), "--reason", "Sent by a test.", "--yes")
    assert cli.json("queue", "letters") == []
    states = [row["state"] for row in cli.json("queue", "letters", "--all")]
    assert states == ["applied", "dropped"]
    assert "dropped already" in cli.refusal("queue", "retry", first)
    assert "No dead letter" in cli.refusal("queue", "inspect", 999)


def test_queues_are_shown_as_a_consumer_saw_them(cli: Terminal, sessions: SessionFactory) -> None:
    with unit_of_work(sessions) as session:
        dead_letters.note_counts(session, {"snf-events-op": (7, 1)})
        dead_letters.note_counts(session, {"snf-events-op": (3, 2), "snf-events-net": (0, 2)})

    rows = cli.json("queue", "list")

    assert [(r["name"], r["waiting"], r["consumers"]) for r in rows] == [
        ("snf-events-net", 0, 2),
        ("snf-events-op", 3, 2),
    ]
