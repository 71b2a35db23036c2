"""The database goes away under a worker and a web process, and comes back."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import webtest

from cloudweb.domain import servers
from cloudweb.domain.states import ApiStatus
from cloudweb.models import SessionFactory, migrations
from cloudweb.settings import Secret, Settings
from tests.applications import application
from tests.functional.processes import end, running, write_ini
from tests.functional.restarting import Restartable, private_server
from tests.functional.worker.world import WORKER, World


@pytest.fixture
def database() -> Iterator[Restartable]:
    with private_server("postgresql") as database:
        migrations.upgrade(database.url)
        yield database


@pytest.fixture
def _factory(database: Restartable) -> Iterator[SessionFactory]:
    factory = SessionFactory.for_web(database.url, pool_size=10, statement_timeout_s=30)
    yield factory
    factory.dispose()


@pytest.fixture
def settings(settings: Settings, database: Restartable) -> Settings:
    return dataclasses.replace(settings, database_url=Secret(database.url))


def test_what_was_asked_for_is_done_when_the_database_is_back(
    world: World, database: Restartable, settings: Settings, tmp_path: Path
) -> None:
    app = webtest.TestApp(application(settings, sessions=world.sessions))
    headers = world.cloud.owner.headers
    with running(WORKER, write_ini(tmp_path, settings)) as worker:
        first = world.create()
        world.becomes(first, ApiStatus.ACTIVE)
        second = world.create()
        world.do(servers.shutdown, first)
        database.stop()
        answer = app.get("/api/v1.1/servers", headers=headers, status=503)
        assert "serviceUnavailable" in answer.json
        assert worker.poll() is None
        database.start()
        world.becomes(first, ApiStatus.STOPPED, timeout_s=40)
        world.becomes(second, ApiStatus.ACTIVE, timeout_s=40)
        listed = app.get("/api/v1.1/servers", headers=headers).json["servers"]["values"]
        assert [server["id"] for server in listed] == [first, second]
        assert end(worker) == 0
    assert sorted(world.instances()) == [f"snf-{first}", f"snf-{second}"]
    assert len(world.jobs()) == 3
