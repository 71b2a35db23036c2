"""The queues page: how full they are, and what is decided about dead letters."""

import dataclasses
import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.domain import consumers, dead_letters
from cloudweb.domain.dead_letters import Letter
from cloudweb.models import (
    DeadLetter,
    EventSource,
    LetterState,
    Role,
    SessionFactory,
    unit_of_work,
    utc_now,
)
from cloudweb.settings import Settings
from tests.applications import application

Make = Callable[..., Any]
HEARTBEAT = b'{"type": "eventd-heartbeat", "cluster": "nobody"}'


def bury(sessions: SessionFactory, body: bytes, reason: str = "It is no JSON.") -> int:
    with unit_of_work(sessions) as session:
        before = session.scalar(sa.select(sa.func.count()).select_from(DeadLetter))
        name = f"{before:036}"
        dead_letters.keep(session, [Letter(name, "snf-events-op", "key", body, reason)])
        found: int = session.scalar(sa.select(sa.func.max(DeadLetter.id)))
        return found


def state_of(sessions: SessionFactory, letter_id: int) -> tuple[LetterState, int]:
    with unit_of_work(sessions, write=False) as session:
        letter = dead_letters.get(session, letter_id)
        return letter.state, letter.tries


def test_queues_and_letters_are_shown_and_nothing_of_them_is_markup(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory
) -> None:
    sign_in(Role.VIEWER)
    assert "No broker is configured" in app.get("/admin/queues")
    letter_id = bury(sessions, b"<script>alert(1)</script>\x00\xff", "<b>bad</b>")
    with unit_of_work(sessions) as session:
        dead_letters.note_counts(session, {"snf-events-op": (1234, 2)})

    page = app.get("/admin/queues")
    assert "1,234" in page.text or "1 234" in page.text or "1234" in page.text
    assert "<b>bad</b>" not in page
    one = app.get(f"/admin/queues/letters/{letter_id}")
    assert "<script>alert" not in one
    assert "Try again" not in one, "a viewer decides nothing"
    app.get("/admin/queues/letters/999999", status=404)
    assert "1 message" in app.get("/admin/")


def test_an_operator_tries_again_and_drops(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory
) -> None:
    sign_in(Role.OPERATOR)
    good, bad = bury(sessions, HEARTBEAT), bury(sessions, b"{")

    page = app.get(f"/admin/queues/letters/{good}").click("Try again")
    assert "It was applied." in page.forms[1].submit(status=303).follow()
    assert "It was applied." in page.forms[1].submit(status=303).follow()
    assert state_of(sessions, good) == (LetterState.APPLIED, 2)
    assert "It is applied already" in app.get(f"/admin/queues/letters/{good}/retry")

    page = app.get(f"/admin/queues/letters/{bad}").click("Try again")
    stale = app.get(f"/admin/queues/letters/{bad}/drop").forms[1]
    assert "still could not" in page.forms[1].submit(status=303).follow()
    assert state_of(sessions, bad) == (LetterState.WAITING, 2)
    stale["reason"], stale["phrase"] = "Sent by mistake.", f"drop letter {bad}"
    assert "was 1 time" in stale.submit(status=409), "it was tried meanwhile"
    form = app.get(f"/admin/queues/letters/{bad}").click("Drop").forms[1]
    assert "Say why" in form.submit(status=400)
    form["reason"], form["phrase"] = "Sent by mistake.", f"drop letter {bad}"
    assert "Sent by mistake." in form.submit(status=303).follow()
    assert state_of(sessions, bad) == (LetterState.DROPPED, 2)


@pytest.mark.parametrize("role", [Role.HELPDESK, Role.FLAVOR_MANAGER])
def test_whom_messages_are_not_for_is_told_of_them_and_led_nowhere(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, role: Role
) -> None:
    letter_id = bury(sessions, b"{")
    sign_in(role)
    assert "1 message could not be applied" in app.get("/admin/").html.text.replace("\n", " ")
    for page in ("/admin/", "/admin/operations", "/admin/audit"):
        assert "/admin/queues" not in app.get(page)
    for path in ("", "/letters", "/letters.csv", f"/letters/{letter_id}"):
        assert "viewer" in app.get(f"/admin/queues{path}", status=403)


@pytest.mark.parametrize("verb", ["retry", "drop"])
def test_a_viewer_and_a_forger_decide_nothing(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, verb: str
) -> None:
    letter_id = bury(sessions, b"{")
    path = f"/admin/queues/letters/{letter_id}/{verb}"
    sign_in(Role.OPERATOR)
    app.post(path, {"reason": "no token"}, status=400)
    sign_in(Role.VIEWER)
    token = app.get("/admin/").forms[0]["csrf_token"].value
    app.post(path, {"reason": "x", "csrf_token": token}, status=403)
    assert state_of(sessions, letter_id) == (LetterState.WAITING, 1)


def test_a_silent_consumer_needs_somebody(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory
) -> None:
    sign_in(Role.VIEWER)
    with unit_of_work(sessions) as session:
        dead_letters.note_counts(session, {"snf-events-op": (0, 1)})
        session.execute(sa.text("UPDATE queue_counts SET noted = '2020-01-01 00:00:00'"))
    assert "No consumer looks at" in app.get("/admin/")


def test_failures_are_counted_by_kind_of_error_and_lead_to_their_letters(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory
) -> None:
    said = b'{"type": "ganeti-op-status", "operation": "OP_X", "cluster": "gnt.example.org"}'
    kinds = ["ImpossibleMessage", "ImpossibleMessage", "KeyError", "GivenUp", "OldError"]
    with unit_of_work(sessions) as session:
        letters = [
            Letter(f"{n:036}", "snf-events-op", "key", said, "so", kind=kind)
            for n, kind in enumerate(kinds)
        ]
        dead_letters.keep(session, letters)
        rows = session.scalars(sa.select(DeadLetter).order_by(DeadLetter.id)).all()
        rows[1].received -= dt.timedelta(hours=2)
        rows[1].state = LetterState.DROPPED
        rows[4].received -= dt.timedelta(hours=25)
    sign_in(Role.VIEWER)
    page = app.get("/admin/queues")
    shown = [
        [cell.text.strip() for cell in row.find_all(["th", "td"])]
        for row in page.html.find_all(id=re.compile("^failure-"))
    ]
    assert shown == [
        ["Says what cannot be", "1", "2", "1"],
        ["Given up by the broker", "1", "1", "1"],
        ["KeyError", "1", "1", "1"],
    ]
    listed = page.click("Says what cannot be")
    assert len(listed.html.find_all("code", string="ganeti-op-status OP_X")) == 2
    assert "gnt.example.org" in listed
    rows = app.get("/admin/queues/letters.json?filter=backend=gnt.example.org,kind=KeyError").json
    assert [row["event"] for row in rows] == ["ganeti-op-status OP_X"]


def test_how_far_behind_each_cluster_is_is_told_by_who_heard_last(
    settings: Settings,
    sessions: SessionFactory,
    sign_in: Make,
    make_backend: Make,
    app: webtest.TestApp,
) -> None:
    backend = make_backend(event_source=EventSource.AGENTS)
    silent = make_backend(event_source=EventSource.AGENTS)
    earlier, later = utc_now() - dt.timedelta(minutes=1), utc_now()
    with unit_of_work(sessions) as session:
        for name, lag_s, at in (("a:1", 60.0, earlier), ("b:2", 0.25, later), ("c:3", None, None)):
            lags = {backend.name: (lag_s, at.isoformat())} if at is not None else None
            consumers.note(session, name, broker="rabbit", lags=lags)
    sign_in(Role.VIEWER)
    configured = dataclasses.replace(settings, amqp_hosts=("amqp://guest:x@rabbit:5672/",))
    there = webtest.TestApp(application(configured, sessions=sessions), cookiejar=app.cookiejar)
    page = there.get("/admin/queues").html
    assert "0.2 s" in page.find(id=f"cluster-{backend.id}").text
    assert not page.find(id=f"cluster-{silent.id}").find(string=re.compile(r"\d s"))
    assert "Each message of the last 24 hours could be applied" in page.text


CONSUMER = {"messages": 1234, "per_second": 2.5, "redelivered": 3, "lag_s": 0.4, "unacked": 7}


def test_no_broker_configured_a_broker_down_and_no_consumer_are_told_apart(
    settings: Settings, sessions: SessionFactory, sign_in: Make, app: webtest.TestApp
) -> None:
    sign_in(Role.VIEWER)
    assert "No broker is configured" in app.get("/admin/queues")
    configured = dataclasses.replace(settings, amqp_hosts=("amqp://guest:x@rabbit:5672/",))
    there = webtest.TestApp(application(configured, sessions=sessions), cookiejar=app.cookiejar)
    page = there.get("/admin/queues")
    assert "No broker is configured" not in page
    assert "No consumer runs" in page
    with unit_of_work(sessions) as session:
        now = utc_now()
        consumers.note(session, "a:1", broker="", broker_since=now, error="refused", **CONSUMER)
    page = there.get("/admin/queues")
    assert "The broker is down since" in page
    assert "refused" in page
    with unit_of_work(sessions) as session:
        consumers.note(session, "a:1", broker="rabbit", error="", outcomes={"applied": 1200})
    page = there.get("/admin/queues").html
    row = page.find(id="consumer-1").text
    for words in ("a:1", "Listening", "rabbit since", "1,234", "2.5", "7", "3", "0.4 s"):
        assert words in row
    assert "applied 1,200" in page.main.text
    assert "The broker is down" not in page.main.text


def test_an_operator_pauses_the_consumers_and_everybody_sees_it(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory
) -> None:
    with unit_of_work(sessions) as session:
        consumers.note(session, "a:1", broker="rabbit")
    operator = sign_in(Role.OPERATOR)
    form = app.get("/admin/queues").click("Pause…").forms[1]
    assert "Say why" in form.submit(status=400)
    form["reason"] = "A new broker"
    page = form.submit(status=303).follow()
    assert "A new broker" in page
    assert operator.user.email in page.html.main.text
    assert "Paused" in page.html.find(id="consumer-1").text
    assert "paused already" in app.get("/admin/queues/pause")
    assert "A new broker" in app.get("/admin/")
    sign_in(Role.VIEWER)
    assert "Resume" not in app.get("/admin/queues")
    app.get("/admin/queues/resume", status=403)
    sign_in(Role.OPERATOR)
    page = app.get("/admin/queues").click("Resume…").forms[1].submit(status=303).follow()
    assert "Listening" in page.html.find(id="consumer-1").text
