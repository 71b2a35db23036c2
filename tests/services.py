"""The servers that tests talk to: those named, those at hand, or private ones made for the run.

Each service is looked for in this order, and the first that answers is taken:

1. the URL in its variable, which must answer: ``CLOUDWEB_TEST_POSTGRESQL_URL``,
   ``CLOUDWEB_TEST_MARIADB_URL``, ``CLOUDWEB_TEST_AMQP_URL`` (``CLOUDWEB_TEST_CHROMIUM`` and
   ``CLOUDWEB_TEST_VNC`` are paths, of Chromium and of Xvnc);
2. its usual local port with its usual local credentials, unless ``CLOUDWEB_TEST_NO_LOCAL`` is set;
3. a private one, started from installed binaries in a temporary directory on a free port;
4. the same, after ``apt-get install`` (as root; nothing is started system-wide).

What is still missing then is a ``MissingService``: a test run never skips silently.
"""

import contextlib
import dataclasses
import os
import secrets
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from tests.servers import (
    MissingService,
    Private,
    amqp_answers,
    chromium_programs,
    engine,
    find,
    mariadb_programs,
    postgresql_programs,
    rabbitmq_programs,
    sql_answers,
    start_mariadb,
    start_postgresql,
    start_rabbitmq,
    vnc_programs,
    with_driver,
)

Say = Callable[[str], None]

POLICY = Path("/usr/sbin/policy-rc.d")


@dataclasses.dataclass(frozen=True)
class Kind:
    """What there is to know about one kind of service."""

    name: str
    variable: str
    local: str
    answers: Callable[[str], bool]
    programs: Callable[[], dict[str, str] | None]
    """Paths of its programs, or None when they are not installed."""
    start: Callable[[dict[str, str]], Private] | None
    """None for what is only a program."""
    packages: tuple[str, ...]


# --- Installing


@contextlib.contextmanager
def nothing_started() -> Iterator[None]:
    """Debian's packages start their server when installed, unless this file forbids it."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)


def apt_install(packages: Sequence[str]) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    options = ["--yes", "--quiet", "--no-install-recommends"]
    with nothing_started():
        for command in (["update", "--quiet"], ["install", *options, *packages]):
            done = subprocess.run(
                ["apt-get", *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
            )
            if done.returncode != 0:
                raise MissingService(
                    f"apt-get {command[0]} failed; its last words:\n{done.stdout[-2000:]}"
                )


VNC_PACKAGES = (
    "tigervnc-standalone-server",
    "x11vnc",
    "gvncviewer",
    "vncsnapshot",
    "x11-xserver-utils",
    "netpbm",
)

KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "postgresql",
            "CLOUDWEB_TEST_POSTGRESQL_URL",
            "postgresql+psycopg://postgres@127.0.0.1:5432/postgres",
            sql_answers,
            postgresql_programs,
            start_postgresql,
            ("postgresql",),
        ),
        Kind(
            "mariadb",
            "CLOUDWEB_TEST_MARIADB_URL",
            "mysql+pymysql://root@127.0.0.1:3306/",
            sql_answers,
            mariadb_programs,
            start_mariadb,
            ("mariadb-server",),
        ),
        Kind(
            "rabbitmq",
            "CLOUDWEB_TEST_AMQP_URL",
            "amqp://guest:guest@127.0.0.1:5672/%2F",
            amqp_answers,
            rabbitmq_programs,
            start_rabbitmq,
            ("rabbitmq-server",),
        ),
        Kind(
            "chromium",
            "CLOUDWEB_TEST_CHROMIUM",
            "",
            lambda path: os.access(path, os.X_OK),
            chromium_programs,
            None,
            ("chromium",),
        ),
        Kind(
            "vnc",
            "CLOUDWEB_TEST_VNC",
            "",
            lambda path: os.access(path, os.X_OK),
            vnc_programs,
            None,
            VNC_PACKAGES,
        ),
    )
}


class Services:
    """The services asked for, as a context: found or made first, the private ones stopped last."""

    def __init__(self, names: Sequence[str], *, say: Say = print) -> None:
        self.kinds = [KINDS[name] for name in names]
        self.urls: dict[str, str] = {}
        self._say = say
        self._private: list[Private] = []

    def __enter__(self) -> Self:
        try:
            to_make = [kind for kind in self.kinds if not self._take_existing(kind)]
            self._install([kind for kind in to_make if kind.programs() is None])
            for kind in to_make:
                self._make(kind)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        while self._private:
            self._private.pop().stop()

    def environment(self) -> dict[str, str]:
        """The variables that tell tests where the services are."""
        return {KINDS[name].variable: url for name, url in self.urls.items()}

    @contextlib.contextmanager
    def database(self, name: str) -> Iterator[str]:
        """The URL of an empty database on that service, or in a file; dropped afterwards."""
        if name == "sqlite":
            with tempfile.TemporaryDirectory(prefix="cloudweb-sqlite-") as directory:
                yield f"sqlite:///{directory}/cloudweb.sqlite"
            return
        server_url = sa.make_url(self.urls[name])
        database = f"cloudweb_test_{secrets.token_hex(4)}"
        charset = " CHARACTER SET utf8mb4" if name == "mariadb" else ""
        force = " WITH (FORCE)" if name == "postgresql" else ""
        with engine(self.urls[name]) as server:
            with server.connect() as connection:
                connection.exec_driver_sql(f"CREATE DATABASE {database}{charset}")
            try:
                yield server_url.set(database=database).render_as_string(hide_password=False)
            finally:
                with server.connect() as connection:
                    connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {database}{force}")

    def _take_existing(self, kind: Kind) -> bool:
        """Takes the one that is named, or the one at hand."""
        if given := os.environ.get(kind.variable):
            url = with_driver(given) if kind.answers is sql_answers else given
            if not kind.answers(url):
                raise MissingService(f"{kind.variable} is set, and what it names does not answer.")
            self._found(kind, url, "as named")
            return True
        if kind.local and not os.environ.get("CLOUDWEB_TEST_NO_LOCAL") and kind.answers(kind.local):
            self._found(kind, kind.local, "at hand")
            return True
        return False

    def _install(self, missing: Sequence[Kind]) -> None:
        if not missing:
            return
        names = ", ".join(kind.name for kind in missing)
        packages = [package for kind in missing for package in kind.packages]
        if os.geteuid() != 0 or not find("apt-get"):
            variables = ", ".join(kind.variable for kind in missing)
            raise MissingService(
                f"{names}: not running and not installed: install it "
                f"(on Debian: apt-get install {' '.join(packages)}) or set {variables}."
            )
        self._say(f"Installing {' '.join(packages)}")
        apt_install(packages)

    def _make(self, kind: Kind) -> None:
        programs = kind.programs()
        if programs is None:
            raise MissingService(
                f"{kind.name}: its programs are not found, though installed: "
                f"{' '.join(kind.packages)}."
            )
        if kind.start is None:
            self._found(kind, programs[kind.name], "installed")
            return
        private = kind.start(programs)
        self._private.append(private)
        self._found(kind, private.url, "private")

    def _found(self, kind: Kind, url: str, how: str) -> None:
        self.urls[kind.name] = url
        shown = url if kind.start is None else without_password(url)
        self._say(f"{kind.name:<10} {how:<9} {shown}")


def without_password(url: str) -> str:
    """A URL to show, without its password."""
    return sa.make_url(url).render_as_string(hide_password=True)
