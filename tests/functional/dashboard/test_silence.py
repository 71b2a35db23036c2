"""Clusters that are not heard: pages about what is on them say that it is as it was."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import webtest

from cloudweb.models import (
    Backend,
    BackendNetwork,
    Network,
    NetworkKind,
    NetworkState,
    Node,
    Role,
    SessionFactory,
    unit_of_work,
    utc_now,
)

Make = Callable[..., Any]
SINCE = utc_now() - dt.timedelta(minutes=17)
PAGES = (
    "vms",
    "vms/{server}",
    "nodes",
    "backends/{backend}/nodes",
    "backends/{backend}/nodes/n1",
    "backends/{backend}/vms",
    "backends/{backend}/networks",
    "backends/{backend}/jobs",
    "networks/{network}",
)
PREVIEWS = (
    "vms/{server}/shutdown",
    "vms/{server}/destroy",
    "vms/{server}/migrate",
    "vms/bulk?verb=shutdown&id={server}",
    "backends/{backend}/nodes/n1/evacuate",
)


@pytest.fixture
def ids(sessions: SessionFactory, make_backend: Make, make_server: Make) -> dict[str, int]:
    """A cluster with a server, a node and a network, beside one that is well."""
    backend = make_backend(name="chania.example.org")
    make_server(name="other")
    server = make_server(name="web", backend=backend, node="n1")
    sizes = {"memory_total_mb": 8, "memory_free_mb": 4, "disk_total_mb": 9, "disk_free_mb": 9}
    flags = {"drained": False, "offline": False, "vm_capable": True}
    counts = {"cpus": 8, "primaries": 1, "secondaries": 0}
    values = {"kind": NetworkKind.CUSTOM, "mode": "bridged", "link": "br0", "cidr": "10.9.0.0/24"}
    with unit_of_work(sessions) as session:
        for name in ("n1", "n2"):
            known = {"backend_id": backend.id, "name": name, "node_group": "default"}
            session.add(Node(**known, **sizes, **flags, **counts))
        network = Network(name="office", **values)
        session.add(network)
        session.flush()
        made = {"name": "snf-net-9", "state": NetworkState.ACTIVE}
        session.add(BackendNetwork(network_id=network.id, backend_id=backend.id, **made))
    return {"server": server.id, "backend": backend.id, "network": network.id}


@pytest.fixture
def say(sessions: SessionFactory, ids: dict[str, int]) -> Make:
    """Makes the cluster one that is not heard."""

    def go(**values: Any) -> None:
        with unit_of_work(sessions) as session:
            backend = session.get_one(Backend, ids["backend"])
            for name, value in values.items():
                setattr(backend, name, value)

    return go


def test_what_is_on_a_cluster_that_does_not_answer_is_said_to_be_as_it_was(
    app: webtest.TestApp, sign_in: Make, ids: dict[str, int], say: Make, count_statements: Make
) -> None:
    sign_in(Role.ADMIN)
    paths = ["/admin/" + page.format(**ids) for page in (*PAGES, *PREVIEWS)]
    for path in paths:
        assert "From our records" not in app.get(path), path
    say(unreachable_since=SINCE)
    for path in paths:
        with count_statements() as counter:
            page = app.get(path)
        assert len(counter) <= 12, path
        assert "From our records" in page, path
        assert "chania.example.org has not answered since" in page.html.main.get_text(), path
        assert f"{SINCE:%H:%M}" in page, path


@pytest.mark.parametrize(
    ("how", "word"),
    [({"unreachable_since": SINCE}, "Unreachable"), ({"offline": True}, "Offline")],
)
def test_its_vms_and_nodes_have_a_mark_and_those_of_others_have_none(
    how: dict[str, Any],
    word: str,
    app: webtest.TestApp,
    sign_in: Make,
    ids: dict[str, int],
    say: Make,
) -> None:
    say(**how)
    sign_in(Role.VIEWER)
    for row in app.get("/admin/vms").html.select("tbody tr"):
        assert (word in row.text) is ("web" in row.th.text)
    assert word in app.get("/admin/nodes").html.find("tbody").text
    assert word in app.get(f"/admin/vms/{ids['server']}").html.find(class_="state").text
    node = app.get(f"/admin/backends/{ids['backend']}/nodes/n1")
    assert word in node.html.find(class_="facts").text
    assert word in app.get(f"/admin/networks/{ids['network']}").html.find(id="clusters").parent.text
    assert "From our records" not in app.get("/admin/vms?q=other")


def test_a_cluster_that_falls_silent_under_a_preview_is_said_before_anything_is_done(
    app: webtest.TestApp, sign_in: Make, ids: dict[str, int], say: Make
) -> None:
    sign_in(Role.OPERATOR)
    form = app.get(f"/admin/vms/{ids['server']}/shutdown").forms["act"]
    say(unreachable_since=SINCE)
    page = form.submit(status=409)
    assert "what is asked for waits until it does" in page
    page.forms["act"].submit(status=303)
