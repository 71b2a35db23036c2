"""The processes that are measured, as production has them, and the clients that measure them."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.world import SECRET_KEY, World

ROOT = Path(__file__).resolve().parent.parent

_SERVER = """
[server:main]
use = egg:waitress#main
listen = 127.0.0.1:{port}
threads = 8
"""


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """For ini files and logs."""
    with tempfile.TemporaryDirectory(prefix="cloudweb-bench-") as name:
        yield Path(name)


def write_ini(place: Path, name: str, app: str, port: int = 0) -> Path:
    path = place / f"{name}.ini"
    path.write_text(f"[app:main]\n{app}\n{_SERVER.format(port=port)}")
    return path


def cloudweb_ini(place: Path, world: World, port: int, **settings: object) -> Path:
    values = {
        "database_url": world.url,
        "secret_key": SECRET_KEY,
        "instance_os": "noop+default",
        **settings,
    }
    lines = [f"cloudweb.{k} = {str(v).replace('%', '%%')}" for k, v in values.items()]
    return write_ini(place, f"cloudweb{port}", "\n".join(["use = egg:cloudweb", *lines]), port)


class Web:
    """A pserve process on a port."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        self.process = process
        self.port = port
        self.started_s = 0.0
        """From the start of the process to the end of its first answer."""

    def rss_mb(self) -> float:
        """What of it is in memory."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise RuntimeError("VmRSS is not known here.")

    def get(self, path: str, headers: dict[str, str] | None = None) -> bytes:
        return self._asked("GET", path, headers)[1]

    def ask(self, method: str, path: str, headers: dict[str, str], body: Any = None) -> bytes:
        """What is answered; a body goes as JSON."""
        given = headers if body is None else headers | {"Content-Type": "application/json"}
        return self._asked(method, path, given, None if body is None else json.dumps(body))[1]

    def headers(self, path: str, headers: dict[str, str] | None = None) -> http.client.HTTPMessage:
        """The headers of an answer."""
        return self._asked("GET", path, headers)[0]

    def _asked(
        self, method: str, path: str, headers: dict[str, str] | None, sent: str | None = None
    ) -> tuple[http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body=sent, headers=headers or {})
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status not in (200, 202):
            raise RuntimeError(f"{method} {path}: {answer.status} {body[:200]!r}")
        return answer.headers, body


def environment() -> dict[str, str]:
    """What processes of this project find; bytecode is kept, as wherever cloudweb is installed."""
    kept = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith("CLOUDWEB_") and k != "PYTHONDONTWRITEBYTECODE"
    }
    return kept | {"PYTHONPATH": str(ROOT)}


@contextlib.contextmanager
def process(place: Path, *command: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process of this project, ended when the block ends."""
    with (place / "output.log").open("ab") as log:
        started = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield started
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(3)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


@contextlib.contextmanager
def web(place: Path, ini: Path, port: int, first: str = "/healthz") -> Iterator[Web]:
    """``pserve ini``, once it answers."""
    began = time.perf_counter()
    with process(place, "-m", "pyramid.scripts.pserve", str(ini)) as started:
        served = Web(started, port)
        while True:
            try:
                served.get(first)
                break
            except OSError:
                if started.poll() is not None or time.perf_counter() - began > 30:
                    raise RuntimeError((place / "output.log").read_text()[-3000:]) from None
                time.sleep(0.01)
        served.started_s = time.perf_counter() - began
        yield served


def request_text(
    method: str,
    path: str,
    token: str = "",
    body: Any = None,
    accept: str = "application/json",
    headers: Sequence[tuple[str, str]] = (),
) -> str:
    """The bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Accept: {accept}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if token:
        lines.append(f"X-Auth-Token: {token}")
    text = ""
    if body is not None:
        text = json.dumps(body)
        lines += ["Content-Type: application/json", f"Content-Length: {len(text)}"]
    return "\r\n".join([*lines, "", text])


def load(
    port: int, request: str, *, clients: int, seconds: float, pace_s: float = 0.0
) -> list[float]:
    """How long each answer took, in ms, to a client process that asked for so long."""
    return finish(begin(port, request, clients=clients, seconds=seconds, pace_s=pace_s))


def begin(
    port: int, request: str, *, clients: int, seconds: float, pace_s: float = 0.0
) -> "subprocess.Popen[str]":
    """A client process at work."""
    given = {"port": port, "request": request, "clients": clients}
    given |= {"seconds": seconds, "pace_s": pace_s}
    return start_client(given, sys.executable, str(ROOT / "benchmarks/client.py"))


def start_client(given: dict[str, Any], *command: str) -> "subprocess.Popen[str]":
    """A process that is told what to do, and will say how long it took."""
    client = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert client.stdin is not None
    client.stdin.write(json.dumps(given))
    client.stdin.close()
    client.stdin = None
    return client


def finish(client: "subprocess.Popen[str]") -> list[float]:
    """What a client process saw."""
    output, _ = client.communicate(timeout=120)
    seen = json.loads(output)
    if seen["failed"]:
        raise RuntimeError(f"{len(seen['failed'])} requests failed: {seen['failed'][:5]}")
    took_ms: list[float] = seen["took_ms"]
    return took_ms
