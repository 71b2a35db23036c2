"""Measures cloudweb against floors of the same run, and prints the ratios beside their goals.

    python benchmarks/run.py [--quick] [--only PART ...]

On the PostgreSQL of CLOUDWEB_TEST_DATABASE_URL or CLOUDWEB_TEST_POSTGRESQL_URL, else the local one,
in databases of its own; with a broker (CLOUDWEB_TEST_AMQP_URL) the consumer too. Ends with 1 when
a goal is not met.
"""

import argparse
import datetime as dt
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import (  # noqa: E402
    adoption,
    changes,
    creates,
    fleet,
    hanging,
    latency,
    lists,
    pages,
    processes,
    world,
)
from benchmarks.measures import Line, counted, percentile, table  # noqa: E402
from tests.ports import free_port  # noqa: E402

PARTS = (
    "lists",
    "cold",
    "changes",
    "creates",
    "hanging",
    "process",
    "latency",
    "consumer",
    "adoption",
    "pages",
    "fleet",
)
CONSUMER = ROOT / "benchmarks/consumer.py"


def served(parts: list[str], place: Path, made: world.World, *, quick: bool) -> list[Line]:
    """What is asked of one web process over HTTP, and what it weighs afterwards."""
    seconds, count = (0.7, 3) if quick else (2.0, 5)
    lines: list[Line] = []
    port = free_port()
    ini = processes.cloudweb_ini(place, made, port)
    with processes.web(place, ini, port) as web:
        if "lists" in parts:
            lines += lists.warm(place, made, web, seconds, count)
        if "changes" in parts:
            lines += changes.changes(made, web, seconds, count)
        if "creates" in parts:
            lines += creates.creates(made, web, seconds, count)
        if "process" in parts:
            for accept in ("application/json", "application/xml"):
                web.get(lists.PATH, {"X-Auth-Token": made.many.token, "Accept": accept})
            lines.append(counted("resident after serving", web.rss_mb(), "MB", 120))
    if "process" in parts:
        lines.append(counted("start to the first answer", _start_s(place, ini, port), "s", 2))
    return lines


def _start_s(place: Path, ini: Path, port: int) -> float:
    """The median of a few starts."""
    took = []
    for _ in range(5):
        with processes.web(place, ini, port) as web:
            took.append(web.started_s)
    return percentile(took, 0.5)


def consumer(*, quick: bool) -> list[Line]:
    """The consumer's own benchmark, in a database of its own."""
    with world.database() as url:
        command = [sys.executable, str(CONSUMER)]
        command += ["--messages", "2000", "--rounds", "3"] if quick else []
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | {"CLOUDWEB_TEST_DATABASE_URL": url, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    pattern = r"(consumer, .*?) +([\d,]+) msg/s of +([\d,]+): ([\d.]+) \(rounds (.*)\)"
    lines = []
    for name, ours, floor, ratio, spread in re.findall(pattern, done.stdout):
        has_goal = name == "consumer, jobs"
        lines.append(
            Line(
                name,
                f"{floor} msg/s",
                f"{ours} msg/s",
                f"{ratio} ({spread})",
                ">= 0.45" if has_goal else "",
                float(ratio) >= 0.45 if has_goal else None,
            )
        )
    return lines or [Line("consumer", "", "failed", "", ">= 0.45", met=False)]


def measure(parts: list[str], *, quick: bool) -> list[Line]:
    lines: list[Line] = []
    with processes.folder() as place:
        if {"cold", "lists", "changes", "creates", "process"} & set(parts):
            with world.filled() as made:
                if "cold" in parts:
                    lines += lists.cold(made, 5, 3 if quick else 9)
                    lines += lists.statements(made)
                if {"lists", "changes", "creates", "process"} & set(parts):
                    lines += served(parts, place, made, quick=quick)
        if "hanging" in parts:
            with world.filled() as made:
                seconds, count = (5.0, 2) if quick else (10.0, 5)
                lines += hanging.hanging(place, made, seconds, count)
        if "latency" in parts:
            with world.filled() as made:
                lines += latency.latency(place, made, 15 if quick else 60)
        if "adoption" in parts:
            lines += adoption.adoption(place, quick=quick)
        if "pages" in parts:
            lines += pages.pages(place, quick=quick)
        if "fleet" in parts:
            lines += fleet.fleet(place, quick=quick)
    if "consumer" in parts and CONSUMER.exists():
        lines += consumer(quick=quick)
    return lines


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    arguments = parser.parse_args(argv)
    load = os.getloadavg()[0]
    lines = measure(arguments.only, quick=arguments.quick)
    print(
        f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, load {load:.1f} before\n"
    )
    print(table(lines))
    return 1 if any(line.met is False for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
