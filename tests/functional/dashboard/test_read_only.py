"""A database that takes no changes: pages open and say so, changes are refused and do nothing."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
import webtest

from cloudweb.models import Backend, Role, SessionFactory, WebSession, unit_of_work, utc_now
from tests.refusing import takes_no_changes

SAID = "The database takes no changes now."


def rest(sessions: SessionFactory) -> None:
    """Everybody has looked at nothing for two minutes."""
    before = utc_now() - dt.timedelta(minutes=2)
    with unit_of_work(sessions) as session:
        session.execute(sa.update(WebSession).values(last_seen=before))


def test_pages_open_and_say_so_and_a_change_is_refused(
    app: webtest.TestApp, sign_in: Callable, make_backend: Callable, sessions: SessionFactory
) -> None:
    sign_in(Role.OPERATOR)
    backend = make_backend()
    make_backend()
    path = f"/admin/backends/{backend.id}/drain"
    form = app.get(path).forms["act"]
    form["reason"] = "kernel update"
    rest(sessions)
    with takes_no_changes(sessions):
        assert SAID in app.get("/admin/backends")
        assert SAID in app.get(path)
        refused = form.submit(status=503)
        assert SAID in refused
        assert "Nothing was done" in refused
        assert refused.headers["Retry-After"]
    with unit_of_work(sessions, write=False) as session:
        assert not session.get_one(Backend, backend.id).drained
    assert SAID not in app.get("/admin/backends"), "and it is over as soon as it is over"
    form.submit(status=303)


def test_it_is_said_from_the_first_change_that_was_refused(
    app: webtest.TestApp, sign_in: Callable, make_backend: Callable, sessions: SessionFactory
) -> None:
    sign_in(Role.OPERATOR)
    form = app.get(f"/admin/backends/{make_backend().id}/drain").forms["act"]
    form["reason"] = "kernel update"
    with takes_no_changes(sessions):
        assert SAID not in app.get("/admin/backends"), "nobody has tried"
        form.submit(status=503)
        assert SAID in app.get("/admin/backends")


def test_strangers_and_programs_are_told_too(
    app: webtest.TestApp, make_user: Callable[..., Any], sessions: SessionFactory
) -> None:
    person = make_user(role=Role.VIEWER, password="correct horse battery")
    form = app.get("/admin/login").form
    form["email"], form["password"] = person.user.email, "correct horse battery"
    with takes_no_changes(sessions):
        assert SAID in form.submit(status=503)
        headers = person.headers
        assert app.get("/api/v1.1/servers", headers=headers).json == {"servers": {"values": []}}
        network = {"network": {"name": "mine", "type": "MAC_FILTERED"}}
        answer = app.post_json("/api/v1.1/networks", network, headers=headers, status=503)
        assert "takes no changes" in answer.text
