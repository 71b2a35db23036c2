"""What people do in the dashboard, what it leads to, and what is refused."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.models import (
    AuditEntry,
    Backend,
    Operation,
    OperState,
    Role,
    SessionFactory,
    WebSession,
    unit_of_work,
    utc_now,
)

PASSWORD = "correct horse battery"


@pytest.fixture
def rows(sessions: SessionFactory) -> Callable[..., Any]:
    """Every row of a table."""

    def read(table: Any) -> Any:
        with unit_of_work(sessions, write=False) as session:
            return session.scalars(sa.select(table).order_by(table.id)).all()

    return read


def _send(app: webtest.TestApp, email: str, password: str, **options: Any) -> Any:
    form = app.get(options.pop("at", "/admin/login")).form
    form["email"], form["password"] = email, password
    return form.submit(**options)


# --- signing in and out -------------------------------------------------------------------------


def test_signing_in_leads_to_where_one_wanted_and_out_again(
    app: webtest.TestApp, make_user: Callable, rows: Callable
) -> None:
    email = make_user(role=Role.VIEWER, password=PASSWORD).user.email
    wanted = app.get("/admin/vms?state=ERROR").follow()
    wanted.form["email"], wanted.form["password"] = email.upper(), PASSWORD
    answer = wanted.form.submit(status=303)
    cookie = next(c for c in answer.headers.getall("Set-Cookie") if c.startswith("cloudweb="))
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    page = answer.follow(status=200)
    assert page.request.path_qs == "/admin/vms?state=ERROR"
    assert email in page
    page.forms[0].submit(status=303)
    assert rows(WebSession) == []
    app.get("/admin/", status=303)


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "https://evil.example/admin/",
        "/\\evil",
        "/api/",
        "javascript:x",
        "/admin/\r\nSet-Cookie:x",
        "/adminx",
    ],
)
def test_after_signing_in_nobody_is_sent_elsewhere(
    target: str, app: webtest.TestApp, make_user: Callable
) -> None:
    email = make_user(role=Role.VIEWER, password=PASSWORD).user.email
    form = app.get("/admin/login").form
    form["email"], form["password"] = email, PASSWORD
    form["next"].force_value(target)
    assert form.submit(status=303).location == "http://localhost/admin/"


def test_a_wrong_password_an_unknown_person_and_a_program_get_the_same_answer(
    app: webtest.TestApp, make_user: Callable
) -> None:
    staff = make_user(role=Role.VIEWER, password=PASSWORD).user.email
    program = make_user().user.email
    tries = [(staff, "wrong"), ("nobody@example.org", PASSWORD), (program, PASSWORD), ("", "")]
    for email, password in tries:
        page = _send(app, email, password, status=401)
        assert "do not belong together" in page
        assert page.form["email"].value == email
        assert page.form["password"].value == ""


def test_too_many_failures_lock_for_some_minutes_even_with_the_right_password(
    app: webtest.TestApp, make_user: Callable, settings: Any, rows: Callable
) -> None:
    email = make_user(role=Role.VIEWER, password=PASSWORD).user.email
    for _ in range(settings.sign_in_attempts):
        _send(app, email, "wrong", status=401)
    page = _send(app, email, PASSWORD, status=429)
    assert "Sign in again in 15 minutes" in page
    assert 800 < int(page.headers["Retry-After"]) <= 900
    assert rows(WebSession) == []


# --- who may ------------------------------------------------------------------------------------

_MAY: list[tuple[str, set[Role]]] = [
    ("vms/{s}/start", {Role.HELPDESK, Role.OPERATOR, Role.ADMIN}),
    ("vms/{s}/shutdown", {Role.HELPDESK, Role.OPERATOR, Role.ADMIN}),
    ("vms/{s}/reboot", {Role.HELPDESK, Role.OPERATOR, Role.ADMIN}),
    ("vms/{s}/destroy", {Role.ADMIN}),
    ("backends/{b}/drain", {Role.OPERATOR, Role.ADMIN}),
    ("backends/{b}/undrain", {Role.OPERATOR, Role.ADMIN}),
    ("backends/{b}/offline", {Role.OPERATOR, Role.ADMIN}),
    ("backends/{b}/online", {Role.OPERATOR, Role.ADMIN}),
]


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.USER])
def test_a_role_sees_and_does_what_it_may_and_no_more(
    role: Role, app: webtest.TestApp, sign_in: Callable, make_server: Callable, rows: Callable
) -> None:
    server = make_server(state=OperState.STOPPED)
    sign_in(role)
    vm, backend = (
        app.get(f"/admin/{p}") for p in (f"vms/{server.id}", f"backends/{server.backend_id}")
    )
    token = app.cookies["csrf"]
    for path, roles in _MAY:
        url = f"/admin/{path.format(s=server.id, b=server.backend_id)}"
        if role in roles:
            continue
        page = app.post(url, {"csrf_token": token}, status=403)
        assert "Your role may not do this" in page
        assert url not in vm.text + backend.text
    assert ("Destroy" in vm) == (role is Role.ADMIN)
    assert ("Drain…" in backend) == (role in (Role.OPERATOR, Role.ADMIN))
    assert rows(Operation) == []


@pytest.mark.parametrize("path", ["logout", "login", *(path for path, _roles in _MAY)])
def test_no_form_works_without_its_token(
    path: str, app: webtest.TestApp, sign_in: Callable, make_server: Callable, rows: Callable
) -> None:
    server = make_server()
    sign_in(Role.ADMIN)
    url = f"/admin/{path.format(s=server.id, b=server.backend_id)}"
    page = app.post(url, {"csrf_token": "x" * 32}, status=400)
    assert "Load it again" in page
    assert rows(Operation) == []
    assert len(rows(WebSession)) == 1


def test_nothing_is_started_by_following_a_link(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable, rows: Callable
) -> None:
    server = make_server(state=OperState.STOPPED)
    sign_in(Role.ADMIN)
    app.get(f"/admin/vms/{server.id}/start", status=405)
    app.get(f"/admin/vms/{server.id}/shutdown", status=200)
    app.get("/admin/logout", status=405)
    assert rows(Operation) == []


# --- servers ------------------------------------------------------------------------------------


def test_a_stopped_server_is_started_at_once_and_only_once(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable, rows: Callable
) -> None:
    server = make_server(state=OperState.STOPPED)
    actor = sign_in(Role.HELPDESK)
    form = app.get(f"/admin/vms/{server.id}").forms[1]
    page = form.submit(status=303).follow()
    assert "Asked for: start" in page
    assert "Start under way" in page
    form.submit(status=303)
    [operation] = rows(Operation)
    assert (operation.opcode, operation.user_id) == ("OP_INSTANCE_STARTUP", actor.user.id)
    assert rows(AuditEntry)[-1].door == "dashboard"


def test_starting_what_is_being_built_is_refused_in_place(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable, rows: Callable
) -> None:
    server = make_server(state=OperState.STOPPED)
    sign_in()
    form = app.get(f"/admin/vms/{server.id}").forms[1]
    _set_state(app, rows, server, OperState.BUILD)
    page = form.submit(status=409)
    assert "Nothing was done." in page
    assert "Server is being built" in page
    assert rows(Operation) == []


def _set_state(app: webtest.TestApp, rows: Callable, server: Any, state: OperState) -> None:
    with unit_of_work(app.app.registry["cloudweb.sessions"]) as session:
        session.execute(sa.update(type(server)).values(state=state))


@pytest.mark.parametrize(
    ("verb", "fields", "opcode", "arguments"),
    [
        ("shutdown", {}, "OP_INSTANCE_SHUTDOWN", {}),
        ("reboot", {}, "OP_INSTANCE_REBOOT", {"type": "SOFT"}),
        ("reboot", {"kind": "HARD"}, "OP_INSTANCE_REBOOT", {"type": "HARD"}),
        ("destroy", {"phrase": "destroy {s}", "reason": "Asked for."}, "OP_INSTANCE_REMOVE", {}),
    ],
)
def test_an_act_that_hurts_is_confirmed_first_and_done_once(
    verb: str,
    fields: dict[str, str],
    opcode: str,
    arguments: dict[str, str],
    app: webtest.TestApp,
    sign_in: Callable,
    make_server: Callable,
    rows: Callable,
) -> None:
    server = make_server()
    sign_in(Role.ADMIN)
    form = app.get(f"/admin/vms/{server.id}").click(href=f"/{verb}$").forms[1]
    for name, value in fields.items():
        form[name] = value.format(s=server.id)
    form.submit(status=303).follow(status=200)
    form.submit(status=303)
    [operation] = rows(Operation)
    assert (operation.opcode, operation.arguments) == (opcode, arguments)


def test_destroying_needs_the_phrase(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable, rows: Callable
) -> None:
    server = make_server()
    sign_in(Role.ADMIN)
    form = app.get(f"/admin/vms/{server.id}/destroy").forms[1]
    form["phrase"] = "yes"
    page = form.submit(status=400)
    assert f"Type: destroy {server.id}" in page
    assert rows(Operation) == []


def test_a_confirmation_of_a_server_that_has_changed_is_asked_again(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable, rows: Callable
) -> None:
    server = make_server()
    sign_in(Role.ADMIN)
    stale = app.get(f"/admin/vms/{server.id}/reboot").forms[1]
    app.get(f"/admin/vms/{server.id}/shutdown").forms[1].submit(status=303)
    page = stale.submit(status=409)
    assert "has changed since you opened this page" in page
    assert len(rows(Operation)) == 1
    page.forms[1].submit(status=303)
    assert len(rows(Operation)) == 2


def test_what_cannot_be_done_now_says_why(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable, make_backend: Callable
) -> None:
    sign_in(Role.ADMIN)
    away = make_backend(offline=True)
    for values, text in (
        ({"state": OperState.BUILD}, "still being built"),
        ({"state": OperState.ERROR}, "never built"),
        ({"state": OperState.STARTED}, "It is running"),
        ({"state": OperState.STOPPED}, "It is not running"),
        ({"backend": away}, "cluster is offline"),
    ):
        assert text in app.get(f"/admin/vms/{make_server(**values).id}")


# --- backends -----------------------------------------------------------------------------------


def test_draining_shows_what_follows_and_needs_a_reason(
    app: webtest.TestApp,
    sign_in: Callable,
    make_backend: Callable,
    make_flavor: Callable,
    rows: Callable,
) -> None:
    one, _other = make_backend(disk_templates=["ext"]), make_backend(disk_templates=["plain"])
    make_flavor(disk_template="ext_vlmc", disk_gb=80)
    make_flavor(disk_template="plain", disk_gb=5, ram_mb=256)
    sign_in()
    page = app.get(f"/admin/backends/{one.id}").click("Drain…")
    assert "No backend would take 1 flavor" in page
    assert "C1R1024D80ext_vlmc" in page
    form = page.forms[1]
    form["reason"] = "kernel update"
    assert f"Type: drain {one.name}" in form.submit(status=400)
    form["phrase"] = f"drain {one.name}"
    form["reason"] = " "
    page = form.submit(status=400)
    assert "Say why." in page
    form["reason"] = "kernel update"
    page = form.submit(status=303).follow()
    assert "New servers go elsewhere" in page
    assert "kernel update" in page
    form.submit(status=303)
    assert [b.drained for b in rows(Backend)] == [True, False]
    assert [e.reason for e in rows(AuditEntry) if e.target_kind == "backend"] == ["kernel update"]


def test_a_preview_of_a_backend_that_has_changed_is_shown_again(
    app: webtest.TestApp, sign_in: Callable, make_backend: Callable, rows: Callable
) -> None:
    backend = make_backend()
    make_backend()
    sign_in()
    stale = app.get(f"/admin/backends/{backend.id}/drain").forms[1]
    stale["reason"] = "mine"
    sign_in(Role.ADMIN)
    other = app.get(f"/admin/backends/{backend.id}/drain").forms[1]
    other["reason"] = "theirs"
    other.submit(status=303)
    page = stale.submit(status=409)
    assert "changed since you opened this page" in page
    assert "theirs" in page
    assert rows(Backend)[0].state_reason == "theirs"


def test_undraining_is_the_mirror_image(
    app: webtest.TestApp,
    sign_in: Callable,
    make_backend: Callable,
    make_flavor: Callable,
    rows: Callable,
) -> None:
    backend = make_backend(drained=True)
    make_flavor(disk_gb=11)
    sign_in()
    page = app.get(f"/admin/backends/{backend.id}").click("Undrain…")
    assert "1 flavor could be placed again" in page
    page = page.forms[1].submit(status=303).follow()
    assert "takes new servers again" in page
    assert rows(Backend)[0].drained is False


def test_a_cluster_is_taken_offline_and_back(
    app: webtest.TestApp, sign_in: Callable, make_backend: Callable, rows: Callable
) -> None:
    backend = make_backend()
    make_backend()
    sign_in()
    page = app.get(f"/admin/backends/{backend.id}").click("Take offline…")
    assert "asked nothing until it is back" in page
    form = page.forms[1]
    assert "Say why" in form.submit(status=400)
    form["reason"] = "Moving house"
    after = form.submit(status=303).follow()
    assert "The cluster is asked nothing" in after
    form.submit(status=303)
    assert rows(Backend)[0].offline
    assert "It is offline already" in app.get(f"/admin/backends/{backend.id}/offline")
    after.click("Take back…").forms[1].submit(status=303)
    assert not rows(Backend)[0].offline
    done = [e.action for e in rows(AuditEntry) if e.target_kind == "backend"]
    assert done == ["backend:offline", "backend:online"]


def test_draining_where_a_flavor_would_be_lost_is_dangerous_and_asks_who_one_is(
    app: webtest.TestApp,
    sign_in: Callable,
    make_backend: Callable,
    make_flavor: Callable,
    sessions: SessionFactory,
) -> None:
    backend = make_backend()
    make_backend(disk_templates=["sharedfile"])
    sign_in()
    with unit_of_work(sessions) as session:
        session.execute(sa.update(WebSession).values(created=utc_now() - dt.timedelta(hours=1)))
    app.get(f"/admin/backends/{backend.id}/drain", status=200)
    make_flavor(disk_template=backend.disk_templates[0])
    assert "/admin/prove" in app.get(f"/admin/backends/{backend.id}/drain", status=303).location


@pytest.mark.parametrize(
    ("path", "heading", "stay"),
    [
        ("backends/new", "Add a backend", "Back"),
        ("pools/new", "Make a pool", "Back"),
        ("flavors/compute/new", "Make compute flavors", "Back"),
        ("vms/{vm}/shutdown", "Shut down {name}?", "Leave it as it is"),
    ],
)
def test_only_what_is_answered_by_yes_or_no_is_a_question(
    path: str, heading: str, stay: str, app: webtest.TestApp, sign_in: Any, make_server: Any
) -> None:
    server = make_server()
    sign_in(Role.ADMIN)
    page = app.get(f"/admin/{path.format(vm=server.id)}").html
    assert page.h1.text == heading.format(name=server.name)
    assert page.find(id="act").select_one(".acts a").text == stay
