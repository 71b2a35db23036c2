"""Thirty instances made by hand become servers of ours, and Ganeti does not notice."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cloudweb.domain import pool_care, states
from cloudweb.models import Backend, Network, Server, SessionFactory, unit_of_work
from tests.functional.cli.conftest import Terminal
from tests.ganeti.conftest import Cluster

# Thirty instances are made one after the other, and removed.
pytestmark = pytest.mark.timeout(600)
SIZE = 30
EVERYTHING = "name,uuid,status,ctime,mtime,serial_no,be/vcpus,be/maxmem,nic.macs,nic.ips,tags"


@pytest.fixture(scope="module")
def thirty() -> Iterator[Cluster]:
    """A cluster with thirty instances of three sizes: on a network, on bridges; some are down."""
    ganeti = Cluster()
    ganeti.clean()
    ganeti("gnt-network", "add", "--network=10.9.0.0/24", "--gateway=10.9.0.1", "lan")
    ganeti("gnt-network", "connect", "--nic-parameters=mode=bridged,link=br1", "lan")
    for n in range(SIZE):
        nets = [f"--net=0:network=lan,ip=10.9.0.{10 + n}"] if n % 3 else ["--net=0:link=br0"]
        if n % 5 == 0:
            nets.append("--net=1:link=prv1")
        size = ["-B", f"memory={128 << n % 3},vcpus={1 + n % 3}"]
        down = ["--no-start"] if n % 7 == 0 else []
        ganeti.add(f"web{n:02}.example.org", *nets, *size, *down, submit=True)
    ganeti.wait_until_idle(timeout_s=300)
    assert len(ganeti.names()) == SIZE
    yield ganeti
    ganeti.clean()


@pytest.fixture
def backend(thirty: Cluster, make_backend: Callable[..., Any]) -> Backend:
    made: Backend = make_backend(name=thirty.name, url=thirty.url, ca_file=thirty.certificate)
    return made


@pytest.fixture
def adopt(backend: Backend, make_user: Callable[..., Any]) -> tuple[str, ...]:
    """The command that adopts the cluster."""
    return ("backend", "adopt", backend.name, "--owner", make_user().user.email)


def count(sessions: SessionFactory) -> int:
    with unit_of_work(sessions, write=False) as session:
        return session.scalar(sa.select(sa.func.count()).select_from(Server)) or 0


def last_line(text: str) -> str:
    return text.splitlines()[-1]


def test_thirty_instances_are_adopted_once_and_ganeti_does_not_notice(
    thirty: Cluster, adopt: tuple[str, ...], cli: Terminal, sessions: SessionFactory
) -> None:
    before, jobs = thirty.lists(EVERYTHING), thirty.jobs()

    assert last_line(cli(*adopt, "--dry-run")) == "30 would be adopted, 0 ours already, 0 refused."
    assert count(sessions) == 0
    assert last_line(cli(*adopt)) == "30 adopted, 0 ours already, 0 refused."
    assert last_line(cli(*adopt)) == "0 adopted, 30 ours already, 0 refused."

    assert (thirty.lists(EVERYTHING), thirty.jobs()) == (before, jobs)
    with unit_of_work(sessions, write=False) as session:
        servers = session.scalars(sa.select(Server)).all()
        networks = session.execute(sa.select(Network.name, Network.link, Network.cidr)).all()
        assert pool_care.check(session) == []
    assert sorted(s.instance_name or "" for s in servers) == thirty.names()
    assert Counter(states.api_status(s).value for s in servers) == {"ACTIVE": 25, "STOPPED": 5}
    assert {tuple(row) for row in networks} == {
        ("lan", "br1", "10.9.0.0/24"),
        ("bridged br0", "br0", None),
        ("bridged prv1", "prv1", None),
    }
    assert cli.json("reconcile", "servers") == []


def test_one_instance_is_imported(
    thirty: Cluster, adopt: tuple[str, ...], cli: Terminal, sessions: SessionFactory
) -> None:
    before, jobs = thirty.lists(EVERYTHING), thirty.jobs()
    where = ("--backend", adopt[2], "--owner", adopt[4])

    rows = cli.json("server", "import", "web05.example.org", *where)

    assert [(row["instance"], row["fate"]) for row in rows] == [("web05.example.org", "adopt")]
    assert (thirty.lists(EVERYTHING), thirty.jobs()) == (before, jobs)
    assert last_line(cli(*adopt)) == "29 adopted, 1 ours already, 0 refused."
    assert count(sessions) == SIZE


def test_an_adoption_that_is_killed_half_way_is_completed_by_running_it_again(
    adopt: tuple[str, ...], cli: Terminal, ini: Path, sessions: SessionFactory
) -> None:
    program = "from cloudweb.cli import main; main()"
    command = [sys.executable, "-c", program, "--config", str(ini), *adopt]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    ends = time.monotonic() + 60
    while not count(sessions):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < ends
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    done = count(sessions)
    assert 0 < done < SIZE

    said = last_line(cli(*adopt))

    assert said == f"{SIZE - done} adopted, {done} ours already, 0 refused."
    assert count(sessions) == SIZE
