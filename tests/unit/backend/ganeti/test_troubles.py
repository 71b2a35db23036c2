"""Why a cluster could not be asked, as it is said to whoever has to mend it."""

import http.server
import threading
from collections.abc import Iterator

import pytest

from cloudweb.backend.ganeti import errors, troubles
from cloudweb.backend.ganeti.rapi import RapiClient


class _Stranger(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    """Of a web server that is no cluster's, without TLS."""
    server = http.server.HTTPServer(("127.0.0.1", 0), _Stranger)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


def ask(url: str) -> str:
    client = RapiClient(url, "cloudweb", "x", verify=False)
    with client, pytest.raises(errors.RapiError) as refused:
        client.info()
    return troubles.why(refused.value)


def test_a_port_without_tls_is_not_called_a_certificate_that_is_not_trusted(port: int) -> None:
    said = ask(f"https://127.0.0.1:{port}")
    assert said.startswith("What answers at its address does not speak TLS")


def test_another_page_than_a_clusters_is_told_by_what_to_look_at(port: int) -> None:
    said = ask(f"http://127.0.0.1:{port}/elsewhere")
    assert said.startswith("What answers there does not know the remote API of a cluster")
    assert "is its address just https://, name and port?" in said


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (errors.TlsFailed("certificate verify failed"), "Its certificate is not one we trust"),
        (errors.TlsFailed("Fingerprints did not match"), "Its certificate is not one we trust"),
        (errors.TlsFailed("no protocols available"), "No encrypted connection came about"),
        (errors.Unauthorized("no", status=401), "It refuses our user or password"),
        (errors.Unreachable("refused", maybe_sent=False), "Nothing answers at its address"),
        (errors.Busy("The queue is full."), "The queue is full."),
    ],
)
def test_each_trouble_has_its_own_words(error: errors.RapiError, words: str) -> None:
    assert troubles.why(error).startswith(words)
