"""What a client makes of a cluster that fails, and whether it may have been heard."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from cloudweb.backend.ganeti import rapi
from cloudweb.backend.ganeti.errors import (
    Busy,
    NotFound,
    RapiError,
    ServerError,
    TlsFailed,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
)
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.backend.ganeti.simulator import Simulator
from cloudweb.backend.ganeti.simulator.cluster import Cluster
from tests.ports import free_port


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(["alpha", "beta"], port=0, time_factor=0.01) as simulator:
        yield simulator


@pytest.fixture
def alpha(simulator: Simulator) -> Cluster:
    return simulator.clusters["alpha"]


@pytest.fixture
def client(simulator: Simulator) -> Iterator[RapiClient]:
    how: dict[str, Any] = {"connect_timeout_s": 1, "read_timeout_s": 0.5}
    with RapiClient(simulator.url("alpha"), "cloudweb", "cloudweb", **how) as client:
        yield client


class Answerer:
    """A server that says the same bytes to everybody, then closes; b"" just closes."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(self._answer)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def answered(request: pytest.FixtureRequest) -> Iterator[RapiClient]:
    """A client of a server that gives the answer in the test's parameter."""
    answerer = Answerer(request.param)
    with RapiClient(f"http://127.0.0.1:{answerer.port}", "u", "secret") as client:
        yield client
    answerer.close()


def http(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


def failure(client: RapiClient) -> RapiError:
    with pytest.raises(RapiError) as refusal:
        client.delete_instance("snf-1", "why")
    assert "secret" not in str(refusal.value)
    return refusal.value


def test_a_refused_connection_was_surely_not_heard() -> None:
    with RapiClient(f"https://127.0.0.1:{free_port()}", "u", "secret") as client:
        error = failure(client)
    assert type(error) is Unreachable
    assert not error.maybe_sent
    assert "Connection refused" in error.message


def test_an_unknown_host_was_surely_not_heard() -> None:
    with RapiClient("https://nonesuch.invalid:5080", "u", "secret") as client:
        error = failure(client)
    assert type(error) is Unreachable
    assert not error.maybe_sent


def test_a_slow_answer_may_have_been_heard(client: RapiClient, alpha: Cluster) -> None:
    alpha.faults.delay_after_accept_s = 1.0
    error = failure(client)
    assert type(error) is Unreachable
    assert error.maybe_sent
    assert client.find_job("why")


def test_a_lost_answer_may_have_been_heard(client: RapiClient, alpha: Cluster) -> None:
    alpha.faults.drop_after_accept = 1
    assert failure(client).maybe_sent
    found = client.find_job("why")
    assert found
    assert found.ops[0].opcode == "OP_INSTANCE_REMOVE"
    assert client.delete_instance("snf-1", "again") == found.id + 1


def test_a_cut_connection_may_have_been_heard_though_it_was_not(
    client: RapiClient, alpha: Cluster
) -> None:
    alpha.faults.refuse = "close"
    assert failure(client).maybe_sent
    alpha.faults.clear()
    assert client.find_job("why") is None


def test_a_hanging_cluster_is_given_up_on(client: RapiClient, alpha: Cluster) -> None:
    alpha.faults.hang_s = 1.0
    began = time.monotonic()
    assert isinstance(failure(client), Unreachable)
    assert time.monotonic() - began < 0.9


def test_one_clusters_faults_are_not_anothers(simulator: Simulator, alpha: Cluster) -> None:
    alpha.faults.refuse = "503"
    with RapiClient(simulator.url("beta"), "cloudweb", "cloudweb") as client:
        assert client.version() == 2


def test_a_closed_queue_is_busy(client: RapiClient, alpha: Cluster) -> None:
    alpha.faults.queue_drained = True
    error = failure(client)
    assert (type(error), error.status, error.message) == (Busy, 500, "Queue drained")
    assert not error.maybe_sent


def test_a_503_is_busy(client: RapiClient, alpha: Cluster) -> None:
    alpha.faults.refuse = "503"
    error = failure(client)
    assert (type(error), error.status, error.maybe_sent) == (Busy, 503, False)


def test_wrong_credentials_are_unauthorized(client: RapiClient, alpha: Cluster) -> None:
    alpha.faults.unauthorized = True
    assert type(failure(client)) is Unauthorized


@pytest.mark.parametrize(
    ("answered", "kind", "maybe_sent"),
    [
        (http("502 Bad Gateway", b"<html>"), Busy, True),
        (http("504 Gateway Timeout", b""), Busy, True),
        (http("429 Too Many Requests", b""), Busy, False),
        (http("500 Internal Server Error", b'{"message": "a &lt;b&gt;"}'), ServerError, True),
        (http("302 Found", b""), ServerError, True),
        (http("404 Not Found", b"[]"), NotFound, False),
        (http("200 OK", b"<html>"), UnexpectedAnswer, True),
        (http("200 OK", b'{"a": 1}'), UnexpectedAnswer, True),
        (http("200 OK", b"true"), UnexpectedAnswer, True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n1", Unreachable, True),
        (b"nonsense\r\n\r\n", Unreachable, True),
        (b"", Unreachable, True),
    ],
    indirect=["answered"],
)
def test_every_odd_answer_has_its_class(
    answered: RapiClient, kind: type[RapiError], maybe_sent: bool
) -> None:
    error = failure(answered)
    assert type(error) is kind
    assert error.maybe_sent is maybe_sent


@pytest.mark.parametrize(
    "answered", [http("500 Internal Server Error", b'{"message": "a &lt;b&gt;"}')], indirect=True
)
def test_ganetis_text_is_unescaped(answered: RapiClient) -> None:
    assert failure(answered).message == "a <b>"


@pytest.mark.parametrize("answered", [http("200 OK", b"[" + b"0," * 5000 + b"0]")], indirect=True)
def test_an_answer_that_is_too_large_is_refused(
    answered: RapiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rapi, "MAX_ANSWER_BYTES", 1000)
    with pytest.raises(UnexpectedAnswer, match="too large"):
        answered.jobs_bulk()


def test_tls_to_something_else_was_surely_not_heard() -> None:
    answerer = Answerer(http("200 OK", b"1"))
    with RapiClient(f"https://127.0.0.1:{answerer.port}", "u", "secret") as client:
        error = failure(client)
    answerer.close()
    assert type(error) is TlsFailed
    assert not error.maybe_sent


def test_a_tls_connection_that_breaks_after_the_request_may_have_been_heard() -> None:
    with Simulator(["alpha"], port=0, tls=True) as simulator:
        simulator.clusters["alpha"].faults.refuse = "close"
        assert simulator.certificate
        fingerprint = rapi.transport.fingerprint_of(simulator.certificate)
        url = simulator.url("alpha")
        with RapiClient(url, "u", "secret", fingerprint=fingerprint) as client:
            error = failure(client)
    assert isinstance(error, Unreachable)
    assert not isinstance(error, TlsFailed)
    assert error.maybe_sent


def test_the_environment_changes_nothing(
    client: RapiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", ssl.get_default_verify_paths().openssl_cafile + "x")
    assert client.version() == 2
