"""Runs the project's checks and tests, step by step: test.py all|sure|lint [pytest argument...].

A step that fails does not keep the next from running; the summary at the end names each, and the
exit status is 1 if any failed.
"""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
INI = "development.ini"
sys.path.insert(0, str(ROOT))

from tests.services import MissingService, Services  # noqa: E402

LINT = {
    "ruff format": ["ruff", "format", "--check", "."],
    "ruff check": ["ruff", "check", "."],
    "mypy": ["mypy", "--strict", "cloudweb"],
    "import-linter": ["lint-imports"],
}
DATABASES = {
    "all": ["postgresql", "sqlite", "mariadb"],
    "sure": ["postgresql"],
    "lint": [],
}
SERVERS = {"postgresql", "mariadb"}
# They speak to simulated clusters, to files, or to a browser before pages that other tests ask for.
WITHOUT = ["tests/contract", "tests/unit/backend", "tests/unit/shapes", "tests/browser"]


@dataclasses.dataclass(frozen=True)
class Result:
    step: str
    passed: bool
    seconds: float


class Run:
    """Runs steps and remembers how they went."""

    def __init__(self) -> None:
        self.results: list[Result] = []

    def step(self, name: str, *commands: list[str], **variables: str) -> None:
        """Runs the commands one after the other; the first that fails fails the step."""
        print(f"\n=== {name}", flush=True)
        begin = time.monotonic()
        environment = os.environ | variables
        passed = all(
            subprocess.run(
                [BIN / command[0], *command[1:]], cwd=ROOT, env=environment, check=False
            ).returncode
            == 0
            for command in commands
        )
        self.add(name, passed, time.monotonic() - begin)

    def add(self, name: str, passed: bool, seconds: float) -> None:
        self.results.append(Result(name, passed, seconds))

    def summary(self) -> int:
        """Prints how every step went, and returns the exit status."""
        width = max(len(result.step) for result in self.results)
        print(f"\n=== summary\n{'step':<{width}}  result  seconds")
        for result in self.results:
            word = "passed" if result.passed else "FAILED"
            print(f"{result.step:<{width}}  {word}  {result.seconds:7.1f}")
        total = sum(result.seconds for result in self.results)
        failed = [result.step for result in self.results if not result.passed]
        verdict = f"failed: {', '.join(failed)}" if failed else "everything passed"
        print(f"\n{verdict}, in {total:.0f} s", flush=True)
        return 1 if failed else 0


@contextlib.contextmanager
def services_for(databases: list[str], run: Run) -> Iterator[Services]:
    names = [name for name in databases if name in SERVERS]
    print("\n=== services", flush=True)
    begin = time.monotonic()
    with Services([*names, "rabbitmq", "chromium"]) as services:
        run.add("services", True, time.monotonic() - begin)
        yield services


def check_migrations(run: Run, services: Services) -> None:
    """The migrations make the very tables that the models describe."""
    with services.database("postgresql") as url:
        run.step(
            "alembic check",
            ["cloudweb", "--config", INI, "db", "upgrade"],
            ["alembic", "-c", INI, "check"],
            CLOUDWEB_DATABASE_URL=url,
        )


def run_pytest(run: Run, services: Services, database: str, arguments: list[str]) -> None:
    """All tests on PostgreSQL; elsewhere all but those that no database can change."""
    elsewhere = [] if database == "postgresql" else [f"--ignore={path}" for path in WITHOUT]
    with services.database(database) as url:
        run.step(
            f"pytest on {database}",
            ["pytest", "-q", "--durations=10", *elsewhere, *arguments],
            CLOUDWEB_TEST_DB=database,
            CLOUDWEB_TEST_DATABASE_URL=url,
            **services.environment(),
        )


def main(mode: str, arguments: list[str]) -> int:
    run = Run()
    for name, command in LINT.items():
        run.step(name, command)
    databases = DATABASES[mode]
    if databases:
        try:
            with services_for(databases, run) as services:
                check_migrations(run, services)
                for database in databases:
                    run_pytest(run, services, database, arguments)
        except MissingService as error:
            print(f"error: {error}", file=sys.stderr, flush=True)
            run.add("services", False, 0.0)
    return run.summary()


if __name__ == "__main__":
    if sys.argv[1:2] not in [[mode] for mode in DATABASES]:
        sys.exit("usage: test.py all|sure|lint [pytest argument...]")
    # Killed politely, it still stops the servers it started and drops its databases.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main(sys.argv[1], sys.argv[2:]))
    except KeyboardInterrupt:
        sys.exit(130)
