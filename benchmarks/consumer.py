"""How fast the consumer applies messages, against a loop that only acknowledges them.

Rounds alternate, in one run, on one broker and one PostgreSQL: the floor (pika, prefetch 500, one
acknowledgement for every 100 messages), then cloudweb's consumer. Two mixes of messages:

* jobs: each server's job is told queued, waiting, running, success, forty jobs at a time;
* all applied: each message ends the job of another server, the costliest that can come.

    python benchmarks/consumer.py [--messages N] [--rounds N]

Takes CLOUDWEB_TEST_DATABASE_URL (an empty PostgreSQL database) and CLOUDWEB_TEST_AMQP_URL.
"""

import argparse
import datetime as dt
import os
import secrets
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import orjson
import pika
import sqlalchemy as sa

from cloudweb.backend.amqp.consumer import Consumer
from cloudweb.backend.amqp.topology import EXCHANGE, Topology
from cloudweb.domain import states
from cloudweb.models import (
    Backend,
    Base,
    Flavor,
    ListVersion,
    Operation,
    OperationState,
    OperState,
    Role,
    Server,
    SessionFactory,
    User,
    make_engine,
    unit_of_work,
    utc_now,
)
from cloudweb.settings import Secret, Settings

CLUSTER = "bench.example.org"
TARGET = 0.45
_COURSE = ("queued", "waiting", "running", "success")
_AT_A_TIME = 40


# --- what is heard


def message(prefix: str, server: int, job: int, status: str, at: dt.datetime) -> bytes:
    return orjson.dumps(
        {
            "event_time": [int(at.timestamp()), at.microsecond],
            "type": "ganeti-op-status",
            "instance": f"{prefix}-{server}",
            "operation": states.CREATE,
            "status": status,
            "cluster": CLUSTER,
            "logmsg": "* running the instance OS create scripts..."
            if status == "running"
            else None,
            "jobId": job,
        }
    )


def jobs_mix(prefix: str, servers: list[int]) -> list[bytes]:
    """Forty jobs at a time; each goes through its course, between those of the others."""
    at, heard = utc_now() - dt.timedelta(hours=1), []
    for first in range(0, len(servers), _AT_A_TIME):
        for step, status in enumerate(_COURSE):
            for server in servers[first : first + _AT_A_TIME]:
                when = at + dt.timedelta(seconds=step)
                heard.append(message(prefix, server, server, status, when))
    return heard


def applied_mix(prefix: str, servers: list[int]) -> list[bytes]:
    at = utc_now() - dt.timedelta(hours=1)
    return [message(prefix, server, server, "success", at) for server in servers]


# --- who it is about


def make_database(url: str) -> SessionFactory:
    engine = make_engine(url, pool_size=1)
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    return SessionFactory(engine)


def make_servers(sessions: SessionFactory, prefix: str, count: int) -> list[int]:
    """Servers being built, each with its operation submitted; in place of those there were."""
    with unit_of_work(sessions) as session:
        for table in reversed(Base.metadata.sorted_tables):
            session.execute(sa.delete(table))
        user = User(email="bench@example.org", name="Bench", role=Role.USER)
        flavor = Flavor(cpu=1, ram_mb=512, disk_gb=1, disk_template="plain")
        backend = Backend(
            number=0, name=CLUSTER, url="https://bench", username="u", password_sealed=""
        )
        session.add_all([user, flavor, backend])
        session.flush()  # the servers name their ids
        session.add(ListVersion(user_id=user.id))
        ids = list(range(1, count + 1))
        session.execute(
            sa.insert(Server),
            [
                {
                    "id": n,
                    "version": 1,
                    "user_id": user.id,
                    "backend_id": backend.id,
                    "instance_name": f"{prefix}-{n}",
                    "name": "bench",
                    "flavor_id": flavor.id,
                    "image_ref": "debian",
                    "state": OperState.BUILD,
                }
                for n in ids
            ],
        )
        session.execute(
            sa.insert(Operation),
            [
                {
                    "key": f"{n:032x}",
                    "backend_id": backend.id,
                    "server_id": n,
                    "opcode": states.CREATE,
                    "target": f"{prefix}-{n}",
                    "state": OperationState.SUBMITTED,
                    "job_id": n,
                }
                for n in ids
            ],
        )
    with sessions.engine.connect() as connection:
        vacuum = connection.execution_options(isolation_level="AUTOCOMMIT")
        vacuum.exec_driver_sql("VACUUM (ANALYZE) servers")
        vacuum.exec_driver_sql("VACUUM (ANALYZE) operations")
    return ids


# --- the broker


def publish(url: str, topology: Topology, bodies: list[bytes]) -> None:
    """Fill the queue; returns when the broker has it all."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    topology.declare(channel)
    channel.queue_purge(topology.operations.name)
    properties = pika.BasicProperties(delivery_mode=2)
    for body in bodies:
        channel.basic_publish(EXCHANGE, topology.operations.keys[0], body, properties)
    while _waiting(channel, topology) < len(bodies):
        time.sleep(0.05)
    connection.close()


def _waiting(channel: Any, topology: Topology) -> int:
    declared = channel.queue_declare(topology.operations.name, passive=True)
    count: int = declared.method.message_count
    return count


def remove(url: str, topology: Topology) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    for name in topology.names:
        channel.queue_delete(name)
    connection.close()


# --- the two that are compared


def run_floor(url: str, topology: Topology, count: int) -> float:
    """Seconds for a pika loop that only acknowledges."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.basic_qos(prefetch_count=500)
    seen = 0

    def on_message(_channel: Any, method: Any, _properties: Any, _body: bytes) -> None:
        nonlocal seen
        seen += 1
        if seen % 100 == 0 or seen == count:
            channel.basic_ack(method.delivery_tag, multiple=True)
        if seen == count:
            channel.stop_consuming()

    started = time.perf_counter()
    channel.basic_consume(topology.operations.name, on_message)
    channel.start_consuming()
    took = time.perf_counter() - started
    connection.close()
    return took


def run_consumer(settings: Settings, sessions: SessionFactory, count: int) -> float:
    """Seconds for our consumer, from subscribing, as the floor, to the last acknowledgement."""
    consumer = Counting(settings, sessions, count)
    consumer.run()
    return consumer.took_s


class Counting(Consumer):
    """Our consumer, which stops once it has dealt with so many messages."""

    def __init__(self, settings: Settings, sessions: SessionFactory, count: int) -> None:
        super().__init__(settings, sessions)
        self._left = count
        self._started = 0.0
        self.took_s = 0.0

    def _consume(self, link: Any) -> None:
        self._started = time.perf_counter()
        super()._consume(link)

    def _settle(self, link: Any, deliveries: list[Any]) -> None:
        super()._settle(link, deliveries)
        self._left -= len(deliveries)
        if self._left <= 0:
            self.took_s = time.perf_counter() - self._started
            self.stop()


def compare(
    name: str,
    settings: Settings,
    sessions: SessionFactory,
    mix: Callable[[str, list[int]], list[bytes]],
    servers: int,
    rounds: int,
) -> float:
    url = settings.amqp_hosts[0]
    topology = Topology(settings.instance_prefix.removesuffix("-"), settings.amqp_queue_type)
    floors, ours = [], []
    for _ in range(rounds):
        ids = make_servers(sessions, topology.prefix, servers)
        heard = mix(topology.prefix, ids)
        publish(url, topology, heard)
        floors.append(len(heard) / run_floor(url, topology, len(heard)))
        publish(url, topology, heard)
        ours.append(len(heard) / run_consumer(settings, sessions, len(heard)))
        _check(sessions, servers)
    remove(url, topology)
    ratios = [mine / floor for mine, floor in zip(ours, floors, strict=True)]
    ratio = statistics.median(ratios)
    print(
        f"consumer, {name:<12} {statistics.median(ours):8,.0f} msg/s of "
        f"{statistics.median(floors):8,.0f}: {ratio:.2f} "
        f"(rounds {min(ratios):.2f} to {max(ratios):.2f})"
    )
    return ratio


def _check(sessions: SessionFactory, servers: int) -> None:
    with unit_of_work(sessions, write=False) as session:
        built = session.scalar(
            sa.select(sa.func.count())
            .select_from(Server)
            .where(Server.state == OperState.STARTED, Server.version == 2)
        )
        done = session.scalar(
            sa.select(sa.func.count())
            .select_from(Operation)
            .where(Operation.state == OperationState.SUCCESS)
        )
    if (built, done) != (servers, servers):
        raise SystemExit(f"error: {built} servers built and {done} jobs done of {servers}.")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The consumer against a loop that only acks.")
    parser.add_argument("--messages", type=int, default=32000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args(argv)
    settings = Settings(
        database_url=Secret(os.environ["CLOUDWEB_TEST_DATABASE_URL"]),
        secret_key=Secret(""),
        instance_prefix=f"b{secrets.token_hex(3)}-",
        amqp_hosts=(
            os.environ.get("CLOUDWEB_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F"),
        ),
    )
    sessions = make_database(settings.database_url)
    count, rounds = arguments.messages, arguments.rounds
    ratio = compare("jobs", settings, sessions, jobs_mix, count // len(_COURSE), rounds)
    compare("all applied", settings, sessions, applied_mix, count, rounds)
    Base.metadata.drop_all(sessions.engine)
    sessions.engine.dispose()
    if ratio < TARGET:
        print(f"consumer: below the target of {TARGET}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
