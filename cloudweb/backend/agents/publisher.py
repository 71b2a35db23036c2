"""Publishes messages from a thread of its own; keeps each until the broker has confirmed it."""

import logging
import queue
import random
import threading
import time
import uuid
from collections.abc import Sequence

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError

from cloudweb.backend.agents.messages import EXCHANGE, Message

log = logging.getLogger(__name__)
# While no broker can be reached, the oldest messages beyond this are let go: reconciliation mends.
MAX_WAITING = 100_000
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 30.0


class Publisher:
    """Hands messages to a broker in the order they were put; its addresses are tried at random."""

    def __init__(self, urls: Sequence[str], *, exchange: str = EXCHANGE) -> None:
        self._urls = tuple(urls)
        self._exchange = exchange
        self._waiting: queue.Queue[Message] = queue.Queue()
        self._current: Message | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, message: Message) -> None:
        """Takes a message; never waits for the broker."""
        if self._waiting.qsize() >= MAX_WAITING:
            log.error("no broker for too long: a message is lost")
            self._waiting.get()
        self._waiting.put(message)

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Publishes what is waiting, for so long, and ends; whether everything was published."""
        ends = time.monotonic() + timeout_s
        while self._unpublished() and time.monotonic() < ends and self._thread.is_alive():
            time.sleep(0.02)
        self._stopping.set()
        self._thread.join(timeout=timeout_s)
        return not self._unpublished()

    def unpublished(self) -> list[Message]:
        """What no broker has confirmed, after ``stop``, in order."""
        current = [] if self._current is None else [self._current]
        return current + list(self._waiting.queue)

    def _unpublished(self) -> bool:
        return self._current is not None or not self._waiting.empty()

    def _run(self) -> None:
        pause = FIRST_PAUSE_S
        while not self._stopping.is_set():
            try:
                with pika.BlockingConnection(shuffled(self._urls)) as connection:
                    channel = connection.channel()
                    channel.exchange_declare(self._exchange, "topic", durable=True)
                    channel.confirm_delivery()
                    pause = FIRST_PAUSE_S
                    self._publish_all(connection, channel)
            except (AMQPError, OSError) as error:
                log.warning("broker: %s; again in %.1f s", repr(error), pause)
                self._stopping.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311
                pause = min(LONGEST_PAUSE_S, pause * 2)

    def _publish_all(self, connection: pika.BlockingConnection, channel: BlockingChannel) -> None:
        """Publishes until it is to stop. A message stays current until it is confirmed."""
        while not self._stopping.is_set():
            if self._current is None:
                try:
                    self._current = self._waiting.get(timeout=0.2)
                except queue.Empty:
                    connection.process_data_events(0)
                    continue
            message = self._current
            channel.basic_publish(
                self._exchange, message.routing_key, message.body, properties_of(message)
            )
            self._current = None


def properties_of(message: Message) -> pika.BasicProperties:
    """Kept by the broker; the id is the same whenever the same is said again."""
    said = f"{message.routing_key}:{message.body.hex()}"
    return pika.BasicProperties(
        delivery_mode=2,
        content_type="application/json",
        content_encoding="utf-8",
        message_id=str(uuid.uuid5(uuid.NAMESPACE_OID, said)),
    )


def shuffled(urls: Sequence[str], timeout_s: float = 5.0) -> list[pika.URLParameters]:
    """How to connect to each of these addresses, in a random order."""
    return [_parameters(url, timeout_s) for url in random.sample(urls, len(urls))]


def _parameters(url: str, timeout_s: float) -> pika.URLParameters:
    parameters = pika.URLParameters(url)
    parameters.heartbeat = 30
    parameters.blocked_connection_timeout = 30
    parameters.socket_timeout = timeout_s
    parameters.stack_timeout = timeout_s * 2
    parameters.tcp_options = {"TCP_KEEPIDLE": 20, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 10}
    return parameters
