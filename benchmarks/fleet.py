"""Sixteen clusters and 50,000 servers: how long commands, the allocator and a refresh take."""

import dataclasses
import datetime as dt
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks import world
from benchmarks.measures import Line, compared, counted, percentile
from benchmarks.processes import environment
from cloudweb.backend.ganeti.simulator import Simulator
from cloudweb.domain import cards, placement
from cloudweb.models import (
    MAX_BACKENDS,
    Backend,
    Flavor,
    Nic,
    NicState,
    Operation,
    OperationState,
    OperState,
    Role,
    Server,
    SessionFactory,
    User,
    UserState,
    unit_of_work,
    utc_now,
)

USERS = 500
BATCH = 5000
COMMAND_S = 1.0
ALLOCATOR_MS = 20.0
ANSWER_LATE_S = 0.2
"""How late each cluster answers anything while all are refreshed."""

COMMANDS = (
    ("server", "list"),
    ("server", "list", "--filter", "state=ACTIVE,ram>=2048"),
    ("server", "list", "--filter", "name~b-49,cpu>2", "--sort", "-created"),
    ("server", "list", "--filter", "owner=user7@example.org", "--sort", "name", "--csv"),
    ("server", "list", "--filter", "state=ERROR,node=", "--json"),
    ("server", "list", "--text", "web-31337"),
    ("server", "show", "500"),
    ("operation", "list", "--filter", "state=error,created>=2d"),
    ("operation", "list", "--sort", "-finished", "--filter", "opcode~STARTUP"),
    ("backend", "list", "--sort", "-servers"),
    ("network", "list"),
    ("user", "list", "--filter", "email~user1", "--limit", "50"),
    ("flavor", "list"),
    ("server", "place", "--flavor", "1"),
)
"""The lists, and what looks at all clusters; ended with JSON, a table or CSV."""


def fleet(place: Path, *, quick: bool) -> list[Line]:
    """The table's lines about many clusters and servers."""
    count, repeat = (5_000, 3) if quick else (50_000, 5)
    with world.filled() as made:
        backends = _clusters(made)
        _servers(made, backends, count)
        ini = place / "fleet.ini"
        keys = {"database_url": made.url, "secret_key": world.SECRET_KEY}
        lines = [f"cloudweb.{key} = {str(v).replace('%', '%%')}" for key, v in keys.items()]
        ini.write_text("\n".join(["[app:main]", "use = egg:cloudweb", *lines]) + "\n")
        cli = ("-c", _PROGRAM, "--config", str(ini))
        return [
            _command("Python with SQLAlchemy", "-c", _IMPORTS, repeat=repeat),
            *(
                _command(
                    f"{' '.join(words)}, of {count:,}",
                    *cli,
                    *words,
                    repeat=repeat,
                    at_most=COMMAND_S,
                )
                for words in COMMANDS
            ),
            _allocator(made.sessions, repeat=200),
            *_refresh(place, made, ini),
        ]


def _clusters(made: world.World) -> list[Backend]:
    with unit_of_work(made.sessions) as session:
        known = len(made.backends)
        session.add_all(world.cluster(number) for number in range(known, MAX_BACKENDS))
        session.flush()
        return list(session.scalars(sa.select(Backend).order_by(Backend.id)))


def _servers(made: world.World, backends: list[Backend], count: int) -> None:
    """Servers of many users and sizes with a card each, and an operation or two."""
    with unit_of_work(made.sessions) as session:
        sizes = [
            Flavor(cpu=cpu, ram_mb=ram, disk_gb=20, disk_template="file")
            for cpu in (1, 2, 4)
            for ram in (1024, 2048, 8192)
        ]
        users = [
            User(email=f"user{n}@example.org", name=f"User {n}", role=Role.USER,
                 state=UserState.ACTIVE)
            for n in range(USERS)
        ]  # fmt: skip
        session.add_all([*sizes, *users])
        session.flush()  # servers name their ids
        network = cards.public_for(session, 0)[0].id
        flavors, owners = [each.id for each in sizes], [each.id for each in users]
    for first in range(0, count, BATCH):
        numbers = range(first, min(first + BATCH, count))
        with unit_of_work(made.sessions) as session:
            rows = list(_rows(numbers, backends, flavors, owners, made.image_id))
            query = sa.insert(Server).returning(Server.id, sort_by_parameter_order=True)
            ids = list(session.scalars(query, rows))
            session.execute(sa.insert(Nic), list(_cards(numbers, ids, network)))
            session.execute(sa.insert(Operation), list(_operations(numbers, ids, rows)))
    with made.sessions.engine.connect() as connection:
        vacuum = connection.execution_options(isolation_level="AUTOCOMMIT")
        vacuum.exec_driver_sql("VACUUM (ANALYZE)")


def _rows(
    numbers: range, backends: list[Backend], flavors: list[int], owners: list[int], image: str
) -> Iterator[dict[str, Any]]:
    began = utc_now() - dt.timedelta(days=30)
    states = [OperState.STARTED] * 7 + [OperState.STOPPED, OperState.STOPPED, OperState.ERROR]
    for n in numbers:
        backend = backends[n % len(backends)]
        made = began + dt.timedelta(seconds=50 * n)
        yield {
            "version": 1,
            "user_id": owners[n % len(owners)],
            "backend_id": backend.id,
            "flavor_id": flavors[n // 3 % len(flavors)],
            "image_ref": image,
            "name": f"web-{n}",
            "instance_name": f"snf-fleet-{n}",
            "state": states[n % len(states)],
            "node": f"node{n % 40}.{backend.name}" if n % 10 != 9 else None,
            "created": made,
            "updated": made,
        }


def _cards(numbers: range, ids: list[int], network_id: int) -> Iterator[dict[str, Any]]:
    for n, server_id in zip(numbers, ids, strict=True):
        yield {
            "server_id": server_id,
            "network_id": network_id,
            "index": 0,
            "state": NicState.ACTIVE,
            "mac": f"ab:00:{n >> 16 & 255:02x}:{n >> 8 & 255:02x}:{n & 255:02x}:00",
            "ipv4": f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}",
        }


def _operations(
    numbers: range, ids: list[int], rows: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    opcodes = ("OP_INSTANCE_CREATE", "OP_INSTANCE_STARTUP")
    for n, server_id, row in zip(numbers, ids, rows, strict=True):
        for each, opcode in enumerate(opcodes):
            failed = n % 50 == 0 and each == 1
            yield {
                "key": f"{n:031x}{each}",
                "backend_id": row["backend_id"],
                "server_id": server_id,
                "opcode": opcode,
                "target": row["instance_name"],
                "arguments": {},
                "state": OperationState.ERROR if failed else OperationState.SUCCESS,
                "job_id": 2 * n + each,
                "created": row["created"],
                "finished": row["created"],
                "due": row["created"],
            }


def _run(*arguments: str) -> tuple[float, float]:
    """How long a process of Python takes from start to end, and how long of that a processor."""
    began, before = time.monotonic(), _used_s()
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(arguments)}: {done.stderr.decode()}")
    return time.monotonic() - began, _used_s() - before


def _used_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


_PROGRAM = "from cloudweb.cli import main; main()"
_IMPORTS = "import sqlalchemy.orm, psycopg"


def _command(name: str, *arguments: str, repeat: int, at_most: float | None = None) -> Line:
    runs = [_run(*arguments) for _ in range(repeat)]
    line = counted(name, percentile([took for took, _ in runs], 0.5), "s", at_most)
    used = percentile([used for _, used in runs], 0.5)
    return dataclasses.replace(line, ratio=f"{used:.2f} s of a processor")


def _allocator(sessions: SessionFactory, *, repeat: int) -> Line:
    """A choice among all clusters, with its locks, undone each time."""
    took = []
    with unit_of_work(sessions, write=False) as session:
        flavor = session.scalars(sa.select(Flavor).order_by(Flavor.id)).first()
        user_id = session.scalar(sa.select(sa.func.max(User.id)))
    assert flavor is not None
    for _ in range(repeat):
        session = sessions.write()
        began = time.monotonic()
        placement.choose(session, flavor, user_id)
        took.append((time.monotonic() - began) * 1000)
        session.rollback()
        session.close()
    name = f"allocator among {MAX_BACKENDS} clusters, 95th percentile"
    return counted(name, percentile(took, 0.95), "ms", ALLOCATOR_MS)


def _refresh(place: Path, made: world.World, ini: Path) -> list[Line]:
    """All clusters asked at once, each of them slow, by one of them."""
    names = [f"cluster{number}" for number in range(MAX_BACKENDS)]
    with Simulator(names, port=0) as simulator:
        with unit_of_work(made.sessions) as session:
            for name, row in zip(names, session.scalars(sa.select(Backend)), strict=True):
                row.name, row.url = simulator.clusters[name].spec.full_name, simulator.url(name)
        for name in names:
            simulator.clusters[name].faults.update({"delay_s": ANSWER_LATE_S})
        command = ("-c", _PROGRAM, "--config", str(ini), "backend", "refresh")
        one = simulator.clusters[names[0]].spec.full_name
        pairs = [(_run(*command, one)[0], _run(*command)[0]) for _ in range(3)]
    name = f"backend refresh of {MAX_BACKENDS}, by that of one, each answer {ANSWER_LATE_S} s late"
    return [compared(name, pairs, "s", at_most=4.0)]
