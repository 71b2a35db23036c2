"""Signing in: what strangers may try, and how often."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import webob
import webtest

from cloudweb.models import Role

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
