"""``cloudweb network`` and ``cloudweb pool``."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from cloudweb.models import (
    Backend,
    Network,
    Nic,
    Operation,
    Server,
    SessionFactory,
    unit_of_work,
)
from tests.conftest import Person
from tests.functional.cli.conftest import Terminal


def _opcodes(sessions: SessionFactory) -> list[str]:
    with unit_of_work(sessions, write=False) as session:
        return list(session.scalars(sa.select(Operation.opcode).order_by(Operation.id)))


def test_pools_are_made_listed_shown_and_resized(cli: Terminal) -> None:
    made = cli("pool", "create", "bridge", "--base", "prv", "--size", 20)
    assert made.endswith("has prv1 to prv20, 20 of them free.\n")
    prefixes = cli.json("pool", "create", "mac-prefix", "--base", "aa:00:0", "--size", 65536)
    assert (prefixes["free"], prefixes["last"]) == (16_383, "b9:ff:f")
    [bridges, _] = cli.json("pool", "list")
    assert (bridges["first"], bridges["last"], bridges["size"]) == ("prv1", "prv20", 20)
    shown = cli.json("pool", "show", bridges["id"])
    assert shown["values"] == []
    changed = cli.json("pool", "modify", bridges["id"], "--size", 30)
    assert (changed["last"], changed["free"]) == ("prv30", 30)
    assert "prefixes" not in cli("pool", "list")


def test_pools_that_cannot_be_are_refused(cli: Terminal) -> None:
    cli("pool", "create", "bridge", "--base", "prv", "--size", 20)
    assert "has values of this one" in cli.refusal(
        "pool", "create", "bridge", "--base", "prv", "--size", 2
    )
    assert "like aa:00:0" in cli.refusal(
        "pool", "create", "mac-prefix", "--base", "aa", "--size", 2
    )
    assert cli.refusal("pool", "show", 999) == "No pool 999."
    assert cli.run("pool", "create", "ipv4", "--base", "10.0.0.0", "--size", 2).exit_code == 2
    assert cli.run("pool", "create", "bridge", "--base", "x", "--size", 65537).exit_code == 2


def test_a_pool_says_what_holds_its_values(cli: Terminal, make_user: Callable[..., Person]) -> None:
    pool = cli.json("pool", "create", "bridge", "--base", "prv", "--size", 2)
    owner = make_user().user.email
    made = cli.json(
        *("network", "create", "lab", "--owner", owner, "--kind", "PHYSICAL_VLAN"),
        *("--subnet", "10.0.0.0/24"),
    )
    assert made["link"] == "prv1"
    [value] = cli.json("pool", "show", pool["id"])["values"]
    assert value == {
        "value": "prv1",
        "use": "held",
        "holder": f"network {made['id']}",
        "reason": "",
    }
    cli("pool", "modify", pool["id"], "--size", 1)
    addresses = next(row for row in cli.json("pool", "list") if row["kind"] == "ipv4")
    assert (addresses["network"], addresses["free"]) == (made["id"], 254)


def test_a_public_network_is_made_for_one_cluster_and_everywhere_on_it(
    cli: Terminal, sessions: SessionFactory, make_backend: Callable[..., Backend]
) -> None:
    backend, _other = make_backend(), make_backend()
    made = cli.json(
        *("network", "create", "Internet", "--public", "--backend", backend.name),
        *("--subnet", "203.0.113.0/24", "--gateway", "203.0.113.1"),
        *("--mode", "bridged", "--link", "br0", "--everywhere"),
    )
    assert (made["kind"], made["free"], made["backend"]) == ("CUSTOM", 253, backend.name)
    assert _opcodes(sessions) == ["OP_NETWORK_ADD", "OP_NETWORK_CONNECT"]
    shown = cli.json("network", "show", made["id"])
    assert shown["clusters"] == [
        {"backend": backend.name, "name": f"snf-net-{made['id']}", "state": "PENDING"}
    ]
    cli("network", "modify", made["id"], "--everywhere")
    assert len(_opcodes(sessions)) == 2


def test_networks_are_listed_and_found(
    cli: Terminal, public_network: Network, make_user: Callable[..., Person]
) -> None:
    cli("pool", "create", "mac-prefix", "--base", "aa:00:0", "--size", 16)
    owner = make_user().user.email
    made = cli.json("network", "create", "lab", "--owner", owner, "--subnet", "10.0.0.0/24")
    assert (made["kind"], made["mac_prefix"], made["owner"]) == ("MAC_FILTERED", "aa:00:1", owner)
    ids = {
        options: [row["id"] for row in cli.json("network", "list", *options)]
        for options in ((), ("--public",), ("--private",), ("--owner", owner), ("--deleted",))
    }
    assert ids == {
        (): [public_network.id, made["id"]],
        ("--public",): [public_network.id],
        ("--private",): [made["id"]],
        ("--owner", owner): [made["id"]],
        ("--deleted",): [],
    }
    assert "lab" in cli("network", "list")
    assert "10.0.0.0/24" in cli("network", "show", made["id"])


def test_a_network_is_renamed_drained_and_removed(
    cli: Terminal, sessions: SessionFactory, public_network: Network
) -> None:
    key = public_network.id
    assert cli.json("network", "modify", key, "--name", "Old")["name"] == "Old"
    assert "Drain it first" in cli.refusal("network", "remove", key)
    assert cli.json("network", "modify", key, "--drain")["drained"] is True
    assert cli.json("network", "modify", key, "--undrain")["drained"] is False
    cli("network", "modify", key, "--drain")
    assert cli("network", "remove", key) == f"Network {key} is gone.\n"
    assert cli.refusal("network", "remove", key) == "Network has been deleted."
    assert cli.json("network", "show", key)["deleted"] is True


def test_a_public_network_with_servers_is_not_removed(
    cli: Terminal, public_network: Network, make_server: Callable[..., Server]
) -> None:
    make_server()
    cli("network", "modify", public_network.id, "--drain")
    assert cli.refusal("network", "remove", public_network.id) == "1 servers are on it."


def test_a_users_network_is_taken_off_its_servers_and_clusters(
    cli: Terminal,
    sessions: SessionFactory,
    make_user: Callable[..., Person],
    make_server: Callable[..., Server],
) -> None:
    cli("pool", "create", "mac-prefix", "--base", "aa:00:0", "--size", 16)
    owner = make_user()
    server = make_server(owner=owner)
    made = cli.json(
        *("network", "create", "lab", "--owner", owner.user.email),
        *("--subnet", "10.0.0.0/24", "--everywhere"),
    )
    with unit_of_work(sessions) as session:
        session.add(Nic(server_id=server.id, network_id=made["id"], index=1))
    assert "when its clusters have removed it" in cli("network", "remove", made["id"])
    assert _opcodes(sessions)[2:] == [
        "OP_INSTANCE_SET_PARAMS",
        "OP_NETWORK_DISCONNECT",
        "OP_NETWORK_REMOVE",
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--subnet", "10.0.0.0/24"), "public or has an owner"),
        (("--public",), "needs a link"),
        (("--public", "--kind", "MAC_FILTERED", "--link", "br0"), "come from its kind"),
        (("--public", "--link", "br0", "--subnet", "10.0.0.1/24"), "Invalid network IPv4 subnet"),
        (("--public", "--link", "br0", "--subnet", "10.0.0.0/8"), "Unsupported network size"),
        (("--public", "--link", "br0", "--gateway", "10.0.0.1"), "Invalid network IPv4 gateway"),
        (("--public", "--link", "br0", "--backend", "9"), "No backend 9."),
        (("--public", "--link", "br0", "--everywhere"), "without a subnet"),
        (("--owner", "nobody@example.org"), "No user nobody@example.org."),
    ],
)
def test_networks_that_cannot_be_are_refused_and_take_nothing(
    cli: Terminal, sessions: SessionFactory, options: tuple[str, ...], said: str
) -> None:
    assert said in cli.refusal("network", "create", "x", *options)
    with unit_of_work(sessions, write=False) as session:
        assert session.scalar(sa.select(sa.func.count(Network.id))) == 0
