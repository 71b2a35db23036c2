"""Many processes take addresses of one pool and give them back: none is given twice, none is lost.

    python -m benchmarks.pools --url URL [--processes 16] [--seconds 30]

The database must be at the newest migration. Prints how many were taken, and how long that took
while the pool was nearly empty and nearly full.
"""

import argparse
import contextlib
import dataclasses
import itertools
import multiprocessing
import random
import sys
import time
from collections import defaultdict
from multiprocessing.pool import AsyncResult

import sqlalchemy as sa

from cloudweb import faults
from cloudweb.domain import pools
from cloudweb.models import (
    Network,
    NetworkKind,
    PoolUse,
    PoolValue,
    SessionFactory,
    make_engine,
    unit_of_work,
)


@dataclasses.dataclass(frozen=True)
class Spell:
    """How long a process had an address: from the commit of taking it to before giving it back."""

    address: str
    since: float
    until: float
    took_s: float


@dataclasses.dataclass(frozen=True)
class Report:
    """What a run showed; ``lost`` are addresses that nobody has and nobody can take."""

    taken: int
    twice: int
    lost: int
    median_ms: float
    worst_ms: float


def run(url: str, *, processes: int, seconds: float, cidr: str = "10.77.0.0/24") -> Report:
    """Let them all take and give back for a while."""
    sessions = SessionFactory(make_engine(url, pool_size=1))
    with unit_of_work(sessions) as session:
        network = Network(
            name="crowd", kind=NetworkKind.CUSTOM, mode="bridged", link="br0", cidr=cidr
        )
        session.add(network)
        session.flush()
        pool_id, size = pools.create_addresses(session, network).id, 0
        size = session.scalar(_free(pool_id)) or 0
    sessions.dispose()
    context = multiprocessing.get_context("fork")  # the start of sixteen interpreters takes long
    with context.Pool(processes) as crowd:
        begun: list[AsyncResult[list[Spell]]] = [
            crowd.apply_async(_take_and_give, (url, network.id, n + 1, seconds))
            for n in range(processes)
        ]
        spells = [spell for each in begun for spell in each.get(timeout=seconds + 120)]
    with unit_of_work(sessions) as session:
        lost = size - (session.scalar(_free(pool_id)) or 0)
        pools.remove_addresses(session, network.id)
        session.delete(session.get_one(Network, network.id))
    sessions.dispose()
    times = sorted(spell.took_s for spell in spells) or [0.0]
    return Report(
        taken=len(spells),
        twice=_overlaps(spells),
        lost=lost,
        median_ms=times[len(times) // 2] * 1000,
        worst_ms=times[-1] * 1000,
    )


def _free(pool_id: int) -> sa.Select[tuple[int]]:
    return (
        sa.select(sa.func.count())
        .select_from(PoolValue)
        .where(PoolValue.pool_id == pool_id, PoolValue.use == PoolUse.FREE)
    )


def _overlaps(spells: list[Spell]) -> int:
    """How often an address was somebody's while it was another's."""
    of_address = defaultdict(list)
    for spell in spells:
        of_address[spell.address].append(spell)
    found = 0
    for mine in of_address.values():
        mine.sort(key=lambda spell: spell.since)
        found += sum(a.until > b.since for a, b in itertools.pairwise(mine))
    return found


def _take_and_give(url: str, network_id: int, server_id: int, seconds: float) -> list[Spell]:
    sessions = SessionFactory(make_engine(url, pool_size=1))
    luck = random.Random(server_id)
    mine: list[tuple[str, float, float]] = []
    spells: list[Spell] = []
    with unit_of_work(sessions, write=False) as session:
        network = session.get_one(Network, network_id)
    until = time.monotonic() + seconds  # after connecting, which may take long
    while mine or time.monotonic() < until:
        if mine and (time.monotonic() >= until or len(mine) > 20 or luck.random() < 0.5):
            address, since, took = mine.pop(luck.randrange(len(mine)))
            spells.append(Spell(address, since, time.monotonic(), took))
            with unit_of_work(sessions) as session:
                pools.release_address(session, network_id, address, server_id=server_id)
            continue
        began = time.monotonic()
        with contextlib.suppress(faults.OverLimit):
            with unit_of_work(sessions) as session:
                address = pools.take_address(session, network, server_id=server_id)
            mine.append((address, time.monotonic(), time.monotonic() - began))
    sessions.dispose()
    return spells


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    report = run(options.url, processes=options.processes, seconds=options.seconds)
    sys.stdout.write(f"{report}\n")
    return 1 if report.twice or report.lost else 0


if __name__ == "__main__":
    sys.exit(main())
