"""Adopting a whole cluster: 5,000 instances of a simulated one, by the command, with its bar."""

import os
import pty
import subprocess
import sys
import threading
import time
from pathlib import Path

import sqlalchemy as sa

from benchmarks import world
from benchmarks.measures import Line, counted
from benchmarks.processes import environment
from cloudweb.backend.ganeti.simulator import Simulator
from cloudweb.backend.ganeti.simulator.spec import ClusterSpec
from cloudweb.backend.ganeti.simulator.state import (
    Instance,
    Network,
    State,
    new_uuid,
    write_states,
)
from cloudweb.domain import accounts, identity
from cloudweb.models import Backend, Server, SessionFactory, make_engine, migrations, unit_of_work
from cloudweb.sealing import Sealer

GOAL_S = 120
SPEC = ClusterSpec("big", nodes=40, memory_mb=4 * 1024 * 1024, disk_mb=1 << 30, cpus=512)
NETWORKS = 4


def adoption(place: Path, *, quick: bool) -> list[Line]:
    """How long the dry run, the adoption and its repetition take."""
    size = 500 if quick else 5000
    state_file = place / "big.json"
    write_states(state_file, {SPEC.name: _cluster(size).dump()})
    with world.database() as url, Simulator([SPEC], port=0, state_file=str(state_file)) as cluster:
        migrations.upgrade(url)
        sessions = SessionFactory(make_engine(url))
        _settle(sessions, cluster.url(SPEC.name))
        command = ("backend", "adopt", SPEC.full_name, "--owner", "rest@example.org")
        lines = [
            counted(f"dry run of adopting {size:,}", _run(place, url, *command, "--dry-run"), "s"),
            counted(f"adopting {size:,} instances", _run(place, url, *command), "s", GOAL_S),
            counted("adopting them again", _run(place, url, *command), "s"),
        ]
        with unit_of_work(sessions, write=False) as session:
            adopted = session.scalar(sa.select(sa.func.count()).select_from(Server))
        sessions.dispose()
    if adopted != size:
        raise SystemExit(f"{adopted} of {size} instances were adopted.")
    return lines


def _cluster(size: int) -> State:
    """A cluster with so many running instances of eight sizes, each on one of a few networks."""
    now = time.time()
    state = State.fresh(SPEC, now)
    for n in range(NETWORKS):
        state.networks[f"lan{n}"] = Network(
            f"lan{n}", new_uuid(), f"10.{n}.0.0/19", f"10.{n}.0.1", None, None, None, [], now,
            {"default": {"mode": "bridged", "link": f"br{n}", "vlan": ""}},
        )  # fmt: skip
    for n in range(size):
        lan, place = n % NETWORKS, 256 + n // NETWORKS
        nic = {
            "mac": f"aa:00:{lan:02x}:{n >> 16:02x}:{n >> 8 & 255:02x}:{n & 255:02x}",
            "ip": f"10.{lan}.{place >> 8}.{place & 255}",
            "network": f"lan{lan}",
            "uuid": new_uuid(),
        }
        name = f"web{n:05}.example.org"
        state.instances[name] = Instance(
            name, new_uuid(), state.nodes[n % len(state.nodes)].name, "noop", "file",
            1 + n % 4, 512 << n % 2, [{"size": 1024, "uuid": new_uuid()}], [nic], [], now, now,
            admin_state="up", running=True,
        )  # fmt: skip
    return state


def _settle(sessions: SessionFactory, url: str) -> None:
    """The owner and the cluster."""
    with unit_of_work(sessions) as session:
        accounts.create(session, identity.system("cli"), email="rest@example.org")
        sealed = Sealer(world.SECRET_KEY).seal("cloudweb")
        backend = Backend(
            number=0, name=SPEC.full_name, url=url, username="cloudweb", password_sealed=sealed
        )
        session.add(backend)


def _run(place: Path, url: str, *arguments: str) -> float:
    """How long a command takes whose bar goes to a terminal."""
    program = "from cloudweb.cli import main; main()"
    variables = {
        "CLOUDWEB_DATABASE_URL": url,
        "CLOUDWEB_SECRET_KEY": world.SECRET_KEY,
    }
    ours, theirs = pty.openpty()
    drain = threading.Thread(target=_drain, args=(ours,), daemon=True)
    drain.start()
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program, "--config", "production.ini", *arguments],
        cwd=Path(__file__).parent.parent,
        env=environment() | variables,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        check=False,
    )
    took = time.monotonic() - began
    os.close(theirs)
    drain.join()
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(arguments)} ended with {done.returncode}.")
    return took


def _drain(terminal: int) -> None:
    try:
        while os.read(terminal, 65536):
            pass
    except OSError:
        os.close(terminal)
