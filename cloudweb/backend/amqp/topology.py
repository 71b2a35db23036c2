"""The exchanges and queues of the bus, and how to reach its broker."""

import dataclasses

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker

EXCHANGE = "ganeti"
DEAD_LETTERS = f"{EXCHANGE}-dl"
HEARTBEATS = "eventd.heartbeat"
"""What agents answer when they are asked whether messages come through."""

_PRECONDITION_FAILED = 406


class TopologyError(Exception):
    """Something of ours is on the broker already, and is something else; the text says what."""


@dataclasses.dataclass(frozen=True, slots=True)
class Queue:
    """A queue and what is routed to it; ``dead`` takes what cannot be applied, by the same keys."""

    name: str
    keys: tuple[str, ...]

    @property
    def dead(self) -> str:
        return f"{self.name}-dl"


@dataclasses.dataclass(frozen=True, slots=True)
class Topology:
    """What one installation has on the broker; ``prefix`` is how its instances' names begin."""

    prefix: str
    queue_type: str = "quorum"

    @property
    def operations(self) -> Queue:
        """How jobs about instances go: nearly all there is to hear."""
        return self._queue("op")

    @property
    def queues(self) -> tuple[Queue, ...]:
        """Every queue that is listened to."""
        cluster = Queue(f"{self.prefix}-events-cluster", ("ganeti.event.cluster", HEARTBEATS))
        return (self.operations, *map(self._queue, ("net", "network", "progress")), cluster)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all queues, those of the dead letters too."""
        return tuple(name for queue in self.queues for name in (queue.name, queue.dead))

    def _queue(self, kind: str) -> Queue:
        return Queue(f"{self.prefix}-events-{kind}", (f"ganeti.{self.prefix}.event.{kind}",))

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
            for queue in self.queues:
                # Where the broker itself gives up on a message, it is kept as well.
                kept = {"x-dead-letter-exchange": DEAD_LETTERS}
                for name, exchange, more in (
                    (queue.dead, DEAD_LETTERS, {}),
                    (queue.name, EXCHANGE, kept),
                ):
                    what = f"Queue {name!r}"
                    arguments = {"x-queue-type": self.queue_type} | more
                    channel.queue_declare(name, durable=True, arguments=arguments)
                    for key in queue.keys:
                        channel.queue_bind(name, exchange, key)
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
