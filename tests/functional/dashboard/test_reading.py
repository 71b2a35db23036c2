"""The pages of networks, addresses, pools, images, flavors and regions; and finding things."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.domain import address_history, identity, pools
from cloudweb.domain.address_history import Had
from cloudweb.models import (
    AddressUse,
    CatalogueFlavor,
    ClusterJob,
    Infrastructure,
    Network,
    NetworkKind,
    Operation,
    PoolKind,
    RegionalFlavor,
    Role,
    SessionFactory,
    unit_of_work,
    utc_now,
)

MOST_STATEMENTS = 12
CLI = identity.system("cli")


@pytest.fixture
def filled(
    sessions: SessionFactory,
    make_server: Callable,
    make_image: Callable,
    make_user: Callable,
    make_backend: Callable,
) -> dict[str, Any]:
    """One of each thing there are pages of."""
    owner = make_user(email="ann@example.org")
    backend = make_backend(name="gnt-ath.example.org")
    server = make_server(name="web-1", owner=owner, backend=backend)
    image = make_image()
    hour = dt.timedelta(hours=1)
    with unit_of_work(sessions) as session:
        network = Network(
            name="office",
            kind=NetworkKind.MAC_FILTERED,
            user_id=owner.user.id,
            cidr="10.7.0.0/28",
            gateway="10.7.0.1",
            mode="bridged",
            link="prv0",
            mac_prefix="aa:00:1",
        )
        session.add(network)
        session.flush()
        addresses = pools.create_addresses(session, network)
        bridges = pools.create(session, CLI, kind=PoolKind.BRIDGE, base="prv", size=20)
        pools.take(session, PoolKind.BRIDGE, holder_kind="network", holder_id=network.id)
        session.add(
            AddressUse(
                address="10.7.0.2",
                network_id=network.id,
                server_id=server.id,
                since=utc_now() - 5 * hour,
                until=utc_now() - 3 * hour,
            )
        )
        session.flush()
        pools.hold_address(session, network.id, "10.7.0.2", server_id=server.id)
        for address in ("10.7.0.2", "2001:db8::7"):
            address_history.begin(session, [Had(server.id, network.id, address)])
        operation = Operation(
            key="k",
            backend_id=server.backend_id,
            server_id=server.id,
            opcode="OP_INSTANCE_REBOOT",
            target="snf-1",
            job_id=4711,
        )
        regions = [Infrastructure(name=n, refreshed=utc_now()) for n in ("Athens", "Crete")]
        regions.append(Infrastructure(name="Trento"))
        flavor = CatalogueFlavor(
            flavor_id="f-1", name="m1.small", vcpus=1, ram_mb=2048, disk_gb=20, promoted=True
        )
        by_hand = ClusterJob(
            backend_id=server.backend_id,
            job_id=4712,
            status="waiting",
            opcode="OP_CLUSTER_VERIFY",
            received=utc_now(),
        )
        session.add_all([operation, by_hand, flavor, *regions])
        session.flush()
        for n, (name, ram) in enumerate((("m1.small", 2048), ("m1.odd", 999))):
            session.add(_regional(regions[0], f"r{n}", name, ram))
        session.add(_regional(regions[1], "r9", "m1.small", 4096))
    return {
        "network": network.id,
        "pool": bridges.id,
        "addresses": addresses.id,
        "image": image.id,
        "region": regions[0].id,
        "server": server,
        "operation": operation.id,
        "backend": backend.id,
        "name": backend.name,
    }


def _regional(region: Infrastructure, id_: str, name: str, ram: int) -> RegionalFlavor:
    return RegionalFlavor(
        infrastructure_id=region.id, flavor_id=id_, name=name, vcpus=1, ram_mb=ram, disk_gb=20
    )


PAGES = {
    "networks": "office",
    "networks/{network}": "Not made yet",
    "ips": "10.7.0.2",
    "ips/10.7.0.2": "web-1",
    "pools": "prv",
    "pools/{pool}": "prv1",
    "pools/{pool}?check=yes": "Check",
    "pools/{addresses}": "10.7.0.0",
    "pools/{pool}/values": "Used",
    "images": "Debian 12",
    "images/{image}": "debian-12",
    "regions": "Athens",
    "regions/{region}": "m1.odd",
    "flavors": "RAM 4096 ≠ 2048",
    "flavors?show=extra": "m1.odd",
    "flavors?by=region&show=all": "Trento",
    "flavors/compare?a=Athens&b=Crete": "RAM 2048 ≠ 4096",
    "jobs": "4712",
    "jobs/{name}/4712": "Verify cluster",
    "search?q=web": "web-1",
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_what_there_is_in_few_statements(
    page: str,
    app: webtest.TestApp,
    sign_in: Callable,
    filled: dict[str, Any],
    count_statements: Callable,
) -> None:
    sign_in(Role.ADMIN)
    with count_statements() as counter:
        response = app.get(f"/admin/{page.format(**filled)}", status="2*")
    most = MOST_STATEMENTS + 6 * ("check" in page)
    assert len(counter) <= most, counter.statements
    assert PAGES[page].replace("<", "&lt;") in response.html.main.text
    assert " style=" not in response.text
    assert "<script>" not in response.text


@pytest.mark.parametrize(
    "name", ["networks", "ips", "pools", "images", "regions", "jobs", "flavors"]
)
def test_each_list_can_be_had_as_a_file(
    name: str, app: webtest.TestApp, sign_in: Callable, filled: dict[str, Any]
) -> None:
    sign_in(Role.VIEWER)
    assert app.get(f"/admin/{name}.json?").json
    assert len(app.get(f"/admin/{name}.csv").text.splitlines()) >= 2


@pytest.mark.parametrize(
    "path",
    [
        "networks/99",
        "pools/99",
        "pools/99/values",
        "ips/10.7.0.999",
        "images/00000000-0000-0000-0000-000000000000",
        "regions/99",
        "flavors/installs/99",
        "flavors/compute/99",
        "flavors/compute/999999999999999999",
        "flavors/compute/99/delete",
        "flavors/compare?a=x&b=y",
        "jobs/nowhere/1",
        "acts/0123456789abcdef0123456789abcdef",
    ],
)
def test_what_is_not_there_is_said_to_be_not_there(
    path: str, app: webtest.TestApp, sign_in: Callable
) -> None:
    sign_in(Role.ADMIN)
    app.get(f"/admin/{path}", status=404)


def test_an_address_tells_who_had_it_at_a_time(
    app: webtest.TestApp, sign_in: Callable, filled: dict[str, Any]
) -> None:
    sign_in(Role.VIEWER)
    then = f"{utc_now() - dt.timedelta(hours=4):%Y-%m-%d %H:%M}"
    page = app.get(f"/admin/ips/10.7.0.2?at={then}")
    assert "it was web-1" in page.html.main.text
    assert "ann@example.org" in page.html.main.text
    long_ago = app.get("/admin/ips/10.7.0.2?at=2001-01-01")
    assert "nobody had it" in long_ago.html.main.text
    assert "This is no time" in app.get("/admin/ips/10.7.0.2?at=noon", status=400)


def test_a_pool_tells_who_holds_a_value(
    app: webtest.TestApp, sign_in: Callable, filled: dict[str, Any]
) -> None:
    sign_in(Role.VIEWER)
    page = app.get(f"/admin/pools/{filled['pool']}?holder=prv1")
    assert "(office)" in page.html.select_one(".answer").text
    page = app.get(f"/admin/pools/{filled['pool']}?holder=prv99", status=400)
    assert "this pool is prv1\N{EN DASH}prv20" in page.html.main.text


def test_a_map_has_a_cell_for_each_use_and_the_ranges_in_words(
    app: webtest.TestApp, sign_in: Callable, filled: dict[str, Any]
) -> None:
    sign_in(Role.VIEWER)
    page = app.get(f"/admin/pools/{filled['addresses']}")
    cells = [cell["class"][1] for cell in page.html.select(".map > svg rect")]
    assert cells == ["reserved"] * 2 + ["held"] + ["free"] * 12 + ["reserved"]
    ranges = [" ".join(each.text.split()) for each in page.html.select(".ranges li")]
    assert ranges[0] == "10.7.0.0\N{EN DASH}10.7.0.1 reserved (2)"
    assert ranges[1] == "10.7.0.2 used"


# --- search -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("vm-{s}", "/admin/vms/{s}"),
        ("ann@example.org", "/admin/users/"),
        ("10.7.0.2", "/admin/ips/10.7.0.2"),
        ("10.7.0.0/28", "/admin/networks/{network}"),
        ("2001:DB8::7", "/admin/ips/2001:db8::7"),
        ("AA:00:00:49:2E:7E", "/admin/vms/{s}"),
        ("192.168.32.6", "/admin/vms/{s}"),
        ("{image}", "/admin/images/{image}"),
        ("4711", "/admin/operations/{operation}"),
        ("{name}:4711", "/admin/operations/{operation}"),
        ("{name}:4712", "/admin/jobs/{name}/4712"),
        ("{name}", "/admin/backends/{backend}"),
        ("Athens", "/admin/regions/{region}"),
        ("m1.small", "/admin/flavors?q=m1.small"),
    ],
)
def test_the_one_thing_that_is_meant_is_found_at_once(
    text: str,
    path: str,
    app: webtest.TestApp,
    sign_in: Callable,
    filled: dict[str, Any],
) -> None:
    names = {**filled, "s": filled["server"].id}
    sign_in(Role.VIEWER)
    found = app.get("/admin/search", {"q": text.format(**names)}, status=303)
    assert found.location.startswith("http://localhost" + path.format(**names))


def test_what_may_be_meant_is_listed_by_kind(
    app: webtest.TestApp, sign_in: Callable, filled: dict[str, Any], make_server: Callable
) -> None:
    for _ in range(6):
        make_server(name="web-x")
    sign_in(Role.VIEWER)
    page = app.get("/admin/search?q=web")
    assert page.html.h2.text == "VMs (7)"
    assert len(page.html.select(".hits li")) == 5
    page = page.click("VMs that have it")
    assert "<b>7</b> of <b>7</b>" in page


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10.7.0.0/28", True),
        ("10.7.0.8/30", True),
        ("10.7.0.0/16", True),
        ("10.7.0.0/27", True),
        ("10.6.0.0/15", True),
        ("0.0.0.0/0", True),
        ("10.7.0.16/28", False),
        ("10.8.0.0/16", False),
        ("1.0.0.0/8", False),
        ("::/0", False),
    ],
)
def test_a_subnet_finds_the_networks_that_hold_it_or_are_within_it(
    text: str, found: bool, app: webtest.TestApp, sign_in: Callable, filled: dict[str, Any]
) -> None:
    sign_in(Role.VIEWER)
    page = app.get("/admin/search", {"q": text})
    assert (page.status_int == 303) == found
    if found:
        assert page.location.endswith(f"/admin/networks/{filled['network']}")


def test_the_beginning_of_an_address_finds_those_in_use_and_those_before(
    app: webtest.TestApp, sign_in: Callable, filled: dict[str, Any], sessions: SessionFactory
) -> None:
    with unit_of_work(sessions) as session:
        use = session.scalars(sa.select(AddressUse).order_by(AddressUse.id)).first()
        ended = {"server_id": use.server_id, "network_id": use.network_id, "until": utc_now()}
        session.add_all([AddressUse(address="10.77.0.9", **ended) for _ in range(2)])
        session.add(AddressUse(address="10.77.1.9", **ended | {"until": None}))
        session.add(AddressUse(address="10.177.0.9", **ended))
    sign_in(Role.VIEWER)
    page = app.get("/admin/search?q=10.77.")
    assert page.html.h2.text == "Addresses (2)"
    hits = [each.text for each in page.html.select(".hits li")]
    assert hits == ["10.77.0.9 in use before", "10.77.1.9 in use"]


@pytest.mark.parametrize("text", ["", "no such thing", "%", "1" * 30, "::1", "a/b", "0" * 18])
def test_what_is_found_nowhere_says_what_is_understood(
    text: str, app: webtest.TestApp, sign_in: Callable
) -> None:
    sign_in(Role.VIEWER)
    page = app.get("/admin/search", {"q": text})
    assert "What is understood" in page.html.main.text


def test_ten_kilobytes_are_not_searched_for(app: webtest.TestApp, sign_in: Callable) -> None:
    sign_in(Role.VIEWER)
    assert "too long to search" in app.get("/admin/search", {"q": "x" * 10_000}, status=400)
