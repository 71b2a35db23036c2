"""One connection to the broker: messages come in, acknowledgements and dead letters go out."""

import collections
import contextlib
import time

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError, ConsumerCancelled
from pika.spec import Basic

from cloudweb.backend.amqp.batch import DeadLetter, Delivery
from cloudweb.backend.amqp.topology import DEAD_LETTERS, Topology, parameters

REASON = "x-cloudweb-reason"
TRACEBACK = "x-cloudweb-traceback"

# Headers travel in one frame, which is not to be filled by what somebody else put there.
_MAX_REASON = 1000
_MAX_TRACEBACK = 8000
_MAX_FOREIGN_HEADERS = 8000

_SLICE_S = 0.5


class Link:
    """Consumes one queue over one connection; its errors come out as pika has them."""

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
            self._channel.basic_consume(topology.queue, self._on_message)
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
            Delivery(method.delivery_tag or 0, method.routing_key or "", properties, body)
        )

    def _on_cancel(self, _method: object) -> None:
        self._canceled = True

    def read(self, limit_s: float) -> None:
        """Put what comes into ``pending``; returns when something came, or after so long."""
        self._connection.process_data_events(limit_s)
        if self._canceled:
            raise ConsumerCancelled("the queue was deleted")

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

    def close(self) -> None:
        """Leave; what was not acknowledged goes to whoever comes next."""
        with contextlib.suppress(AMQPError, OSError):
            self._connection.close()
