"""Networks over the compute API, as its guide documents them, in both notations."""

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.domain import identity, pools
from cloudweb.models import (
    Network,
    NetworkKind,
    Nic,
    NicState,
    Operation,
    PoolKind,
    PoolValue,
    Server,
    SessionFactory,
    unit_of_work,
    utc_now,
)
from cloudweb.settings import Settings
from cloudweb.shapes.base import COMPUTE_NS
from tests.applications import application
from tests.conftest import Person

URL = "/api/v1.1/networks"
CREATED = dt.datetime(2011, 4, 20, 15, 31, 8, 199640, tzinfo=dt.UTC)


@pytest.fixture
def owner(make_user: Callable[..., Person], sessions: SessionFactory) -> Person:
    """Somebody who can make networks."""
    cli = identity.system("cli")
    with unit_of_work(sessions) as session:
        pools.create(session, cli, kind=PoolKind.MAC_PREFIX, base="aa:00:0", size=4096)
    return make_user()


def _create(app: webtest.TestApp, owner: Person, **network: Any) -> dict[str, Any]:
    order = {"network": {"name": "private_net"} | network}
    answer = app.post_json(URL, order, headers=owner.headers, status=202)
    made: dict[str, Any] = answer.json["network"]
    return made


def _act(
    app: webtest.TestApp, owner: Person, key: object, body: Any, status: int = 202
) -> webtest.TestResponse:
    return app.post_json(f"{URL}/{key}/action", body, headers=owner.headers, status=status)


def _settle(sessions: SessionFactory) -> None:
    """The clusters have put in every card they were asked for."""
    with unit_of_work(sessions) as session:
        for nic in session.scalars(sa.select(Nic).where(Nic.state == NicState.ADDING)):
            nic.state = NicState.ACTIVE


# --- the documented examples --------------------------------------------------------------------


def test_a_network_is_made(app: webtest.TestApp, owner: Person) -> None:
    made = _create(app, owner)
    assert made["name"] == "private_net"
    assert made["servers"] == {"values": []}
    assert type(made["id"]) is int
    assert made["created"].endswith("+00:00")
    assert {k: made[k] for k in ("status", "type", "cidr", "dhcp", "public")} == {
        "status": "ACTIVE",
        "type": "MAC_FILTERED",
        "cidr": "192.168.1.0/24",
        "dhcp": True,
        "public": False,
    }
    assert "gateway" not in made


def test_a_network_is_made_and_shown_in_xml(app: webtest.TestApp, owner: Person) -> None:
    body = f'<network xmlns="{COMPUTE_NS}" name="foob" dhcp="false" cidr="10.0.0.0/24"/>'
    headers = owner.headers | {"Content-Type": "application/xml", "Accept": "application/xml"}
    answer = app.post(URL, body, headers=headers, status=202)
    assert answer.headers["Content-Type"] == "application/xml"
    root = ElementTree.fromstring(answer.body)
    assert root.tag == f"{{{COMPUTE_NS}}}network"
    assert (root.get("name"), root.get("dhcp")) == ("foob", "false")
    assert [child.tag for child in root] == [f"{{{COMPUTE_NS}}}servers"]
    assert len(root[0]) == 0


def test_networks_are_listed_with_the_callers_servers(
    app: webtest.TestApp,
    owner: Person,
    sessions: SessionFactory,
    make_server: Callable[..., Server],
) -> None:
    servers = [make_server(owner=owner) for _ in range(3)]
    make_server()
    network = _create(app, owner, name="private")
    for server in servers[:1]:
        _act(app, owner, network["id"], {"add": {"serverRef": server.id}})
    _settle(sessions)
    brief = app.get(URL, headers=owner.headers).json
    assert brief == {
        "networks": {
            "values": [
                {"id": "public", "name": "public"},
                {"id": network["id"], "name": "private"},
            ]
        }
    }
    public, private = app.get(f"{URL}/detail", headers=owner.headers).json["networks"]["values"]
    assert (public["id"], public["public"]) == ("public", True)
    assert public["servers"] == {"values": [server.id for server in servers]}
    assert private["servers"] == {"values": [servers[0].id]}
    for each in (public, private):
        shown = app.get(f"{URL}/{each['id']}", headers=owner.headers).json
        assert shown == {"network": each}


def test_networks_are_listed_in_xml_as_documented(
    app: webtest.TestApp,
    owner: Person,
    sessions: SessionFactory,
    make_server: Callable[..., Server],
) -> None:
    servers = [make_server(owner=owner) for _ in range(2)]
    network = _create(app, owner, name="private")
    _act(app, owner, network["id"], {"add": {"serverRef": servers[1].id}})
    _settle(sessions)
    root = ElementTree.fromstring(app.get(f"{URL}/detail.xml", headers=owner.headers).body)
    assert root.tag == f"{{{COMPUTE_NS}}}networks"
    found = {
        each.get("id"): [server.get("id") for server in each.find("{*}servers") or []]
        for each in root
    }
    assert found == {
        "public": [str(server.id) for server in servers],
        str(network["id"]): [str(servers[1].id)],
    }
    for each in root:
        assert {"id", "name", "updated", "created"} <= set(each.keys())


@pytest.mark.parametrize("notation", ["json", "xml"])
def test_a_network_is_renamed(app: webtest.TestApp, owner: Person, notation: str) -> None:
    url = f"{URL}/{_create(app, owner)['id']}"
    body = '{"network": {"name": "new_name"}}'
    if notation == "xml":
        body = '<network name="new_name"/>'
    headers = owner.headers | {"Content-Type": f"application/{notation}"}
    answer = app.put(url, body, headers=headers, status=204)
    assert answer.body == b""
    assert app.get(url, headers=owner.headers).json["network"]["name"] == "new_name"


def test_a_network_is_deleted_and_can_still_be_asked_for(
    app: webtest.TestApp, owner: Person
) -> None:
    url = f"{URL}/{_create(app, owner)['id']}"
    since = quote(utc_now().isoformat())
    assert app.delete(url, headers=owner.headers, status=204).body == b""
    assert app.get(url, headers=owner.headers).json["network"]["status"] == "DELETED"
    assert app.get(URL, headers=owner.headers).json == {"networks": {"values": []}}
    changed = app.get(f"{URL}/detail?changes-since={since}", headers=owner.headers).json
    assert [each["status"] for each in changed["networks"]["values"]] == ["DELETED"]


@pytest.mark.parametrize("spelling", [int, str])
def test_a_server_is_added_and_removed(
    app: webtest.TestApp,
    owner: Person,
    sessions: SessionFactory,
    make_server: Callable[..., Server],
    spelling: Callable[[int], Any],
) -> None:
    server = make_server(owner=owner)
    network = _create(app, owner)
    assert _act(app, owner, network["id"], {"add": {"serverRef": spelling(server.id)}}).body == b""
    addresses = f"/api/v1.1/servers/{server.id}/ips"
    app.get(f"{addresses}/{network['id']}", headers=owner.headers, status=404)
    _settle(sessions)
    shown = app.get(f"{addresses}/{network['id']}", headers=owner.headers).json["network"]
    assert shown == {
        "id": str(network["id"]),
        "name": "private_net",
        "mac": "",
        "values": [{"version": 4, "addr": "192.168.1.1"}],
    }
    removed = _act(app, owner, network["id"], {"remove": {"serverRef": spelling(server.id)}})
    assert removed.body == b""


def test_a_server_is_added_and_removed_in_xml(
    app: webtest.TestApp,
    owner: Person,
    sessions: SessionFactory,
    make_server: Callable[..., Server],
) -> None:
    server = make_server(owner=owner)
    url = f"{URL}/{_create(app, owner)['id']}/action"
    headers = owner.headers | {"Content-Type": "application/xml"}
    app.post(url, f'<add xmlns="{COMPUTE_NS}" serverRef="{server.id}"/>', headers, status=202)
    _settle(sessions)
    app.post(url, f'<remove attachment="nic-{server.id}-1"/>', headers, status=202)


def test_a_servers_addresses_are_listed(
    app: webtest.TestApp, owner: Person, make_server: Callable[..., Server]
) -> None:
    server = make_server(owner=owner)
    url = f"/api/v1.1/servers/{server.id}/ips"
    public = {
        "id": "public",
        "name": "public",
        "mac": "aa:00:00:49:2e:7e",
        "firewallProfile": "DISABLED",
        "values": [{"version": 4, "addr": "192.168.32.6"}],
    }
    listed = app.get(url, headers=owner.headers).json
    assert listed == {"addresses": {"values": [public]}}
    assert app.get(f"{url}/public", headers=owner.headers).json == {"network": public}
    root = ElementTree.fromstring(app.get(f"{url}.xml", headers=owner.headers).body)
    assert [root.tag, root[0].tag, root[0][0].tag] == [
        f"{{{COMPUTE_NS}}}{name}" for name in ("addresses", "network", "ip")
    ]
    one = ElementTree.fromstring(app.get(f"{url}/public.xml", headers=owner.headers).body)
    assert (one.tag, one.get("id")) == (f"{{{COMPUTE_NS}}}network", "public")


def test_a_deleted_network_disconnects_its_servers(
    app: webtest.TestApp,
    owner: Person,
    sessions: SessionFactory,
    make_server: Callable[..., Server],
) -> None:
    server = make_server(owner=owner)
    network = _create(app, owner)
    _act(app, owner, network["id"], {"add": {"serverRef": server.id}})
    app.delete(f"{URL}/{network['id']}", headers=owner.headers, status=204)
    with unit_of_work(sessions, write=False) as session:
        last = session.scalars(sa.select(Operation).order_by(Operation.id.desc()).limit(3)).all()
    assert [op.opcode for op in reversed(last)] == [
        "OP_INSTANCE_SET_PARAMS",
        "OP_NETWORK_DISCONNECT",
        "OP_NETWORK_REMOVE",
    ]


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "status", "name"),
    [
        ({"cidr": "10.0.0.10/27"}, 400, "badRequest"),
        ({"cidr": "10.0.0.0/30"}, 413, "overLimit"),
        ({"cidr": "10.0.0.0/8"}, 413, "overLimit"),
        ({"cidr": "10.0.0.0/28", "gateway": "10.0.0.99"}, 400, "badRequest"),
        ({"cidr": "10.0.0.0/28", "gateway": "10.0.0.0"}, 400, "badRequest"),
        ({"cidr6": "2001:db8::1/64"}, 400, "badRequest"),
        ({"gateway6": "2001:db8::1"}, 400, "badRequest"),
        ({"type": "CUSTOM"}, 403, "forbidden"),
        ({"type": "PHYSICAL_VLAN"}, 403, "forbidden"),
        ({"type": "NONE"}, 400, "badRequest"),
        ({"type": 1}, 400, "badRequest"),
        ({"public": True}, 403, "forbidden"),
        ({"public": 1}, 400, "badRequest"),
        ({"dhcp": "yes"}, 400, "badRequest"),
        ({"cidr": 10}, 400, "badRequest"),
        ({"cidr": ["10.0.0.0/24"]}, 400, "badRequest"),
        ({"gateway": {}}, 400, "badRequest"),
        ({"name": ""}, 400, "badRequest"),
        ({"name": " "}, 400, "badRequest"),
        ({"name": "x" * 256}, 400, "badRequest"),
        ({"name": "a\x00b"}, 400, "badRequest"),
        ({"name": None}, 400, "badRequest"),
        ({"name": 7}, 400, "badRequest"),
        ({"link": "br0"}, 400, "badRequest"),
        ({"mac_prefix": "aa:00:0"}, 400, "badRequest"),
    ],
)
def test_what_cannot_be_a_network_is_refused_and_takes_nothing(
    app: webtest.TestApp,
    owner: Person,
    sessions: SessionFactory,
    network: dict[str, Any],
    status: int,
    name: str,
) -> None:
    order = {"network": {"name": "private_net"} | network}
    answer = app.post_json(URL, order, headers=owner.headers, status=status)
    assert answer.json[name]["code"] == status
    with unit_of_work(sessions, write=False) as session:
        assert session.scalar(sa.select(sa.func.count(Network.id))) == 0
        assert session.scalar(sa.select(PoolValue.number).where(PoolValue.use == "held")) is None


@pytest.mark.parametrize("body", ["", "{", "[]", '"x"', "{}", '{"network": []}', '{"x": {}}'])
def test_what_is_not_the_documented_body_is_refused(
    app: webtest.TestApp, owner: Person, body: str
) -> None:
    headers = owner.headers | {"Content-Type": "application/json"}
    for url in (URL, f"{URL}/1/action"):
        assert "badRequest" in app.post(url, body, headers=headers, status=400).json


def test_null_is_the_same_as_nothing(app: webtest.TestApp, owner: Person) -> None:
    made = _create(app, owner, cidr=None, gateway=None, cidr6=None, gateway6=None)
    assert made["cidr"] == "192.168.1.0/24"


@pytest.mark.parametrize(
    "action",
    [
        {"add": {"serverRef": 1}},
        {"remove": {"serverRef": 1}},
        {"remove": {"attachment": "nic-1-0"}},
    ],
)
def test_the_public_network_is_not_changed_by_users(
    app: webtest.TestApp, owner: Person, public_network: Network, action: Any
) -> None:
    url = f"{URL}/public"
    assert "forbidden" in _act(app, owner, "public", action, 403).json
    renamed = {"network": {"name": "mine"}}
    assert "forbidden" in app.put_json(url, renamed, headers=owner.headers, status=403).json
    assert "forbidden" in app.delete(url, headers=owner.headers, status=403).json
    app.get(f"{URL}/{public_network.id}", headers=owner.headers, status=404)
    app.delete(f"{URL}/{public_network.id}", headers=owner.headers, status=404)


def test_what_belongs_to_others_is_not_there(
    app: webtest.TestApp,
    owner: Person,
    make_user: Callable[..., Person],
    make_server: Callable[..., Server],
) -> None:
    stranger = make_user()
    network = _create(app, owner)
    strange = make_server(owner=stranger)
    url = f"{URL}/{network['id']}"
    for headers in (stranger.headers,):
        app.get(url, headers=headers, status=404)
        app.put_json(url, {"network": {"name": "x"}}, headers=headers, status=404)
        app.delete(url, headers=headers, status=404)
    for body in (
        {"add": {"serverRef": strange.id}},
        {"remove": {"serverRef": strange.id}},
        {"remove": {"attachment": f"nic-{strange.id}-0"}},
    ):
        assert "itemNotFound" in _act(app, owner, network["id"], body, 404).json
        assert "itemNotFound" in _act(app, stranger, network["id"], body, 404).json


def test_a_card_of_another_network_is_not_removed_through_this_one(
    app: webtest.TestApp,
    owner: Person,
    sessions: SessionFactory,
    make_server: Callable[..., Server],
) -> None:
    server = make_server(owner=owner)
    mine, other = _create(app, owner), _create(app, owner)
    _act(app, owner, other["id"], {"add": {"serverRef": server.id}})
    _settle(sessions)
    for index in (0, 1, 2):
        body = {"remove": {"attachment": f"nic-{server.id}-{index}"}}
        assert "itemNotFound" in _act(app, owner, mine["id"], body, 404).json


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"add": {}},
        {"add": {"serverRef": True}},
        {"add": {"serverRef": None}},
        {"add": {"serverRef": 1, "x": 1}},
        {"add": 1},
        {"add": {"serverRef": 1}, "remove": {"serverRef": 1}},
        {"remove": {}},
        {"remove": {"serverRef": 1, "attachment": "nic-1-0"}},
        {"remove": {"attachment": "nic-1-x"}},
        {"remove": {"attachment": "nic-1"}},
        {"remove": {"attachment": 1}},
        {"remove": {"attachment": f"nic-{'9' * 30}-0"}},
        {"destroy": {}},
    ],
)
def test_what_is_no_action_is_refused(app: webtest.TestApp, owner: Person, body: Any) -> None:
    network = _create(app, owner)
    assert "badRequest" in _act(app, owner, network["id"], body, 400).json


def test_a_server_is_added_once(
    app: webtest.TestApp, owner: Person, make_server: Callable[..., Server]
) -> None:
    server = make_server(owner=owner)
    network = _create(app, owner)
    body = {"add": {"serverRef": server.id}}
    _act(app, owner, network["id"], body)
    assert "conflict" in _act(app, owner, network["id"], body, 409).json


@pytest.mark.parametrize("key", ["x", "Public", "-1", "1.0", "%20"])
def test_what_cannot_be_an_id_is_an_unknown_url(
    app: webtest.TestApp, owner: Person, key: str
) -> None:
    app.get(f"{URL}/{key}", headers=owner.headers, status=400)


@pytest.mark.parametrize("key", ["0", "999999", "9" * 40])
def test_an_id_that_nothing_has_is_not_found(app: webtest.TestApp, owner: Person, key: str) -> None:
    app.get(f"{URL}/{key}", headers=owner.headers, status=404)
    app.delete(f"{URL}/{key}", headers=owner.headers, status=404)
    _act(app, owner, key, {"add": {"serverRef": 1}}, 404)


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"profile": "PROTECTED"}, 202),
        ({"profile": "OPEN"}, 400),
        ({"profile": 1}, 400),
        ({}, 400),
        ({"profile": "ENABLED", "nic": 0}, 400),
        ("ENABLED", 400),
    ],
)
def test_the_firewall_of_the_public_card_is_asked_for_and_shows_once_it_is_there(
    app: webtest.TestApp,
    sessions: SessionFactory,
    owner: Person,
    make_server: Callable[..., Server],
    given: Any,
    status: int,
) -> None:
    url = f"/api/v1.1/servers/{make_server(owner=owner).id}"
    body = {"firewallProfile": given}
    app.post_json(f"{url}/action", body, headers=owner.headers, status=status)
    [card] = app.get(url, headers=owner.headers).json["server"]["addresses"]["values"]
    assert card["firewallProfile"] == "DISABLED"
    with unit_of_work(sessions, write=False) as session:
        asked = session.scalars(sa.select(Operation.arguments)).all()
    tags = {"tags": ["synnefo:network:0:limited"], "replaces": ["synnefo:network:0:unprotected"]}
    assert asked == ([tags] if status == 202 else [])


def test_a_server_without_a_public_card_gets_no_firewall(
    app: webtest.TestApp,
    owner: Person,
    sessions: SessionFactory,
    make_server: Callable[..., Server],
) -> None:
    server = make_server(owner=owner)
    with unit_of_work(sessions) as session:
        session.execute(sa.delete(Nic))
    body = {"firewallProfile": {"profile": "ENABLED"}}
    url = f"/api/v1.1/servers/{server.id}/action"
    assert "badRequest" in app.post_json(url, body, headers=owner.headers, status=400).json


# --- lists that change --------------------------------------------------------------------------


def test_only_what_has_changed_is_listed_on_demand(
    app: webtest.TestApp, owner: Person, public_network: Network, sessions: SessionFactory
) -> None:
    old = _create(app, owner, name="old")
    with unit_of_work(sessions) as session:
        session.execute(sa.update(Network).values(updated=CREATED))
    since = quote(utc_now().isoformat())
    url = f"{URL}?changes-since={since}"
    assert app.get(url, headers=owner.headers, status=304).body == b""
    new = _create(app, owner, name="new")
    listed = app.get(url, headers=owner.headers).json["networks"]["values"]
    assert [each["id"] for each in listed] == ["public", new["id"]]
    app.put_json(
        f"{URL}/{old['id']}", {"network": {"name": "x"}}, headers=owner.headers, status=204
    )
    listed = app.get(url, headers=owner.headers).json["networks"]["values"]
    assert [each["id"] for each in listed] == ["public", old["id"], new["id"]]


def test_a_list_comes_in_pages(
    app: webtest.TestApp, owner: Person, public_network: Network
) -> None:
    ids = ["public", *(_create(app, owner)["id"] for _ in range(3))]
    seen: list[Any] = []
    query = "limit=2"
    while True:
        page = app.get(f"{URL}?{query}", headers=owner.headers).json["networks"]["values"]
        if not page:
            break
        seen += [each["id"] for each in page]
        query = f"limit=2&marker={seen[-1]}"
    assert seen == ids
    after = app.get(f"{URL}?marker=public", headers=owner.headers).json["networks"]["values"]
    assert [each["id"] for each in after] == ids[1:]
    app.get(f"{URL}?marker=x", headers=owner.headers, status=400)


def test_a_list_shows_what_has_changed_since_it_was_kept(
    app: webtest.TestApp,
    owner: Person,
    sessions: SessionFactory,
    make_server: Callable[..., Server],
) -> None:
    server = make_server(owner=owner)
    network = _create(app, owner)

    def shown() -> list[Any]:
        listed = app.get(f"{URL}/detail", headers=owner.headers).json["networks"]["values"]
        return [each["servers"]["values"] for each in listed]

    assert shown() == [[server.id], []]
    _act(app, owner, network["id"], {"add": {"serverRef": server.id}})
    assert shown() == [[server.id], []]
    _settle(sessions)
    assert shown() == [[server.id], [server.id]]
    with unit_of_work(sessions) as session:
        for nic in session.scalars(sa.select(Nic)):
            session.delete(nic)
    assert shown() == [[], []]


@pytest.mark.parametrize("count", [10, 1000])
def test_a_list_costs_the_same_statements_however_long_it_is(
    app: webtest.TestApp,
    owner: Person,
    sessions: SessionFactory,
    make_server: Callable[..., Server],
    count_statements: Callable[[], Any],
    count: int,
) -> None:
    server = make_server(owner=owner)
    with unit_of_work(sessions) as session:
        for number in range(count):
            network = Network(
                user_id=owner.user.id,
                name=f"net{number}",
                kind=NetworkKind.MAC_FILTERED,
                cidr="10.0.0.0/24",
                mode="bridged",
                link="prv0",
            )
            session.add(network)
        session.flush()
        for (key,) in session.execute(sa.select(Network.id).where(Network.user_id.is_not(None))):
            session.add(Nic(server_id=server.id, network_id=key, index=1))
    app.get(URL, headers=owner.headers)
    with count_statements() as counter:
        listed = app.get(f"{URL}/detail", headers=owner.headers).json["networks"]["values"]
    assert len(listed) == count + 1
    assert listed[-1]["servers"]["values"] == [server.id]
    assert len(counter) <= 8
    with count_statements() as counter:
        app.get(f"{URL}/detail", headers=owner.headers)
    assert len(counter) == 1


def test_a_network_beyond_the_quota_is_refused_and_takes_nothing(
    settings: Settings, owner: Person, sessions: SessionFactory
) -> None:
    limited = dataclasses.replace(settings, quota_networks=1)
    app = webtest.TestApp(application(limited, sessions=sessions))
    _create(app, owner)
    order = {"network": {"name": "one more"}}
    answer = app.post_json(URL, order, headers=owner.headers, status=413)
    assert "'networks'" in answer.json["overLimit"]["details"]
    with unit_of_work(sessions, write=False) as session:
        assert len(session.scalars(sa.select(Network)).all()) == 1
