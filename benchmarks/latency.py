"""From the end of a Ganeti job to the API that shows it: by agents, broker and consumer."""

import json
import os
import random
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pika

from benchmarks import processes
from benchmarks.creates import order
from benchmarks.measures import Line, counted, percentile
from benchmarks.world import World
from cloudweb.backend.amqp.topology import Topology
from cloudweb.backend.ganeti.simulator.server import Simulator
from cloudweb.models import Backend, EventSource, unit_of_work
from tests.ports import free_port

GOAL_MS = 250.0
_LOOK_EVERY_S = 0.003
_GIVE_UP_S = 30.0
_WAIT_S = (0.2, 0.5)
_COURSE = (("shutdown", "STOPPED"), ("start", "ACTIVE"))


def latency(place: Path, world: World, count: int) -> list[Line]:
    """So many jobs of one server, each ended with nothing else to do; the median has a goal.

    Web, worker and consumer are processes; a simulated cluster publishes as cloudweb-eventd does.
    The worker asks about jobs no more often than where there are agents.
    """
    url = os.environ.get("CLOUDWEB_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
    prefix = f"b{secrets.token_hex(3)}"
    topology = Topology(prefix)
    with (
        _Broker(url, topology),
        Simulator(["alpha"], port=0, amqp_url=url, time_factor=0.05) as ganeti,
    ):
        _join(world, ganeti)
        port = free_port()
        ini = processes.cloudweb_ini(
            place, world, port, instance_prefix=f"{prefix}-", amqp_hosts=url
        )
        with (
            processes.web(place, ini, port) as web,
            processes.process(place, "-m", "cloudweb.backend.worker", str(ini)),
            processes.process(place, "-m", "cloudweb.backend.amqp.consumer", str(ini)),
        ):
            took_ms = _measure(_Client(web, world), ganeti, count)
    return [
        counted("end of a job to the API, AMQP, median", percentile(took_ms, 0.5), "ms", GOAL_MS),
        counted("end of a job to the API, AMQP, p95", percentile(took_ms, 0.95), "ms"),
    ]


class _Broker:
    """The queues of this run: there before the first message, and gone after the last."""

    def __init__(self, url: str, topology: Topology) -> None:
        self._url, self._topology = url, topology

    def __enter__(self) -> None:
        self._do(self._topology.declare)

    def __exit__(self, *_error: object) -> None:
        self._do(lambda channel: [channel.queue_delete(name) for name in self._topology.names])

    def _do(self, what: Callable[[Any], object]) -> None:
        connection = pika.BlockingConnection(pika.URLParameters(self._url))
        what(connection.channel())
        connection.close()


def _join(world: World, ganeti: Simulator) -> None:
    with unit_of_work(world.sessions) as session:
        first, second = (session.get_one(Backend, each.id) for each in world.backends)
        first.url, first.name = ganeti.url("alpha"), ganeti.clusters["alpha"].spec.full_name
        first.event_source = EventSource.AGENTS
        second.offline = True


class _Client:
    """A user's client of the API."""

    def __init__(self, web: processes.Web, world: World) -> None:
        self._web, self._world = web, world

    def create(self) -> int:
        body = self._ask("POST", "/api/v1.1/servers", order(self._world))
        server_id: int = body["server"]["id"]
        return server_id

    def act(self, server_id: int, verb: str) -> None:
        self._ask("POST", f"/api/v1.1/servers/{server_id}/action", {verb: {}})

    def shows(self, server_id: int, status: str) -> float:
        """When the API first showed the server in this status, in s since 1970."""
        ends = time.time() + _GIVE_UP_S
        while time.time() < ends:
            shown = self._ask("GET", f"/api/v1.1/servers/{server_id}")["server"]["status"]
            if shown == status:
                return time.time()
            time.sleep(_LOOK_EVERY_S)
        raise RuntimeError(f"Server {server_id} is {shown}, and not {status}.")

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"X-Auth-Token": self._world.newcomer.token, "Accept": "application/json"}
        answer = self._web.ask(method, path, headers, body)
        return json.loads(answer) if answer else None


def _measure(client: _Client, ganeti: Simulator, count: int) -> list[float]:
    server_id = client.create()
    client.shows(server_id, "ACTIVE")
    took_ms = []
    for number in range(count):
        time.sleep(random.uniform(*_WAIT_S))  # in step with nobody's clock
        verb, status = _COURSE[number % 2]
        client.act(server_id, verb)
        seen = client.shows(server_id, status)
        ended = max(job.ended or 0.0 for job in ganeti.clusters["alpha"].state.jobs.values())
        took_ms.append((seen - ended) * 1000)
    return took_ms
