"""What a demonstration on a real Ganeti is made of: steps, an installation, a client."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
STEP_TIMEOUT_S = 60.0


class StepFailed(Exception):
    """What did not happen, as one sentence."""


class Steps:
    """Prints each step with the time it took."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        except BaseException:
            self._print("FAILED", title, began)
            raise
        self._print("ok", title, began)

    def _print(self, word: str, title: str, began: float) -> None:
        now = time.monotonic()
        print(
            f"{word:<6} {now - began:6.2f} s  (at {now - self._began:6.1f} s)  {title}", flush=True
        )


def wait_for(sentence: str, what: Callable[[], Any], timeout_s: float = STEP_TIMEOUT_S) -> Any:
    """What the callable gives once it is true. Raises StepFailed with the sentence."""
    ends = time.monotonic() + timeout_s
    while time.monotonic() < ends:
        if value := what():
            return value
        time.sleep(0.1)
    raise StepFailed(f"{sentence} did not happen within {timeout_s:.0f} s.")


class Site:
    """An installation in a directory of its own: its settings, commands and processes."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._environment = os.environ | environment

    def run(self, *command: str, given: str = "") -> str:
        done = subprocess.run(
            [BIN / command[0], *command[1:]],
            cwd=ROOT,
            env=self._environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise StepFailed(f"'{' '.join(command)}' said: {done.stderr.strip() or done.stdout}")
        return done.stdout

    def cloudweb(self, *arguments: str, given: str = "") -> str:
        return self.run("cloudweb", "--config", "production.ini", *arguments, given=given)

    def start(self, name: str, *command: str) -> None:
        with (self._folder / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen(
                [BIN / command[0], *command[1:]],
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    def stop(self, *names: str) -> None:
        """End these processes, or all, as an operator would; each must end well."""
        for name in names or tuple(self._processes):
            process = self._processes.pop(name)
            process.send_signal(signal.SIGTERM)
            try:
                status = process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                status = process.wait()
            if name != "web" and status != 0:
                raise StepFailed(f"the {name} ended with status {status}.")

    def kill(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()

    def logs(self) -> Iterator[str]:
        for path in sorted(self._folder.glob("*.log")):
            lines = path.read_text(errors="replace").splitlines()[-15:]
            yield "\n".join([f"--- {path.stem}", *lines])


class Api:
    """The compute API, as its owner's client speaks it."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url, token

    def call(self, method: str, path: str, body: Any = None, *, status: int) -> Any:
        request = urllib.request.Request(
            f"{self._url}/api/v1.1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Auth-Token": self._token, "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                content, got = answer.read(), answer.status
        except urllib.error.HTTPError as error:
            content, got = error.read(), error.code
        if got != status:
            raise StepFailed(f"{method} {path} answered {got}, not {status}: {content[:300]!r}")
        return json.loads(content) if content else None

    def status(self, server_id: int) -> str:
        return str(self.call("GET", f"servers/{server_id}", status=200)["server"]["status"])
