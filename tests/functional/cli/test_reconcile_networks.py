"""``cloudweb reconcile networks``, ``pools`` and ``all`` over a simulated cluster."""

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.backend.ganeti.simulator import Simulator
from cloudweb.models import (
    BackendNetwork,
    NetworkState,
    Operation,
    SessionFactory,
    unit_of_work,
    utc_now,
)
from tests.functional.cli.conftest import Terminal
from tests.functional.processes import wait_for


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A quick cluster with two node groups."""
    cluster = "alpha:nodes=2,groups=default+second"
    with Simulator([cluster], port=0, tls=True, time_factor=0.02) as running:
        yield running


@pytest.fixture
def alpha(
    cli: Terminal, sessions: SessionFactory, simulator: Simulator, add_alpha: Callable[..., Any]
) -> Any:
    """The cluster, which has network 2 in one group, keeps an address of it, and has a stray one.

    Network 1 is written down as being there, and is not.
    """
    added = add_alpha()
    for name, cidr in (("one", "198.51.100.0/28"), ("two", "203.0.113.0/28")):
        how = ("--public", "--subnet", cidr, "--link", "br0", "--backend", added["name"])
        made = cli.json("network", "create", name, *how)
        with unit_of_work(sessions) as session:
            session.add(
                BackendNetwork(
                    network_id=made["id"],
                    backend_id=added["id"],
                    name=f"snf-net-{made['id']}",
                    state=NetworkState.ACTIVE,
                    updated=utc_now() - dt.timedelta(hours=1),
                )
            )
    two = f"snf-net-{made['id']}"
    with RapiClient(simulator.url("alpha"), "cloudweb", "cloudweb", verify=False) as client:
        body = {"network": "203.0.113.0/28", "conflicts_check": False, "tags": []}
        kept = {"network_name": two, "add_reserved_ips": ["203.0.113.9"]}
        client.add_network(body | kept, "by hand")
        client.add_network(body | {"network_name": "snf-net-4711"}, "by hand")
        wait_for(lambda: len(client.networks_bulk()) == 2)
        how = {"network_mode": "bridged", "network_link": "br0", "conflicts_check": False}
        client.connect_network(two, how | {"group_name": "default"}, "by hand")
        wait_for(lambda: client.network(two).groups)
    return added


def kinds(rows: Any) -> list[tuple[str, str]]:
    return sorted((row["kind"], row["target"]) for row in rows)


def test_networks_and_pools_are_found_shown_apart_and_mended_when_asked_for(
    cli: Terminal, sessions: SessionFactory, alpha: Any
) -> None:
    networks, pools = [], []
    rows = cli.json("reconcile", "all")
    for row in rows:
        (pools if row["kind"].startswith("pool") else networks).append(row)
    assert [kind for kind, _ in kinds(networks)] == [
        "network-groups",
        "network-missing",
        "network-orphan",
    ]
    assert kinds(pools) == [("pool-sync", "203.0.113.9")]
    assert kinds(cli.json("reconcile", "networks")) == kinds(networks)
    assert kinds(cli.json("reconcile", "pools", "--backend", alpha["name"])) == kinds(pools)
    assert cli.json("reconcile", "servers") == []
    assert "snf-net-4711" in cli("reconcile", "networks")

    assert cli.run("reconcile", "pools", "--fix-sync").exit_code == 2, "a reason is required"
    cli("reconcile", "all", "--fix-all", "--reason", "Try.", "--dry-run")
    assert kinds(cli.json("reconcile", "all")) == kinds(rows)

    [done] = cli.json("reconcile", "pools", "--fix-sync", "--reason", "The gateway's.")
    assert done["fixed"]
    assert cli.json("reconcile", "pools") == []
    done = cli.json("reconcile", "networks", "--fix-missing", "--reason", "It is gone.")
    assert [row["kind"] for row in done if row["fixed"]] == ["network-missing"]
    with unit_of_work(sessions, write=False) as session:
        todo = session.scalars(sa.select(Operation.opcode).order_by(Operation.id)).all()
    assert todo == ["OP_NETWORK_ADD", "OP_NETWORK_CONNECT", "OP_NETWORK_CONNECT"]
    left = [kind for kind, _ in kinds(cli.json("reconcile", "networks"))]
    assert left == ["network-groups", "network-orphan"]
    command = ("reconcile", "networks", "--fix-unwanted", "--reason", "A stray.")
    assert "Remove 1 network from" in cli.run(*command, stdin="n\n").stderr
    with unit_of_work(sessions, write=False) as session:
        assert session.query(Operation).count() == len(todo)
    cli(*command, "--yes")
    with unit_of_work(sessions, write=False) as session:
        todo = session.scalars(sa.select(Operation.opcode).order_by(Operation.id)).all()
    assert todo[3:] == ["OP_NETWORK_REMOVE"]


def test_a_cluster_that_does_not_answer_is_left_out_and_nothing_of_it_is_touched(
    cli: Terminal, simulator: Simulator, alpha: Any
) -> None:
    before = cli.json("reconcile", "networks")
    simulator.clusters["alpha"].faults.update({"refuse": "503"})
    for scope in ("networks", "pools", "all"):
        result = cli.run("reconcile", scope, "--fix-all", "--reason", "All.", "--json")
        assert result.exit_code == 1
        assert alpha["name"] in result.stderr
        assert orjson.loads(result.stdout) == []
    simulator.clusters["alpha"].faults.clear()
    assert kinds(cli.json("reconcile", "networks")) == kinds(before)
