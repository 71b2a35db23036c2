"""What nodes are to their clusters: shown first, asked of the cluster as shown, and undone."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.models import Backend, Node, Operation, Role, SessionFactory, unit_of_work

Make = Callable[..., Any]


@pytest.fixture
def backend(sessions: SessionFactory, make_backend: Make) -> Backend:
    """A cluster of a master, a regular node and one that is drained."""
    made: Backend = make_backend()
    with unit_of_work(sessions) as session:
        for name, role, free_mb in (("n1", "M", 2048), ("n2", "R", 4096), ("n3", "D", 6144)):
            session.add(
                Node(
                    backend_id=made.id,
                    name=f"{name}.example.org",
                    role=role,
                    node_group="default",
                    drained=role == "D",
                    offline=False,
                    vm_capable=True,
                    memory_total_mb=8192,
                    memory_free_mb=free_mb,
                    disk_total_mb=100_000,
                    disk_free_mb=100_000,
                    cpus=8,
                    primaries=0,
                    secondaries=0,
                )
            )
    return made


def asked(sessions: SessionFactory) -> list[tuple[str, str, object]]:
    with unit_of_work(sessions, write=False) as session:
        rows = session.scalars(sa.select(Operation).order_by(Operation.id))
        return [(row.opcode, row.target, row.arguments.get("role")) for row in rows]


def test_a_node_is_drained_as_was_shown_and_that_is_undone(
    app: webtest.TestApp,
    sign_in: Make,
    sessions: SessionFactory,
    backend: Backend,
    make_flavor: Make,
) -> None:
    lost = make_flavor(ram_mb=3000)
    make_flavor(ram_mb=1000)
    sign_in(Role.OPERATOR)
    page = app.get(f"/admin/backends/{backend.id}/nodes/n2.example.org")
    preview = page.click("Drain…")
    assert "2, then 1" in preview
    assert "6 GiB, then 2 GiB" in preview
    assert f"No other node of the cluster has room for: {lost.name}." in preview
    form = preview.forms["act"]
    assert "Say why" in form.submit(status=400)
    form["reason"] = "A new fan."
    page = form.submit(status=303).follow()
    assert "Change role of node" in page
    assert asked(sessions) == [("OP_NODE_SET_PARAMS", "n2.example.org", "drained")]
    assert "is changing its role" in app.get(f"/admin/backends/{backend.id}/nodes/n2/drain")
    with unit_of_work(sessions) as session:
        session.execute(sa.update(Operation).values(state="success"))
        node = session.get_one(Node, (backend.id, "n2.example.org"))
        node.drained, node.role = True, "D"
    undo = next(f for f in page.forms.values() if "/admin/undo/" in f.action)
    undo.submit(status=303)
    assert asked(sessions)[1] == ("OP_NODE_SET_PARAMS", "n2.example.org", "regular")


def test_a_node_that_has_moved_since_it_was_shown_is_left_alone(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, backend: Backend
) -> None:
    sign_in(Role.OPERATOR)
    form = app.get(f"/admin/backends/{backend.id}/nodes/n2/offline").forms["act"]
    form["reason"] = "A new fan."
    with unit_of_work(sessions) as session:
        session.get_one(Node, (backend.id, "n2.example.org")).primaries = 3
    answer = form.submit(status=409)
    assert "was 0" in answer
    assert "3 instances on it can then neither be started nor stopped there" in answer
    assert asked(sessions) == []
    form = answer.forms["act"]
    form["reason"] = "A new fan."
    form["phrase"] = "offline n2"
    form.submit(status=303)
    assert asked(sessions) == [("OP_NODE_SET_PARAMS", "n2.example.org", "offline")]


def test_what_cannot_be_made_of_a_node_is_said(
    app: webtest.TestApp, sign_in: Make, backend: Backend
) -> None:
    sign_in(Role.OPERATOR)
    page = app.get(f"/admin/backends/{backend.id}/nodes/n1")
    assert "gnt-cluster master-failover" in page
    assert "Drain…" not in page
    for node, verb, why in (
        ("n1", "drain", "It is the master"),
        ("n2", "undrain", "It is not drained."),
        ("n3", "promote", "Only a regular node"),
    ):
        assert why in app.get(f"/admin/backends/{backend.id}/nodes/{node}/{verb}")
    assert "Undrain…" in app.get(f"/admin/backends/{backend.id}/nodes/n3")
    sign_in(Role.HELPDESK)
    assert "Undrain…" not in app.get(f"/admin/backends/{backend.id}/nodes/n3")
    app.get(f"/admin/backends/{backend.id}/nodes/n3/undrain", status=403)
