"""VMs that are locked against accidents."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.domain import identity, locks
from cloudweb.models import Operation, OperState, Role, Server, SessionFactory, unit_of_work

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


def test_one_is_locked_at_once_and_unlocked_after_a_look(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable, rows: Callable
) -> None:
    server = make_server()
    sign_in(Role.HELPDESK)
    url = f"/admin/vms/{server.id}"
    page = _form(app.get(url), "/lock").submit(status=303).follow()
    assert rows(Server)[0].locked
    _form(page, "/admin/undo/").submit(status=303)
    assert not rows(Server)[0].locked
    _form(app.get(url), "/lock").submit(status=303)
    for verb in ("shutdown", "reboot", "suspend"):
        assert "It is locked. Unlock it first." in app.get(f"{url}/{verb}")
    _form(app.get(url).click("Unlock…")).submit(status=303)
    assert not rows(Server)[0].locked
    assert "It is not locked." in app.get(f"{url}/unlock")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "", None),
        ("POST", "/action", {"shutdown": {}}),
        ("POST", "/action", {"reboot": {"type": "HARD"}}),
    ],
)
def test_its_owner_cannot_shut_it_down_nor_destroy_it(
    method: str,
    path: str,
    body: Any,
    app: webtest.TestApp,
    make_user: Callable,
    make_server: Callable,
    rows: Callable,
) -> None:
    owner = make_user()
    server = make_server(owner=owner, locked=True)
    call = getattr(app, f"{method.lower()}_json")
    arguments = [body] if body is not None else []
    answer = call(
        f"/api/v1.1/servers/{server.id}{path}",
        *arguments,
        headers={"X-Auth-Token": owner.token},
        status=409,
    )
    assert "Server is locked." in answer
    assert rows(Operation) == []


def test_an_act_confirmed_after_somebody_locked_it_does_nothing(
    app: webtest.TestApp,
    sign_in: Callable,
    make_server: Callable,
    rows: Callable,
    sessions: SessionFactory,
) -> None:
    server = make_server()
    sign_in(Role.ADMIN)
    form = _form(app.get(f"/admin/vms/{server.id}/destroy"))
    form["phrase"], form["reason"] = f"destroy {server.id}", "old"
    with unit_of_work(sessions) as session:
        locks.lock(session, CLI, server.id)
    assert "It is locked" in form.submit(status=409)
    assert rows(Operation) == []


def test_of_many_the_locked_ones_are_skipped_and_a_locked_one_can_be_started(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable, rows: Callable
) -> None:
    made = [make_server(locked=n == 0, name=f"vm-{n}") for n in range(3)]
    stopped = make_server(locked=True, state=OperState.STOPPED)
    ids = "&".join(f"id={server.id}" for server in made)
    sign_in(Role.ADMIN)
    for verb in ("shutdown", "reboot", "suspend", "destroy"):
        page = app.get(f"/admin/vms/bulk?verb={verb}&{ids}")
        assert "2 of 3 will be done" in page
        assert "It is locked. Unlock it first." in page
    _form(app.get(f"/admin/vms/bulk?verb=start&id={stopped.id}")).submit(status=303)
    assert [o.server_id for o in rows(Operation)] == [stopped.id]
    _form(app.get(f"/admin/vms/bulk?verb=lock&{ids}")).submit(status=303)
    assert all(server.locked for server in rows(Server))
    _form(app.get(f"/admin/vms/bulk?verb=unlock&{ids}")).submit(status=303)
    assert [server.locked for server in rows(Server)] == [False, False, False, True]
    assert len(app.get("/admin/vms.json?filter=locked=yes").json) == 1
