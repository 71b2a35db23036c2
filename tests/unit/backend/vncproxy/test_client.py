"""The client of the control protocol, over each kind of socket, with the proxy and without."""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cloudweb.backend.vncproxy.client import ProxyAway, ProxyClient, ProxyError, ProxyRefused
from tests.unit.backend.vncproxy.peers import play
from tests.unit.backend.vncproxy.test_proxy import PASSWORD, SECRET, Scene, scene


def certify(folder: Path, address: str) -> Path:
    """A certificate of this address with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]),
            critical=True,
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    path = folder / f"{address}.pem"
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(pem)
    )
    return path


def forward(at: Scene, client: ProxyClient, timeout_s: float = 5.0) -> int:
    return client.forward("127.0.0.1", at.node.port, PASSWORD, timeout_s=timeout_s)


def test_over_tcp_and_a_unix_socket_it_gets_a_port(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path) as at:
            tcp = f"tcp://127.0.0.1:{at.proxy.control_port}"
            for client in (
                ProxyClient(tcp, user="web", password=SECRET),
                ProxyClient(f"unix:{at.socket}", user="", password=""),
            ):
                await at.enter(await asyncio.to_thread(forward, at, client))
            stranger = ProxyClient(tcp, user="web", password="guessed")
            with pytest.raises(ProxyRefused, match="auth_user"):
                await asyncio.to_thread(forward, at, stranger)

    play(main())


def test_over_tls_it_speaks_only_to_a_proxy_that_proves_itself(tmp_path: Path) -> None:
    own, other = certify(tmp_path, "127.0.0.1"), certify(tmp_path, "127.0.0.2")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(own)

    async def main() -> None:
        async with scene(tmp_path, tls=tls) as at:
            url = f"tls://127.0.0.1:{at.proxy.control_port}"
            client = ProxyClient(url, user="web", password=SECRET, ca_file=str(own))
            await at.enter(await asyncio.to_thread(forward, at, client))
            for ca_file in ("", str(other)):
                client = ProxyClient(url, user="web", password=SECRET, ca_file=ca_file)
                with pytest.raises(ProxyAway, match="CERTIFICATE_VERIFY_FAILED"):
                    await asyncio.to_thread(forward, at, client)
            plain = ProxyClient(url.replace("tls", "tcp"), user="web", password=SECRET)
            with pytest.raises(ProxyAway):
                await asyncio.to_thread(forward, at, plain)

    play(main(), limit_s=20)


def test_a_file_that_holds_no_certificate_is_found_out_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    for name in ("empty.pem", "missing.pem"):
        with pytest.raises(OSError, match=r"No such file|certificate|CA"):
            ProxyClient("tls://127.0.0.1:1", user="", password="", ca_file=str(tmp_path / name))


@pytest.fixture
def answering() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """Makes a server that does this to its one client, and gives its URL."""
    threads: list[threading.Thread] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def make(serve: Callable[[socket.socket], None]) -> str:
        def run() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(4096)
                serve(client)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return f"tcp://127.0.0.1:{listener.getsockname()[1]}"

    yield make
    for thread in threads:
        thread.join()
    listener.close()


def ask(url: str, timeout_s: float = 0.5) -> int:
    client = ProxyClient(url, user="", password="")
    return client.forward("node", 5900, PASSWORD, timeout_s=timeout_s)


def test_an_answer_in_pieces_is_read_whole(answering: Callable[..., str]) -> None:
    def serve(client: socket.socket) -> None:
        for byte in b'{"source_port": 25001, "status": "OK"}':
            client.sendall(bytes((byte,)))

    assert ask(answering(serve), timeout_s=5) == 25_001


def test_an_answer_that_never_ends_or_dribbles_is_given_up_in_time(
    answering: Callable[..., str],
) -> None:
    def dribble(client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            for _ in range(100):
                client.sendall(b" ")
                time.sleep(0.05)

    began = time.monotonic()
    with pytest.raises(ProxyAway):
        ask(answering(dribble))
    assert time.monotonic() - began < 1.5

    def flood(client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            client.sendall(b"[" * (1 << 20))

    with pytest.raises(ProxyAway, match="not JSON"):
        ask(answering(flood), timeout_s=5)


@pytest.mark.parametrize(
    "url", ["tcp://127.0.0.1:1", "unix:/nowhere/sock", "tcp://host.invalid:1", "tcp://a..b:1"]
)
def test_a_proxy_that_is_not_there_is_away(url: str) -> None:
    with pytest.raises(ProxyError):
        ask(url)
