"""What lists and pages say of both sides: our records, and clusters as they were last compared."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.domain import identity, pool_drift, pools, reconcile
from cloudweb.domain.snapshots import InstanceReport, Snapshot
from cloudweb.models import (
    Backend,
    BackendNetwork,
    Network,
    NetworkKind,
    NetworkState,
    Operation,
    OperationState,
    PoolKind,
    PoolUse,
    PoolValue,
    Role,
    SessionFactory,
    unit_of_work,
    utc_now,
)

CLI = identity.system("cli")


def _compare(sessions: SessionFactory, backend_id: int, **reports: InstanceReport) -> None:
    with unit_of_work(sessions) as session:
        backend, snapshot = session.get_one(Backend, backend_id), Snapshot(utc_now(), reports)
        found = reconcile.detect(session, backend, snapshot, "snf-")
        reconcile.keep(session, backend, taken=snapshot.taken, found=found, compared=len(reports))


def _sides(page: Any) -> dict[str, tuple[str, ...]]:
    table = page.html.find("caption", id="sides").parent
    cells = [[" ".join(c.text.split()) for c in row.find_all(["th", "td"])] for row in table("tr")]
    return {row[0]: tuple(row[1:]) for row in cells[1:]}


def test_a_vm_is_shown_from_both_sides_with_the_differences_marked(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable, sessions: SessionFactory
) -> None:
    server = make_server(instance_name="snf-1", node="node7")
    sign_in(Role.VIEWER)
    url = f"/admin/vms/{server.id}"
    assert "was not compared with our records yet" in app.get(url)
    _compare(sessions, server.backend_id, **{"snf-1": InstanceReport("snf-1", running=False)})
    told = _sides(app.get(url))
    assert told["State"] == ("running", "not running", "Differs")
    assert told["Instance"] == ("snf-1", "snf-1", "Same")
    assert told["Network cards"][2] == "Differs"
    assert told["Disks"][2] == "Same"
    assert told["Node"] == ("node7", "node7", "Same")
    _compare(sessions, server.backend_id)
    told = _sides(app.get(url))
    assert told["Instance"] == ("snf-1", "no instance", "Missing")
    assert told["State"] == ("running", "\N{EN DASH}", "Unknown")


def test_what_changed_since_it_was_compared_is_not_known(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable, sessions: SessionFactory
) -> None:
    first = make_server(instance_name="snf-1")
    _compare(sessions, first.backend_id, **{"snf-1": InstanceReport("snf-1", running=True)})
    with unit_of_work(sessions) as session:
        backend = session.get_one(Backend, first.backend_id)
    second = make_server(instance_name="snf-2", backend=backend)
    sign_in(Role.VIEWER)
    told = _sides(app.get(f"/admin/vms/{second.id}"))
    assert {side[2] for side in told.values()} == {"Unknown"}


def test_vms_are_found_by_whether_ganeti_has_them_otherwise(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable, sessions: SessionFactory
) -> None:
    wrong, right = make_server(instance_name="snf-1"), make_server(instance_name="snf-2")
    _compare(sessions, wrong.backend_id)
    sign_in(Role.VIEWER)
    assert [row["id"] for row in app.get("/admin/vms.json?differs=yes").json] == [wrong.id]
    assert [row["id"] for row in app.get("/admin/vms.json?differs=no").json] == [right.id]
    assert len(app.get("/admin/vms.json?filter=ipv4~192.168").json) == 2


@pytest.fixture
def network(sessions: SessionFactory, make_backend: Callable) -> Network:
    """A public network of 16 addresses on one of two clusters."""
    one, _other = make_backend(), make_backend()
    with unit_of_work(sessions) as session:
        made = Network(
            name="net",
            kind=NetworkKind.IP_LESS_ROUTED,
            public=True,
            cidr="10.9.0.0/28",
            gateway="10.9.0.1",
            mode="routed",
            link="100",
            state=NetworkState.ACTIVE,
        )
        session.add(made)
        session.flush()
        pools.create_addresses(session, made)
        there = {"backend_id": one.id, "name": "snf-net-1", "state": NetworkState.ACTIVE}
        session.add(BackendNetwork(network_id=made.id, **there))
    return made


def test_a_network_says_how_many_addresses_and_clusters_it_has(
    app: webtest.TestApp, sign_in: Callable, network: Network
) -> None:
    sign_in(Role.VIEWER)
    row = next(r for r in app.get("/admin/networks.json").json if r["id"] == network.id)
    assert (row["free"], row["usable"], row["clusters"], row["wanted_on"]) == (13, 13, 1, 2)
    assert (row["gateway"], row["public"], row["drained"]) == ("10.9.0.1", "yes", "no")
    page = app.get("/admin/networks")
    assert "13 of 13" in page
    assert "1 of 2" in page
    assert app.get("/admin/networks.json?filter=clusters>1").json == []
    assert app.get("/admin/networks.json?drained=yes").json == []
    assert "1 of 2" in app.get(f"/admin/networks/{network.id}")


def test_a_pool_says_how_many_of_its_values_are_wrong(
    app: webtest.TestApp, sign_in: Callable, sessions: SessionFactory
) -> None:
    with unit_of_work(sessions) as session:
        sound = pools.create(session, CLI, kind=PoolKind.BRIDGE, base="abc", size=10)
        pool = pools.create(session, CLI, kind=PoolKind.BRIDGE, base="prv", size=10)
        held = {"use": PoolUse.HELD, "holder_kind": "network", "holder_id": 99}
        two = (PoolValue.pool_id == pool.id, PoolValue.number < 2)
        session.execute(sa.update(PoolValue).where(*two).values(**held))
    with unit_of_work(sessions) as session:
        found = pool_drift.detect_own(session)
        reconcile.keep(session, None, taken=utc_now(), found=found)
    sign_in(Role.VIEWER)
    wrong = {row["id"]: row["wrong"] for row in app.get("/admin/pools.json").json}
    assert (wrong[pool.id], wrong[sound.id]) == (2, 0)
    assert [row["id"] for row in app.get("/admin/pools.json?filter=wrong>0").json] == [pool.id]
    assert "2 values" in app.get("/admin/pools")
    assert "nothing, as compared" in app.get(f"/admin/pools/{sound.id}")


def test_what_ganeti_calls_things_is_said_in_words(
    app: webtest.TestApp,
    sign_in: Callable,
    make_server: Callable,
    network: Network,
    sessions: SessionFactory,
) -> None:
    server = make_server(instance_name="snf-1")
    with unit_of_work(sessions) as session:
        for key in ("one", "two"):
            which = {"backend_id": server.backend_id, "server_id": server.id, "target": "snf-1"}
            how = {"opcode": "OP_INSTANCE_REBOOT", "state": OperationState.SUCCESS}
            session.add(Operation(key=key, job_id=4711, **how, **which))
    _compare(sessions, server.backend_id, **{"snf-1": InstanceReport("snf-1", running=True)})
    sign_in(Role.ADMIN)
    assert "Routed" in app.get(f"/admin/networks/{network.id}").html.find(class_="facts").text
    assert "Routed" in app.get("/admin/networks").html.tbody.text
    preview = app.get(f"/admin/networks/{network.id}/drain").html.find(class_="facts").text
    assert "routed" in preview
    assert "ACTIVE" not in preview
    found = app.get("/admin/search?q=4711").html.main.text
    assert "Reboot" in found
    assert "OP_" not in found
    runs = app.get("/admin/reconcile/runs").html.tbody.text
    assert "snf-1: Network cards" in runs
    assert "1 card" in app.get("/admin/reconcile").html.main.text
    assert "1 cards" not in app.get("/admin/reconcile")
    page = app.get(f"/admin/backends/{server.backend_id}").html.main.text
    assert "the last digit of the MAC prefixes" in page
