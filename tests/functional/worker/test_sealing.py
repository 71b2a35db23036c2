"""A worker seals the audit while others write it."""

from pathlib import Path

from cloudweb.domain import audit_chain
from cloudweb.models import unit_of_work
from tests.functional.processes import running, wait_for
from tests.functional.worker.world import WORKER, World


def test_what_was_written_is_sealed_by_itself(world: World, ini: Path) -> None:
    def sealed() -> bool:
        with unit_of_work(world.sessions, write=False) as session:
            found = audit_chain.verify(session)
        assert found.problem == ""
        return found.checked > 0 and found.unsealed == 0

    world.create()
    with running(WORKER, ini):
        wait_for(sealed)
