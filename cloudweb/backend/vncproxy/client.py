"""Asks a VNC proxy for a forwarding: snf-vncauthproxy's own, or cloudweb-vncproxy; one thread."""

import contextlib
import socket
import ssl
import time
from typing import Any
from urllib.parse import urlsplit

import orjson

_MAX_ANSWER_BYTES = 4096


class ProxyError(Exception):
    """No forwarding; the text is for the log and holds no secret."""


class ProxyAway(ProxyError):
    """The proxy does not answer, or not in time, or not in its protocol."""


class ProxyRefused(ProxyError):
    """The proxy answers that it will not."""


class ProxyClient:
    """A proxy at ``tcp://HOST:PORT``, ``tls://HOST:PORT`` or ``unix:/PATH``; for many threads.

    Over TLS ``ca_file``, or without one the system's authorities, prove it. Raises OSError for a
    file that holds no certificates.
    """

    def __init__(self, url: str, *, user: str, password: str, ca_file: str = "") -> None:
        self._parts = urlsplit(url)
        self._user = user
        self._password = password
        self._tls = None
        if self._parts.scheme == "tls":
            self._tls = ssl.create_default_context(cafile=ca_file or None)

    def forward(self, address: str, port: int, password: str, *, timeout_s: float) -> int:
        """The port at which the proxy waits for a client with this password.

        Raises ProxyAway, ProxyRefused; all of it takes no longer than ``timeout_s``.
        """
        ends = time.monotonic() + timeout_s
        asked = {
            "source_port": 0,
            "destination_address": address,
            "destination_port": port,
            "password": password,
            "auth_user": self._user,
            "auth_password": self._password,
            "type": "vnc",
        }
        try:
            with self._connect(ends) as sock:
                sock.settimeout(_left(ends))
                sock.sendall(orjson.dumps(asked))
                return _port_in(_read_answer(sock, ends))
        except (OSError, UnicodeError) as error:  # TimeoutError and ssl.SSLError are the first
            raise ProxyAway(f"{type(error).__name__}: {error}") from None

    def _connect(self, ends: float) -> socket.socket:
        if self._parts.scheme == "unix":
            sock = socket.socket(socket.AF_UNIX)
            return self._prepare(sock, self._parts.path, ends)
        failure: OSError | None = None
        host, port = self._parts.hostname, self._parts.port
        for family, kind, number, _, where in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM):
            try:
                return self._prepare(socket.socket(family, kind, number), where, ends)
            except OSError as error:
                failure = error
        raise failure or OSError("the proxy's name has no address")

    def _prepare(self, sock: socket.socket, where: Any, ends: float) -> socket.socket:
        """The socket, connected and if need be in TLS; closed when that fails."""
        with contextlib.ExitStack() as undo:
            undo.callback(sock.close)
            sock.settimeout(_left(ends))
            sock.connect(where)
            if self._tls is not None:
                sock.settimeout(_left(ends))
                sock = self._tls.wrap_socket(sock, server_hostname=self._parts.hostname)
            undo.pop_all()
        return sock


def _left(ends: float) -> float:
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


def _read_answer(sock: socket.socket, ends: float) -> Any:
    """The JSON value that the proxy sends before it ends the connection, or ends with."""
    text = b""
    while True:
        sock.settimeout(_left(ends))
        piece = sock.recv(_MAX_ANSWER_BYTES)
        text += piece
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            if not piece or len(text) > _MAX_ANSWER_BYTES:
                raise ProxyAway("the answer is not JSON") from None


def _port_in(answer: Any) -> int:
    if not isinstance(answer, dict) or "status" not in answer:
        raise ProxyAway("the answer has no status")
    if answer["status"] != "OK":
        raise ProxyRefused(str(answer.get("reason") or answer["status"])[:300])
    port = answer.get("source_port")
    if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65_536:
        raise ProxyAway("the answer has no port")
    return port
