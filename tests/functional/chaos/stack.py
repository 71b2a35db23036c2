"""A whole cloud in processes of its own, over proxies: two of each, and what they need."""

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from cloudweb.app import network_rules
from cloudweb.domain import accounts, images, network_lists, operator_networks, pools
from cloudweb.domain.identity import system
from cloudweb.domain.networks import Subnets
from cloudweb.models import (
    Backend,
    EventSource,
    Flavor,
    NetworkKind,
    PoolKind,
    SessionFactory,
    make_engine,
    migrations,
    unit_of_work,
    utc_now,
)
from cloudweb.sealing import Sealer
from cloudweb.settings import Secret, Settings
from tests.broker_cluster import BrokerCluster, broker_cluster
from tests.functional.chaos.clusters import Clusters
from tests.functional.chaos.proxies import Proxies
from tests.functional.processes import wait_for, write_ini
from tests.functional.restarting import Restartable, private_server
from tests.ports import free_port

SECRET_KEY = "Y2xvdWR3ZWItdGVzdHMtMzItYnl0ZXMta2V5LTAwMDA="
PREFIX = "chaos"
PROCESSES = ("web1", "web2", "worker1", "worker2", "consumer1", "consumer2", "agent")
_SERVER = "\n[server:main]\nuse = egg:waitress#main\nlisten = 127.0.0.1:{port}\nthreads = 8\n"


@dataclasses.dataclass(frozen=True)
class Tenant:
    """A user with a token."""

    id: int
    token: str


class Stack:
    """The parts while they run, by name; each may be killed and started again."""

    def __init__(
        self,
        folder: Path,
        database: Restartable,
        broker: BrokerCluster,
        clusters: Clusters,
        proxies: Proxies,
        without: str,
    ) -> None:
        self.folder, self.without = folder, without
        self.database, self.broker = database, broker
        self.clusters, self.proxies = clusters, proxies
        self.sessions = SessionFactory(make_engine(database.url, pool_size=5))
        self.web_ports = (free_port(), free_port())
        self.tenants: list[Tenant] = []
        self.flavor_id, self.image_id = 0, ""
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._inis: dict[str, Path] = {}
        self._starting = threading.Lock()

    def settings(self, name: str) -> Settings:
        """What the process is told: its own way to the database, and ways to every broker node."""
        url = sa.make_url(self.database.url).set(port=self.proxies.all[f"{name} database"].port)
        hosts = tuple(
            f"amqp://guest:guest@127.0.0.1:{self.proxies.all[f'broker{n}'].port}/%2F"
            for n in range(len(self.broker.urls))
        )
        return Settings(
            database_url=Secret(url.render_as_string(hide_password=False)),
            secret_key=Secret(SECRET_KEY),
            session_cookie_secure=False,
            totp_required_roles=(),
            instance_os="noop+default",
            instance_prefix=f"{PREFIX}-",
            amqp_hosts=hosts,
            log_format="text",
            log_level="INFO",
            **self.clusters.settings,
        )

    def prepare(self, tenants: int) -> None:
        """Ways through, tables, clusters, networks, and people."""
        for name in PROCESSES:
            self.proxies.open(f"{name} database", sa.make_url(self.database.url).port or 0)
        for number, url in enumerate(self.broker.urls):
            self.proxies.open(f"broker{number}", int(url.rpartition(":")[2].partition("/")[0]))
        for name in self.clusters.names:
            self.proxies.open(name, self.clusters.port(name))
        migrations.upgrade(self.database.url)
        with unit_of_work(self.sessions) as session:
            # A crash of the database loses nothing it has promised.
            session.execute(sa.text("ALTER DATABASE postgres SET synchronous_commit = on"))
            cli = system("cli")
            for number, name in enumerate(self.clusters.names):
                session.add(self._backend(number, name))
            flavor = Flavor(cpu=1, ram_mb=128, disk_gb=1, disk_template=self.clusters.disk_template)
            session.add(flavor)
            image = images.register(session, cli, name="Debian 12", location="debian-12")
            pools.create(session, cli, kind=PoolKind.MAC_PREFIX, base="aa:00:0", size=4096)
            # The one without addresses, that every database begins with, is not to be used.
            for row in network_lists.list_rows(session, public=True):
                operator_networks.modify(session, cli, row.network, drained=True)
            operator_networks.create(
                session,
                cli,
                network_rules(self.settings("web1")),
                name="Internet",
                kind=NetworkKind.CUSTOM,
                wanted=Subnets(cidr="10.64.0.0/20", gateway="10.64.0.1"),
                public=True,
                link="br0",
            )
            for number in range(tenants):
                user = accounts.create(session, cli, email=f"user{number}@example.org")
                token = accounts.add_token(session, cli, user, name="chaos", expires=None)
                self.tenants.append(Tenant(user.id, token))
            session.flush()  # for the ids
            self.flavor_id, self.image_id = flavor.id, image.id

    def _backend(self, number: int, name: str) -> Backend:
        agents = name == self.clusters.names[0]
        address = self.clusters.address(name, self.proxies.all[name].port)
        return Backend(
            number=number,
            name=self.clusters.full_name(name),
            url=address.url,
            username=address.username,
            password_sealed=Sealer(SECRET_KEY).seal(address.password),
            ca_file=address.ca_file,
            event_source=EventSource.AGENTS if agents else EventSource.AGENTLESS,
            drained=False,
            disk_templates=[self.clusters.disk_template],
            memory_total_mb=4_000_000,
            memory_free_mb=4_000_000,
            disk_total_mb=64_000_000,
            disk_free_mb=64_000_000,
            cpu_total=4000,
            nodes_total=8,
            nodes_up=8,
            refreshed=utc_now(),
        )

    # --- processes

    def start_all(self) -> None:
        """Start every process; returns when the web answers."""
        for name in PROCESSES:
            self.start(name)
        for port in self.web_ports:
            wait_for(lambda port=port: _listens(port), timeout_s=120)  # type: ignore[misc]

    def start(self, name: str) -> None:
        """Start a process, unless it runs."""
        with self._starting:
            if not self.is_up(name):
                self._processes[name] = self._spawn(name)

    def _spawn(self, name: str) -> subprocess.Popen[bytes]:
        command = self._agent() if name == "agent" else self._program(name)
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"CLOUDWEB_AGENT_SPOOL": str(self.folder / "spool")},
            )

    def _program(self, name: str) -> list[str]:
        if name not in self._inis:
            path = write_ini(self.folder, self.settings(name))
            if name.startswith("web"):
                with path.open("a") as ini:
                    ini.write(_SERVER.format(port=self.web_ports[int(name[-1]) - 1]))
            self._inis[name] = path
        program = name.rstrip("12")
        return ["tests.functional.chaos.launch", program, str(self._inis[name]), self.without]

    def _agent(self) -> list[str]:
        settings = self.settings("worker1")
        hosts = [part for host in settings.amqp_hosts for part in ("--amqp", host)]
        agent = "cloudweb.backend.agents.eventd"
        nowhere = str(self.folder / "agent.conf")
        return [agent, *self.clusters.agent(), "--config", nowhere, *hosts]

    def is_up(self, name: str) -> bool:
        """Whether the process was started and has not ended."""
        process = self._processes.get(name)
        return process is not None and process.poll() is None

    def kill(self, name: str) -> None:
        """End a process at once, wherever it is."""
        with self._starting:
            process = self._processes[name]
            if process.poll() is None:
                process.kill()
            process.wait()

    def fallen(self) -> list[str]:
        """The processes that have ended by themselves."""
        return [name for name in PROCESSES if not self.is_up(name)]

    def restart_database(self, *, crash: bool) -> None:
        """Stop it, as for maintenance or as in a crash, and start it again."""
        self.database.stop(signal.SIGQUIT if crash else None)
        self.database.start()

    def end(self) -> None:
        """Ask every process to end; those that do not are killed."""
        for process in self._processes.values():
            if process.poll() is None:
                process.terminate()
        ends = time.monotonic() + 15
        for process in self._processes.values():
            try:
                process.wait(max(0.1, ends - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.sessions.dispose()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def stack(
    folder: Path, clusters: Clusters, *, brokers: int, tenants: int, without: str = ""
) -> Iterator[Stack]:
    """A cloud that runs, gone afterwards; its logs stay in the folder. Raises MissingService."""
    with (
        private_server("postgresql") as database,
        broker_cluster(brokers) as broker,
        Proxies() as proxies,
    ):
        made = Stack(folder, database, broker, clusters, proxies, without)
        try:
            made.prepare(tenants)
            made.start_all()
            yield made
        finally:
            made.end()
