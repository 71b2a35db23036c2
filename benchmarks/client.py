"""A load client, in a process of its own: keeps connections and says how long each answer took.

It reads what to do as JSON from its input and writes what it saw as JSON. It speaks HTTP over bare
sockets: http.client takes about as long for an answer as the server does.
"""

import dataclasses
import json
import socket
import sys
import threading
import time


@dataclasses.dataclass
class Load:
    """What to ask, how many at a time, for how long; ``pace_s`` between the starts of requests."""

    port: int
    request: str
    clients: int
    seconds: float
    pace_s: float = 0.0


class Connection:
    """One connection, kept for as long as the server keeps it: waitress ends it after a 304."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._buffer = memoryview(bytearray(4 << 20))

    def _connect(self) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self._port), timeout=60)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def ask(self, request: bytes) -> int:
        """The status of the answer, once all of it is here."""
        if self._socket is None:
            self._socket = self._connect()
        self._socket.sendall(request)
        got, head_end = 0, -1
        while head_end < 0:
            got += self._receive(got)
            head_end = bytes(self._buffer[: min(got, 4096)]).find(b"\r\n\r\n")
        head = bytes(self._buffer[:head_end]).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        while got < head_end + 4 + length:
            got += self._receive(got)
        if b"\r\nconnection: close" in head:
            self._socket.close()
            self._socket = None
        return int(head[9:12])

    def _receive(self, at: int) -> int:
        assert self._socket is not None
        count = self._socket.recv_into(self._buffer[at:])
        if not count:
            raise ConnectionError("The server closed the connection.")
        return count


def run_client(load: Load, took_ms: list[float], failed: list[int]) -> None:
    connection, request = Connection(load.port), load.request.encode()
    connection.ask(request)
    start = time.perf_counter()
    asked = start
    while asked - start < load.seconds:
        status = connection.ask(request)
        now = time.perf_counter()
        took_ms.append((now - asked) * 1000)
        if status >= 400:
            failed.append(status)
        if load.pace_s:
            time.sleep(max(0.0, asked + load.pace_s - now))
        asked = time.perf_counter()


def main() -> int:
    load = Load(**json.load(sys.stdin))
    took_ms: list[float] = []
    failed: list[int] = []
    threads = [
        threading.Thread(target=run_client, args=(load, took_ms, failed))
        for _ in range(load.clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    json.dump({"took_ms": took_ms, "failed": failed}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
