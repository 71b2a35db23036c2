"""Kills, cuts and poisons a whole cloud under load, and looks whether anything was lost or doubled.

The clusters are simulated; with ``--ganeti`` they are two real ones, brought up for it and taken
down, which needs root. The same with ``--without idempotence`` or ``--without outbox`` must fail.
"""

import argparse
import contextlib
import dataclasses
import secrets
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ganeti_lab import LabFailed, clusters, is_root, on_master

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.functional.chaos.clusters import Clusters  # noqa: E402
from tests.functional.chaos.ganeti import GanetiClusters  # noqa: E402
from tests.functional.chaos.launch import WITHOUT  # noqa: E402
from tests.functional.chaos.simulated import simulated_clusters  # noqa: E402
from tests.functional.chaos.story import GANETI, SIMULATED, Options, run  # noqa: E402
from tests.services import MissingService  # noqa: E402

NAMES = {"chaos92": 1, "chaos93": 1}
"""Names, and with them networks and ports, that nobody brings up by hand."""


@contextlib.contextmanager
def ganeti_clusters() -> Iterator[Clusters]:
    with clusters(NAMES) as (told, asked):
        yield GanetiClusters(told, asked, on_master, LabFailed)


def options_of(arguments: list[str]) -> tuple[bool, Options]:
    """Whether the clusters are real, and how much of it."""
    real = "--ganeti" in arguments
    usual = GANETI if real else SIMULATED
    parser = argparse.ArgumentParser(prog="chaos.py", description=__doc__)
    parser.add_argument("--ganeti", action="store_true", help="real clusters; needs root")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--seconds", type=float, default=usual.seconds)
    parser.add_argument("--servers", type=int, default=usual.servers)
    parser.add_argument("--clients", type=int, default=usual.clients)
    parser.add_argument("--brokers", type=int, default=usual.brokers, help="nodes of RabbitMQ")
    parser.add_argument("--every", type=float, default=usual.every_s, help="s between mishaps")
    parser.add_argument("--pace", type=float, default=usual.pace_s, help="s between requests")
    parser.add_argument("--calm", type=float, default=usual.calm_s, help="s to come to rest in")
    parser.add_argument("--without", choices=WITHOUT, default="", help="break this on purpose")
    given = parser.parse_args(arguments)
    return real, dataclasses.replace(
        usual,
        seed=given.seed,
        seconds=given.seconds,
        servers=given.servers,
        clients=given.clients,
        brokers=given.brokers,
        every_s=given.every,
        pace_s=given.pace,
        calm_s=given.calm,
        without=given.without,
    )


def main(arguments: list[str]) -> int:
    real, options = options_of(arguments)
    if real and not is_root("make chaos-ganeti"):
        return 1
    folder = Path(tempfile.mkdtemp(prefix="cloudweb-chaos-"))
    folder.chmod(0o755)
    try:
        with ganeti_clusters() if real else simulated_clusters(folder) as two:
            report = run(options, folder, two, lambda text: print(text, flush=True))
    except (MissingService, LabFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("FAILED" if report.wrong else "everything is as it was promised")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
