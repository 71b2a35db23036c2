"""The page of a node, and moving servers off it: shown first, then done as shown."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.models import (
    AuditEntry,
    Backend,
    Node,
    Operation,
    OperState,
    Role,
    Server,
    SessionFactory,
    unit_of_work,
)

Make = Callable[..., Any]


@pytest.fixture
def backend(sessions: SessionFactory, make_backend: Make) -> Backend:
    """A cluster of two nodes."""
    made: Backend = make_backend()
    with unit_of_work(sessions) as session:
        for name in ("n1.example.org", "n2.example.org"):
            session.add(
                Node(
                    backend_id=made.id,
                    name=name,
                    node_group="default",
                    drained=False,
                    offline=False,
                    vm_capable=True,
                    memory_total_mb=8192,
                    memory_free_mb=4096,
                    disk_total_mb=100_000,
                    disk_free_mb=100_000,
                    cpus=8,
                    primaries=3,
                    secondaries=0,
                )
            )
    return made


@pytest.fixture
def server(backend: Backend, make_server: Make, make_flavor: Make) -> Server:
    """One that runs on the first node and can move."""
    flavor = make_flavor(disk_template="ext_vlmc", ram_mb=1024)
    made: Server = make_server(backend=backend, flavor=flavor, node="n1.example.org", name="web")
    return made


def asked(sessions: SessionFactory) -> list[tuple[str, str, str | None]]:
    with unit_of_work(sessions, write=False) as session:
        rows = session.scalars(sa.select(Operation).order_by(Operation.id))
        return [(row.opcode, row.reason, row.arguments.get("target_node")) for row in rows]


def test_a_node_shows_its_servers_and_is_emptied_after_a_preview(
    app: webtest.TestApp,
    sign_in: Make,
    sessions: SessionFactory,
    backend: Backend,
    server: Server,
    make_server: Make,
    make_flavor: Make,
) -> None:
    stays = make_server(
        backend=backend,
        node="n1.example.org",
        name="stays<b>",
        flavor=make_flavor(disk_template="plain"),
    )
    sign_in(Role.OPERATOR)
    page = app.get(f"/admin/backends/{backend.id}/nodes").click("n1.example.org")
    assert "1 of them none of our VMs" in page
    assert "stays<b>" not in page, "nothing of it is markup"
    preview = page.click("Evacuate…")
    assert preview.html.find(id=f"step-{server.id}").find(class_="chip").text == "Moves live"
    assert "Its disks are only on this node" in preview.html.find(id=f"step-{stays.id}").text
    assert "1 VM is moved, 1 stays." in preview
    form = preview.forms["act"]
    assert "Say why" in form.submit(status=400)
    form["reason"] = "A new fan."
    page = form.submit(status=303).follow()
    assert "0 of 1 move over" in page
    assert asked(sessions) == [("OP_INSTANCE_MIGRATE", "A new fan.", None)]
    form.submit(status=303)
    assert len(asked(sessions)) == 1, "sent again it leads to the same"
    act = app.get("/admin/acts").click("Evacuate n1.example.org")
    results = [cell.text.strip() for cell in act.html.select("[data-label=Result]")]
    assert sorted(results) == ["Skipped", "Waiting"]
    assert "Its disks are only on this node" in act
    assert "Migrate" in app.get(f"/admin/vms/{server.id}")


def test_a_server_is_moved_to_a_node_that_is_chosen(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, server: Server
) -> None:
    sign_in(Role.ADMIN)
    preview = app.get(f"/admin/vms/{server.id}").click("Fail over…")
    choice = preview.forms["where"]
    choice["to"] = "n2.example.org"
    preview = choice.submit()
    assert "1 VM is shut down for it" in preview
    form = preview.forms["act"]
    form["reason"] = "A new fan."
    page = form.submit(status=303).follow()
    assert "Asked for: fail over" in page
    assert asked(sessions) == [("OP_INSTANCE_FAILOVER", "A new fan.", "n2.example.org")]


def test_what_has_moved_since_is_shown_anew_and_what_cannot_move_has_no_form(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, server: Server
) -> None:
    sign_in(Role.OPERATOR)
    form = app.get(f"/admin/vms/{server.id}/migrate").forms["act"]
    with unit_of_work(sessions) as session:
        session.get_one(Server, server.id).state = OperState.STOPPED
    form["reason"] = "A new fan."
    page = form.submit(status=409)
    assert "has changed since" in page
    assert "There is nothing to be moved so" in page
    assert asked(sessions) == []
    app.get(f"/admin/vms/{server.id}/migrate?to=n9", status=404)


def test_a_cluster_that_is_offline_is_asked_nothing(
    app: webtest.TestApp,
    sign_in: Make,
    sessions: SessionFactory,
    backend: Backend,
    server: Server,
) -> None:
    sign_in(Role.OPERATOR)
    where = f"/admin/backends/{backend.id}/nodes/n1.example.org"
    form = app.get(f"{where}/migrate").forms["act"]
    with unit_of_work(sessions) as session:
        session.get_one(Backend, backend.id).offline = True
    form["reason"] = "A new fan."
    page = form.submit(status=409)
    assert f"This is not possible now. {backend.name} is offline." in page
    assert "act" not in page.forms
    assert asked(sessions) == []


def test_only_operators_and_administrators_move(
    app: webtest.TestApp, sign_in: Make, backend: Backend, server: Server
) -> None:
    where = f"/admin/backends/{backend.id}/nodes/n1.example.org"
    for role in (Role.VIEWER, Role.HELPDESK):
        sign_in(role)
        page = app.get(where)
        assert "Evacuate…" not in page
        assert "Migrate…" not in app.get(f"/admin/vms/{server.id}")
        for path in (f"{where}/evacuate", f"/admin/vms/{server.id}/failover"):
            app.get(path, status=403)
            token = page.html.find("input", attrs={"name": "csrf_token"})["value"]
            app.post(path, {"csrf_token": token, "reason": "Even so."}, status=403)
    app.get(f"/admin/backends/{backend.id}/nodes/n9", status=404)


def test_a_node_whose_vms_are_shut_down_for_it_is_emptied_by_who_means_it(
    app: webtest.TestApp,
    sign_in: Make,
    sessions: SessionFactory,
    backend: Backend,
    make_server: Make,
    make_flavor: Make,
) -> None:
    with unit_of_work(sessions) as session:
        session.execute(sa.update(Node).where(Node.name.startswith("n1")).values(offline=True))
    flavor = make_flavor(disk_template="diskless", ram_mb=1024)
    make_server(backend=backend, flavor=flavor, node="n1.example.org", name="web")
    sign_in(Role.OPERATOR)
    page = app.get(f"/admin/backends/{backend.id}/nodes/n1.example.org/evacuate")
    assert "1 VM is shut down for it" in page
    form = page.forms["act"]
    form["reason"] = "A new fan."
    assert "Type: shut down 1" in form.submit(status=400)
    form["phrase"] = "shut down 1"
    form.submit(status=303)
    assert asked(sessions) == [("OP_INSTANCE_FAILOVER", "A new fan.", None)]


@pytest.mark.parametrize(
    ("part", "opcodes"),
    [
        ("all", ["OP_INSTANCE_MIGRATE", "OP_NODE_EVACUATE"]),
        ("primaries", ["OP_INSTANCE_MIGRATE"]),
        ("secondaries", ["OP_NODE_EVACUATE"]),
    ],
)
def test_vms_or_mirrors_of_a_node_are_evacuated_alone(
    part: str,
    opcodes: list[str],
    app: webtest.TestApp,
    sign_in: Make,
    sessions: SessionFactory,
    backend: Backend,
    server: Server,
) -> None:
    with unit_of_work(sessions) as session:
        session.execute(sa.update(Node).where(Node.name == "n1.example.org").values(secondaries=3))
    sign_in(Role.OPERATOR)
    page = app.get(f"/admin/backends/{backend.id}/nodes/n1.example.org/evacuate")
    form = page.forms["which"]
    form["part"] = part
    page = form.submit()
    assert page.forms["which"]["part"].value == part
    text = page.html.main.text
    assert ("Mirrors of the disks of 3 instances" in text) is (part != "primaries")
    assert ("1 VM is moved" in text) is (part != "secondaries")
    assert text.count("This is our own check") == 1
    assert "no promise" in text
    assert (f"--only {part}" in page) is (part != "all")
    form = page.forms["act"]
    form["reason"] = "A new fan."
    form.submit(status=303)
    assert [opcode for opcode, *_ in asked(sessions)] == opcodes
    with unit_of_work(sessions, write=False) as session:
        query = sa.select(AuditEntry).where(AuditEntry.action == "node:evacuate")
        assert session.scalars(query).one().details["part"] == part


def test_migrating_a_node_knows_no_parts(
    app: webtest.TestApp, sign_in: Make, backend: Backend, server: Server
) -> None:
    sign_in(Role.OPERATOR)
    where = f"/admin/backends/{backend.id}/nodes/n1.example.org"
    page = app.get(f"{where}/migrate?part=secondaries")
    assert "which" not in page.forms
    assert "1 VM is moved" in page
    assert "1 VM is moved" in app.get(f"{where}/evacuate?part=nothing")
