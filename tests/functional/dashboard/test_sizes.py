"""A page of a list stays light however many rows are asked for."""

import datetime as dt
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import webtest

from cloudweb.domain import identity, images, pools
from cloudweb.models import (
    AuditEntry,
    ClusterJob,
    Network,
    NetworkKind,
    Node,
    Operation,
    OperationState,
    PoolKind,
    Role,
    SentForm,
    Server,
    SessionFactory,
    unit_of_work,
    utc_now,
)

MOST_BYTES = 150_000
ROWS = 201


@pytest.fixture
def many(
    sessions: SessionFactory, make_server: Callable, make_user: Callable, make_backend: Callable
) -> int:
    """More of everything than a page shows; the id of a pool."""
    backend = make_backend(name="gnt-athens-01.example.org")
    owner = make_user(email="firstname.lastname@example.org")
    first = make_server(owner=owner, backend=backend, name="web-server-000")
    system = identity.system("cli")
    with unit_of_work(sessions) as session:
        for n in range(1, ROWS):
            copied = ("user_id", "backend_id", "flavor_id", "image_ref", "state")
            values = {name: getattr(first, name) for name in copied}
            session.add(Server(name=f"web-server-{n:03}", **values))
            images.register(session, system, name=f"Debian {n}", location="debian-12")
        for n in range(ROWS):
            session.add_all(_one(n, backend.id, first))
        pool = pools.create(session, system, kind=PoolKind.BRIDGE, base="prv", size=400)
        return int(pool.id)


def _one(n: int, backend_id: int, server: Any) -> Iterator[Any]:
    """One of each that lists show."""
    past = utc_now() - dt.timedelta(days=2)
    yield Operation(
        key=secrets.token_hex(16),
        backend_id=backend_id,
        server_id=server.id,
        user_id=server.user_id,
        opcode="OP_INSTANCE_CREATE",
        target=f"snf-{server.id}",
        state=OperationState.SUCCESS,
        job_id=471_100 + n,
        created=past,
        finished=past,
    )
    yield AuditEntry(
        actor="firstname.lastname@example.org",
        role="operator",
        door="dashboard",
        target_kind="server",
        action="server:shutdown",
        target_id=str(server.id),
        reason="a kernel update of the whole cluster tonight",
    )
    yield ClusterJob(
        backend_id=backend_id,
        job_id=88_000 + n,
        status="success",
        opcode="OP_INSTANCE_STARTUP",
        target=f"web{n}.example.org",
        server_id=server.id,
        tool="gnt-instance",
        reason="A new fan",
        received=past,
        started=past,
        ended=past,
        took_ms=61_000,
    )
    yield Network(
        name=f"network-{n}",
        kind=NetworkKind.IP_LESS_ROUTED,
        user_id=server.user_id,
        mode="routed",
        link="1",
    )
    yield Node(
        backend_id=backend_id,
        name=f"node{n:03}.example.org",
        node_group="default",
        role="R",
        drained=False,
        offline=False,
        vm_capable=True,
        memory_total_mb=65_536,
        memory_free_mb=40_000,
        disk_total_mb=2_000_000,
        disk_free_mb=1_000_000,
        cpus=32,
        primaries=5,
        secondaries=1,
    )
    yield SentForm(
        key=secrets.token_hex(16),
        user_id=server.user_id,
        verb="bulk",
        title="Shut down 100 VMs",
        reason="a kernel update of the whole cluster",
        items=[],
    )


def test_no_page_of_a_list_is_heavy(app: webtest.TestApp, sign_in: Callable, many: int) -> None:
    sign_in(Role.ADMIN)
    lists = ("vms", "operations", "acts", "jobs", "audit", "networks", "images", "nodes")
    for path in (*lists, f"pools/{many}/values"):
        page = app.get(f"/admin/{path}?per_page=200")
        sizes = [int(each.text) for each in page.html.select("select[name=per_page] option")]
        assert len(page.html.select("tbody tr")) == max(sizes), path
        assert len(page.body) < MOST_BYTES, path


def test_a_check_shows_the_first_of_many_findings_and_where_they_are_mended(
    app: webtest.TestApp, sign_in: Callable, many: int, sessions: SessionFactory
) -> None:
    with unit_of_work(sessions) as session:
        for _ in range(150):
            pools.take(session, PoolKind.BRIDGE, holder_kind="network", holder_id=10**9)
    sign_in(Role.VIEWER)
    page = app.get(f"/admin/pools/{many}?check=yes")
    section = page.html.find(id="check")
    assert len(section.select("tbody tr")) == 100
    assert "And 50 more." in section.text
    assert section.find("a", string="Reconcile")["href"] == "/admin/reconcile"
