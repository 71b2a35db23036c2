"""VMs by their cards: any card's address, MAC or network finds one; its page leads on from each."""

from collections.abc import Callable
from typing import Any

import pytest
import webtest

from cloudweb.models import (
    Network,
    NetworkKind,
    Nic,
    NicState,
    OperState,
    Role,
    Server,
    SessionFactory,
    unit_of_work,
)

Make = Callable[..., Any]


@pytest.fixture
def network(sessions: SessionFactory) -> Network:
    """A private network without a pool."""
    with unit_of_work(sessions) as session:
        made = Network(name="office", kind=NetworkKind.CUSTOM, mode="bridged", link="br0")
        session.add(made)
    return made


@pytest.fixture
def servers(sessions: SessionFactory, make_server: Make, network: Network) -> list[Server]:
    """Three servers with a card on the public network, of which the first has two more."""
    found = [make_server(name=name) for name in ("web", "mail", "bare")]
    first = found[0].id
    more = {"server_id": first, "network_id": network.id, "state": NicState.ACTIVE}
    with unit_of_work(sessions) as session:
        session.add(Nic(**more, index=1, ipv4="10.0.0.9", mac="aa:00:00:00:00:09"))
        session.add(Nic(**more, index=2, ipv6="2001:db8::9"))
        session.query(Nic).filter_by(server_id=found[2].id).delete()
    return found


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("ipv4=10.0.0.9", "web"),
        ("filter=ipv4!=10.0.0.9", "bare mail"),
        ("filter=ipv4~192.168", "mail web"),
        ("filter=ipv4=", "bare"),
        ("filter=ipv4!=", "mail web"),
        ("filter=ipv6~2001:db8", "web"),
        ("mac=aa:00:00:00:00:09", "web"),
        ("network=office", "web"),
        ("filter=network!=office", "bare mail"),
        ("network_id={network}", "web"),
        ("filter=network_id>0,ipv6=", "mail"),
        ("filter=mac=", "bare"),
    ],
)
def test_a_vm_is_found_by_any_of_its_cards(
    query: str,
    wanted: str,
    app: webtest.TestApp,
    sign_in: Make,
    servers: list[Server],
    network: Network,
) -> None:
    sign_in(Role.VIEWER)
    rows = app.get(f"/admin/vms.json?sort=name&{query.format(network=network.id)}").json
    assert " ".join(row["name"] for row in rows) == wanted


@pytest.mark.parametrize("column", ["ipv4", "ipv6", "mac", "network"])
def test_vms_are_sorted_by_their_first_card_and_show_all(
    column: str, app: webtest.TestApp, sign_in: Make, servers: list[Server]
) -> None:
    sign_in(Role.VIEWER)
    page = app.get(f"/admin/vms?sort={column},name&cols={column}&per_page=25")
    assert [row.th.text for row in page.html.select("tbody tr")][-1] in ("bare", "web")
    shown = {row.th.text: row.td.text.split() for row in page.html.select("tbody tr")}
    assert shown["bare"] == ["\N{EN DASH}"]
    assert len(shown["web"]) == {"ipv4": 2, "ipv6": 1, "mac": 2, "network": 3}[column]


def test_what_is_on_a_network_is_listed_from_its_page(
    app: webtest.TestApp, sign_in: Make, servers: list[Server], network: Network
) -> None:
    sign_in(Role.VIEWER)
    listed = app.get(f"/admin/networks/{network.id}").click("1 VM$")
    assert [row.th.a.text for row in listed.html.select("tbody tr")] == ["web"]
    app.get("/admin/networks").click(href=f"network_id={network.id}$")


def test_the_page_of_a_vm_leads_from_its_cards_and_shows_its_disk(
    app: webtest.TestApp,
    sign_in: Make,
    servers: list[Server],
    make_server: Make,
    make_flavor: Make,
) -> None:
    sign_in(Role.HELPDESK)
    page = app.get(f"/admin/vms/{servers[0].id}")
    cards = page.html.find(id="nic-table").parent
    assert [link.text for link in cards("a")][-3:] == ["10.0.0.9", "office", "2001:db8::9"]
    assert page.click("10.0.0.9").html.h1.text == "10.0.0.9"
    assert page.click("office", index=0).html.h1.text == "office"
    assert "Mail the owners of 1 VM" in page.click("Mail…").html.h1.text
    disks = {"disk_gb": 20, "disk_template": "drbd"}
    other = make_server(flavor=make_flavor(**disks), node="n1.example.org", state=OperState.STOPPED)
    page = app.get(f"/admin/vms/{other.id}")
    disk = page.html.find(id="disk-table").parent.get_text(" ", strip=True)
    assert "20 GiB drbd on its node, and mirrored on a second one debian" in disk
    none = make_server(flavor=make_flavor(disk_template="diskless", disk_gb=0))
    assert "its flavor has no disk" in app.get(f"/admin/vms/{none.id}")
    sign_in(Role.VIEWER)
    assert "Mail…" not in app.get(f"/admin/vms/{other.id}")
