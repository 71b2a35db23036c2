"""Admins end one session of somebody, or all."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.models import AuditEntry, Role, SessionFactory, WebSession, unit_of_work, utc_now


@pytest.fixture
def person(make_user: Callable, sessions: SessionFactory) -> Any:
    """Somebody who is signed in with three browsers."""
    found = make_user()
    with unit_of_work(sessions) as session:
        for n in range(3):
            session.add(
                WebSession(
                    user_id=found.user.id,
                    digest=str(n) * 64,
                    last_seen=utc_now(),
                    expires=utc_now() + dt.timedelta(hours=1),
                    agent=f"Browser {n}",
                    address=f"192.0.2.{n}",
                )
            )
    return found


def agents(sessions: SessionFactory, person: Any) -> list[str]:
    with unit_of_work(sessions, write=False) as session:
        query = sa.select(WebSession.agent).where(WebSession.user_id == person.user.id)
        return list(session.scalars(query.order_by(WebSession.id)))


def test_one_session_ends_and_the_others_go_on(
    app: webtest.TestApp, sign_in: Callable, person: Any, sessions: SessionFactory
) -> None:
    sign_in(Role.ADMIN)
    page = app.get(f"/admin/users/{person.user.id}").click("End….*Browser 1")
    form = page.forms["act"]
    form["reason"], form["phrase"] = "a stolen laptop", person.user.email
    for _ in range(2):
        form.submit(status=303)
    assert agents(sessions, person) == ["Browser 0", "Browser 2"]
    with unit_of_work(sessions, write=False) as session:
        query = sa.select(AuditEntry).where(AuditEntry.action == "session:end")
        [entry] = session.scalars(query)
    assert (entry.reason, entry.details["tokens"]) == ("a stolen laptop", 0)


@pytest.mark.parametrize("chosen", ["0", "mine", "x", "-1"])
def test_a_session_of_somebody_else_is_none_of_theirs(
    chosen: str, app: webtest.TestApp, sign_in: Callable, person: Any, sessions: SessionFactory
) -> None:
    me = sign_in(Role.ADMIN)
    form = app.get(f"/admin/users/{person.user.id}/sessions").forms["act"]
    with unit_of_work(sessions, write=False) as session:
        mine = session.scalar(sa.select(WebSession.id).where(WebSession.user_id == me.user.id))
    sent = dict(form.submit_fields()) | {"session": str(mine) if chosen == "mine" else chosen}
    sent |= {"reason": "x", "phrase": person.user.email}
    page = app.post(form.action, sent, status=400)
    assert page.html.find(id="session-error")
    assert len(agents(sessions, person)) == 3
    assert len(agents(sessions, me)) == 1


EDGE = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/124.0.0.0 Safari/537.36 Edg/124.0.0.0"
)


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox 128"),
        (EDGE, "Edge 124 on Windows"),
        ("curl/8.5.0", "curl 8"),
        ("<b>none that anybody knows</b>", "<b>none that anybody knows</b>"),
        ("", "an unknown browser"),
    ],
)
def test_a_session_is_told_by_its_browser_in_words(
    agent: str,
    words: str,
    app: webtest.TestApp,
    sign_in: Callable,
    person: Any,
    sessions: SessionFactory,
) -> None:
    with unit_of_work(sessions) as session:
        session.execute(
            sa.update(WebSession).where(WebSession.user_id == person.user.id).values(agent=agent)
        )
    sign_in(Role.VIEWER)
    page = app.get(f"/admin/users/{person.user.id}")
    rows = page.html.find_all("tr", id=lambda name: name and name.startswith("session-"))
    assert len(rows) == 3
    assert all(row.th.text.startswith(words) for row in rows)
