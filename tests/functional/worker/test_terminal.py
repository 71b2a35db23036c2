"""Servers and networks from the terminal, with a worker and simulated clusters behind it."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.models import AuditEntry, Operation, unit_of_work
from tests.functional.cli.conftest import Terminal
from tests.functional.processes import running
from tests.functional.worker.world import WORKER, World


@pytest.fixture
def cli(ini: Path, world: World) -> Terminal:
    return Terminal(ini)


def ordered(world: World) -> tuple[object, ...]:
    """A create of a server for the world's user."""
    cloud = world.cloud
    whose = ("--user", cloud.owner.user.email, "--name", "web")
    return ("server", "create", *whose, "--flavor", cloud.flavor.id, "--image", cloud.image.id)


def test_a_server_lives_from_create_to_remove_while_the_terminal_waits(
    cli: Terminal, world: World, ini: Path
) -> None:
    with running(WORKER, ini):
        why = ("--wait", "--timeout", 20, "--reason", "Über #7")
        made = cli.json(*ordered(world), "--metadata", "role=web", *why)
        server = made["id"]
        assert (made["owner"], made["status"]) == (world.cloud.owner.user.email, "BUILD")
        assert len(made["password"]) > 8
        assert cli.json("server", "show", server)["status"] == "ACTIVE"

        assert cli("server", "shutdown", server, *why) == f"Server {server} is to be shut down.\n"
        assert cli.json("server", "show", server)["status"] == "STOPPED"
        cli("server", "start", server, *why)
        cli("server", "reboot", server, "--hard", *why)
        inspected = cli.json("server", "inspect", server, "--jobs")
        text = cli("server", "inspect", server, "--jobs")
        cli("server", "remove", server, "--yes", *why)
    assert cli.json("server", "show", server)["deleted"] is True
    assert inspected["instance"]["status"] == "running"
    assert inspected["cards"][0]["network"] == "public"
    assert [job["opcode"] for job in inspected["jobs"]][-1] == ["OP_INSTANCE_REBOOT"]
    assert f"As {made['backend']} has it:" in text
    assert world.instances() == []

    with RapiClient(world.simulator.url("alpha"), "cloudweb", "cloudweb") as client:
        trails = [op.reasons[0] for job in client.jobs_bulk() for op in job.ops]
    assert all(trail.endswith(r" \xdcber #7") for trail in trails)
    with unit_of_work(world.sessions, write=False) as session:
        entries = session.scalars(sa.select(AuditEntry).where(AuditEntry.target_kind == "server"))
        found = {(entry.action, entry.actor, entry.reason) for entry in entries}
    assert ("server:create", "system", "Über #7") in found


def test_waiting_for_what_fails_ends_with_its_error(cli: Terminal, world: World, ini: Path) -> None:
    with running(WORKER, ini):
        server = cli.json(*ordered(world), "--wait", "--timeout", 20)["id"]
        world.faults(fail={"OP_INSTANCE_SHUTDOWN": {"message": "No power."}})
        said = cli.refusal("server", "shutdown", server, "--wait", "--timeout", 20)
        [first, *_] = cli.json("operation", "list", "--sort", "id")
        cli("operation", "wait", first["id"])
    assert f"(OP_INSTANCE_SHUTDOWN of snf-{server}) ended with error" in said


def test_waiting_has_an_end(cli: Terminal, world: World) -> None:
    said = cli.refusal(*ordered(world), "--wait", "--timeout", 1)
    assert said == "Not done within 1 s: 1; the clusters go on."
    assert "No operation 999." in cli.refusal("operation", "wait", 999)


def test_a_rehearsed_server_is_not_made(cli: Terminal, world: World) -> None:
    row = cli.json(*ordered(world), "--dry-run", "--wait")
    assert row["dry_run"] is True
    with unit_of_work(world.sessions, write=False) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Operation)) == 0
    assert cli.json("server", "list") == []


def test_a_network_is_inspected_where_it_is(cli: Terminal, world: World, ini: Path) -> None:
    made = ("network", "create", "lab", "--owner", world.cloud.owner.user.email)
    cli("pool", "create", "mac-prefix", "--base", "aa:00:0", "--size", 16)
    with running(WORKER, ini):
        network = cli.json(*made, "--subnet", "10.0.0.0/24", "--everywhere", "--wait")["id"]
        [there] = cli.json("network", "inspect", network)["clusters"]
        cli("network", "remove", network, "--wait")
    assert (there["found"], there["subnet"]) == (True, "10.0.0.0/24")
    assert there["groups"]


def test_a_cluster_that_is_away_is_named_and_the_rest_is_shown(cli: Terminal, world: World) -> None:
    server = cli.json(*ordered(world))["id"]
    result = cli.run("server", "inspect", server)
    assert result.exit_code == 1
    assert "has no instance snf-" in result.stderr
    assert "BUILD" in result.stdout
    cli("backend", "offline", world.cloud.backend.id, "--reason", "x")
    assert "is offline: it is not contacted." in cli.refusal("server", "inspect", server)
