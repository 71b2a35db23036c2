"""Operations' pages: what is stuck, canceling and doing again."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import webtest

from cloudweb.domain import identity, servers
from cloudweb.models import (
    Operation,
    OperationState,
    Role,
    SessionFactory,
    unit_of_work,
    utc_now,
)

Make = Callable[..., Any]


@pytest.fixture
def asked(sessions: SessionFactory, make_server: Make) -> Callable[..., int]:
    """A shutdown that has come so far; its id."""

    def make(**values: Any) -> int:
        server = make_server()
        with unit_of_work(sessions) as session:
            row = servers.shutdown(session, identity.system("cli"), server.id)
            for key, value in values.items():
                setattr(row, key, value)
        return row.id

    return make


def get(sessions: SessionFactory, operation_id: int) -> Operation:
    with unit_of_work(sessions, write=False) as session:
        return session.get_one(Operation, operation_id)


def test_an_operator_cancels_with_a_reason(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, asked: Make
) -> None:
    operation = asked()
    sign_in(Role.OPERATOR)
    page = app.get(f"/admin/operations/{operation}").click("Cancel…")
    form = page.forms[1]
    assert "Say why" in form.submit(status=400)
    form["reason"] = "Asked by mistake."
    after = form.submit(status=303).follow()
    assert "Canceled" in after
    assert "Asked by mistake." in after
    assert get(sessions, operation).state is OperationState.CANCELED
    assert "Canceled" in form.submit(status=303).follow(), "sent again it leads to the same"


def test_a_preview_that_the_operation_outran_is_refused(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, asked: Make
) -> None:
    operation = asked()
    sign_in(Role.OPERATOR)
    form = app.get(f"/admin/operations/{operation}/cancel").forms[1]
    with unit_of_work(sessions) as session:
        row = session.get_one(Operation, operation)
        row.state, row.sent = OperationState.SUBMITTED, utc_now()
    form["reason"] = "Too late."
    page = form.submit(status=409)
    assert "has changed since you opened this page" in page
    assert "asked to drop the job" in page
    assert get(sessions, operation).cancel_wanted is None
    page.forms[1]["reason"] = "Even so."
    page.forms[1].submit(status=303)
    assert get(sessions, operation).cancel_wanted is not None


def test_a_failed_one_is_retried_and_leads_to_the_new_one(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, asked: Make
) -> None:
    operation = asked(state=OperationState.ERROR, finished=utc_now(), error="No.")
    sign_in(Role.OPERATOR)
    form = app.get(f"/admin/operations/{operation}").click("Retry…").forms[1]
    form["reason"] = "The node is back."
    new = form.submit(status=303).follow()
    assert f'Does again <a href="/admin/operations/{operation}"' in new
    old = app.get(f"/admin/operations/{operation}")
    assert "Done again by" in old
    assert "Retry…" not in old
    app.get(f"/admin/operations/{operation}/retry").mustcontain("does it again already")


@pytest.mark.parametrize("verb", ["cancel", "retry"])
def test_others_and_forgers_change_nothing(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, asked: Make, verb: str
) -> None:
    operation = asked()
    path = f"/admin/operations/{operation}/{verb}"
    sign_in(Role.OPERATOR)
    app.post(path, {"reason": "no token"}, status=400)
    sign_in(Role.HELPDESK)
    assert verb not in app.get(f"/admin/operations/{operation}").text.split("<main")[1]
    token = app.get("/admin/").forms[0]["csrf_token"].value
    app.get(path, status=403)
    app.post(path, {"reason": "x", "csrf_token": token}, status=403)
    assert get(sessions, operation).state is OperationState.PENDING


def test_what_is_stuck_needs_somebody(app: webtest.TestApp, sign_in: Make, asked: Make) -> None:
    old = utc_now() - dt.timedelta(hours=2)
    stuck = asked(state=OperationState.SUBMITTED, sent=old, submitted=old, job_id=3)
    asked(state=OperationState.SUBMITTED, sent=utc_now(), submitted=utc_now(), job_id=4)
    sign_in(Role.VIEWER)
    page = app.get("/admin/")
    assert "for more than an hour" in page
    listed = app.get("/admin/operations?open=yes&filter=submitted<1h")
    assert f'id="operations-{stuck}"' in listed
    assert listed.text.count('id="operations-') == 2
