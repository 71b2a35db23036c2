"""The publisher, on a broker, on one that goes away, and on none."""

import json
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from cloudweb.backend.agents import publisher
from cloudweb.backend.agents.messages import EXCHANGE, Message
from cloudweb.backend.agents.publisher import Publisher
from cloudweb.backend.ganeti.operations import create_body
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.backend.ganeti.simulator import Simulator


class Listener:
    """A queue of its own that hears of instances with one prefix."""

    def __init__(self, channel: BlockingChannel, *, kind: str = "op") -> None:
        self.prefix = f"t{uuid.uuid4().hex[:12]}"
        self.key = f"ganeti.{self.prefix}.event.{kind}"
        self._channel = channel
        self._queue = channel.queue_declare("", exclusive=True).method.queue
        channel.exchange_declare(EXCHANGE, "topic", durable=True)
        channel.queue_bind(self._queue, EXCHANGE, self.key)

    def heard(self, count: int) -> list[bytes]:
        """The next different messages; fewer if they do not come."""
        bodies: list[bytes] = []
        ends = time.monotonic() + 10
        while len(bodies) < count and time.monotonic() < ends:
            method, _, body = self._channel.basic_get(self._queue, auto_ack=True)
            if method and body is not None:
                bodies += [body] if body not in bodies else []
            else:
                time.sleep(0.02)
        return bodies


class Proxy:
    """A way to the broker that can be cut; it lets in whoever comes again."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._target)
            self._pairs.append((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, sink):
                end.close()

    def cut(self) -> None:
        while self._pairs:
            for end in self._pairs.pop():
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.cut()
        self._listener.close()


@pytest.fixture
def listener(amqp_url: str) -> Iterator[Listener]:
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        yield Listener(connection.channel())


def test_messages_arrive_in_order(amqp_url: str, listener: Listener) -> None:
    mouth = Publisher([amqp_url])
    mouth.start()
    wanted = [str(number).encode() for number in range(50)]
    for body in wanted:
        mouth.put(Message(listener.key, body))
    assert mouth.stop() is True
    assert listener.heard(50) == wanted


def test_another_address_is_tried(amqp_url: str, listener: Listener) -> None:
    mouth = Publisher(["amqp://guest:guest@127.0.0.1:1/%2f", amqp_url])
    mouth.start()
    mouth.put(Message(listener.key, b"x"))
    assert mouth.stop() is True
    assert listener.heard(1) == [b"x"]


def test_nothing_is_lost_when_the_connection_breaks(amqp_url: str, listener: Listener) -> None:
    parameters = pika.URLParameters(amqp_url)
    proxy = Proxy(parameters.host, parameters.port)
    parts = amqp_url.rpartition("@")
    tail = parts[2].partition("/")[2]
    mouth = Publisher([f"{parts[0]}@127.0.0.1:{proxy.port}/{tail}"])
    mouth.start()
    wanted = [str(number).encode() for number in range(60)]
    for number, body in enumerate(wanted):
        mouth.put(Message(listener.key, body))
        if number % 20 == 10:
            proxy.cut()
            time.sleep(0.05)
    assert mouth.stop(timeout_s=15) is True
    proxy.close()
    # A message whose confirmation was lost comes twice: never not at all, never before another.
    assert listener.heard(60) == wanted


def test_a_simulated_cluster_says_how_its_jobs_go(amqp_url: str, listener: Listener) -> None:
    name = f"{listener.prefix}-1"
    body = create_body(
        name=name,
        vcpus=1,
        ram_mb=128,
        disk_gb=1,
        disk_template="file",
        os="noop+default",
        osparams={},
        nics=[],
    )
    simulator = Simulator(["alpha"], port=0, time_factor=0.02, amqp_url=amqp_url)
    with simulator, RapiClient(simulator.url("alpha"), "cloudweb", "cloudweb") as client:
        client.create_instance(body, "x")
        said = [json.loads(body) for body in listener.heard(4)]
    assert [message["status"] for message in said] == ["queued", "waiting", "running", "success"]
    assert {message["instance"] for message in said} == {name}
    assert {message["cluster"] for message in said} == {"alpha.ganeti.test"}
    times = [message["event_time"] for message in said]
    assert times == sorted(times)


def test_putting_never_waits_and_stopping_says_what_is_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    mouth = Publisher([f"amqp://guest:guest@127.0.0.1:{port}/%2f"])
    mouth.start()
    began = time.monotonic()
    mouth.put(Message("ganeti.snf.event.op", b"{}"))
    assert time.monotonic() - began < 0.1
    assert mouth.stop(timeout_s=0.3) is False


def test_without_a_broker_the_oldest_messages_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "MAX_WAITING", 2)
    mouth = Publisher(["amqp://127.0.0.1:1"])
    for number in range(3):
        mouth.put(Message("k", str(number).encode()))
    assert [mouth._waiting.get().body for _ in range(2)] == [b"1", b"2"]
