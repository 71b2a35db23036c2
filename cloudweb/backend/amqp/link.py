"""One connection to the broker: messages come in, acknowledgements and dead letters go out."""

import collections
import contextlib
import time
import uuid
from collections.abc import Iterable, Mapping

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError, ConsumerCancelled
from pika.spec import Basic

from cloudweb.backend.amqp.batch import DeadLetter, Delivery
from cloudweb.backend.amqp.topology import DEAD_LETTERS, Topology, parameters
from cloudweb.domain.dead_letters import GIVEN_UP, Letter

REASON = "x-cloudweb-reason"
KIND = "x-cloudweb-kind"
TRACEBACK = "x-cloudweb-traceback"
LETTER = "x-cloudweb-letter"
"""Tells apart two letters with the same words from one that comes twice."""

# Headers travel in one frame, which is not to be filled by what somebody else put there.
_MAX_REASON = 1000
_MAX_TRACEBACK = 8000
_MAX_FOREIGN_HEADERS = 8000

_SLICE_S = 0.5


class Link:
    """Consumes our queues over one connection; its errors come out as pika has them."""

    def __init__(self, url: str, topology: Topology, *, prefetch: int) -> None:
        """Connect, declare and subscribe. Raises AMQPError, OSError, TopologyError."""
        self.pending: collections.deque[Delivery] = collections.deque()
        self._canceled = False
        self._connection = pika.BlockingConnection(parameters(url))
        try:
            self._channel = self._connection.channel()
            topology.declare(self._channel)
            self._confirmed = self._connection.channel()
            self._confirmed.confirm_delivery()
            self._channel.basic_qos(prefetch_count=prefetch)
            self._channel.add_on_cancel_callback(self._on_cancel)
            for name in topology.names:
                self._channel.basic_consume(name, self._on_message, consumer_tag=name)
        except BaseException:
            self.close()
            raise

    def _on_message(
        self,
        _channel: BlockingChannel,
        method: Basic.Deliver,
        properties: pika.BasicProperties,
        body: bytes,
    ) -> None:
        self.pending.append(
            Delivery(
                method.delivery_tag or 0,
                method.consumer_tag or "",
                method.routing_key or "",
                properties,
                body,
                bool(method.redelivered),
            )
        )

    def _on_cancel(self, _method: object) -> None:
        self._canceled = True

    def read(self, limit_s: float) -> None:
        """Put what comes into ``pending``; returns when something came, or after so long."""
        self._connection.process_data_events(limit_s)
        if self._canceled:
            raise ConsumerCancelled("a queue was deleted")

    def wake(self) -> None:
        """Have ``read`` return soon; from any thread."""
        with contextlib.suppress(AMQPError):  # it has ended by itself
            self._connection.add_callback_threadsafe(lambda: None)

    def wait(self, seconds: float) -> None:
        """Let time pass, keeping the connection alive; returns early only by raising."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            self.read(min(left, _SLICE_S))

    def acknowledge(self, tag: int) -> None:
        """Say that every message up to this one is dealt with."""
        self._channel.basic_ack(tag, multiple=True)

    def bury(self, letter: DeadLetter) -> None:
        """Put a message to the dead letters; when this returns the broker has it safe."""
        given = letter.delivery.properties
        headers = dict(given.headers or {})
        if len(repr(headers)) > _MAX_FOREIGN_HEADERS:
            headers = {}
        headers[REASON] = letter.reason[:_MAX_REASON]
        headers[KIND] = letter.kind
        headers[LETTER] = _letter_name(letter.delivery)
        if letter.traceback:
            headers[TRACEBACK] = letter.traceback[-_MAX_TRACEBACK:]
        properties = pika.BasicProperties(
            content_type=given.content_type,
            message_id=given.message_id,
            timestamp=given.timestamp,
            headers=headers,
            delivery_mode=2,
        )
        self._confirmed.basic_publish(
            DEAD_LETTERS,
            letter.delivery.routing_key,
            letter.delivery.body,
            properties,
            mandatory=True,
        )

    def count(self, names: Iterable[str]) -> dict[str, tuple[int, int]]:
        """How many messages wait in each queue, and how many consumers it has."""
        counts = {}
        for name in names:
            declared = self._channel.queue_declare(name, passive=True).method
            counts[name] = (declared.message_count, declared.consumer_count)
        return counts

    def close(self) -> None:
        """Leave; what was not acknowledged goes to whoever comes next."""
        with contextlib.suppress(AMQPError, OSError):
            self._connection.close()


def _letter_name(delivery: Delivery) -> str:
    """What a dead letter is called: the same when a message that tells its id comes again.

    It does where a consumer died before it had acknowledged, or an agent says everything anew.
    """
    given = delivery.properties.message_id
    if not given:
        return str(uuid.uuid4())
    said = f"{delivery.routing_key}:{given}:{delivery.body.hex()}"
    return str(uuid.uuid5(uuid.NAMESPACE_OID, said))


def letter_of(delivery: Delivery) -> Letter:
    """A delivery from the dead letters, to be kept."""
    headers = delivery.properties.headers or {}
    name = str(headers.get(LETTER, ""))
    if len(name) != 36:
        # The broker gave up on it by itself: the same bytes by the same way are the same letter.
        name = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{delivery.routing_key}:{delivery.body.hex()}"))
    return Letter(
        name,
        delivery.queue.removesuffix("-dl"),
        delivery.routing_key,
        delivery.body,
        str(headers.get(REASON, "")) or f"The broker gave it up: {_why(headers)}.",
        str(headers.get(TRACEBACK, "")),
        str(headers.get(KIND, "")) if REASON in headers else GIVEN_UP,
    )


def _why(headers: Mapping[str, object]) -> str:
    return str(headers.get("x-first-death-reason") or "it does not say why")
