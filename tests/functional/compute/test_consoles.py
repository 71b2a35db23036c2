"""The console action: what it answers, what it refuses, and that it waits for nobody long."""

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.backend.ganeti.simulator.server import Simulator
from cloudweb.models import (
    AuditEntry,
    Backend,
    OperState,
    Server,
    SessionFactory,
    unit_of_work,
    utc_now,
)
from cloudweb.settings import Secret, Settings, SettingsError
from tests.applications import application
from tests.functional.consoles import Proxy, run_instance
from tests.functional.processes import wait_for

NS = "{http://docs.openstack.org/compute/api/v1.1}"
VNC = {"console": {"type": "vnc"}}


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy() as made:
        yield made


@dataclasses.dataclass
class World:
    """A running server on a simulated cluster, before an application with a proxy."""

    app: webtest.TestApp
    simulator: Simulator
    server: Server
    backend: Backend
    url: str
    headers: dict[str, str]
    sessions: SessionFactory

    def show(self, port: int | None, host: str = "node-1.example.org", **more: Any) -> None:
        cluster = self.simulator.clusters["alpha"]
        assert self.server.instance_name
        assert cluster.set_screen(self.server.instance_name, host=host, port=port, **more)

    def ask(self, status: int = 200, body: Any = VNC) -> Any:
        return self.app.post_json(self.url, body, headers=self.headers, status=status)

    def refusal(self, status: int = 503, body: Any = VNC) -> str:
        [(_, fault)] = self.ask(status, body).json.items()
        message: str = fault["message"]
        return message

    def change(self, kind: Any, key: int, **values: Any) -> None:
        with unit_of_work(self.sessions) as session:
            row = session.get_one(kind, key)
            for name, value in values.items():
                setattr(row, name, value)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(["alpha", "beta"], port=0, time_factor=0.01) as simulator:
        yield simulator


@pytest.fixture
def conf(settings: Settings, proxy: Proxy) -> Settings:
    return dataclasses.replace(
        settings,
        vncproxy_url=proxy.url,
        vncproxy_user="web",
        vncproxy_password=Secret("between us only"),
        console_host="console.example.org",
        console_timeout_s=2.0,
        console_at_once=2,
    )


@pytest.fixture
def world(
    simulator: Simulator,
    conf: Settings,
    sessions: SessionFactory,
    cloud: Any,
    make_server: Callable[..., Server],
) -> World:
    server = make_server(owner=cloud.owner, backend=cloud.backend)
    assert server.instance_name
    run_instance(simulator, server.instance_name)
    made = World(
        webtest.TestApp(application(conf, sessions=sessions)),
        simulator,
        server,
        cloud.backend,
        f"/api/v1.1/servers/{server.id}/action",
        cloud.owner.headers,
        sessions,
    )
    made.change(Backend, cloud.backend.id, url=simulator.url("alpha"))
    made.show(11_007)
    return made


def test_a_console_is_a_place_a_port_and_a_password(world: World, proxy: Proxy) -> None:
    answer = world.ask()
    console = answer.json["console"]
    assert {key: console[key] for key in ("type", "host", "port")} == {
        "type": "vnc",
        "host": "console.example.org",
        "port": 25_001,
    }
    assert len(console["password"]) == 8
    assert answer.headers["Cache-Control"] == "no-store"
    [asked] = proxy.asked
    assert asked == {
        "source_port": 0,
        "destination_address": "node-1.example.org",
        "destination_port": 11_007,
        "password": console["password"],
        "auth_user": "web",
        "auth_password": "between us only",
        "type": "vnc",
    }


def test_no_two_consoles_have_the_same_password(world: World) -> None:
    assert len({world.ask().json["console"]["password"] for _ in range(5)}) == 5


def test_a_console_is_the_same_in_xml(world: World) -> None:
    answer = world.app.post(
        f"{world.url}.xml",
        f'<console xmlns="{NS[1:-1]}" type="vnc"/>',
        headers=world.headers,
        content_type="application/xml",
    )
    assert answer.headers["Content-Type"] == "application/xml"
    root = ElementTree.fromstring(answer.body)
    assert root.tag == f"{NS}console"
    assert (root.get("type"), root.get("host"), root.get("port")) == (
        "vnc",
        "console.example.org",
        "25001",
    )
    assert len(root.get("password", "")) == 8


def test_who_opened_a_console_is_written_down_without_the_password(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    password = world.ask().json["console"]["password"]
    with unit_of_work(world.sessions, write=False) as session:
        entry = session.scalars(
            sa.select(AuditEntry).where(AuditEntry.action == "server:console")
        ).one()
    assert (entry.target_id, entry.door) == (str(world.server.id), "api")
    assert password not in str(entry.details)
    assert password not in caplog.text
    assert "between us only" not in caplog.text


@pytest.mark.parametrize("arguments", [{"type": "spice"}, {"type": ""}, {}])
def test_only_vnc_can_be_had(world: World, proxy: Proxy, arguments: dict[str, str]) -> None:
    assert world.refusal(400, {"console": arguments}) == 'Type can only be "vnc".'
    assert proxy.asked == []


@pytest.mark.parametrize("state", [OperState.BUILD, OperState.STOPPED, OperState.ERROR])
def test_a_server_that_does_not_run_has_no_console(
    world: World, proxy: Proxy, state: OperState
) -> None:
    world.change(Server, world.server.id, state=state)
    assert world.refusal(400) == "Server not in ACTIVE state."
    assert proxy.asked == []


def test_a_deleted_server_has_none_either(world: World) -> None:
    world.change(Server, world.server.id, deleted=True)
    assert world.refusal(400) == "Server has been deleted."


def test_nobody_opens_anothers_console(
    world: World, proxy: Proxy, make_user: Callable[..., Any]
) -> None:
    stranger = make_user()
    answer = world.app.post_json(world.url, VNC, headers=stranger.headers, status=404)
    assert list(answer.json) == ["itemNotFound"]
    assert proxy.asked == []


def test_a_cluster_that_is_offline_or_known_to_be_away_is_not_asked(world: World) -> None:
    before = world.simulator.clusters["alpha"].requests.total()
    world.change(Backend, world.backend.id, unreachable_since=utc_now())
    assert world.refusal() == "The server's cluster does not answer."
    world.change(Backend, world.backend.id, unreachable_since=None, offline=True)
    assert world.refusal() == "The server's cluster is offline."
    assert world.simulator.clusters["alpha"].requests.total() == before


def test_without_a_proxy_there_are_no_consoles(
    world: World, settings: Settings, sessions: SessionFactory
) -> None:
    world.app = webtest.TestApp(application(settings, sessions=sessions))
    assert world.refusal() == "Consoles are not set up here."


def test_a_serial_console_or_none_is_said_so(world: World, proxy: Proxy) -> None:
    world.show(11_007, serial=True)
    assert world.refusal() == "The server has a serial console and no VNC."
    world.show(None)
    assert world.refusal() == "The server has no VNC console."
    assert proxy.asked == []


def test_a_proxy_that_refuses_gives_no_console(world: World, proxy: Proxy) -> None:
    proxy.answer = b'{"source_port": 0, "status": "FAILED", "reason": "no such node"}'
    assert world.refusal() == "vncauthproxy returned error status"


@pytest.mark.parametrize(
    "answer",
    [b"", b"no JSON", b"[]", b"{}", b'{"status": "OK"}', b'{"status": "OK", "source_port": true}'],
)
def test_a_proxy_that_talks_nonsense_is_as_good_as_away(
    world: World, proxy: Proxy, answer: bytes
) -> None:
    proxy.answer = answer
    assert world.refusal() == "vncauthproxy is unavailable"


def test_a_proxy_that_is_silent_is_not_waited_for_long(world: World, proxy: Proxy) -> None:
    proxy.answer = None
    began = time.monotonic()
    assert world.refusal() == "vncauthproxy is unavailable"
    assert time.monotonic() - began < 3


def test_a_proxy_that_is_not_there_is_said_so(
    world: World, conf: Settings, sessions: SessionFactory
) -> None:
    gone = dataclasses.replace(conf, vncproxy_url="unix:/nowhere/control.sock")
    world.app = webtest.TestApp(application(gone, sessions=sessions))
    assert world.refusal() == "vncauthproxy is unavailable"


@pytest.mark.parametrize(
    "moved", [(11_008, "node-1.example.org"), (11_007, "node-2.example.org"), (None, "")]
)
def test_a_server_that_moves_meanwhile_gets_no_console(
    world: World, proxy: Proxy, moved: tuple[int | None, str]
) -> None:
    proxy.meanwhile = lambda: world.show(moved[0], moved[1])
    wanted = (
        "The server has no VNC console." if moved[0] is None else "VNC Server settings changed."
    )
    assert world.refusal() == wanted


def test_a_cluster_that_refuses_or_hangs_is_not_waited_for_long(world: World) -> None:
    faults = world.simulator.clusters["alpha"].faults
    faults.update({"refuse": "503"})
    assert world.refusal() == "The server's cluster does not answer."
    faults.clear()
    faults.update({"hang_s": 10})
    began = time.monotonic()
    assert world.refusal() == "The server's cluster does not answer."
    assert time.monotonic() - began < 3


def test_while_a_cluster_hangs_no_connection_to_the_database_is_held_and_others_get_in(
    world: World, conf: Settings, sessions: SessionFactory
) -> None:
    cluster = world.simulator.clusters["alpha"]
    cluster.faults.update({"hang_s": 4})
    asked = cluster.requests.total()
    waiting = threading.Thread(target=world.refusal)
    waiting.start()
    try:
        wait_for(lambda: cluster.requests.total() > asked)
        assert [engine.pool.checkedout() for engine in sessions.engines] == [  # type: ignore[attr-defined]
            0 for _ in sessions.engines
        ]
        # Its turn is taken: the next one is told at once, and other requests are answered.
        began = time.monotonic()
        busy = world.ask(503)
        assert busy.json["serviceUnavailable"]["message"].startswith("Too many consoles")
        assert int(busy.headers["Retry-After"]) > 0
        world.app.get("/api/v1.1/servers", headers=world.headers)
        with unit_of_work(sessions) as session:
            session.get_one(Server, world.server.id).name = "while it hangs"
        assert time.monotonic() - began < 1
    finally:
        waiting.join()
    cluster.faults.clear()
    world.ask()


def test_certificates_that_cannot_be_read_stop_the_boot_with_a_sentence(
    conf: Settings, sessions: SessionFactory
) -> None:
    wrong = dataclasses.replace(
        conf, vncproxy_url="tls://proxy:24999", vncproxy_ca_file="/nowhere/ca.pem"
    )
    with pytest.raises(SettingsError, match="vncproxy_ca_file"):
        application(wrong, sessions=sessions)
