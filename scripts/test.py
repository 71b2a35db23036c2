"""Runs the project's checks and tests, step by step: test.py all|sure|lint [pytest argument...].

A step that fails does not keep the next from running; the summary at the end names each, and the
exit status is 1 if any failed.
"""

import collections
import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import IO

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
    "all": ["postgresql", "mariadb", "sqlite"],
    "sure": ["postgresql"],
    "lint": [],
}
SERVERS = {"postgresql", "mariadb"}
# They speak to simulated clusters and regions, to brokers, to files, to a browser before pages that
# other tests ask for, ask for what other tests ask too, or try for as long as they are given: no
# database can change them.
ONCE = [
    "tests/browser",
    "tests/contract",
    "tests/functional/chaos",
    "tests/functional/conformance",
    "tests/functional/console",
    "tests/functional/consumer/test_broker_cluster.py",
    "tests/functional/consumer/test_restarts.py",
    "tests/functional/fuzz",
    "tests/functional/test_openapi.py",
    "tests/functional/test_reference.py",
    "tests/openstack",
    "tests/unit/backend",
    "tests/unit/shapes",
]
# Whole stories of real processes, and rules that hold of every door, told on PostgreSQL. What a
# database can change of them is in the tests of the domain, of the APIs and pages, in
# test_worker.py, test_networks.py and test_consumer.py, which run on all.
STORIES = [
    "tests/functional/account",
    "tests/functional/auditing",
    "tests/functional/cli/test_audited.py",
    "tests/functional/consumer/test_bad_input.py",
    "tests/functional/consumer/test_checking.py",
    "tests/functional/consumer/test_declined.py",
    "tests/functional/dashboard/test_audited.py",
    "tests/functional/dashboard/test_roles.py",
    "tests/functional/federation",
    "tests/functional/worker/test_canceling.py",
    "tests/functional/worker/test_comparing.py",
    "tests/functional/worker/test_handovers.py",
    "tests/functional/worker/test_moves.py",
    "tests/functional/worker/test_second_chances.py",
    "tests/functional/worker/test_terminal.py",
]


@dataclasses.dataclass(frozen=True)
class Tests:
    """Tests to run on a database: these paths, or all but those to ignore."""

    name: str
    database: str
    paths: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    def arguments(self) -> list[str]:
        return [*self.paths, *(f"--ignore={path}" for path in self.ignored)]


def parts(databases: list[str], arguments: list[str]) -> list[Tests]:
    """What is to be run, the longest first. Tests that were named run on each database."""
    if any((ROOT / argument.partition("::")[0]).exists() for argument in arguments):
        return [Tests(f"pytest on {database}", database) for database in databases]
    once, stories = tuple(ONCE), tuple(STORIES)
    first, *others = databases
    return [
        Tests(f"pytest on {first}", first, ignored=once),
        Tests("pytest once", first, paths=once),
        *(Tests(f"pytest on {name}", name, ignored=once + stories) for name in others),
    ]


def _environment() -> dict[str, str]:
    """Ours, but bytecode is kept: tests start hundreds of processes."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


@dataclasses.dataclass(frozen=True)
class Result:
    step: str
    passed: bool
    seconds: float


class Run:
    """Runs steps and remembers how they went."""

    def __init__(self) -> None:
        self.results: list[Result] = []
        self._begin = time.monotonic()
        self._processes: list[subprocess.Popen[bytes]] = []

    def step(
        self, name: str, *commands: list[str], output: IO[bytes] | None = None, **variables: str
    ) -> None:
        """Runs the commands one after the other; the first that fails fails the step."""
        if output is None:
            print(f"\n=== {name}", flush=True)
        begin = time.monotonic()
        passed = all(self._run(command, output, variables) == 0 for command in commands)
        self.add(name, passed, time.monotonic() - begin)

    def _run(self, command: list[str], output: IO[bytes] | None, variables: dict[str, str]) -> int:
        process = subprocess.Popen(
            [BIN / command[0], *command[1:]],
            cwd=ROOT,
            env=_environment() | variables,
            stdout=output,
            stderr=None if output is None else subprocess.STDOUT,
        )
        self._processes.append(process)
        return process.wait()

    def end(self) -> None:
        """Ends what still runs."""
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
                process.wait()

    def add(self, name: str, passed: bool, seconds: float) -> None:
        self.results.append(Result(name, passed, seconds))

    def summary(self) -> int:
        """Prints how every step went, and returns the exit status."""
        width = max(len(result.step) for result in self.results)
        print(f"\n=== summary\n{'step':<{width}}  result  seconds")
        for result in self.results:
            word = "passed" if result.passed else "FAILED"
            print(f"{result.step:<{width}}  {word}  {result.seconds:7.1f}")
        total = time.monotonic() - self._begin
        failed = [result.step for result in self.results if not result.passed]
        verdict = f"failed: {', '.join(failed)}" if failed else "everything passed"
        print(f"\n{verdict}, in {total:.0f} s", flush=True)
        return 1 if failed else 0


@contextlib.contextmanager
def services_for(databases: list[str], run: Run) -> Iterator[Services]:
    names = [name for name in databases if name in SERVERS]
    print("\n=== services", flush=True)
    begin = time.monotonic()
    with Services([*names, "rabbitmq", "chromium", "vnc"]) as services:
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


def run_pytest(
    run: Run,
    services: Services,
    tests: Tests,
    arguments: list[str],
    output: IO[bytes] | None = None,
) -> None:
    pytest = ["pytest", "-q", "--durations=10", "-p", "no:cacheprovider"]
    with services.database(tests.database) as url:
        run.step(
            tests.name,
            [*pytest, *tests.arguments(), *arguments],
            output=output,
            CLOUDWEB_TEST_DB=tests.database,
            CLOUDWEB_TEST_DATABASE_URL=url,
            **services.environment(),
        )


def run_all(run: Run, services: Services, waiting: list[Tests], arguments: list[str]) -> None:
    """Runs these tests, two parts at a time: two processors do twice as much.

    What one lane says is shown at once, what the other says when both are done.
    """
    left = collections.deque(waiting)

    def work(output: IO[bytes] | None = None) -> None:
        with contextlib.suppress(IndexError):
            while True:
                tests = left.popleft()
                if output is not None:
                    output.write(f"\n=== {tests.name}\n".encode())
                    output.flush()
                try:
                    run_pytest(run, services, tests, arguments, output)
                except Exception:  # noqa: BLE001  (the other lane goes on, and the summary says so)
                    run.add(tests.name, False, 0.0)
                    traceback.print_exc()

    with tempfile.TemporaryFile() as output:
        lane = threading.Thread(target=work, args=(output,))
        lane.start()
        try:
            work()
        except BaseException:
            left.clear()
            run.end()
            raise
        finally:
            lane.join()
            output.seek(0)
            sys.stdout.buffer.write(output.read())
            sys.stdout.flush()


def main(mode: str, arguments: list[str]) -> int:
    run = Run()
    for name, command in LINT.items():
        run.step(name, command)
    databases = DATABASES[mode]
    if databases:
        try:
            with services_for(databases, run) as services:
                check_migrations(run, services)
                run_all(run, services, parts(databases, arguments), arguments)
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
