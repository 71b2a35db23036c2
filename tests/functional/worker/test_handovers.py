"""What an instance is told, with web and worker as processes and simulated clusters."""

import dataclasses
import http.client
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cloudweb import models
from cloudweb.domain.states import ApiStatus
from cloudweb.models import Handover, unit_of_work, utc_now
from cloudweb.settings import Settings
from tests.functional.processes import running, wait_for, write_ini
from tests.functional.worker.world import WORKER, World
from tests.ports import free_port

WEB = "pyramid.scripts.pserve"
FILE = {"path": "/root/banner", "contents": "U2VzYW1lIG9wZW4=", "mode": 0o600}


@dataclasses.dataclass
class Place:
    """An installation of processes: its ini file, and where its web answers."""

    ini: Path
    url: str
    headers: dict[str, str]

    def ask(self, path: str, body: Any = None, method: str | None = None) -> tuple[int, Any]:
        """The status and the JSON of an answer."""
        request = urllib.request.Request(
            path if path.startswith("http") else self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers=self.headers | {"Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer) if method is None else None
        except urllib.error.HTTPError as error:
            with error:
                return error.code, None

    def is_ready(self) -> bool:
        try:
            return self.ask("/readyz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def order(self, world: World) -> tuple[int, str]:
        """Order a server; its id and password."""
        body = world.cloud.order(personality=[FILE])
        status, answer = self.ask("/api/v1.1/servers", body)
        assert status == 202
        return answer["server"]["id"], answer["server"]["adminPass"]


@pytest.fixture(params=["config_url", "osparams"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def place(tmp_path: Path, settings: Settings, world: World, mode: str) -> Iterator[Place]:
    """The web, running; the worker is the test's to start."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    changes = {"public_url": "http://unreachable.example", "config_url_base": url}
    ini = write_ini(tmp_path, settings, os_params_mode=mode, **changes)
    with ini.open("a") as file:
        file.write(f"[server:main]\nuse = egg:waitress#main\nlisten = 127.0.0.1:{port}\n")
    made = Place(ini, url, world.cloud.owner.headers)
    with running(WEB, ini):
        wait_for(made.is_ready)
        yield made


def logs(place: Place) -> str:
    return "\n".join(log.read_text() for log in place.ini.parent.glob("*.log"))


def rows(world: World) -> str:
    """Every value of every row."""
    with unit_of_work(world.sessions, write=False) as session:
        tables = models.Base.metadata.sorted_tables
        return "\n".join(str(row) for table in tables for row in session.execute(sa.select(table)))


def kept(world: World) -> int:
    with unit_of_work(world.sessions, write=False) as session:
        return len(session.scalars(sa.select(Handover)).all())


@pytest.mark.parametrize("mode", ["config_url"], indirect=True)
def test_an_instance_reads_its_password_and_files_once_and_nobody_else_ever_sees_them(
    world: World, place: Place
) -> None:
    with running(WORKER, place.ini):
        server, password = place.order(world)
        world.becomes(server, ApiStatus.ACTIVE)
        [told] = world.osparams()
        assert set(told) == {"config_url", "img_id", "img_format"}
        url = told["config_url"]
        assert url.startswith(f"{place.url}/vmapi/server-params/")
        assert [place.ask(url, method=m)[0] for m in ("HEAD", "POST", "DELETE")] == [404] * 3
        answers: list[tuple[int, Any]] = []
        threads = [
            threading.Thread(target=lambda: answers.append(place.ask(url))) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(status for status, _ in answers) == [200, 404, 404, 404]
    [parameters] = [body for status, body in answers if status == 200]
    assert parameters["img_passwd"] == password
    assert json.loads(parameters["img_personality"]) == [FILE]
    token = url.rpartition("/")[2]
    for secret in (password, token, FILE["contents"]):
        assert str(secret) not in logs(place) + rows(world)
    assert "/vmapi/…" in logs(place)
    for secret in (password, FILE["contents"]):
        assert str(secret) not in str(world.osparams())


@pytest.mark.parametrize("mode", ["osparams"], indirect=True)
def test_a_classic_os_definition_gets_them_in_the_job_and_nothing_is_kept(
    world: World, place: Place
) -> None:
    with running(WORKER, place.ini):
        server, password = place.order(world)
        world.becomes(server, ApiStatus.ACTIVE)
    [told] = world.osparams()
    assert set(told) == {"img_id", "img_format", "img_passwd", "img_personality", "img_properties"}
    assert told["img_passwd"] == password
    assert json.loads(told["img_personality"]) == [FILE]
    assert kept(world) == 0
    for secret in (password, FILE["contents"]):
        assert str(secret) not in logs(place) + rows(world)


def test_a_cluster_that_is_away_for_long_is_told_all_the_same(
    world: World, place: Place, mode: str
) -> None:
    world.faults(refuse="503")
    with running(WORKER, place.ini):
        server, password = place.order(world)
        wait_for(lambda: world.operations()[0].attempts >= 2)
        assert kept(world) == 1
        world.faults(refuse="")
        world.becomes(server, ApiStatus.ACTIVE, timeout_s=30)
    [told] = world.osparams()
    if mode == "config_url":
        told = place.ask(told["config_url"])[1]
    assert told["img_passwd"] == password
    assert kept(world) == 0


@pytest.mark.parametrize("mode", ["osparams"], indirect=True)
def test_a_lost_answer_leaves_nothing_behind_either(world: World, place: Place) -> None:
    world.faults(drop_after_accept=1)
    with running(WORKER, place.ini):
        server, _password = place.order(world)
        world.becomes(server, ApiStatus.ACTIVE, timeout_s=30)
    assert len(world.osparams()) == 1
    assert kept(world) == 0


@pytest.mark.parametrize("mode", ["config_url"], indirect=True)
def test_the_worker_drops_what_nobody_will_read(world: World, place: Place) -> None:
    world.faults(fail={"OP_INSTANCE_CREATE": {"count": 1, "code": "insufficient_resources"}})
    with running(WORKER, place.ini):
        server, _password = place.order(world)
        world.becomes(server, ApiStatus.ERROR)
    assert kept(world) == 1, "its create may be tried again"
    with unit_of_work(world.sessions) as session:
        session.execute(sa.update(Handover).values(expires=utc_now()))
    with running(WORKER, place.ini):
        wait_for(lambda: kept(world) == 0)
