"""The list of backends: its columns, its filters, and how many public addresses are left."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
import webtest

from cloudweb.domain import pools
from cloudweb.models import (
    Backend,
    BackendNetwork,
    Network,
    NetworkKind,
    NetworkState,
    Pool,
    PoolUse,
    PoolValue,
    Role,
    SessionFactory,
    unit_of_work,
    utc_now,
)

Make = Callable[..., Any]


def make_network(sessions: SessionFactory, places: dict[int, NetworkState], **values: Any) -> int:
    """A public network of 13 addresses, made on these clusters."""
    with unit_of_work(sessions) as session:
        defaults = {"name": "net", "kind": NetworkKind.IP_LESS_ROUTED, "public": True}
        place = {"cidr": "10.9.0.0/28", "gateway": "10.9.0.1", "mode": "routed", "link": "100"}
        network = Network(**(defaults | place | values))
        session.add(network)
        session.flush()
        pools.create_addresses(session, network)
        for backend_id, state in places.items():
            name = f"snf-net-{network.id}"
            session.add(
                BackendNetwork(network_id=network.id, backend_id=backend_id, name=name, state=state)
            )
    return network.id


def listed(app: webtest.TestApp, query: str = "") -> dict[str, int]:
    return {row["name"]: row["addresses"] for row in app.get(f"/admin/backends.json{query}").json}


def test_free_public_addresses_are_those_of_the_networks_that_are_there(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_backend: Make
) -> None:
    one, two, none = make_backend(), make_backend(), make_backend()
    up, coming = NetworkState.ACTIVE, NetworkState.PENDING
    shared = make_network(sessions, {one.id: up, two.id: up, none.id: coming})
    make_network(sessions, {one.id: up}, backend_id=one.id)
    make_network(sessions, {one.id: up}, drained=True)
    make_network(sessions, {one.id: up}, deleted=True)
    make_network(sessions, {one.id: up}, public=False)
    with unit_of_work(sessions) as session:
        pool = sa.select(Pool.id).where(Pool.network_id == shared).scalar_subquery()
        held = {"use": PoolUse.HELD, "holder_kind": "server", "holder_id": 1}
        free = session.scalars(
            sa.select(PoolValue.number)
            .where(PoolValue.pool_id == pool, PoolValue.use == PoolUse.FREE)
            .order_by(PoolValue.number)
        ).all()[:3]
        session.execute(
            sa.update(PoolValue)
            .where(PoolValue.pool_id == pool, PoolValue.number.in_(free))
            .values(**held)
        )
    sign_in(Role.VIEWER)
    assert listed(app) == {one.name: 23, two.name: 10, none.name: 0}
    assert listed(app, "?filter=addresses<20") == {two.name: 10, none.name: 0}
    assert list(listed(app, "?sort=-addresses")) == [one.name, two.name, none.name]
    assert "Free public IPs" in app.get("/admin/backends")
    head = app.get("/admin/backends.csv").text.splitlines()[0].split(",")
    assert {"public", "memory", "memory_free", "disk", "addresses", "nodes", "nodes_up"} <= {*head}


def test_backends_are_filtered_by_state_template_and_what_is_free(
    app: webtest.TestApp, sign_in: Make, make_backend: Make
) -> None:
    made: dict[str, Backend] = {
        "active": make_backend(hypervisor="kvm"),
        "drained": make_backend(drained=True, hypervisor="xen-pvm"),
        "restricted": make_backend(public=False, disk_templates=["sharedfile"]),
        "offline": make_backend(offline=True, drained=True),
        "unreachable": make_backend(unreachable_since=utc_now(), drained=True),
        "unheard": make_backend(refreshed=None, memory_free_mb=1),
    }
    sign_in(Role.VIEWER)
    for state, backend in made.items():
        assert list(listed(app, f"?state={state}")) == [backend.name]
        assert f"State: {app.get('/admin/backends').html.find('option', value=state).text}" in (
            app.get(f"/admin/backends?state={state}").html.find(class_="filters").text
        )
    assert list(listed(app, "?filter=hypervisor~xen")) == [made["drained"].name]
    assert list(listed(app, "?filter=template~shared")) == [made["restricted"].name]
    assert list(listed(app, "?filter=memory_free_percent<20")) == [made["unheard"].name]
