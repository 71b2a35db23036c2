"""The exchanges and queues of the bus, and how to reach its broker."""

import dataclasses

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker

EXCHANGE = "ganeti"
DEAD_LETTERS = f"{EXCHANGE}-dl"

_PRECONDITION_FAILED = 406


class TopologyError(Exception):
    """Something of ours is on the broker already, and is something else; the text says what."""


@dataclasses.dataclass(frozen=True, slots=True)
class Topology:
    """What one installation has on the broker; ``prefix`` is how its instances' names begin."""

    prefix: str
    queue_type: str = "quorum"

    @property
    def routing_key(self) -> str:
        return f"ganeti.{self.prefix}.event.op"

    @property
    def queue(self) -> str:
        return f"{self.prefix}-events-op"

    @property
    def dead_queue(self) -> str:
        return f"{self.queue}-dl"

    def declare(self, channel: BlockingChannel) -> None:
        """Make what is not there yet.

        Raises:
            TopologyError: an exchange or queue of that name has other arguments.
        """
        what = ""
        try:
            for exchange in (EXCHANGE, DEAD_LETTERS):
                what = f"Exchange {exchange!r}"
                channel.exchange_declare(exchange, "topic", durable=True)
            for queue, exchange in ((self.dead_queue, DEAD_LETTERS), (self.queue, EXCHANGE)):
                what = f"Queue {queue!r}"
                arguments = {"x-queue-type": self.queue_type}
                if queue == self.queue:
                    # Where the broker itself gives up on a message, it is kept as well.
                    arguments["x-dead-letter-exchange"] = DEAD_LETTERS
                channel.queue_declare(queue, durable=True, arguments=arguments)
                channel.queue_bind(queue, exchange, self.routing_key)
        except ChannelClosedByBroker as error:
            if error.reply_code != _PRECONDITION_FAILED:
                raise
            raise TopologyError(
                f"{what} is on the broker already and is not as cloudweb declares it; drain and "
                "delete it, or set cloudweb.amqp_queue_type to what it is. "
                f"The broker says: {error.reply_text}"
            ) from None


def parameters(url: str) -> pika.URLParameters:
    """How to connect to a node of the broker: soon or not at all, and noticing when it is gone."""
    made = pika.URLParameters(url)
    if made.heartbeat is None:
        made.heartbeat = 60
    made.socket_timeout = 5
    made.stack_timeout = 10
    made.connection_attempts = 1
    made.blocked_connection_timeout = 60
    made.client_properties = {"connection_name": "cloudweb-consumer"}
    return made
