"""Servers that tests need: does one answer, where its programs are, how a private one is made."""

import contextlib
import dataclasses
import logging
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pika
import pika.exceptions
import sqlalchemy as sa

from tests.ports import free_port

START_TIMEOUT_S = 90
STOP_TIMEOUT_S = 20


class MissingService(Exception):
    """A service is neither there nor can be made; the text says what to install."""


@dataclasses.dataclass
class Private:
    """A server of ours: its processes in the order in which they are stopped."""

    url: str
    directory: Path
    processes: list[tuple[subprocess.Popen[bytes], signal.Signals]]

    def stop(self) -> None:
        for process, stop_signal in self.processes:
            stop_process(process, stop_signal)
        shutil.rmtree(self.directory, ignore_errors=True)


# --- Does it answer?


def sql_answers(url: str) -> bool:
    """Whether a database server answers there and lets us make databases."""
    if url.startswith("postgresql"):
        query = "SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user"
    else:
        query = "SELECT VERSION() LIKE '%%MariaDB%%'"
    try:
        with engine(url) as server, server.connect() as connection:
            return bool(connection.exec_driver_sql(query).scalar())
    except sa.exc.SQLAlchemyError:
        return False


def amqp_answers(url: str) -> bool:
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    parameters = pika.URLParameters(url)
    parameters.socket_timeout = 3
    parameters.stack_timeout = parameters.blocked_connection_timeout = 5
    parameters.connection_attempts = 1
    try:
        pika.BlockingConnection(parameters).close()
    except (pika.exceptions.AMQPError, OSError):
        return False
    return True


@contextlib.contextmanager
def engine(url: str) -> Iterator[sa.Engine]:
    made = sa.create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        poolclass=sa.NullPool,
        connect_args={"connect_timeout": 5},
    )
    try:
        yield made
    finally:
        made.dispose()


def with_driver(url: str) -> str:
    """The URL with the drivers that cloudweb has, however the server was spelt."""
    drivers = {
        "postgres": "postgresql+psycopg",
        "postgresql": "postgresql+psycopg",
        "mariadb": "mysql+pymysql",
        "mysql": "mysql+pymysql",
    }
    scheme, separator, rest = url.partition("://")
    return drivers.get(scheme, scheme) + separator + rest


# --- Its programs


def find(*names: str) -> str | None:
    """The first program that is installed; /usr/sbin is not on everybody's PATH."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


def all_found(**programs: str | None) -> dict[str, str] | None:
    found = {name: path for name, path in programs.items() if path}
    return found if len(found) == len(programs) else None


def postgresql_programs() -> dict[str, str] | None:
    # Debian keeps each release's programs in a directory of its own, off the PATH.
    releases = [p for p in Path("/usr/lib/postgresql").glob("*/bin") if p.parent.name.isdigit()]
    for directory in sorted(releases, key=lambda p: int(p.parent.name), reverse=True):
        initdb, postgres = directory / "initdb", directory / "postgres"
        if initdb.exists() and postgres.exists():
            return {"initdb": str(initdb), "postgres": str(postgres)}
    return all_found(initdb=find("initdb"), postgres=find("postgres"))


def mariadb_programs() -> dict[str, str] | None:
    return all_found(
        install=find("mariadb-install-db", "mysql_install_db"), server=find("mariadbd", "mysqld")
    )


def rabbitmq_programs() -> dict[str, str] | None:
    # Debian's wrapper on the PATH insists on its own user; the script below it does not.
    below = "/usr/lib/rabbitmq/bin/rabbitmq-server"
    return all_found(
        server=below if Path(below).exists() else find("rabbitmq-server"), epmd=find("epmd")
    )


def chromium_programs() -> dict[str, str] | None:
    return all_found(
        chromium=find("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
    )


def vnc_programs() -> dict[str, str] | None:
    """Two VNC servers, two clients, and what paints and reads their pictures."""
    return all_found(
        vnc=os.environ.get("CLOUDWEB_TEST_VNC") or find("Xvnc"),
        x11vnc=find("x11vnc"),
        gvnccapture=find("gvnccapture"),
        vncsnapshot=find("vncsnapshot"),
        xsetroot=find("xsetroot"),
        jpegtopnm=find("jpegtopnm"),
        pngtopnm=find("pngtopnm"),
    )


# --- A private one


def account(name: str) -> tuple[int, int] | None:
    """(uid, gid) to run a server as: servers refuse root. None when we are not root."""
    if os.geteuid() != 0:
        return None
    for candidate in (name, "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(candidate)
            return entry.pw_uid, entry.pw_gid
    raise MissingService(f"there is no account {name} nor nobody to run a server as")


class Maker:
    """A temporary directory and the processes that run in it, as one account."""

    def __init__(self, name: str, account_name: str) -> None:
        self.name = name
        self.directory = Path(tempfile.mkdtemp(prefix=f"cloudweb-{name}-"))
        self.account = account(account_name)
        if self.account:
            os.chown(self.directory, *self.account)
        self.log = self.directory / "output.log"
        self.processes: list[subprocess.Popen[bytes]] = []

    def _popen(self, command: Sequence[str], variables: dict[str, str]) -> subprocess.Popen[bytes]:
        uid, gid = self.account or (None, None)
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self.directory,
                env=os.environ | {"HOME": str(self.directory)} | variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=uid,
                group=gid,
                extra_groups=[] if self.account else None,
                start_new_session=True,
            )

    def run(self, *command: str) -> None:
        if self._popen(command, {}).wait(timeout=START_TIMEOUT_S) != 0:
            raise self.failure(f"{command[0]} failed")

    def spawn(self, *command: str, **variables: str) -> subprocess.Popen[bytes]:
        process = self._popen(command, variables)
        self.processes.append(process)
        return process

    def wait_for(self, url: str, answers: Callable[[str], bool]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not answers(url):
            if any(process.poll() is not None for process in self.processes):
                raise self.failure("ended while starting")
            if time.monotonic() > deadline:
                raise self.failure(f"did not answer in {START_TIMEOUT_S} s")
            time.sleep(0.2)

    def failure(self, what: str) -> MissingService:
        tail = self.log.read_text(errors="replace")[-2000:]
        return MissingService(f"a private {self.name}: {what}; its last words:\n{tail}")

    def abandon(self) -> None:
        for process in reversed(self.processes):
            stop_process(process, signal.SIGKILL)
        shutil.rmtree(self.directory, ignore_errors=True)


@contextlib.contextmanager
def making(name: str, account_name: str) -> Iterator[Maker]:
    maker = Maker(name, account_name)
    try:
        yield maker
    except BaseException:
        maker.abandon()
        raise


def start_postgresql(programs: dict[str, str]) -> Private:
    with making("postgresql", "postgres") as maker:
        data, port = maker.directory / "data", free_port()
        maker.run(
            programs["initdb"], "--pgdata", str(data), "--username", "postgres",
            "--auth", "trust", "--encoding", "UTF8", "--no-locale", "--no-sync",
        )  # fmt: skip
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": "",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": 200,
        }
        options = [part for item in settings.items() for part in ("-c", "{}={}".format(*item))]
        process = maker.spawn(programs["postgres"], "-D", str(data), *options)
        url = f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"
        maker.wait_for(url, sql_answers)
        return Private(url, maker.directory, [(process, signal.SIGINT)])


def start_mariadb(programs: dict[str, str]) -> Private:
    with making("mariadb", "mysql") as maker:
        data, port = maker.directory / "data", free_port()
        maker.run(
            programs["install"], "--no-defaults", f"--datadir={data}",
            "--auth-root-authentication-method=normal", "--skip-test-db",
        )  # fmt: skip
        process = maker.spawn(
            programs["server"], "--no-defaults", f"--datadir={data}", f"--port={port}",
            "--bind-address=127.0.0.1", f"--socket={maker.directory / 'socket'}",
            f"--pid-file={maker.directory / 'pid'}", "--innodb-flush-log-at-trx-commit=0",
            "--skip-name-resolve",
        )  # fmt: skip
        url = f"mysql+pymysql://root@127.0.0.1:{port}/"
        maker.wait_for(url, sql_answers)
        return Private(url, maker.directory, [(process, signal.SIGTERM)])


def start_rabbitmq(programs: dict[str, str]) -> Private:
    with making("rabbitmq", "rabbitmq") as maker:
        here, port, epmd_port = maker.directory, free_port(), str(free_port())
        # Erlang starts a daemon of its own when none answers; ours ends with us.
        epmd = maker.spawn(programs["epmd"], "-port", epmd_port, "-address", "127.0.0.1")
        plugins = here / "enabled_plugins"
        plugins.write_text("[].\n")
        server = maker.spawn(
            programs["server"],
            ERL_EPMD_PORT=epmd_port,
            RABBITMQ_CONF_ENV_FILE=str(here / "none.conf"),
            RABBITMQ_CONFIG_FILE=str(here / "none"),
            RABBITMQ_DIST_PORT=str(free_port()),
            RABBITMQ_ENABLED_PLUGINS_FILE=str(plugins),
            RABBITMQ_LOG_BASE=str(here / "log"),
            RABBITMQ_LOGS="-",
            RABBITMQ_MNESIA_BASE=str(here / "mnesia"),
            RABBITMQ_NODENAME=f"cloudweb{secrets.token_hex(4)}@localhost",
            RABBITMQ_NODE_IP_ADDRESS="127.0.0.1",
            RABBITMQ_NODE_PORT=str(port),
            RABBITMQ_PID_FILE=str(here / "pid"),
            RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}",
        )
        url = f"amqp://guest:guest@127.0.0.1:{port}/%2F"
        maker.wait_for(url, amqp_answers)
        return Private(url, here, [(server, signal.SIGTERM), (epmd, signal.SIGTERM)])


def stop_process(process: subprocess.Popen[bytes], stop_signal: signal.Signals) -> None:
    """Ends a process and what it started: politely, and after a while not."""
    if process.poll() is None:
        process.send_signal(stop_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=STOP_TIMEOUT_S)
    # It led a process group of its own; a shell script may have left its server there.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while time.monotonic() < deadline:
            process.poll()
            os.killpg(process.pid, 0)
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
