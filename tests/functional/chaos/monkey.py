"""What goes wrong, when, and for how long: a plan made from a seed, and whoever carries it out."""

import random
import threading
import time
from collections.abc import Callable

from tests.functional.chaos.clusters import Clusters, Maker, Mishap
from tests.functional.chaos.poison import Poisoner
from tests.functional.chaos.stack import PROCESSES, Stack


def plan(
    chance: random.Random, clusters: Clusters, *, seconds: float, every_s: float, brokers: int
) -> list[Mishap]:
    """Mishaps of every kind, in order; the same for the same seed."""
    ways = [f"{name} database" for name in PROCESSES if name != "agent"]
    ways += [f"broker{n}" for n in range(brokers)] + [*clusters.names] * 2
    makers: list[Maker] = [
        lambda: ("kill", chance.choice(PROCESSES), None),
        lambda: ("kill", chance.choice(("worker1", "worker2", "consumer1", "agent")), None),
        lambda: ("cut", chance.choice(ways), None),
        lambda: ("slow", chance.choice(ways), round(chance.uniform(0.02, 0.3), 2)),
        lambda: ("hold", chance.choice(ways), None),
        *clusters.makers(chance),
        lambda: ("poison", "queues", chance.randrange(1, 6)),
        lambda: ("poison", chance.choice(("consumer1", "consumer2")), chance.randrange(1, 6)),
    ]
    rare: list[Maker] = [
        lambda: ("restart", "database", chance.choice(("in order", "crash"))),
        lambda: ("kill", f"broker{chance.randrange(brokers)}", None),
    ]
    mishaps, at_s, turn = [], every_s / 2, 0
    while at_s < seconds:
        make = rare[turn // 6 % 2] if turn % 6 == 5 else chance.choice(makers)
        mishaps.append(Mishap(round(at_s, 1), round(chance.uniform(0.5, 5.0), 1), *make()))
        at_s += chance.uniform(0.5, 1.5) * every_s
        turn += 1
    return mishaps


class Monkey:
    """Carries a plan out; what one mishap broke is mended before ``rest`` returns."""

    def __init__(self, stack: Stack, poisoner: Poisoner, say: Callable[[str], None]) -> None:
        self._stack, self._poisoner, self._say = stack, poisoner, say
        self._threads: list[threading.Thread] = []
        self._one_at_a_time: dict[str, threading.Lock] = {
            name: threading.Lock() for name in ("database", "broker", *PROCESSES)
        }
        self.done: list[Mishap] = []
        self.failed: list[str] = []
        """What could not be mended."""

    def carry_out(self, mishaps: list[Mishap]) -> None:
        """Let everything happen at its time; returns after the last has begun."""
        started = time.monotonic()
        for mishap in mishaps:
            time.sleep(max(0.0, started + mishap.at_s - time.monotonic()))
            self._say(str(mishap))
            thread = threading.Thread(target=self._happen, args=(mishap,), daemon=True)
            thread.start()
            self._threads.append(thread)
            self.done.append(mishap)

    def rest(self) -> None:
        """Wait until everything is mended, and start what was killed."""
        for thread in self._threads:
            thread.join(timeout=120)
        for proxy in self._stack.proxies.all.values():
            proxy.heal()
        self._stack.clusters.mend()
        for name in PROCESSES:
            self._stack.start(name)

    def _happen(self, mishap: Mishap) -> None:
        try:
            getattr(self, f"_{mishap.what}", self._stack.clusters.suffer)(mishap)
        except Exception as error:  # noqa: BLE001  (told at the end; the others go on)
            self.failed.append(f"{mishap}: {error!r}")

    def _kill(self, mishap: Mishap) -> None:
        if mishap.whom.startswith("broker"):
            self._kill_broker(int(mishap.whom.removeprefix("broker")), mishap.for_s)
            return
        with self._one_at_a_time[mishap.whom]:
            self._stack.kill(mishap.whom)
            time.sleep(mishap.for_s)
            self._stack.start(mishap.whom)

    def _kill_broker(self, number: int, for_s: float) -> None:
        """One node at a time: of three, two must be left."""
        with self._one_at_a_time["broker"]:
            self._stack.broker.kill(number)
            time.sleep(for_s)
            self._stack.broker.start(number)

    def _restart(self, mishap: Mishap) -> None:
        with self._one_at_a_time["database"]:
            self._stack.restart_database(crash=mishap.how == "crash")

    def _cut(self, mishap: Mishap) -> None:
        proxy = self._stack.proxies.all[mishap.whom]
        proxy.cut()
        time.sleep(mishap.for_s)
        proxy.heal()

    def _slow(self, mishap: Mishap) -> None:
        assert isinstance(mishap.how, float)
        proxy = self._stack.proxies.all[mishap.whom]
        proxy.slow(mishap.how)
        time.sleep(mishap.for_s)
        proxy.heal()

    def _lose(self, mishap: Mishap) -> None:
        proxy = self._stack.proxies.all[mishap.whom]
        proxy.lose()
        time.sleep(mishap.for_s)
        proxy.heal()

    def _hold(self, mishap: Mishap) -> None:
        proxy = self._stack.proxies.all[mishap.whom]
        proxy.hold()
        time.sleep(mishap.for_s)
        proxy.heal()

    def _poison(self, mishap: Mishap) -> None:
        """Into the queues; with a consumer named, it dies of it."""
        assert isinstance(mishap.how, int)
        self._poisoner.send(mishap.how)
        if mishap.whom in PROCESSES:
            self._kill(mishap)
