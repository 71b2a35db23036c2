"""``cloudweb pool``: making, changing, checking and mending pools from the terminal."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from cloudweb.domain import pools
from cloudweb.models import (
    AuditEntry,
    Network,
    NetworkKind,
    Nic,
    Pool,
    PoolKind,
    PoolUse,
    PoolValue,
    Server,
    SessionFactory,
    unit_of_work,
)
from tests.functional.cli.conftest import Terminal


def _bridges(cli: Terminal, size: int = 4) -> int:
    made = cli.json("pool", "create", "bridge", "--base", "prv", "--size", size)
    return int(made["id"])


def _take(sessions: SessionFactory, network_id: int) -> str:
    with unit_of_work(sessions) as session:
        return pools.take(session, PoolKind.BRIDGE, holder_kind=pools.NETWORK, holder_id=network_id)


@pytest.fixture
def vlan(sessions: SessionFactory) -> Callable[..., Network]:
    """Makes a network with a bridge."""

    def make(link: str) -> Network:
        with unit_of_work(sessions) as session:
            network = Network(
                name="office", kind=NetworkKind.PHYSICAL_VLAN, mode="bridged", link=link
            )
            session.add(network)
        return network

    return make


def test_overlapping_pools_are_refused(cli: Terminal) -> None:
    first = ("pool", "create", "mac-prefix", "--base")
    cli(*first, "aa:00:0", "--size", 16)

    assert "has values of this one" in cli.refusal(*first, "aa:00:8", "--size", 16)


def test_values_are_kept_from_use_and_let_go(cli: Terminal, sessions: SessionFactory) -> None:
    pool_id = _bridges(cli)

    cli("pool", "modify", pool_id, "--reserve", "prv1, prv2", "--reason", "the old switch")

    assert cli.json("pool", "show", pool_id)["values"][0] == {
        "value": "prv1",
        "use": "reserved",
        "holder": None,
        "reason": "the old switch",
    }
    assert _take(sessions, 1) == "prv3"
    cli("pool", "modify", pool_id, "--release", "prv1")
    assert _take(sessions, 1) == "prv1"
    with unit_of_work(sessions, write=False) as session:
        actions = set(session.scalars(sa.select(AuditEntry.action)))
    assert {"pool:reserve", "pool:release"} <= actions


def test_what_is_held_cannot_be_reserved_shrunk_away_or_removed(
    cli: Terminal, sessions: SessionFactory, vlan: Callable[..., Network]
) -> None:
    pool_id = _bridges(cli)
    network = vlan("prv1")
    assert _take(sessions, network.id) == "prv1"
    holder = f"prv1 is held by network {network.id}"

    assert cli.refusal("pool", "modify", pool_id, "--reserve", "prv1", "--reason", "x") == (
        f"{holder} (office)."
    )
    assert cli.refusal("pool", "remove", pool_id) == f"{holder} (office)."
    second = vlan("prv2")
    assert _take(sessions, second.id) == "prv2"
    said = cli.refusal("pool", "modify", pool_id, "--size", 1)
    assert said == f"prv2 is held by network {second.id} (office)."
    assert cli.json("pool", "modify", pool_id, "--size", 2)["size"] == 2


def test_a_change_that_is_refused_in_part_is_refused_whole(cli: Terminal) -> None:
    pool_id = _bridges(cli)

    said = cli.refusal(
        "pool", "modify", pool_id, "--size", 8, "--reserve", "prv8,prv9", "--reason", "x"
    )

    assert said == f"prv9 is not of pool {pool_id}."
    assert cli.json("pool", "list")[0]["size"] == 4
    assert cli.run("pool", "modify", pool_id).exit_code == 2
    assert cli.run("pool", "modify", pool_id, "--reserve", "prv1").exit_code == 2


def test_what_a_kind_of_pool_keeps_from_use_is_never_let_go(cli: Terminal) -> None:
    made = cli.json("pool", "create", "mac-prefix", "--base", "aa:00:0", "--size", 16)

    said = cli.refusal("pool", "modify", made["id"], "--release", "aa:00:0")

    assert said == "aa:00:0 can never be taken."


def test_an_empty_pool_is_removed_and_addresses_go_with_their_network(
    cli: Terminal, sessions: SessionFactory
) -> None:
    pool_id = _bridges(cli)
    cli("pool", "remove", pool_id)
    assert cli.json("pool", "list") == []
    assert cli.refusal("pool", "show", pool_id) == f"No pool {pool_id}."
    with unit_of_work(sessions) as session:
        network = Network(
            name="n", kind=NetworkKind.CUSTOM, mode="bridged", link="br0", cidr="10.0.0.0/29"
        )
        session.add(network)
        session.flush()
        addresses = pools.create_addresses(session, network)
    assert "go with their network" in cli.refusal("pool", "remove", addresses.id)


def test_leaked_unheld_and_doubled_values_are_found_and_what_is_clear_is_mended(
    cli: Terminal, sessions: SessionFactory, vlan: Callable[..., Network]
) -> None:
    pool_id = _bridges(cli)
    assert cli.json("pool", "check") == []
    assert _take(sessions, 999) == "prv1"
    unheld = vlan("prv2")
    twice = [vlan("prv3"), vlan("prv3")]
    check = ("pool", "check", pool_id, "--json")

    result = cli.run(*check)
    assert result.exit_code == 1
    assert [(row["wrong"], row["value"], row["who"]) for row in _rows(result.stdout)] == [
        ("leaked", "prv1", "network 999"),
        ("unheld", "prv2", f"network {unheld.id}"),
        ("doubled", "prv3", f"network {twice[0].id}, network {twice[1].id}"),
    ]

    left = cli.run(*check, "--fix", "--reason", "after the restore")

    assert [row["wrong"] for row in _rows(left.stdout)] == ["doubled"]
    with unit_of_work(sessions, write=False) as session:
        uses = {row.number: row.use for row in session.scalars(sa.select(PoolValue))}
        entry = session.scalars(sa.select(AuditEntry).order_by(AuditEntry.id)).all()[-1]
    assert (uses[0], uses[1], uses[2]) == (PoolUse.FREE, PoolUse.HELD, PoolUse.FREE)
    assert (entry.action, entry.reason) == ("pool:mend", "after the restore")


def _rows(text: str) -> Any:
    import orjson

    return orjson.loads(text)


def test_an_address_of_a_deleted_server_and_one_two_servers_have_are_found(
    cli: Terminal, sessions: SessionFactory, make_server: Callable[..., Server]
) -> None:
    gone, first, second = make_server(deleted=True), make_server(), make_server()
    with unit_of_work(sessions) as session:
        network = Network(
            name="n", kind=NetworkKind.CUSTOM, mode="bridged", link="br0", cidr="10.0.0.0/29"
        )
        session.add(network)
        session.flush()
        pool = pools.create_addresses(session, network)
        for server in (gone, first):
            pools.take_address(session, network, server_id=server.id)
        for server in (first, second):
            session.add(Nic(server_id=server.id, network_id=network.id, index=1, ipv4="10.0.0.2"))

    found = _rows(cli.run("pool", "check", pool.id, "--json").stdout)

    assert [(row["wrong"], row["value"], row["who"]) for row in found] == [
        ("leaked", "10.0.0.1", f"server {gone.id}"),
        ("doubled", "10.0.0.2", f"server {first.id}, server {second.id}"),
    ]


def test_a_pool_that_lost_rows_is_found(cli: Terminal, sessions: SessionFactory) -> None:
    pool_id = _bridges(cli)
    with unit_of_work(sessions) as session:
        session.execute(sa.delete(PoolValue).where(PoolValue.number == 2))
        assert session.get_one(Pool, pool_id).size == 4

    found = _rows(cli.run("pool", "check", "--json").stdout)

    assert [(row["wrong"], row["who"]) for row in found] == [("missing", "3 rows for 4")]
