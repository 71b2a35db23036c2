"""Two ends of a connection, and bytes that go between two of them."""

import asyncio
import contextlib
import dataclasses
import socket

_PIECE_BYTES = 64 * 1024
_CLOSE_S = 5.0
# A peer that is gone without a word is noticed in two minutes, one that stopped reading in five.
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))
_UNREAD_MS = 300_000


@dataclasses.dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def address(self) -> str:
        """The peer's address, for the log."""
        name = self.writer.get_extra_info("peername")
        return str(name[0]) if isinstance(name, tuple) else "local"

    def keep_alive(self) -> None:
        """Have the kernel find out when the peer is gone."""
        sock = self.writer.get_extra_info("socket")
        if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
            return
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MS)

    async def close(self) -> None:
        """Send what was written and end; a peer that does not take it is cut off."""
        self.writer.close()
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self.writer.wait_closed()
        except OSError:  # TimeoutError is one
            self.writer.transport.abort()
        except asyncio.CancelledError:
            self.writer.transport.abort()
            raise


async def join(one: Peer, other: Peer) -> tuple[int, int]:
    """Carry bytes both ways until one side ends; how many came from each.

    Whoever reads slowly slows down whoever writes: little is held here.
    """
    counts = [0, 0]

    async def carry(source: Peer, sink: Peer, index: int) -> None:
        with contextlib.suppress(OSError):
            while piece := await source.reader.read(_PIECE_BYTES):
                sink.writer.write(piece)
                await sink.writer.drain()
                counts[index] += len(piece)

    ways = [asyncio.create_task(carry(one, other, 0)), asyncio.create_task(carry(other, one, 1))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
    return counts[0], counts[1]
