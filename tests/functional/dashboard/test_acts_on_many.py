"""What was done to many VMs at once has a page that stays, for everybody."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.domain import acts_on_many, forms
from cloudweb.models import (
    AuditEntry,
    Operation,
    OperationState,
    OperState,
    Role,
    SentForm,
    Server,
    SessionFactory,
    unit_of_work,
    utc_now,
)


@pytest.fixture
def three(make_server: Callable) -> list[Any]:
    """Three servers that run."""
    return [make_server(name=f"vm-{n}") for n in range(3)]


def _act(app: webtest.TestApp, verb: str, servers: list[Any], reason: str = "") -> Any:
    """The page of an act on these."""
    query = "&".join(f"id={server.id}" for server in servers)
    form = app.get(f"/admin/vms/bulk?verb={verb}&{query}").forms["act"]
    if reason:
        form["reason"] = reason
    return form.submit(status=303).follow()


def _cells(page: Any, label: str) -> list[str]:
    return [" ".join(cell.text.split()) for cell in page.html.select(f"[data-label={label}]")]


def test_everybody_sees_who_did_what_to_which_and_why(
    app: webtest.TestApp, sign_in: Callable, three: list[Any], sessions: SessionFactory
) -> None:
    person = sign_in(Role.OPERATOR)
    path = _act(app, "shutdown", three, "New disks").request.path
    for role in Role:
        if role is Role.USER:
            continue
        sign_in(role)
        page = app.get(path)
        words = " ".join(page.html.main.text.split())
        assert "Shut down 3 VMs" in words
        assert f"Who{person.user.email}" in words
        assert "WhyNew disks" in words
        assert _cells(page, "Result") == ["Waiting"] * 3
        assert _cells(page, "Now") == ["Active"] * 3
    with unit_of_work(sessions) as session:
        made = session.scalars(sa.select(Operation).order_by(Operation.id)).all()
        made[0].state, made[0].finished = OperationState.SUCCESS, utc_now()
        made[1].state, made[1].error = OperationState.ERROR, "The node is away"
        session.get_one(Server, three[0].id).state = OperState.STOPPED
    page = app.get(path)
    assert _cells(page, "Result") == ["Success", "Failed", "Waiting"]
    assert _cells(page, "Now") == ["Stopped", "Active", "Active"]
    assert "The node is away" in page


def test_it_is_reached_from_operations_and_from_the_audit(
    app: webtest.TestApp, sign_in: Callable, three: list[Any], sessions: SessionFactory
) -> None:
    person = sign_in(Role.ADMIN)
    path = _act(app, "suspend", three, "spam").request.path
    with unit_of_work(sessions, write=False) as session:
        operation = session.scalars(sa.select(Operation.id).order_by(Operation.id)).first()
        suspended = sa.select(AuditEntry.id).where(AuditEntry.action == "server:suspend")
        entry = session.scalars(suspended.order_by(AuditEntry.id)).first()
    for page in (f"/admin/operations/{operation}", f"/admin/audit/{entry}"):
        assert app.get(page).click(href="/admin/acts/").request.path == path
    operations = app.get(f"/admin/operations?by={person.user.email}")
    page = operations.click("^acts on many$")
    assert page.click("Suspend 3 VMs").request.path == path
    page = app.get("/admin/operations").click("Acts on many")
    row = page.html.select_one("tbody tr")
    assert row.select_one("td.n").text.strip() == "3"
    assert "spam" in row.text
    assert [each["what"] for each in app.get("/admin/acts.json").json] == ["Suspend 3 VMs"]


def test_what_failed_is_tried_again_from_it_unless_somebody_did_already(
    app: webtest.TestApp, sign_in: Callable, three: list[Any], sessions: SessionFactory
) -> None:
    sign_in(Role.OPERATOR)
    path = _act(app, "shutdown", three).request.path
    assert "Try the failed again" not in app.get(path)
    with unit_of_work(sessions) as session:
        for each in session.scalars(sa.select(Operation).order_by(Operation.id).limit(2)):
            each.state, each.finished, each.error = OperationState.ERROR, utc_now(), "No."
        first = session.scalars(sa.select(Operation.id).order_by(Operation.id)).first()
    form = app.get(f"/admin/operations/{first}/retry").forms["act"]
    form["reason"] = "it was away"
    form.submit(status=303)
    page = app.get(path)
    assert _cells(page, "Result") == ["Waiting", "Failed", "Waiting"]
    again = next(f for f in page.forms.values() if "Try the failed again" in f.text)
    assert [field.value for field in again.fields["id"]] == [str(three[1].id)]
    assert "1 of 1 will be done" in again.submit()
    sign_in(Role.VIEWER)
    assert "Try the failed again" not in app.get(path)


def test_who_did_it_can_undo_it_from_its_page(
    app: webtest.TestApp, sign_in: Callable, three: list[Any], sessions: SessionFactory
) -> None:
    sign_in(Role.OPERATOR)
    path = _act(app, "suspend", three, "spam").request.path
    page = app.get(path)
    next(f for f in page.forms.values() if "/admin/undo/" in f.action).submit(status=303)
    with unit_of_work(sessions, write=False) as session:
        assert not any(session.scalars(sa.select(Server.suspended)))
    assert "It can be undone" not in app.get(path)
    path = _act(app, "suspend", three, "spam").request.path
    sign_in(Role.OPERATOR)
    assert "It can be undone" not in app.get(path)


def test_it_stays_while_the_audit_does(
    app: webtest.TestApp, sign_in: Callable, three: list[Any], sessions: SessionFactory
) -> None:
    sign_in(Role.OPERATOR)
    path = _act(app, "shutdown", three).request.path
    app.post(f"/admin/vms/{three[0].id}/start", {"key": "k" * 32}, status=400)
    with unit_of_work(sessions) as session:
        age = dt.timedelta(days=300)
        session.execute(sa.update(SentForm).values(created=utc_now() - age))
        session.add(SentForm(key="b" * 32, verb="x", items=[], created=utc_now() - age))
        session.flush()
        assert forms.forget_old(session) == 1
        assert acts_on_many.purge(session, older_than_days=365) == 0
    app.get(path, status=200)
    with unit_of_work(sessions) as session:
        assert acts_on_many.purge(session, older_than_days=299) == 1
    app.get(path, status=404)


def test_an_act_on_backends_is_one_too(
    app: webtest.TestApp, sign_in: Callable, make_backend: Callable
) -> None:
    backends = [make_backend(), make_backend(drained=True)]
    sign_in(Role.OPERATOR)
    query = "&".join(f"id={backend.id}" for backend in backends)
    form = app.get(f"/admin/backends/bulk?verb=drain&{query}").forms["act"]
    form["reason"] = "a new switch"
    if "phrase" in form.fields:
        form["phrase"] = "drain 1 backend"
    path = form.submit(status=303).follow().request.path
    sign_in(Role.VIEWER)
    page = app.get(path)
    assert sorted(_cells(page, "Result")) == ["Done", "Skipped"]
    assert _cells(page, "Now") == ["Drained"] * 2
    assert "a new switch" in app.get("/admin/acts")


def _choose(app: webtest.TestApp, verb: str, *ids: int, path: str = "/admin/vms") -> Any:
    """Press a button under the list with these ticked."""
    page = app.get(path)
    form = page.forms["bulk"]
    key = page.html.select_one("input[name=key][form=bulk]")["value"]
    fields = [("csrf_token", form["csrf_token"].value), ("key", key), ("verb", verb)]
    return app.post(form.action, [*fields, *(("id", str(id_)) for id_ in ids)], status=303)


def test_what_hurts_nobody_is_done_at_once_and_can_be_undone(
    app: webtest.TestApp, sign_in: Callable, three: list[Any], sessions: SessionFactory
) -> None:
    sign_in(Role.HELPDESK)
    words = {
        button["value"]: button.text for button in app.get("/admin/vms").html.select("#bulk button")
    }
    assert {verb for verb, word in words.items() if "…" not in word} == {
        "start",
        "unsuspend",
        "lock",
    }
    answer = _choose(app, "lock", three[0].id, three[1].id)
    page = answer.follow()
    assert "Lock 2 VMs" in page
    assert _cells(page, "Result") == ["Done"] * 2
    with unit_of_work(sessions, write=False) as session:
        locked = session.scalars(sa.select(Server.locked).order_by(Server.id)).all()
    assert locked == [True, True, False]
    app.post(answer.request.url, answer.request.body, status=303)
    with unit_of_work(sessions, write=False) as session:
        kept = session.scalars(sa.select(SentForm.title)).all()
    assert kept == ["Lock 2 VMs"], "sent again it is the same act"
    next(f for f in page.forms.values() if "/admin/undo/" in f.action).submit(status=303)
    with unit_of_work(sessions, write=False) as session:
        assert not any(session.scalars(sa.select(Server.locked)))


def test_what_hurts_is_shown_before_and_names_those_that_are_gone(
    app: webtest.TestApp, sign_in: Callable, three: list[Any]
) -> None:
    sign_in(Role.OPERATOR)
    page = _choose(app, "shutdown", three[0].id, 10**9).follow()
    assert "1 of 2 will be done" in page
    assert "There is no such VM." in page.html.find(id=f"item-{10**9}").text
    assert "Chosen2" in "".join(page.html.select_one("dl.facts").text.split())
    page = page.forms["act"].submit(status=303).follow()
    assert _cells(page, "Result") == ["Waiting", "Skipped"]
    page = _choose(app, "mail", three[0].id, 10**9).follow().follow()
    assert "Mail the owners" in page
    page = app.get(f"/admin/backends/bulk?verb=undrain&id={three[0].backend_id}&id={10**9}")
    assert "There is no such backend." in page


@pytest.mark.parametrize("what", ["vms", "backends"])
def test_who_ticks_nothing_is_told_so_in_the_list(
    what: str, app: webtest.TestApp, sign_in: Callable, three: list[Any]
) -> None:
    sign_in(Role.OPERATOR)
    if what == "vms":
        page = _choose(app, "shutdown", path="/admin/vms?q=vm-1&sort=-name&per_page=25").follow()
        assert page.html.select_one("form.bar input[name=q]")["value"] == "vm-1"
        assert page.request.GET["sort"] == "-name"
    else:
        page = app.get("/admin/backends/bulk?verb=drain", status=303).follow()
    assert "nothing is ticked" in page.html.find(role="alert").text
    part = app.get(f"/admin/{what}?unticked=yes", headers={"HX-Request": "true"})
    assert "nothing is ticked" not in part
