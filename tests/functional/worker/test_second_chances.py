"""Clusters that decline: the worker tries again, or elsewhere, exactly once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.domain import servers
from cloudweb.domain.states import ApiStatus
from cloudweb.models import Backend, OperationState, PoolUse, PoolValue, unit_of_work
from tests.functional.processes import running, wait_for
from tests.functional.worker.world import WORKER, World

CREATE = "OP_INSTANCE_CREATE"


def no_room(count: int = 1) -> dict[str, Any]:
    return {CREATE: {"count": count, "code": "insufficient_resources"}}


@pytest.fixture
def beta(world: World, make_backend: Callable[..., Backend]) -> Backend:
    """A second cluster, busier than the first."""
    made = make_backend(memory_free_mb=600_000)
    world.join(made, "beta")
    return made


def test_a_create_without_room_is_built_on_the_next_cluster(
    world: World, beta: Backend, ini: Path, app: webtest.TestApp
) -> None:
    world.faults(fail=no_room())
    order = world.cloud.order()
    made = app.post_json("/api/v1.1/servers", order, headers=world.cloud.owner.headers)
    server = made.json["server"]["id"]
    seen = set()

    def is_active() -> bool:
        seen.add(world.status(server))
        return ApiStatus.ACTIVE in seen

    with running(WORKER, ini), running(WORKER, ini):
        wait_for(is_active)
    assert seen == {ApiStatus.BUILD, ApiStatus.ACTIVE}, "its owner sees no error"
    assert (world.jobs("alpha"), world.jobs("beta")) == ([CREATE], [CREATE])
    assert (world.instances("alpha"), world.instances("beta")) == ([], [f"snf-{server}"])
    failed, done = world.settled()
    assert (failed.state, done.state) == (OperationState.ERROR, OperationState.SUCCESS)
    assert done.retry_of_id == failed.id
    [refused], [told] = world.osparams("alpha"), world.osparams("beta")
    url = told["config_url"]
    assert url == refused["config_url"]
    read = app.get("/vmapi/" + url.partition("/vmapi/")[2])
    assert read.json["img_passwd"] == made.json["server"]["adminPass"]
    world.do(servers.delete, server)
    with running(WORKER, ini):
        world.becomes(server, ApiStatus.DELETED)
    with unit_of_work(world.sessions, write=False) as session:
        held = sa.select(PoolValue).where(PoolValue.use == PoolUse.HELD)
        assert session.scalars(held).all() == []


def test_without_room_anywhere_the_server_is_in_error(
    world: World, beta: Backend, ini: Path
) -> None:
    for cluster in ("alpha", "beta"):
        world.faults(cluster, fail=no_room(count=9))
    with running(WORKER, ini):
        server = world.create()
        world.becomes(server, ApiStatus.ERROR)
    *_, last = world.settled()
    assert "alpha" in last.error
    assert "beta" in last.error
    assert (len(world.jobs("alpha")), len(world.jobs("beta"))) == (1, 1)


def test_a_worker_killed_between_the_two_clusters_is_made_good(
    world: World, beta: Backend, ini: Path
) -> None:
    world.faults(fail=no_room())
    world.faults("beta", hang_s=30.0)
    with running(WORKER, ini) as worker:
        server = world.create()
        wait_for(lambda: len(world.operations()) == 2 and world.operations()[1].sent)
        worker.kill()
        worker.wait()
    world.faults("beta", hang_s=0.0)
    with running(WORKER, ini):
        world.becomes(server, ApiStatus.ACTIVE, timeout_s=30)
    assert (world.jobs("alpha"), world.jobs("beta")) == ([CREATE], [CREATE])


def test_what_fails_for_now_is_done_in_the_end(world: World, ini: Path) -> None:
    opcodes = [CREATE, "OP_INSTANCE_SHUTDOWN"]
    for_now = {"count": 1, "code": "temp_insufficient_resources"}
    world.faults(fail=dict.fromkeys(opcodes, for_now))
    with running(WORKER, ini):
        server = world.create()
        world.becomes(server, ApiStatus.ACTIVE)
        world.do(servers.shutdown, server)
        world.becomes(server, ApiStatus.STOPPED)
        settled = world.settled()
    assert [(op.opcode, op.declines, op.state, op.error) for op in settled] == [
        (opcode, 1, OperationState.SUCCESS, "") for opcode in opcodes
    ], "the same operations, in their places"
    assert sorted(world.jobs()) == sorted(opcodes * 2)
