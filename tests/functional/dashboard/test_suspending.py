"""VMs that are suspended: what their owners and operators may do, and what owners are told."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.domain import identity, suspensions
from cloudweb.models import (
    AuditEntry,
    Mail,
    Operation,
    OperState,
    Role,
    Server,
    SessionFactory,
    User,
    UserState,
    unit_of_work,
)
from cloudweb.sealing import Sealer

CLI = identity.system("cli")


@pytest.fixture
def rows(sessions: SessionFactory) -> Callable[..., Any]:
    """Every row of a table."""

    def read(table: Any) -> Any:
        with unit_of_work(sessions, write=False) as session:
            return session.scalars(sa.select(table).order_by(table.id)).all()

    return read


def _form(page: Any, path: str = "") -> Any:
    forms = {id(form): form for form in page.forms.values()}.values()
    return next(form for form in forms if "key" in form.fields and path in form.action)


@pytest.fixture
def suspended(make_user: Callable, make_server: Callable, sessions: SessionFactory) -> Any:
    """A suspended server, and its owner."""
    owner = make_user()
    server = make_server(owner=owner, metadata={"role": "web"})
    with unit_of_work(sessions) as session:
        suspensions.suspend(session, CLI, server.id, reason="It sends spam.")
    return owner, server


# --- its owner ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "", {"server": {"name": "other"}}),
        ("DELETE", "", None),
        ("POST", "/action", {"start": {}}),
        ("POST", "/action", {"shutdown": {}}),
        ("POST", "/action", {"reboot": {"type": "SOFT"}}),
        ("POST", "/action", {"firewallProfile": {"profile": "ENABLED"}}),
        ("POST", "/action", {"console": {"type": "vnc"}}),
        ("POST", "/meta", {"metadata": {"role": "db"}}),
        ("PUT", "/meta/role", {"meta": {"role": "db"}}),
        ("DELETE", "/meta/role", None),
    ],
)
def test_its_owner_can_do_nothing_with_it(
    method: str, path: str, body: Any, app: webtest.TestApp, suspended: Any, rows: Callable
) -> None:
    owner, server = suspended
    call = getattr(app, f"{method.lower()}_json")
    arguments = [body] if body is not None else []
    answer = call(
        f"/api/v1.1/servers/{server.id}{path}",
        *arguments,
        headers={"X-Auth-Token": owner.token},
        status=403,
    )
    assert answer.json["forbidden"]["message"] == "Administratively Suspended VM"
    assert [o.opcode for o in rows(Operation)] == ["OP_INSTANCE_SHUTDOWN"]
    assert rows(Server)[0].name == "My Server"


def test_its_owner_sees_that_it_is(app: webtest.TestApp, suspended: Any, sessions: Any) -> None:
    owner, server = suspended
    url, headers = f"/api/v1.1/servers/{server.id}", {"X-Auth-Token": owner.token}
    assert app.get(url, headers=headers).json["server"]["suspended"] is True
    assert 'suspended="true"' in app.get(f"{url}.xml", headers=headers)
    app.get(f"{url}/meta", headers=headers)
    with unit_of_work(sessions) as session:
        suspensions.unsuspend(session, CLI, server.id)
    assert "suspended" not in app.get(url, headers=headers).json["server"]
    listed = app.get("/api/v1.1/servers/detail", headers=headers).json["servers"]["values"]
    assert "suspended" not in listed[0]


# --- operators ----------------------------------------------------------------------------------


def test_one_is_suspended_and_shut_down_and_used_again_later(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable, rows: Callable
) -> None:
    server = make_server()
    sign_in(Role.HELPDESK)
    form = _form(app.get(f"/admin/vms/{server.id}").click("Suspend…"))
    assert "Say why" in form.submit(status=400)
    form["reason"] = "It sends spam."
    page = form.submit(status=303).follow()
    assert page.html.find(string=lambda text: text == "Suspended") is not None
    assert [o.opcode for o in rows(Operation)] == ["OP_INSTANCE_SHUTDOWN"]
    [entry] = [e for e in rows(AuditEntry) if e.action == "server:suspend"]
    assert (entry.reason, entry.details["ran"]) == ("It sends spam.", True)
    assert "It is suspended already" in app.get(f"/admin/vms/{server.id}/suspend")
    _form(app.get(f"/admin/vms/{server.id}"), "/unsuspend").submit(status=303)
    assert not rows(Server)[0].suspended


def test_nobody_starts_what_is_suspended(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable, rows: Callable
) -> None:
    server = make_server(state=OperState.STOPPED)
    sign_in(Role.ADMIN)
    form = _form(app.get(f"/admin/vms/{server.id}"), "/start")
    with unit_of_work(app.app.registry["cloudweb.sessions"]) as session:
        suspensions.suspend(session, CLI, server.id, reason="spam")
    assert "Server is suspended" in form.submit(status=409)
    assert "It is suspended." in app.get(f"/admin/vms/{server.id}")
    assert "It is suspended." in app.get(f"/admin/vms/bulk?verb=start&id={server.id}")
    assert rows(Operation) == []


@pytest.mark.parametrize(
    ("state", "offline", "asked"),
    [
        (OperState.STARTED, True, []),
        (OperState.STOPPED, False, []),
        (OperState.ERROR, False, []),
        (OperState.STARTED, False, ["OP_INSTANCE_SHUTDOWN"]),
    ],
)
def test_what_does_not_run_or_cannot_be_reached_is_only_kept_from_its_owner(
    state: OperState,
    offline: bool,
    asked: list[str],
    app: webtest.TestApp,
    sign_in: Callable,
    make_server: Callable,
    make_backend: Callable,
    rows: Callable,
) -> None:
    server = make_server(state=state, backend=make_backend(offline=offline))
    sign_in(Role.OPERATOR)
    form = _form(app.get(f"/admin/vms/bulk?verb=suspend&id={server.id}"))
    form["reason"] = "spam"
    form.submit(status=303)
    assert rows(Server)[0].suspended
    assert [o.opcode for o in rows(Operation)] == asked


def test_vms_are_found_by_whether_they_are_suspended(
    app: webtest.TestApp, sign_in: Callable, suspended: Any, make_server: Callable
) -> None:
    _, server = suspended
    make_server()
    sign_in(Role.VIEWER)
    found = app.get("/admin/vms.json?suspended=yes").json
    assert [(row["id"], row["suspended"]) for row in found] == [(server.id, "yes")]
    assert len(app.get("/admin/vms.json?suspended=no").json) == 1


# --- what owners are told -----------------------------------------------------------------------


def test_owners_are_told_only_if_that_is_ticked_and_one_mail_is_shown_before(
    app: webtest.TestApp,
    sign_in: Callable,
    make_user: Callable,
    make_server: Callable,
    rows: Callable,
    sealer: Sealer,
    sessions: SessionFactory,
) -> None:
    maria, nikos = make_user(email="maria@example.org"), make_user(email="nikos@example.org")
    gone = make_user(email="gone@example.org")
    with unit_of_work(sessions) as session:
        session.get_one(User, gone.user.id).state = UserState.DEACTIVATED
    made = [
        make_server(owner=owner, name=f"vm-{n}")
        for n, owner in enumerate((maria, maria, nikos, gone))
    ]
    ids = "&".join(f"id={server.id}" for server in made)
    sign_in(Role.HELPDESK)
    page = app.get(f"/admin/vms/bulk?verb=suspend&{ids}")
    assert "2 mails will be sent, one to each owner. The first, to maria@example.org" in " ".join(
        page.html.main.text.split()
    )
    assert f"vm-1 ({made[1].id})" in page.html.main.pre.text
    form = _form(page)
    assert not form["mail"].checked
    form["reason"], form["mail"] = "They send spam.", True
    form.submit(status=303)
    told = {mail.recipient: str(sealer.open(mail.text_sealed)) for mail in rows(Mail)}
    assert set(told) == {"maria@example.org", "nikos@example.org"}
    assert f"  vm-0 ({made[0].id})\n  vm-1 ({made[1].id})\n" in told["maria@example.org"]
    assert "They send spam." in told["nikos@example.org"]
    assert "vm-0" not in told["nikos@example.org"]
    [entry] = [e for e in rows(AuditEntry) if e.action == "notice:send"]
    assert (entry.details["mails"], entry.details["servers"]) == (2, 3)
    form = _form(app.get(f"/admin/vms/bulk?verb=unsuspend&{ids}"))
    form.submit(status=303)
    assert len(rows(Mail)) == 2


def test_one_owner_is_told_what_is_done_to_one_vm(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable, rows: Callable
) -> None:
    server = make_server()
    sign_in(Role.ADMIN)
    for verb, values in (
        ("shutdown", {}),
        ("reboot", {}),
        ("destroy", {"phrase": f"destroy {server.id}"}),
    ):
        form = _form(app.get(f"/admin/vms/{server.id}/{verb}"))
        for name, value in {"reason": "New disks", "mail": True, **values}.items():
            form[name] = value
        form.submit(status=303)
    assert [mail.subject for mail in rows(Mail)] == [
        "Your servers are shut down",
        "Your servers are rebooted",
        "Your servers are destroyed",
    ]


def test_owners_are_written_to_in_words_that_are_shown_as_they_will_be(
    app: webtest.TestApp,
    sign_in: Callable,
    make_user: Callable,
    make_server: Callable,
    rows: Callable,
    sealer: Sealer,
) -> None:
    maria, nikos = make_user(email="maria@example.org"), make_user(email="nikos@example.org")
    made = [
        make_server(owner=owner, name=f"vm-{n}") for n, owner in enumerate((maria, nikos, nikos))
    ]
    sign_in(Role.HELPDESK)
    query = [("verb", "mail"), *(("id", str(server.id)) for server in made)]
    page = app.get("/admin/vms/bulk", query, status=303).follow()
    form = page.forms["write"]
    form["subject"], form["text"] = "New disks", "On Friday at 18:00 UTC disks are changed.\nBye."
    page = form.submit()
    assert "2 mails will be sent, one to each owner. The first, to maria@example.org" in " ".join(
        page.html.main.text.split()
    )
    assert "disks are changed.\nBye." in page.html.main.pre.text
    confirm = _form(page)
    result = confirm.submit(status=303).follow()
    assert "A mail to nikos@example.org" in result
    confirm.submit(status=303)
    told = {mail.recipient: str(sealer.open(mail.text_sealed)) for mail in rows(Mail)}
    assert set(told) == {"maria@example.org", "nikos@example.org"}
    assert f"  vm-1 ({made[1].id})\n  vm-2 ({made[2].id})\n" in told["nikos@example.org"]
    assert [e.action for e in rows(AuditEntry) if e.door == "dashboard"][-1] == "notice:send"
    for wrong in ({"subject": "x\ny", "text": "z"}, {"subject": "x", "text": ""}):
        page = app.get("/admin/vms/mail", {"id": str(made[0].id), **wrong}, status=400)
        assert "Nothing was sent." in page
    app.get("/admin/vms/mail", {"id": "999"}, status="*")
