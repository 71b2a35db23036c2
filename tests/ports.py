"""Ports of the loopback address for servers that tests start."""

import itertools
import os
import random
import socket

# Below what the kernel gives to outgoing connections (Linux: 32768 and above): a server that is
# stopped and started again finds its port as it left it.
_PORTS = range(12_000, 32_000)
_numbers = itertools.count(random.Random(os.getpid()).randrange(len(_PORTS)))


def free_port() -> int:
    """A port that nobody listens on, and that this process has not been given lately."""
    return free_ports(1)[0]


def free_ports(count: int) -> range:
    """As many ports in a row."""
    while True:
        first = _PORTS[next(_numbers) % (len(_PORTS) - count)]
        ports = range(first, first + count)
        for _ in ports[1:]:
            next(_numbers)
        if all(map(_is_free, ports)):
            return ports


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
