"""The whole story: a cloud, its clients, a monkey, and after a minute of calm the truth."""

import collections
import dataclasses
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.functional.chaos.audit import Audit, Report, table
from tests.functional.chaos.clients import Client
from tests.functional.chaos.clusters import Clusters
from tests.functional.chaos.monkey import Monkey, plan
from tests.functional.chaos.poison import Poisoner
from tests.functional.chaos.stack import Stack, stack

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Options:
    """How much of it; ``calm_s`` is how long everything has to come to rest."""

    seed: int
    seconds: float = 600.0
    servers: int = 300
    clients: int = 8
    brokers: int = 3
    every_s: float = 4.0
    pace_s: float = 0.8
    calm_s: float = 60.0
    without: str = ""


SIMULATED = Options(seed=0)
GANETI = Options(
    seed=0, seconds=420.0, servers=40, clients=4, every_s=6.0, pace_s=6.0, calm_s=300.0
)
"""Real jobs take seconds each, of all the machine's processors."""


def run(options: Options, folder: Path, clusters: Clusters, say: Say) -> Report:
    """Let it happen; what was found. Raises MissingService."""
    say(f"seed {options.seed}; logs in {folder}")
    with stack(
        folder, clusters, brokers=options.brokers, tenants=options.clients, without=options.without
    ) as cloud:
        poisoner = Poisoner(cloud, f"{options.seed} poison")
        clients = [
            Client(
                cloud,
                tenant,
                seed=f"{options.seed} client {number}",
                servers=max(1, round(options.servers / options.clients)),
                pace_s=options.pace_s,
            )
            for number, tenant in enumerate(cloud.tenants)
        ]
        monkey = Monkey(cloud, poisoner, say)
        mishaps = plan(
            random.Random(f"{options.seed} plan"),
            clusters,
            seconds=options.seconds,
            every_s=options.every_s,
            brokers=options.brokers,
        )
        for client in clients:
            client.start()
        ends = time.monotonic() + options.seconds
        monkey.carry_out(mishaps)
        time.sleep(max(0.0, ends - time.monotonic()))
        for client in clients:
            client.stop()
        for client in clients:
            client.join(timeout=60)
        fallen = cloud.fallen()
        monkey.rest()
        report, took_s = _calm(cloud, clients, poisoner, options.calm_s)
        report.check("mishaps", len(monkey.done), monkey.failed)
        mishap_names = {m.whom for m in mishaps if m.what in ("kill", "poison")}
        fell = [name for name in fallen if name not in mishap_names]
        report.check("processes", 7, [f"{name} fell by itself" for name in fell])
        _tell(clients, monkey, say)
        word = f"after {took_s:.1f} s of calm" if not report.wrong else "NOT at rest"
        say(f"\n{table(report)}\n{word}")
        return report


def _calm(
    cloud: Stack, clients: Sequence[Client], poisoner: Poisoner, calm_s: float
) -> tuple[Report, float]:
    """What is found as soon as nothing is wrong any more, or when the time is over."""
    started = time.monotonic()
    while True:
        report = Audit(cloud, clients, poisoner).report()
        took_s = time.monotonic() - started
        if not report.wrong or took_s > calm_s:
            return report, took_s
        time.sleep(1.0)


def _tell(clients: Sequence[Client], monkey: Monkey, say: Say) -> None:
    answers: collections.Counter[tuple[str, str]] = collections.Counter()
    for client in clients:
        answers.update(client.answers)
    say("\nwhat clients asked for, and were told:")
    for act in sorted({act for act, _word in answers}):
        said = {word: n for (a, word), n in sorted(answers.items()) if a == act}
        say(f"  {act:<13}" + "  ".join(f"{word} {n}" for word, n in said.items()))
    kinds = collections.Counter(f"{m.what} {m.whom.rstrip('0123456789')}" for m in monkey.done)
    say("what happened: " + ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items())))
