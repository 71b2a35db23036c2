"""The pages beside a backend and beside a VM: what is on it, what was done to it, and as files."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
import webtest

from cloudweb.domain import audit, identity, locks
from cloudweb.models import (
    Backend,
    BackendNetwork,
    ClusterJob,
    Network,
    NetworkKind,
    NetworkState,
    Nic,
    NicState,
    Node,
    Role,
    SessionFactory,
    unit_of_work,
    utc_now,
)

Make = Callable[..., Any]
TABS = {"nodes": "n1", "vms": "web", "networks": "office", "jobs": "4711", "history": "by hand"}
WHY = ("by hand", "too hot")
PORCH = identity.Identity(
    user_id=None,
    email="ann@example.org",
    role=Role.OPERATOR,
    door="dashboard",
    address="198.51.100.7",
)


@pytest.fixture
def pair(sessions: SessionFactory, make_backend: Make, make_server: Make) -> list[Backend]:
    """Two clusters, each with one of everything."""
    found = [make_backend(name=f"{name}.example.org") for name in ("athens", "patras")]
    for n, backend in enumerate(found):
        server = make_server(name=("web", "depot")[n], backend=backend)
        with unit_of_work(sessions) as session:
            session.add(_node(backend, ("n1", "m1")[n]))
            job = ClusterJob(backend_id=backend.id, job_id=(4711, 88)[n], status="success")
            job.opcode, job.received = ("OP_CLUSTER_VERIFY", "OP_TAGS_SET")[n], utc_now()
            session.add(job)
            network = _network(("office", "lab")[n], backend_id=backend.id)
            session.add(network)
            session.flush()
            if n == 0:
                session.add(_made(network, backend))
            nic = Nic(server_id=server.id, network_id=network.id, index=1, state=NicState.ACTIVE)
            session.add(nic)
            audit.record(session, PORCH, "backend:drain", "backend", backend.id, reason=WHY[n])
    return found


def _node(backend: Backend, name: str) -> Node:
    sizes = {"memory_total_mb": 8, "memory_free_mb": 4, "disk_total_mb": 9, "disk_free_mb": 9}
    flags = {"drained": False, "offline": False, "vm_capable": True}
    counts = {"cpus": 8, "primaries": 1, "secondaries": 0}
    node = Node(backend_id=backend.id, name=name, node_group="default", **sizes, **flags, **counts)
    node.role = "C"
    return node


def _network(name: str, **values: Any) -> Network:
    known = {"kind": NetworkKind.CUSTOM, "mode": "bridged", "link": "br0", "cidr": "10.9.0.0/24"}
    return Network(name=name, **known | values)


def _made(network: Network, backend: Backend, **values: Any) -> BackendNetwork:
    known = {"name": f"snf-net-{network.id}", "state": NetworkState.ACTIVE}
    return BackendNetwork(network_id=network.id, backend_id=backend.id, **known | values)


@pytest.mark.parametrize("tab", TABS)
def test_a_backend_has_a_page_for_each_kind_of_thing_on_it_alone(
    tab: str, app: webtest.TestApp, sign_in: Make, pair: list[Backend], count_statements: Make
) -> None:
    sign_in(Role.VIEWER)
    path = f"/admin/backends/{pair[0].id}/{tab}"
    with count_statements() as counter:
        page = app.get(path)
    assert len(counter) <= 12
    bar = page.html.find("nav", attrs={"aria-label": "Pages about this one"})
    assert [link.text for link in bar("a")] == [
        "Overview",
        *("Nodes", "VMs", "Networks", "Jobs", "History"),
    ]
    assert [link["href"] for link in bar("a", attrs={"aria-current": "page"})] == [path]
    assert pair[0].name in page.html.h1.text
    [row] = page.html.select("tbody tr")
    assert TABS[tab] in row.text
    assert pair[1].name not in page
    for heading in page.html.select("thead th a"):
        app.get(heading["href"], status=200)
    assert app.get(f"{path}?filter=backend=x", status=400)
    rows = app.get(f"{path}.json").json
    assert len(rows) == 1
    assert len(list(csv.DictReader(io.StringIO(app.get(f"{path}.csv").text)))) == 1
    assert TABS[tab] in str(rows[0])
    app.get(f"/admin/backends/{pair[0].id + 999}/{tab}", status=404)


def test_the_page_of_a_backend_leads_to_all_that_is_on_it(
    app: webtest.TestApp, sign_in: Make, pair: list[Backend]
) -> None:
    sign_in(Role.VIEWER)
    page = app.get(f"/admin/backends/{pair[0].id}")
    here = page.html.find("nav", attrs={"aria-label": "Pages about this one"})
    assert here.find(attrs={"aria-current": "page"}).text == "Overview"
    assert "web" in page.click(href="state=STARTED").html.tbody.text
    assert "4711" in page.click("all jobs of its queue").html.tbody.text
    assert "office" in page.click("all networks and their state here").html.tbody.text
    assert "n1" not in page


def test_the_networks_of_a_backend_are_those_it_has_and_those_it_is_to_have(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, pair: list[Backend]
) -> None:
    athens, patras = pair
    with unit_of_work(sessions) as session:
        whole = {
            "public": _network("internet", public=True, everywhere=False),
            "everywhere": _network("storage", everywhere=True),
            "broken": _network("broken"),
        }
        others = [_network("private"), _network("bare", public=True, cidr=None)]
        gone = _network("gone", deleted=True, state=NetworkState.DELETED)
        session.add_all([*whole.values(), *others, gone])
        session.flush()
        session.add(_made(whole["broken"], athens, state=NetworkState.ERROR))
        session.add(_made(gone, athens, state=NetworkState.DELETED))
        session.add(_made(whole["public"], patras))
    sign_in(Role.VIEWER)
    path = f"/admin/backends/{athens.id}/networks"
    found = {row["name"]: row for row in app.get(f"{path}.json").json}
    assert {name: row["state"] for name, row in found.items()} == {
        "broken": "ERROR",
        "internet": "Not made yet",
        "office": "ACTIVE",
        "storage": "Not made yet",
    }
    assert (found["office"]["servers"], found["internet"]["servers"]) == (1, 0)
    assert found["office"]["called"].startswith("snf-net-")
    names = [row["name"] for row in app.get(f"{path}.json?state=NONE&sort=-name").json]
    assert names == ["storage", "internet"]
    assert "Being made" not in app.get(path)


def test_many_vms_of_a_backend_are_chosen_there_as_in_the_list_of_all(
    app: webtest.TestApp, sign_in: Make, make_server: Make, pair: list[Backend]
) -> None:
    make_server(name="wiki", backend=pair[0])
    sign_in(Role.OPERATOR)
    form = app.get(f"/admin/backends/{pair[0].id}/vms").forms["bulk"]
    form["all"] = True
    preview = form.submit("verb", value="shutdown").maybe_follow()
    assert "wiki" in preview
    assert "web" in preview
    assert "depot" not in preview


def test_the_history_of_a_vm_is_all_that_was_done_to_it(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_server: Make
) -> None:
    server, other = make_server(name="web"), make_server(name="depot")
    with unit_of_work(sessions) as session:
        for _ in range(4):
            for each in (server, other):
                locks.lock(session, PORCH, each.id)
                locks.unlock(session, PORCH, each.id)
    sign_in(Role.VIEWER)
    page = app.get(f"/admin/vms/{server.id}")
    assert len(page.html.find(id="audit").find_parent("table").select("tbody tr")) == 5
    whole = page.click("All its history")
    assert whole.html.h1.text == "History of web"
    assert len(whole.html.select("tbody tr")) == 8
    assert len(app.get(f"{whole.request.path}.json?filter=action=server:lock").json) == 4
    assert "198.51.100.7" in app.get(f"{whole.request.path}.json").text


def test_who_may_not_see_the_audit_sees_of_a_history_what_its_page_shows(
    app: webtest.TestApp, sign_in: Make, pair: list[Backend]
) -> None:
    sign_in(Role.HELPDESK)
    path = f"/admin/backends/{pair[0].id}/history"
    page = app.get(path)
    assert "by hand" in page
    assert not page.html.select("tbody a")
    [row] = app.get(f"{path}.json").json
    assert set(row) == {
        *("at", "actor", "role", "action", "outcome", "reason", "door", "operation", "job")
    }
    app.get(f"{path}.json?filter=address~198", status=400)
