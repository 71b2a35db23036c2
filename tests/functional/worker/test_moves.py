"""Servers are moved between the nodes of a simulated cluster, by command and worker."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudweb.backend.ganeti.operations import create_body
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.backend.ganeti.simulator.server import Simulator
from cloudweb.domain import servers
from cloudweb.domain.states import ApiStatus
from cloudweb.models import Backend, Server, unit_of_work
from cloudweb.settings import Settings
from tests.functional.cli.conftest import Terminal
from tests.functional.processes import running, wait_for, write_ini
from tests.functional.worker.world import WORKER, World


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    specs = ["alpha:nodes=3,memory=8G,templates=drbd+sharedfile+file", "beta"]
    with Simulator(specs, port=0, time_factor=0.1) as simulator:
        yield simulator


@pytest.fixture
def ini(tmp_path: Path, settings: Settings) -> Path:
    """A worker that looks at the clusters again at once."""
    return write_ini(tmp_path, dataclasses.replace(settings, worker_compare_s=0.2))


def node_of(world: World, server_id: int) -> str | None:
    with unit_of_work(world.sessions, write=False) as session:
        return session.get_one(Server, server_id).node


def test_a_node_is_emptied_and_each_server_says_how(
    world: World, ini: Path, make_flavor: Callable[..., Any]
) -> None:
    cli = Terminal(ini)
    world.cloud.flavor = make_flavor(disk_gb=1, ram_mb=128, disk_template="sharedfile")
    with unit_of_work(world.sessions) as session:
        session.get_one(Backend, world.cloud.backend.id).disk_templates = ["sharedfile"]
    live, stopped = world.create(), world.create()
    with (
        running(WORKER, ini),
        RapiClient(world.simulator.url("alpha"), "cloudweb", "cloudweb") as client,
    ):
        world.becomes(live, ApiStatus.ACTIVE)
        world.becomes(stopped, ApiStatus.ACTIVE)
        wait_for(lambda: node_of(world, live) and node_of(world, stopped))
        for server_id in (live, stopped):
            if node_of(world, server_id) != "n1.alpha.ganeti.test":
                to = ("--to", "n1", "--reason", "Together.", "--wait")
                cli("server", "migrate", server_id, *to)
        wait_for(lambda: node_of(world, live) == node_of(world, stopped))
        world.do(servers.shutdown, stopped)
        world.becomes(stopped, ApiStatus.STOPPED)
        world.settled()

        where = ("n1", "--backend", "alpha.ganeti.test")
        rows = cli.json("node", "evacuate", *where, "--dry-run")
        assert {row["server"]: row["way"] for row in rows} == {
            live: "moves live",
            stopped: "needs failover",
        }
        shown = cli.json("node", "show", *where)
        assert {row["server"] for row in shown["servers"]} == {live, stopped}
        assert "needs failover" in cli("node", "show", *where)

        made = cli.json("node", "evacuate", *where, "--reason", "A new fan.", "--wait")
        assert sorted((row["opcode"], row["state"]) for row in made) == [
            ("OP_INSTANCE_FAILOVER", "success"),
            ("OP_INSTANCE_MIGRATE", "success"),
        ]
        assert "n1.alpha.ganeti.test" not in {i.pnode for i in client.instances_bulk()}
        wait_for(lambda: node_of(world, live) != "n1.alpha.ganeti.test")
        assert world.status(live) is ApiStatus.ACTIVE
        assert world.status(stopped) is ApiStatus.STOPPED

        refused = cli.run("node", "migrate", *where, "--reason", "Again.")
        assert refused.exit_code == 1
        assert "Nothing on n1" in refused.stderr
        assert cli.run("node", "migrate", *where).exit_code == 2, "a reason is required"


def test_mirrors_are_made_elsewhere_and_the_operation_ends_with_the_last_of_their_jobs(
    world: World, ini: Path
) -> None:
    cli = Terminal(ini)
    with RapiClient(world.simulator.url("alpha"), "cloudweb", "cloudweb") as client:
        body = create_body(
            name="by-hand",
            vcpus=1,
            ram_mb=128,
            disk_gb=1,
            disk_template="drbd",
            os="noop+default",
            osparams={},
            nics=[],
        )
        client.create_instance(body, "by hand")
        wait_for(lambda: [i for i in client.instances_bulk() if i.oper_state])
        [mirror] = client.instance("by-hand").snodes
        with running(WORKER, ini):
            where = (mirror, "--backend", "alpha.ganeti.test")
            wait_for(lambda: cli.run("node", "show", *where).exit_code == 0)
            assert (
                "Mirrors of 1 instances" in cli.run("node", "evacuate", *where, "--dry-run").stderr
            )
            [made] = cli.json("node", "evacuate", *where, "--reason", "A fan.", "--wait")
            assert (made["opcode"], made["state"]) == ("OP_NODE_EVACUATE", "success")
            [elsewhere] = client.instance("by-hand").snodes
            assert elsewhere != mirror


def test_a_migration_off_a_node_that_failed_is_done_again_and_ends_with_the_last_of_its_jobs(
    world: World, ini: Path
) -> None:
    cli = Terminal(ini)
    with RapiClient(world.simulator.url("alpha"), "cloudweb", "cloudweb") as client:
        body = create_body(
            name="by-hand",
            vcpus=1,
            ram_mb=128,
            disk_gb=1,
            disk_template="sharedfile",
            os="noop+default",
            osparams={},
            nics=[],
        )
        client.create_instance(body, "by hand")
        wait_for(lambda: [i for i in client.instances_bulk() if i.oper_state])
        here = client.instance("by-hand").pnode
        world.faults(fail={"OP_NODE_MIGRATE": {"code": "wrong_state"}})
        failed = client.submit("POST", f"/2/nodes/{here}/migrate", "by hand", body={"mode": "live"})
        words = ("job", "retry", failed, "--backend", "alpha.ganeti.test", "--reason", "A fan.")
        with running(WORKER, ini):
            wait_for(lambda: cli.run(*words).exit_code == 0)
            [operation] = world.settled()
            assert (operation.opcode, operation.state) == ("OP_NODE_MIGRATE", "success")
            assert operation.arguments == {"again": {"mode": "live"}}
            assert client.instance("by-hand").pnode != here
