"""The audit as people see it, and what finds its way into it."""

import csv
import io
import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.backend.audit_watch import AuditWatch
from cloudweb.domain import audit, audit_chain, images, pools
from cloudweb.models import (
    AuditEntry,
    Operation,
    OperationState,
    Outcome,
    PoolKind,
    Role,
    Server,
    SessionFactory,
    unit_of_work,
)
from cloudweb.views.dashboard import actions


@pytest.fixture
def entries(sessions: SessionFactory) -> Callable[..., list[AuditEntry]]:
    """The entries that have these values."""

    def read(**values: Any) -> list[AuditEntry]:
        with unit_of_work(sessions, write=False) as session:
            query = sa.select(AuditEntry).filter_by(**values).order_by(AuditEntry.id)
            return list(session.scalars(query))

    return read


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", "/api/v1.1/servers/999", 404),
        ("POST", "/api/v1.1/servers", 400),
        ("PUT", "/api/v1.1/servers/1", 400),
        ("DELETE", "/plankton/images/nothing", 404),
        ("DELETE", "/v1/flavors/nothing", 404),
    ],
)
def test_an_attempt_at_the_api_that_is_refused_is_written_down(
    method: str,
    path: str,
    status: int,
    app: webtest.TestApp,
    make_user: Callable,
    entries: Callable,
) -> None:
    person = make_user()
    headers = person.headers | {"X-Request-Id": "abc-1", "Content-Type": "application/json"}
    app.extra_environ["REMOTE_ADDR"] = "192.0.2.7"
    request = {"method": method, "body": b"{}", "headers": headers}
    app.request(path, status="*", **request)
    (entry,) = entries(outcome=Outcome.REFUSED)
    assert (entry.actor, entry.role, entry.door) == (person.user.email, "user", "api")
    assert (entry.request_id, entry.details["status"] // 100) == ("abc-1", 4)
    assert (entry.details["method"], entry.details["path"]) == (method, path)
    assert entry.reason
    assert entry.address == "192.0.2.7"


def test_reading_and_strangers_write_nothing_down(
    app: webtest.TestApp, make_user: Callable, entries: Callable
) -> None:
    person = make_user()
    before = len(entries())
    app.get("/api/v1.1/servers/999", headers=person.headers, status=404)
    app.get("/api/v1.1/servers", headers=person.headers, status=200)
    app.delete("/api/v1.1/servers/1", status=401)
    app.delete("/api/v1.1/servers/1", headers={"X-Auth-Token": "x"}, status=401)
    app.get("/admin/", status=303)
    assert len(entries()) == before


def test_a_token_that_only_reads_leaves_a_trace_when_it_tries_more(
    app: webtest.TestApp, make_user: Callable, sessions: SessionFactory, entries: Callable
) -> None:
    from cloudweb.domain import accounts

    person = make_user()
    with unit_of_work(sessions) as session:
        text = accounts.add_token(
            *(session, person.identity, person.user), name="ro", expires=None, read_only=True
        )
    app.delete("/api/v1.1/servers/1", headers={"X-Auth-Token": text}, status=403)
    assert [e.reason for e in entries(outcome=Outcome.REFUSED)] == ["This token may only read."]


def test_what_a_role_may_not_do_is_written_down(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable, entries: Callable
) -> None:
    server: Server = make_server()
    person = sign_in(Role.VIEWER)
    app.get(f"/admin/vms/{server.id}/destroy", status=403)
    token = _token(app)
    app.post(f"/admin/vms/{server.id}/start", {"csrf_token": token}, status=403)
    found = entries(outcome=Outcome.REFUSED)
    assert [(e.actor, e.role, e.details["method"]) for e in found] == [
        (person.user.email, "viewer", "GET"),
        (person.user.email, "viewer", "POST"),
    ]


def _token(app: webtest.TestApp) -> str:
    text: str = app.get("/account").forms[0]["csrf_token"].value
    return text


def test_a_wrong_password_is_written_down_without_the_password(
    app: webtest.TestApp, make_user: Callable, entries: Callable
) -> None:
    email = make_user(role=Role.OPERATOR, password="correct horse battery").user.email
    form = app.get("/admin/login").form
    form["email"], form["password"] = email, "geheim-geheim"
    form.submit(status=401)
    (entry,) = entries(outcome=Outcome.REFUSED)
    assert (entry.action, entry.actor, entry.target_id) == ("session:open", "stranger", email)
    assert "geheim" not in str(vars(entry))


def test_a_change_shows_before_and_after_and_the_chain(
    app: webtest.TestApp, sign_in: Callable, make_user: Callable, entries: Callable
) -> None:
    sign_in(Role.ADMIN)
    other = make_user()
    form = app.get(f"/admin/users/{other.user.id}/role").forms[1]
    form["role"], form["reason"], form["phrase"] = "viewer", "hired", other.user.email
    form.submit(status=303)
    (entry,) = entries(action="user:role")
    shown = app.get(f"/admin/audit/{entry.id}")
    assert [pre.get_text() for pre in shown.html.find_all("pre")] == ["user", "viewer"]


def test_the_list_is_filtered_and_whole_as_a_file_that_runs_nothing(
    app: webtest.TestApp, sign_in: Callable, sessions: SessionFactory
) -> None:
    person = sign_in(Role.VIEWER)
    with unit_of_work(sessions) as session:
        for n in range(60):
            audit.record(session, person.identity, "test:act", "test", n, reason="=HYPERLINK(1)")
        audit.record(
            *(session, person.identity, "test:other", "test", 1),
            reason="<script>",
            outcome=Outcome.REFUSED,
        )
    page = app.get("/admin/audit?outcome=refused")
    assert "Other test" in page
    assert "Act test" not in page
    assert "<script>" not in page
    assert "<b>50</b> of" in app.get("/admin/audit?filter=action%3Dtest:act")
    file = app.get("/admin/audit.csv?filter=action%3Dtest:act")
    rows = list(csv.DictReader(io.StringIO(file.text)))
    assert len(rows) == 60
    assert {row["reason"] for row in rows} == {"'=HYPERLINK(1)"}
    assert {"at", "actor", "address", "request", "before", "after", "seal"} <= set(rows[0])
    assert len(app.get("/admin/audit.json?kind=test").json) == 61


def test_a_past_that_was_changed_needs_somebody_until_it_is_mended(
    app: webtest.TestApp, sign_in: Callable, sessions: SessionFactory
) -> None:
    person = sign_in(Role.VIEWER)
    with unit_of_work(sessions) as session:
        for n in range(5):
            audit.record(session, person.identity, "test:act", "test", n, reason="true")
    with unit_of_work(sessions) as session:
        audit_chain.seal(session)

    def found(reason: str) -> tuple[bool, str]:
        with unit_of_work(sessions) as session:
            changed = sa.update(AuditEntry).where(AuditEntry.target_id == "3")
            session.execute(changed.where(AuditEntry.action == "test:act").values(reason=reason))
        AuditWatch(sessions).look()
        metrics = app.get("/metrics", extra_environ={"REMOTE_ADDR": "127.0.0.1"}).text
        (line,) = re.findall(r"^cloudweb_audit_broken (.*)$", metrics, re.MULTILINE)
        return "was changed after it was sealed" in app.get("/admin/").text, line

    assert found("true") == (False, "0.0")
    assert "Chain verified to" in app.get("/admin/audit")
    assert found("a lie") == (True, "1.0")
    told = app.get("/admin/audit").html.find(role="alert").text
    assert "Chain check failed: report this." in told
    assert "was changed after it was sealed" in told
    assert found("true") == (False, "0.0")


def test_an_entry_leads_to_what_it_is_about(
    app: webtest.TestApp, sign_in: Callable, make_backend: Callable, sessions: SessionFactory
) -> None:
    me = sign_in(Role.ADMIN)
    backend = make_backend()
    with unit_of_work(sessions) as session:
        image = images.register(session, me.identity, name="Debian", location="pithos://a/b/c")
        pool = pools.create(session, me.identity, kind=PoolKind.BRIDGE, base="prv", size=4)
        for kind, target in (("pool", "prv2"), ("image", "../users"), ("mail", "3")):
            audit.record(session, me.identity, "test:note", kind, target)
        audit.record(session, me.identity, "test:note", "catalogue", "f/1 &")
        audit.record(session, me.identity, "test:note", "backend", backend.id)
    page = app.get("/admin/audit")
    there = {link["href"] for link in page.html.find("table").find_all("a")}
    wanted = {f"/admin/images/{image.id}", f"/admin/pools/{pool.id}"}
    wanted |= {f"/admin/backends/{backend.id}", "/admin/flavors/flavor?flavor=f%2F1+%26"}
    assert wanted <= there
    assert not [href for href in there if ".." in href or "prv2" in href]
    for path in (f"/admin/images/{image.id}", f"/admin/pools/{pool.id}"):
        app.get(path, status=200)


def test_some_roles_see_only_what_they_did_themselves(
    app: webtest.TestApp, sign_in: Callable, sessions: SessionFactory, entries: Callable
) -> None:
    person = sign_in(Role.HELPDESK)
    with unit_of_work(sessions) as session:
        audit.record(session, person.identity, "test:mine", "test", 1)
    page = app.get("/admin/audit")
    assert "Mine test" in page
    assert "Create a user" not in page
    assert {row["actor"] for row in app.get("/admin/audit.json").json} == {person.user.email}
    app.get(f"/admin/audit/{entries(action='user:create')[0].id}", status=404)
    app.get(f"/admin/audit/{entries(action='test:mine')[0].id}", status=200)
    app.get("/admin/audit/999999", status=404)


def test_entries_are_found_by_ganetis_job_and_say_what_they_are_in_words(
    app: webtest.TestApp, sign_in: Callable, sessions: SessionFactory, make_server: Callable
) -> None:
    sign_in(Role.ADMIN)
    one, other = make_server(name="web-1"), make_server(name="web-2")
    for each in (one, other):
        app.get(f"/admin/vms/{each.id}/shutdown").forms["act"].submit(status=303)
    with unit_of_work(sessions) as session:
        asked = sa.select(Operation).where(Operation.server_id == one.id)
        operation = session.scalars(asked).one()
        operation.job_id, operation.state = 4711, OperationState.SUBMITTED
    page = app.get("/admin/audit?filter=job=4711&cols=action,target,before,after,operation,job")
    [row] = page.html.select("tbody tr")
    cells = [cell.get_text(" ", strip=True) for cell in row.find_all(["th", "td"])][1:]
    words = ["Shut a VM down", f"server {one.id}", "STARTED", "to be shut down"]
    assert cells == [*words, str(operation.id), "4711"]
    [found] = app.get("/admin/audit.json?filter=job=4711").json
    assert (found["job"], found["action"]) == (4711, "server:shutdown")
    entry = page.click("[0-9:]{8}", href="/admin/audit/[0-9]+")
    assert entry.html.h1.text == "Shut a VM down"


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("server:start", "Start a VM"),
        ("user:reset-ask", "Ask for a new password"),
        ("reconcile:pool-leaked", "Mend: pool leaked"),
        ("pool:remove", "Remove a pool"),
        ("nobody:thought-of", "Thought of nobody"),
    ],
)
def test_an_action_has_words_also_one_that_nobody_thought_of(action: str, words: str) -> None:
    assert actions.words(action) == words
