"""Peers of a handshake that say what they are told, over a real pair of sockets."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from cloudweb.backend.vncproxy.streams import Peer

T = TypeVar("T")
Side = Callable[[Peer], Awaitable[T]]


@contextlib.asynccontextmanager
async def pair() -> AsyncIterator[tuple[Peer, Peer]]:
    """Two ends of one connection."""
    one, other = socket.socketpair()
    ends = [Peer(*await asyncio.open_connection(sock=sock)) for sock in (one, other)]
    try:
        yield ends[0], ends[1]
    finally:
        await asyncio.gather(*(end.close() for end in ends))


def converse(ours: Side[T], theirs: Side[object], *, limit_s: float = 5.0) -> T:
    """What our side makes of theirs; an exception of ours is raised, theirs must not fail."""

    async def run() -> T:
        async with asyncio.timeout(limit_s), pair() as (near, far):
            other = asyncio.ensure_future(theirs(far))
            try:
                return await ours(near)
            finally:
                await near.close()
                await other

    return asyncio.run(run())


def play(main: Coroutine[Any, Any, T], *, limit_s: float = 10.0) -> T:
    """Run a whole scene, which must not hang."""

    async def run() -> T:
        async with asyncio.timeout(limit_s):
            return await main

    return asyncio.run(run())
