"""Moves as commands plan and refuse them; no worker runs, so none is done."""

from collections.abc import Callable
from typing import Any

import orjson
import sqlalchemy as sa

from cloudweb.models import Backend, Node, SessionFactory, unit_of_work
from tests.functional.cli.conftest import Terminal

FIRST, SECOND = "n1.alpha.ganeti.test", "n2.alpha.ganeti.test"


def test_a_move_is_explained_asked_for_and_refused_with_the_reason(
    cli: Terminal,
    sessions: SessionFactory,
    add_alpha: Callable[..., Any],
    make_server: Callable[..., Any],
    make_flavor: Callable[..., Any],
) -> None:
    added = add_alpha()
    with unit_of_work(sessions, write=False) as session:
        alpha = session.get_one(Backend, added["id"])
    live = make_server(
        backend=alpha, node=FIRST, flavor=make_flavor(disk_template="ext_vlmc", ram_mb=512)
    )
    stays = make_server(backend=alpha, node=FIRST, flavor=make_flavor(disk_template="plain"))

    [row] = cli.json("server", "migrate", live.id, "--dry-run")
    assert (row["way"], row["node"]) == ("moves live", FIRST)
    [row] = cli.json("server", "failover", live.id, "--dry-run", "--to", "n2")
    assert (row["way"], row["done"]) == ("needs failover", True)
    assert "cannot move" in cli("server", "migrate", stays.id, "--dry-run")
    why = ("--reason", "A new fan.")
    assert cli.refusal("server", "migrate", stays.id, *why) == (
        f"Server {stays.id} is not moved. Its disks are only on this node (plain)."
    )
    assert cli.run("server", "migrate", live.id).exit_code == 2
    assert "No node n7" in cli.refusal("server", "migrate", live.id, "--to", "n7", *why)
    assert "No server 4711" in cli.refusal("server", "migrate", 4711, "--dry-run")
    assert "No node n7" in cli.refusal("node", "show", "n7", "--backend", alpha.name)

    result = cli.run("node", "migrate", "n1", "--backend", alpha.name, *why)
    assert result.exit_code == 0
    assert f"Server {stays.id} stays: cannot move." in result.stderr
    shown = cli.json("node", "show", FIRST, "--backend", alpha.name)
    assert [(row["opcode"], row["state"]) for row in shown["moves"]] == [
        ("OP_INSTANCE_MIGRATE", "pending")
    ]
    assert {row["server"]: row["way"] for row in shown["servers"]} == {
        live.id: "cannot move",
        stays.id: "cannot move",
    }


def test_servers_or_mirrors_of_a_node_are_evacuated_alone(
    cli: Terminal,
    sessions: SessionFactory,
    add_alpha: Callable[..., Any],
    make_server: Callable[..., Any],
    make_flavor: Callable[..., Any],
) -> None:
    added = add_alpha()
    with unit_of_work(sessions) as session:
        alpha = session.get_one(Backend, added["id"])
        session.execute(sa.update(Node).where(Node.name == FIRST).values(secondaries=2))
    flavor = make_flavor(disk_template="ext_vlmc", ram_mb=512)
    make_server(backend=alpha, node=FIRST, flavor=flavor)
    command = ("node", "evacuate", "n1", "--backend", alpha.name)
    plan = cli.run(*command, "--only", "secondaries", "--dry-run", "--json")
    assert orjson.loads(plan.stdout) == []
    assert "Mirrors of 2 instances" in plan.stderr
    plan = cli.run(*command, "--only", "primaries", "--dry-run", "--json")
    assert len(orjson.loads(plan.stdout)) == 1
    assert "Mirrors" not in plan.stderr
    for only, opcode in (("secondaries", "OP_NODE_EVACUATE"), ("primaries", "OP_INSTANCE_MIGRATE")):
        [row] = cli.json(*command, "--only", only, "--reason", "A new fan.")
        assert row["opcode"] == opcode
