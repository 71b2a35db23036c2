"""A real Ganeti, brought up by ``make test-ganeti``, and what its operators do behind our back."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudweb.models import Backend, SessionFactory
from cloudweb.settings import Settings
from tests.functional.cli.conftest import Terminal
from tests.functional.processes import write_ini

_ENTER = "CLOUDWEB_TEST_GANETI_ENTER"
# Without a cluster there is nothing here to run; who asks for this directory alone is told so.
collect_ignore_glob = [] if _ENTER in os.environ else ["test_*.py"]


class Cluster:
    """The cluster, as somebody sees it who sits on its master."""

    def __init__(self) -> None:
        self.name = os.environ["CLOUDWEB_TEST_GANETI_CLUSTER"]
        self.url = os.environ["CLOUDWEB_TEST_GANETI_URL"]
        self.certificate = os.environ["CLOUDWEB_TEST_GANETI_CERT"]

    def __call__(self, *command: str) -> str:
        """What a command prints on the master; a test fails with what a failed one says."""
        done = subprocess.run([os.environ[_ENTER], *command], capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    def lists(self, fields: str, *names: str) -> list[str]:
        """What ``gnt-instance list`` shows, a line an instance."""
        command = ("gnt-instance", "list", "--no-headers", "--separator=|", "-o", fields)
        return self(*command, *names).splitlines()

    def names(self) -> list[str]:
        return self.lists("name")

    def jobs(self) -> list[str]:
        """Every job there ever was."""
        return self("gnt-job", "list", "--no-headers", "-o", "id").split()

    def add(self, name: str, *options: str, submit: bool = False) -> None:
        """An instance without a disk, made by hand."""
        how = ["--submit"] if submit else []
        what = ["-t", "diskless", "-o", "noop+default", "--no-name-check", "--no-ip-check"]
        self("gnt-instance", "add", *how, *what, *options, name)

    def wait_until_idle(self, timeout_s: float = 100.0) -> None:
        """Until no job is queued or runs."""
        ends = time.monotonic() + timeout_s
        while self("gnt-job", "list", "--no-headers", "--pending", "--running", "-o", "id").split():
            assert time.monotonic() < ends, "jobs did not end"
            time.sleep(0.2)

    def clean(self) -> None:
        """Remove every instance and network."""
        self.wait_until_idle()
        for name in self.names():
            self("gnt-instance", "remove", "--submit", "-f", "--shutdown-timeout=0", name)
        self.wait_until_idle(timeout_s=300)
        for name in self("gnt-network", "list", "--no-headers", "-o", "name").split():
            self("gnt-network", "disconnect", name)
            self("gnt-network", "remove", "--force", name)


@pytest.fixture
def ganeti() -> Iterator[Cluster]:
    """The cluster, empty before and after."""
    cluster = Cluster()
    cluster.clean()
    yield cluster
    cluster.clean()


@pytest.fixture
def ini(tmp_path: Path, settings: Settings) -> Path:
    """What commands and processes are started with: a real cluster takes its time."""
    return write_ini(
        tmp_path,
        settings,
        rapi_connect_timeout_s=5.0,
        rapi_read_timeout_s=20.0,
        worker_lease_s=60.0,
    )


@pytest.fixture
def cli(sessions: SessionFactory, ini: Path) -> Terminal:
    """Commands on an empty database with its tables."""
    return Terminal(ini)


@pytest.fixture
def backend(ganeti: Cluster, make_backend: Callable[..., Any]) -> Backend:
    """The cluster, as cloudweb knows it: its certificate is verified."""
    made: Backend = make_backend(
        name=ganeti.name,
        url=ganeti.url,
        ca_file=ganeti.certificate,
        disk_templates=["diskless", "ext", "file"],
    )
    return made
