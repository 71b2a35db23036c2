"""``cloudweb reconcile servers``: what it finds on a simulated cluster, and what it mends."""

from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from cloudweb.backend.ganeti.operations import create_body
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.backend.ganeti.simulator import Simulator
from cloudweb.models import Backend, Operation, OperState, Server, SessionFactory, unit_of_work
from tests.functional.cli.conftest import Terminal
from tests.functional.processes import wait_for


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A quick cluster."""
    with Simulator(["alpha"], port=0, tls=True, time_factor=0.02) as running:
        yield running


@pytest.fixture
def alpha(sessions: SessionFactory, simulator: Any, add_alpha: Callable[..., Any]) -> Backend:
    """The simulated cluster, with one instance that nobody knows."""
    added = add_alpha()
    with RapiClient(simulator.url("alpha"), "cloudweb", "cloudweb", verify=False) as client:
        body = create_body(
            name="snf-4711",
            vcpus=1,
            ram_mb=128,
            disk_gb=1,
            disk_template="file",
            os="noop+default",
            osparams={},
            nics=[],
        )
        client.create_instance(body, "by hand")
        wait_for(lambda: [i for i in client.instances_bulk() if i.oper_state])
    with unit_of_work(sessions, write=False) as session:
        return session.get_one(Backend, added["id"])


def state_of(sessions: SessionFactory, server: Server) -> OperState:
    with unit_of_work(sessions, write=False) as session:
        return session.get_one(Server, server.id).state


def test_nothing_is_changed_without_a_fix_and_what_is_asked_for_is(
    cli: Terminal, sessions: SessionFactory, alpha: Backend, make_server: Callable[..., Any]
) -> None:
    stale = make_server(backend=alpha)
    lost = make_server(backend=alpha, state=OperState.BUILD)
    command = ("reconcile", "servers", "--backend", alpha.name)

    found = {row["target"]: row for row in cli.json(*command)}
    assert {name: row["kind"] for name, row in found.items()} == {
        stale.instance_name: "stale",
        lost.instance_name: "build",
        "snf-4711": "orphan",
    }
    assert cli.run(*command, "--fix-all").exit_code == 2, "a reason is required"
    cli(*command, "--fix-all", "--reason", "Try.", "--dry-run")
    assert state_of(sessions, stale) is OperState.STARTED

    fixed = cli.json(*command, "--fix-stale", "--reason", "Lost with its node.")
    assert [row["target"] for row in fixed if row["fixed"]] == [stale.instance_name]
    assert state_of(sessions, stale) is OperState.DESTROYED
    assert state_of(sessions, lost) is OperState.BUILD

    no = cli.run(*command, "--fix-all", "--reason", "Tidy up.", stdin="n\n")
    assert f"Remove 1 instance from {alpha.name}?" in no.stderr
    assert state_of(sessions, lost) is OperState.ERROR, "the rest is mended"
    with unit_of_work(sessions, write=False) as session:
        assert session.query(Operation).count() == 0
    assert cli.run(*command, "--fix-orphans", "--reason", "Tidy up.").exit_code == 1, "nobody says"
    cli(*command, "--fix-all", "--yes", "--reason", "Tidy up.")
    with unit_of_work(sessions, write=False) as session:
        [removal] = session.scalars(sa.select(Operation))
    assert (removal.opcode, removal.target) == ("OP_INSTANCE_REMOVE", "snf-4711")
    assert cli.json(*command) == []


def test_a_cluster_that_does_not_answer_is_named_and_left_out(
    cli: Terminal,
    sessions: SessionFactory,
    alpha: Backend,
    make_backend: Callable[..., Any],
    make_server: Callable[..., Any],
) -> None:
    away = make_backend()
    server = make_server(backend=away)
    result = cli.run("reconcile", "servers", "--fix-all", "--yes", "--reason", "All.", "--json")
    assert result.exit_code == 1
    assert away.name in result.stderr
    assert [row["target"] for row in orjson.loads(result.stdout)] == ["snf-4711"]
    assert state_of(sessions, server) is OperState.STARTED
    assert "No backend" in cli.refusal("reconcile", "servers", "--backend", "nowhere")
