"""Real VNC clients reach real VNC servers through the real proxy, and only with the password."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import webtest

from cloudweb.backend.ganeti.simulator.server import Simulator
from cloudweb.backend.vncproxy.client import ProxyClient
from cloudweb.models import Backend, Server, SessionFactory, unit_of_work
from cloudweb.settings import Settings
from tests.applications import application
from tests.functional.console import screens
from tests.functional.console.screens import BLOCK, HEIGHT, WIDTH, Picture, color_at
from tests.functional.consoles import run_instance
from tests.functional.processes import end, wait_for
from tests.ports import free_port
from tests.servers import vnc_programs
from tests.services import VNC_PACKAGES

PASSWORD = "Sesame12"
SECRET = "between us only"

Snap = Callable[[dict[str, str], Path, int, str], tuple[Picture | None, str]]
CLIENTS = [pytest.param(screens.snap_old, id="client 3.3")]
CLIENTS += [pytest.param(screens.snap_modern, id="client 3.8")]


@pytest.fixture(scope="module")
def programs() -> dict[str, str]:
    """Real servers and clients; without them the tests fail."""
    found = vnc_programs()
    assert found, f"Console tests need VNC programs: apt-get install {' '.join(VNC_PACKAGES)}"
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vnc")


@pytest.fixture(scope="module")
def ports(programs: dict[str, str], folder: Path) -> Iterator[dict[str, int]]:
    """One picture, shown by a server of RFB 3.8 and by one of 3.3."""
    with (
        screens.modern_screen(programs, folder) as (modern, display),
        screens.old_screen(programs, folder, display) as old,
    ):
        yield {"3.8": modern, "3.3": old}


@dataclasses.dataclass
class Proxy:
    """A running ``cloudweb-vncproxy``."""

    process: "subprocess.Popen[str]"
    tcp: str
    unix: str
    log: Path

    def forward(self, node_port: int) -> int:
        client = ProxyClient(self.tcp, user="web", password=SECRET)
        return client.forward("127.0.0.1", node_port, PASSWORD, timeout_s=10)


def command(*arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "cloudweb.backend.vncproxy", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        **options,
    )


@pytest.fixture(scope="module")
def proxy(folder: Path) -> Iterator[Proxy]:
    users, unix, control = folder / "users", folder / "control.sock", free_port()
    assert command("set-user", str(users), "web", input=f"{SECRET}\n").returncode == 0
    log = folder / "proxy.log"
    first = 20_000 + os.getpid() % 400 * 20
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "cloudweb.backend.vncproxy", "serve",
                "--control", f"127.0.0.1:{control}", "--control-socket", str(unix),
                "--users", str(users), "--listen", "127.0.0.1",
                "--ports", f"{first}-{first + 19}", "--allow", "127.0.0.0/8", "--wait", "10",
            ],
            stderr=output,
            text=True,
        )  # fmt: skip
    try:
        wait_for(lambda: "proxy ready" in log.read_text() or process.poll() is not None)
        yield Proxy(process, f"tcp://127.0.0.1:{control}", f"unix:{unix}", log)
    finally:
        end(process)
        print(log.read_text()[-4000:])


def test_the_screen_itself_shows_the_known_picture(
    programs: dict[str, str], folder: Path, ports: dict[str, int]
) -> None:
    for version, port in ports.items():
        with socket.create_connection(("127.0.0.1", port), 5) as client:
            assert client.recv(12) == f"RFB 003.00{version[-1]}\n".encode()
    # gtk-vnc asks for no password where the server does not.
    picture, said = screens.snap_modern(programs, folder, ports["3.8"], "")
    assert_known(picture, said, exactly=True)


@pytest.mark.parametrize("snap", CLIENTS)
@pytest.mark.parametrize("server", ["3.3", "3.8"])
def test_the_known_picture_arrives_through_the_proxy(
    programs: dict[str, str],
    folder: Path,
    ports: dict[str, int],
    proxy: Proxy,
    snap: Snap,
    server: str,
) -> None:
    picture, said = snap(programs, folder, proxy.forward(ports[server]), PASSWORD)
    assert_known(picture, said, exactly=snap is screens.snap_modern)


@pytest.mark.parametrize("snap", CLIENTS)
def test_a_wrong_password_shows_nothing(
    programs: dict[str, str], folder: Path, ports: dict[str, int], proxy: Proxy, snap: Snap
) -> None:
    port = proxy.forward(ports["3.8"])
    picture, said = snap(programs, folder, port, "sesame12")
    assert picture is None
    assert said
    picture, said = snap(programs, folder, port, PASSWORD)
    assert_known(picture, said, exactly=snap is screens.snap_modern)


def test_a_console_asked_of_the_api_shows_the_servers_screen(
    programs: dict[str, str],
    folder: Path,
    ports: dict[str, int],
    proxy: Proxy,
    settings: Settings,
    sessions: SessionFactory,
    cloud: Any,
    make_server: Callable[..., Server],
) -> None:
    conf = dataclasses.replace(
        settings, vncproxy_url=proxy.unix, console_host="127.0.0.1", console_timeout_s=20.0
    )
    app = webtest.TestApp(application(conf, sessions=sessions))
    server = make_server(owner=cloud.owner, backend=cloud.backend)
    assert server.instance_name
    with Simulator(["alpha"], port=0, time_factor=0.01) as simulator:
        with unit_of_work(sessions) as session:
            session.get_one(Backend, cloud.backend.id).url = simulator.url("alpha")
        cluster = run_instance(simulator, server.instance_name)
        assert cluster.set_screen(server.instance_name, host="127.0.0.1", port=ports["3.8"])
        answer = app.post_json(
            f"/api/v1.1/servers/{server.id}/action",
            {"console": {"type": "vnc"}},
            headers=cloud.owner.headers,
        ).json["console"]
    picture, said = screens.snap_modern(programs, folder, answer["port"], answer["password"])
    assert_known(picture, said, exactly=True)
    assert answer["password"] not in proxy.log.read_text()


def test_the_proxy_ends_at_once_when_told_and_says_nothing_secret(
    ports: dict[str, int], proxy: Proxy
) -> None:
    port = proxy.forward(ports["3.8"])
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        assert client.recv(12) == b"RFB 003.008\n"
        proxy.process.send_signal(signal.SIGTERM)
        assert proxy.process.wait(8) == 0
    lines = [json.loads(line) for line in proxy.log.read_text().splitlines()]
    ended = [line for line in lines if line["event"].startswith("forwarding ")]
    assert {line["event"] for line in ended} == {"forwarding ended", "forwarding stopped"}
    assert all(line["node"] == "127.0.0.1" and line["port"] for line in ended)
    assert not Path(proxy.unix.removeprefix("unix:")).exists()
    text = proxy.log.read_text()
    assert PASSWORD not in text
    assert SECRET not in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["serve"], "needs --users"),
        (["serve", "--control", "none"], "Nobody could ask"),
        (["serve", "--users", "/nowhere/users"], "No such file"),
        (["serve", "--ports", "9-1"], "are not ports"),
        (["serve", "--allow", "10.0.0.1/8"], "host bits"),
        (["remove-user", "/dev/null", "web"], "no user web"),
    ],
)
def test_what_cannot_work_is_said_before_it_starts(arguments: list[str], says: str) -> None:
    done = command(*arguments)
    assert done.returncode != 0
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def assert_known(picture: Picture | None, said: str, *, exactly: bool) -> None:
    """That it is the picture the screens show; JPEG may blur the edges of the blocks."""
    assert picture is not None, said
    assert (len(picture[0]), len(picture)) == (WIDTH, HEIGHT)
    if exactly:
        assert all(
            picture[y][x] == color_at(x, y) for y in range(0, HEIGHT, 3) for x in range(WIDTH)
        )
    for y in range(BLOCK // 2, HEIGHT, BLOCK):
        for x in range(BLOCK // 2, WIDTH, BLOCK):
            near = zip(picture[y][x], color_at(x, y), strict=True)
            assert all(abs(got - wanted) < 6 for got, wanted in near)
