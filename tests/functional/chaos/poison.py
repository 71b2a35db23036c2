"""Messages that can never be applied, each with words of its own to be known again by."""

import json
import random
import threading
import time
import uuid
from collections.abc import Callable

import pika
from pika.exceptions import AMQPError

from cloudweb.backend.amqp.topology import EXCHANGE, Topology
from cloudweb.domain import states
from tests.functional.chaos.stack import PREFIX, Stack

Body = Callable[[str], bytes]


def _status(cluster: str, **changes: object) -> Body:
    """An agent's message with something wrong in it."""

    def make(mark: str) -> bytes:
        said: dict[str, object] = {
            "type": "ganeti-op-status",
            "event_time": [int(time.time()), 0],
            "instance": f"{PREFIX}-1",
            "operation": states.SHUTDOWN,
            "status": "success",
            "cluster": cluster,
            "logmsg": mark,
            "jobId": 1,
        }
        said |= changes
        return json.dumps({k: v for k, v in said.items() if v != "missing"}).encode()

    return make


def deadly(cluster: str) -> tuple[Body, ...]:
    """What can never be applied, as if an agent of this cluster had said it."""
    return (
        lambda mark: f"not JSON at all {mark}".encode(),
        lambda mark: json.dumps([mark]).encode(),
        lambda mark: mark.encode() + b"\xff\xfe",
        lambda mark: mark.encode() * 40_000,
        _status(cluster, type="ganeti-unheard-of"),
        _status(cluster, instance="missing"),
        _status(cluster, event_time=None),
        _status(cluster, event_time=[int(time.time()) + 10**7, 0]),
        _status(cluster, status="exploded"),
        _status(cluster, jobId="many"),
    )


def harmless(cluster: str, other: str) -> tuple[Body, ...]:
    """What is not ours, or old: it is passed over."""
    return (
        _status(other, instance="other-1"),
        _status(cluster, instance=f"{PREFIX}-999999"),
        _status("nobody.ganeti.test"),
        _status(cluster, operation="OP_INSTANCE_UNHEARD_OF"),
    )


class Poisoner:
    """Sends them to whichever node of the broker takes them."""

    def __init__(self, stack: Stack, seed: str) -> None:
        self.sent: list[bytes] = []
        """What the broker has confirmed."""
        self.doubtful: list[bytes] = []
        """What it may have or not."""
        self.harmless = 0
        self._stack, self._random = stack, random.Random(seed)
        self._lock = threading.Lock()
        names = [stack.clusters.full_name(name) for name in stack.clusters.names]
        self._deadly, self._harmless = deadly(names[0]), harmless(*names)

    def send(self, count: int) -> None:
        """Send as many deadly ones, with harmless ones between."""
        for _ in range(count):
            with self._lock:
                is_deadly = self._random.random() < 0.7
                make = self._random.choice(self._deadly if is_deadly else self._harmless)
                self._send_one(make, deadly=is_deadly)

    def _send_one(self, make: Body, *, deadly: bool) -> None:
        for url in self._stack.broker.urls * 10:
            mark = uuid.UUID(int=self._random.getrandbits(128)).hex
            body = make(mark)
            try:
                with pika.BlockingConnection(pika.URLParameters(url)) as connection:
                    channel = connection.channel()
                    Topology(PREFIX).declare(channel)
                    channel.confirm_delivery()
                    if deadly:
                        self.doubtful.append(body)
                    channel.basic_publish(
                        EXCHANGE,
                        f"ganeti.{PREFIX}.event.op",
                        body,
                        pika.BasicProperties(delivery_mode=2, message_id=mark),
                        mandatory=True,
                    )
                    if deadly:
                        self.sent.append(self.doubtful.pop())
                    self.harmless += not deadly
                    return
            except (AMQPError, OSError):
                time.sleep(0.3)
