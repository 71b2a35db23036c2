"""A broker with a queue of this test's own, and servers to hear of."""

import dataclasses
import datetime as dt
import json
import secrets
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pika
import pytest
import sqlalchemy as sa

from cloudweb.backend.amqp.topology import EXCHANGE, Queue, Topology
from cloudweb.domain import states
from cloudweb.models import (
    Backend,
    DeadLetter,
    Operation,
    OperationState,
    OperState,
    Server,
    SessionFactory,
    unit_of_work,
)
from cloudweb.settings import Settings
from tests.functional.processes import wait_for, write_ini

Make = Callable[..., Any]
T0 = dt.datetime(2024, 5, 1, 12, 0, tzinfo=dt.UTC)
COURSE = ("queued", "waiting", "running", "success")


class Bus:
    """What a cluster's agents do with a broker, and what an operator can see of it."""

    def __init__(self, url: str, prefix: str) -> None:
        self.url = url
        self.topology = Topology(prefix)
        with self._channel() as channel:
            self.topology.declare(channel)

    def _channel(self) -> "_Channel":
        return _Channel(self.url)

    def publish(self, *bodies: bytes, key: str | None = None) -> None:
        """Publish, as news of jobs unless told otherwise; returns when the broker has it safe."""
        with self._channel() as channel:
            channel.confirm_delivery()
            for body in bodies:
                channel.basic_publish(
                    EXCHANGE,
                    key or self.topology.operations.keys[0],
                    body,
                    pika.BasicProperties(delivery_mode=2),
                    mandatory=True,
                )

    def close(self) -> None:
        with self._channel() as channel:
            for name in self.topology.names:
                channel.queue_delete(name)

    def queue(self, kind: str) -> Queue:
        """One of the queues: ``op``, ``net``, ``network``, ``progress`` or ``cluster``."""
        name = f"{self.topology.prefix}-events-{kind}"
        return next(queue for queue in self.topology.queues if queue.name == name)

    def count(self, queue: str | None = None) -> int:
        """How many messages wait in the queue; those delivered and not acknowledged do not."""
        with self._channel() as channel:
            declared = channel.queue_declare(queue or self.topology.operations.name, passive=True)
            waiting: int = declared.method.message_count
            return waiting

    def is_done(self) -> bool:
        """Whether nothing waits, now and a moment later."""
        if self.count():
            return False
        time.sleep(0.3)
        return self.count() == 0

    def dead_letters(self, sessions: SessionFactory, kind: str = "op") -> list[DeadLetter]:
        """What a consumer of that database has kept of a queue's dead letters, in order."""
        name = self.queue(kind).name
        with unit_of_work(sessions, write=False) as session:
            query = sa.select(DeadLetter).where(DeadLetter.queue == name).order_by(DeadLetter.id)
            return list(session.scalars(query))


class _Channel:
    """A channel over a connection of its own, for as long as the block."""

    def __init__(self, url: str) -> None:
        self._connection = pika.BlockingConnection(pika.URLParameters(url))

    def __enter__(self) -> Any:
        return self._connection.channel()

    def __exit__(self, *_error: object) -> None:
        if self._connection.is_open:
            self._connection.close()


@pytest.fixture
def prefix() -> str:
    return f"t{secrets.token_hex(4)}"


@pytest.fixture
def bus(amqp_url: str, prefix: str) -> Iterator[Bus]:
    bus = Bus(amqp_url, prefix)
    yield bus
    bus.close()


@dataclasses.dataclass
class Fleet:
    """Servers being built on one cluster, with their jobs submitted, and what is heard of them."""

    sessions: SessionFactory
    backend: Backend
    servers: list[Server]

    def message(self, server: Server, opcode: str, status: str, /, **changes: Any) -> bytes:
        """An agent's message; job and time follow from what it says."""
        step = 10 * (opcode == states.SHUTDOWN) + COURSE.index(status)
        at = T0 + dt.timedelta(seconds=step)
        said = {
            "event_time": [int(at.timestamp()), 250_000],
            "type": "ganeti-op-status",
            "instance": server.instance_name,
            "operation": opcode,
            "status": status,
            "cluster": self.backend.name,
            "logmsg": None,
            "jobId": server.id * 10 + (opcode == states.SHUTDOWN),
        }
        return json.dumps(said | changes).encode()

    def history(self) -> list[bytes]:
        """Every server is built; every other one is shut down afterwards."""
        return [
            self.message(server, opcode, status)
            for opcode in (states.CREATE, states.SHUTDOWN)
            for status in COURSE
            for n, server in enumerate(self.servers)
            if opcode == states.CREATE or n % 2
        ]

    def effects(self) -> list[tuple[Any, ...]]:
        """What became of each server and of its operations."""
        server = (Server.id, Server.state, Server.job_id, Server.job_status, Server.state_time)
        operation = (Operation.opcode, Operation.state, Operation.error)
        with unit_of_work(self.sessions, write=False) as session:
            rows = session.execute(
                sa.select(*server, *operation)
                .join(Operation, Operation.server_id == Server.id)
                .order_by(Server.id, Operation.id)
            )
            return [tuple(row) for row in rows]

    def versions(self) -> list[tuple[int, dt.datetime]]:
        with unit_of_work(self.sessions, write=False) as session:
            rows = session.execute(sa.select(Server.version, Server.updated).order_by(Server.id))
            return [(version, updated) for version, updated in rows]

    def is_finished(self) -> bool:
        """Whether every operation succeeded and every server is what its history makes it."""
        ends = [OperState.STARTED, OperState.STOPPED]
        wanted = [ends[n % 2] for n, _ in enumerate(self.servers) for _ in range(1 + n % 2)]
        effects = self.effects()
        return [row[1] for row in effects] == wanted and all(
            row[6] is OperationState.SUCCESS for row in effects
        )


@pytest.fixture
def make_fleet(
    prefix: str,
    sessions: SessionFactory,
    make_server: Make,
    make_user: Make,
    make_backend: Make,
    make_flavor: Make,
) -> Make:
    """Makes a fleet of so many servers."""

    def make(size: int) -> Fleet:
        backend = make_backend()
        whose = {"owner": make_user(), "backend": backend, "flavor": make_flavor()}
        servers = [
            make_server(state=OperState.BUILD, instance_name=f"{prefix}-{n}", **whose)
            for n in range(size)
        ]
        fleet = Fleet(sessions, backend, servers)
        add_operations(fleet)
        return fleet

    return make


def add_operations(fleet: Fleet) -> None:
    with unit_of_work(fleet.sessions) as session:
        for n, server in enumerate(fleet.servers):
            for job, opcode in enumerate([states.CREATE, states.SHUTDOWN][: 1 + n % 2]):
                session.add(
                    Operation(
                        key=uuid.uuid4().hex,
                        backend_id=server.backend_id,
                        server_id=server.id,
                        opcode=opcode,
                        target=server.instance_name or "",
                        state=OperationState.SUBMITTED,
                        job_id=server.id * 10 + job,
                    )
                )


@pytest.fixture
def ini(tmp_path: Path, settings: Settings, amqp_url: str, prefix: str) -> Path:
    """What the consumer is started with: small batches, and nothing taken beyond one."""
    return write_ini(
        tmp_path,
        settings,
        instance_prefix=f"{prefix}-",
        amqp_hosts=(amqp_url,),
        consumer_batch=10,
        amqp_prefetch=10,
        log_level="INFO",
    )


def wait_until(*conditions: Callable[[], bool], timeout_s: float = 40.0) -> None:
    """Wait for all of them at once; the last one is named when it takes too long."""
    for condition in conditions:
        wait_for(condition, timeout_s=timeout_s)
