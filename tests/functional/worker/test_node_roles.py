"""The worker has clusters change what their nodes are."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudweb.backend.ganeti.simulator.server import Simulator
from cloudweb.models import Node, unit_of_work
from tests.functional.cli.conftest import Terminal
from tests.functional.processes import running, wait_for
from tests.functional.worker.world import WORKER, World


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(["alpha:nodes=3", "beta"], port=0, time_factor=0.1) as simulator:
        yield simulator


def test_a_node_is_drained_offline_and_back(world: World, ini: Path) -> None:
    cli = Terminal(ini)
    second = "n2.alpha.ganeti.test"
    backend = world.cloud.backend.id

    def role() -> str | None:
        with unit_of_work(world.sessions, write=False) as session:
            node = session.get(Node, (backend, second))
            return node.role if node is not None else None

    def make(verb: str) -> str:
        where = ("n2", "--backend", "alpha.ganeti.test", "--reason", "A new fan.", "--wait")
        [made] = cli.json("node", verb, *where)
        state: str = made["state"]
        return state

    with running(WORKER, ini):
        wait_for(lambda: role() == "C")
        for verb, letter in (
            *(("demote", "R"), ("promote", "C"), ("drain", "D"), ("offline", "O")),
            *(("online", "C"), ("drain", "D"), ("undrain", "C")),
        ):
            assert make(verb) == "success", verb
            wait_for(lambda letter=letter: role() == letter)
    assert "It is the master" in cli.refusal(
        "node", "drain", "n1", "--backend", "alpha.ganeti.test", "--reason", "x"
    )
