"""Servers of a test's own that can be stopped and started again with what they hold."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import servers, services
from tests.servers import MissingService, Private


class Restartable:
    """A private server; started again it is the same one: command, variables, user, data."""

    def __init__(self, private: Private, answers: Callable[[str], bool]) -> None:
        self.url = private.url
        self._private = private
        self._answers = answers
        process, self._signal = private.processes[0]
        proc = Path("/proc") / str(process.pid)
        self._command = (proc / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        pairs = (proc / "environ").read_bytes().rstrip(b"\0").split(b"\0")
        self._variables = dict(pair.split(b"=", 1) for pair in pairs)
        self._owner = proc.stat()

    def stop(self, how: signal.Signals | None = None) -> None:
        """End it in good order, or by another signal."""
        servers.stop_process(self._private.processes[0][0], how or self._signal)

    def start(self) -> None:
        """Start it again; returns when it answers."""
        root = os.geteuid() == 0
        process = subprocess.Popen(
            self._command,
            cwd=self._private.directory,
            env=self._variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self._owner.st_uid if root else None,
            group=self._owner.st_gid if root else None,
            extra_groups=[] if root else None,
            start_new_session=True,
        )
        self._private.processes[0] = (process, self._signal)
        ends = time.monotonic() + servers.START_TIMEOUT_S
        while not self._answers(self.url):
            if time.monotonic() > ends:
                raise MissingService("it did not come back")
            time.sleep(0.1)


@contextmanager
def private_server(name: str) -> Iterator[Restartable]:
    """A server of that kind (``rabbitmq``, ``postgresql``), started from installed programs."""
    kind = services.KINDS[name]
    programs = kind.programs()
    if programs is None or kind.start is None:
        raise MissingService(f"{name}: install {' '.join(kind.packages)} to run this test.")
    private = kind.start(programs)
    try:
        yield Restartable(private, kind.answers)
    finally:
        private.stop()
