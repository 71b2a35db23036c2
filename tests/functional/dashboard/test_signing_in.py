"""Signing in: what strangers may try, and how often."""

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
import webob
import webtest

from cloudweb.models import Role, SessionFactory, WebSession, unit_of_work, utc_now

PASSWORD = "correct horse battery"


@pytest.mark.parametrize("path", ["/admin/login?next=//[", "/admin/login?next=%5C%5Cevil"])
def test_a_next_that_leads_nowhere_is_forgotten(app: webtest.TestApp, path: str) -> None:
    assert app.get(path, status=200).form["next"].value == ""


@pytest.mark.parametrize(
    "media",
    [
        "multipart/form-data",
        "application/x-www-form-urlencoded; charset=bogus",
        "application/x-www-form-urlencoded",
    ],
)
def test_a_form_that_cannot_be_read_is_refused(app: webtest.TestApp, media: str) -> None:
    app.post("/admin/login", b"email=%ff", headers={"Content-Type": media}, status=400)


@pytest.mark.parametrize("path", ["/admin/login?next=%ff", "/admin/vms?q=%ff"])
def test_a_query_that_is_not_text_is_refused(app: webtest.TestApp, path: str) -> None:
    app.get(path, status=400)


def test_attempts_at_once_are_no_more_than_attempts_in_turn(
    app: webtest.TestApp, make_user: Callable[..., Any]
) -> None:
    person = make_user(role=Role.OPERATOR, password=PASSWORD)
    page = app.get("/admin/login")
    fields = {"email": person.user.email, "csrf_token": page.form["csrf_token"].value}
    cookies = "; ".join(f"{k}={v}" for k, v in app.cookies.items())

    def attempt(number: int) -> int:
        request = webob.Request.blank(
            "/admin/login",
            POST=fields | {"password": f"wrong {number}"},
            headers={"Cookie": cookies},
            remote_addr="192.0.2.7",
        )
        status: int = request.get_response(app.app).status_code
        return status

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(attempt, range(24)))
    assert set(statuses) == {401, 429}
    assert statuses.count(401) <= 10


@pytest.mark.parametrize("how", ["idle", "over", "elsewhere"])
def test_whoever_comes_with_a_session_that_has_ended_is_told_so(
    how: str, app: webtest.TestApp, sign_in: Callable, sessions: SessionFactory
) -> None:
    assert "has ended" not in app.get("/admin/", status=303).follow()
    sign_in(Role.VIEWER)
    assert "has ended" not in app.get("/admin/login")
    early = utc_now() - dt.timedelta(days=2)
    with unit_of_work(sessions) as session:
        if how == "elsewhere":
            session.execute(sa.delete(WebSession))
        else:
            changes = {"last_seen": early} if how == "idle" else {"expires": early}
            session.execute(sa.update(WebSession).values(**changes))
    page = app.get("/admin/vms?sort=id", status=303).follow()
    assert "Your session has ended. Sign in, and you are back" in page.html.text
    wrong = page.form.submit(status=401)
    assert "has ended" not in wrong


def test_whoever_signs_out_is_not_told_that_their_session_has_ended(
    app: webtest.TestApp, make_user: Callable
) -> None:
    form = app.get("/admin/login").form
    form["email"] = make_user(role=Role.VIEWER, password=PASSWORD).user.email
    form["password"] = PASSWORD
    form.submit(status=303)
    form = next(f for f in app.get("/admin/").forms.values() if f.action == "/admin/logout")
    assert "has ended" not in form.submit(status=303).follow()
