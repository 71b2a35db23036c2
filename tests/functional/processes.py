"""Real processes for tests: started, waited for, killed by pid."""

import dataclasses
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from cloudweb.settings import Settings

T = TypeVar("T")


def wait_for(what: Callable[[], T], *, timeout_s: float = 20.0, every_s: float = 0.05) -> T:
    """What the callable gives once it is true; fails when it takes too long."""
    ends = time.monotonic() + timeout_s
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > ends:
            raise AssertionError(f"{what} was not true within {timeout_s} s; last: {value!r}")
        time.sleep(every_s)


def write_ini(folder: Path, settings: Settings, **changes: object) -> Path:
    """An ini file with these settings."""
    values = {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings)} | changes
    lines = ["[app:main]", "use = egg:cloudweb"]
    for name, value in values.items():
        if value is None:
            continue
        text = " ".join(value) if isinstance(value, tuple) else str(value)
        lines.append(f"cloudweb.{name} = {text.replace('%', '%%')}")
    path = folder / f"{time.monotonic_ns()}.ini"
    path.write_text("\n".join(lines) + "\n")
    return path


@contextmanager
def running(module: str, ini: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """``python -m module ini``, ended with SIGTERM (and SIGKILL, when it must be)."""
    log = ini.with_suffix(f".{time.monotonic_ns()}.log")
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(ini), *arguments],
            stderr=output,
            stdout=output,
            text=True,
        )
        try:
            yield process
        finally:
            end(process)
            print(log.read_text()[-4000:])


def end(process: "subprocess.Popen[str]", *, timeout_s: float = 15.0) -> int:
    """Ask the process to end; its exit status."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()
