"""Runs all of cloudweb on this machine: a simulated Ganeti, the web and the worker, in front.

Its data is in var/ and is kept; what it configures is development.ini. Ctrl-C ends everything.
"""

import contextlib
import dataclasses
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
INI = "development.ini"
WEB_PORT = 6543
SIMULATOR_PORT = 5180
READY_TIMEOUT_S = 60
STOP_TIMEOUT_S = 10
CLOUDWEB = ("cloudweb", "--config", INI)


class Problem(Exception):
    """Why it cannot run, as one sentence."""


@dataclasses.dataclass(frozen=True)
class Part:
    """One of the programs that make up a running cloudweb."""

    name: str
    command: tuple[str, ...]
    colour: int


PARTS = [
    Part("simulator", (*CLOUDWEB, "serve-simulator", "--port", str(SIMULATOR_PORT)), 35),
    Part("web", ("pserve", INI), 36),
    Part("worker", ("cloudweb-worker", INI), 33),
]


class Running:
    """The parts while they run: their processes, and their output with a name before each line."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._processes: dict[Part, subprocess.Popen[str]] = {}
        self._writing = threading.Lock()
        self._readers: list[threading.Thread] = []
        self._colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def start(self, part: Part) -> None:
        process = subprocess.Popen(
            [BIN / part.command[0], *part.command[1:]],
            cwd=ROOT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # Ctrl-C in the terminal reaches only us: we end the parts in good order.
            start_new_session=True,
        )
        self._processes[part] = process
        reader = threading.Thread(target=self._relay, args=(part, process), daemon=True)
        reader.start()
        self._readers.append(reader)

    def say(self, text: str) -> None:
        try:
            with self._writing:
                print(text, flush=True)
        except OSError:  # whoever read our output has gone
            self.stopping.set()

    def check(self) -> None:
        """Raises Problem when a part has ended by itself."""
        for part, process in self._processes.items():
            status = process.poll()
            if status is not None:
                raise Problem(f"the {part.name} ended with status {status}: the rest was stopped.")

    def stop(self) -> None:
        """Asks every part to end, waits, and kills what is left."""
        self._signal_all(signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for process in self._processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0.0, deadline - time.monotonic()))
        self._signal_all(signal.SIGKILL)
        for process in self._processes.values():
            process.wait()
        for reader in self._readers:
            reader.join(timeout=1)

    def _signal_all(self, number: signal.Signals) -> None:
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)

    def _relay(self, part: Part, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        prefix = f"{part.name:<9} |"
        if self._colours:
            prefix = f"\033[{part.colour}m{prefix}\033[0m"
        for line in process.stdout:
            self.say(f"{prefix} {line.rstrip()}")


def require_free(port: int, purpose: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Problem(
                f"port {port}, which the {purpose} needs, is taken: end what listens there first "
                "(another 'make run', perhaps)."
            ) from error


def command(*arguments: str) -> str:
    """Runs a cloudweb command to its end and returns what it printed."""
    done = subprocess.run(
        [BIN / CLOUDWEB[0], *CLOUDWEB[1:], *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        print(done.stdout, end="", flush=True)
        raise Problem(f"'cloudweb {' '.join(arguments)}' failed; what it said is above.")
    return done.stdout.strip()


def prepare() -> str:
    """Brings the database up to date and fills it once; returns what the first time has to say."""
    # The database in it holds what clients and clusters sign in with.
    (ROOT / "var").mkdir(mode=0o700, exist_ok=True)
    command("db", "upgrade")
    return command("demo", "seed")


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def wait_until_ready(running: Running) -> bool:
    """True when every part answers; False when we were told to stop before."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not (listens(SIMULATOR_PORT) and healthy(WEB_PORT)):
        running.check()
        if time.monotonic() > deadline:
            raise Problem(f"not ready after {READY_TIMEOUT_S} s; its log is above.")
        if running.stopping.wait(0.1):
            return False
    running.check()
    return True


def welcome(seeded: str) -> str:
    """What to do now."""
    site = f"http://127.0.0.1:{WEB_PORT}"
    found = re.search(r"^ *token: +(\S+)$", seeded, re.MULTILINE)
    token = found.group(1) if found else "$TOKEN"
    lines = [
        "",
        "cloudweb is ready. Ctrl-C ends it; its data stays in var/.",
        f"  dashboard  {site}/admin",
        f"  API        {site}/api/v1.1",
        "",
        seeded,
        "",
        "Try:",
        f'  curl -H "X-Auth-Token: {token}" {site}/api/v1.1/servers/detail',
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    running = Running()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: running.stopping.set())
    require_free(WEB_PORT, "web")
    require_free(SIMULATOR_PORT, "simulator")
    simulator, *others = PARTS
    try:
        running.start(simulator)  # needs no database, so it starts while that is made
        try:
            seeded = prepare()
        except Problem:
            if running.stopping.is_set():  # Ctrl-C ended the command as well
                return
            raise
        if running.stopping.is_set():
            return
        for part in others:
            running.start(part)
        if not wait_until_ready(running):
            return
        running.say(welcome(seeded))
        while not running.stopping.wait(0.2):
            running.check()
    finally:
        running.stop()


if __name__ == "__main__":
    try:
        main()
    except Problem as problem:
        sys.exit(f"error: {problem}")
    except BrokenPipeError:
        sys.exit(1)
