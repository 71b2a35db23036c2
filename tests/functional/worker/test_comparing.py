"""What operators do with gnt-instance shows within one period, without agents."""

from pathlib import Path

import sqlalchemy as sa

from cloudweb.domain.states import ApiStatus
from cloudweb.models import Server, unit_of_work
from tests.functional.processes import running, wait_for
from tests.functional.worker.world import WORKER, World


def node_of(world: World, server_id: int) -> str | None:
    with unit_of_work(world.sessions, write=False) as session:
        return session.scalar(sa.select(Server.node).where(Server.id == server_id))


def test_starting_stopping_and_removing_by_hand_become_visible(world: World, ini: Path) -> None:
    with running(WORKER, ini):
        server = world.create()
        world.becomes(server, ApiStatus.ACTIVE)
        wait_for(lambda: node_of(world, server))
        world.by_hand(lambda c, name: c.shutdown_instance(name, "by hand"), server)
        world.becomes(server, ApiStatus.STOPPED)
        world.by_hand(lambda c, name: c.startup_instance(name, "by hand"), server)
        world.becomes(server, ApiStatus.ACTIVE)
        world.by_hand(lambda c, name: c.delete_instance(name, "by hand"), server)
        world.becomes(server, ApiStatus.DELETED)
        assert len(world.operations()) == 1, "nothing of it was asked for by us"


def test_a_cluster_that_fails_or_shows_no_instances_ends_no_server(world: World, ini: Path) -> None:
    with running(WORKER, ini):
        server = world.create()
        world.becomes(server, ApiStatus.ACTIVE)
        wait_for(lambda: node_of(world, server))
        world.join(world.cloud.backend, "beta")  # another one answers, which has none of them
        wait_for(lambda: world.asked("beta", "/2/jobs"))
        assert world.status(server) is ApiStatus.ACTIVE
