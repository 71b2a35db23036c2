"""A RabbitMQ cluster of a test's own: several nodes on this machine, each killed alone."""

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pika
import pika.exceptions

from tests import servers
from tests.ports import free_port
from tests.servers import MissingService


class BrokerCluster:
    """``urls`` are those of its nodes, in order; quorum queues have a replica on each."""

    def __init__(self, maker: servers.Maker, programs: dict[str, str], size: int) -> None:
        self._maker = maker
        self._server = programs["server"]
        self._here = maker.directory
        self._epmd_port = str(free_port())
        self._names = [f"cw{secrets.token_hex(4)}@localhost" for _ in range(size)]
        self._ports = [free_port() for _ in range(size)]
        self._dist_ports = [str(free_port()) for _ in range(size)]
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * size
        self._write_files()
        maker.spawn(programs["epmd"], "-port", self._epmd_port, "-address", "127.0.0.1")

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(f"amqp://guest:guest@127.0.0.1:{port}/%2F" for port in self._ports)

    def _write_files(self) -> None:
        nodes = "".join(
            f"cluster_formation.classic_config.nodes.{n} = {name}\n"
            for n, name in enumerate(self._names, start=1)
        )
        config = f"cluster_formation.peer_discovery_backend = classic_config\n{nodes}"
        (self._here / "cluster.conf").write_text(config)
        (self._here / "enabled_plugins").write_text("[].\n")
        cookie = self._here / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(16))
        cookie.chmod(0o400)
        if self._maker.account:
            os.chown(cookie, *self._maker.account)

    def start(self, number: int) -> None:
        """Start a node, with what it held before; returns when it answers."""
        process = self._maker.spawn(
            self._server,
            ERL_EPMD_PORT=self._epmd_port,
            RABBITMQ_CONF_ENV_FILE=str(self._here / "none.conf"),
            RABBITMQ_CONFIG_FILE=str(self._here / "cluster.conf"),
            RABBITMQ_DIST_PORT=self._dist_ports[number],
            RABBITMQ_ENABLED_PLUGINS_FILE=str(self._here / "enabled_plugins"),
            RABBITMQ_LOG_BASE=str(self._here / f"log{number}"),
            RABBITMQ_LOGS="-",
            RABBITMQ_MNESIA_BASE=str(self._here / "mnesia"),
            RABBITMQ_NODENAME=self._names[number],
            RABBITMQ_NODE_IP_ADDRESS="127.0.0.1",
            RABBITMQ_NODE_PORT=str(self._ports[number]),
            RABBITMQ_PID_FILE=str(self._here / f"pid{number}"),
            RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}",
        )
        self._processes[number] = process
        ends = time.monotonic() + servers.START_TIMEOUT_S
        while not servers.amqp_answers(self.urls[number]):
            if process.poll() is not None or time.monotonic() > ends:
                raise self._maker.failure("did not start")
            time.sleep(0.2)

    def kill(self, number: int) -> None:
        """End a node at once, as a power cut would."""
        process = self._processes[number]
        assert process is not None
        self._maker.processes.remove(process)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._processes[number] = None

    def is_up(self, number: int) -> bool:
        """Whether the node was started and not killed since."""
        return self._processes[number] is not None

    def declare(self, queue: str) -> int:
        """Make a quorum queue, over any node; how many messages it has."""
        for url in self.urls:
            try:
                with pika.BlockingConnection(pika.URLParameters(url)) as connection:
                    arguments = {"x-queue-type": "quorum"}
                    channel = connection.channel()
                    declared = channel.queue_declare(queue, durable=True, arguments=arguments)
                    count: int = declared.method.message_count
                    return count
            except (pika.exceptions.AMQPError, OSError):
                continue
        raise MissingService("no node of the cluster answers")


@contextmanager
def broker_cluster(size: int = 3) -> Iterator[BrokerCluster]:
    """A cluster with all its nodes up, gone afterwards. Raises MissingService."""
    programs = servers.rabbitmq_programs()
    if programs is None:
        raise MissingService("rabbitmq: install rabbitmq-server to run this test.")
    maker = servers.Maker("rabbitmq-cluster", "rabbitmq")
    try:
        cluster = BrokerCluster(maker, programs, size)
        for number in range(size):
            cluster.start(number)
        yield cluster
    finally:
        maker.abandon()
