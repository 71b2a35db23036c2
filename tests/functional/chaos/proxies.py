"""TCP proxies between the processes of a cloud and what they need.

Ways are cut, slowed or held at will, or lose the answers. What goes by is never opened.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Self

from tests.ports import free_port

CHUNK = 65_536
TLS_APPLICATION = 23
TLS_RECORDS = range(20, TLS_APPLICATION + 1)
TLS_FINISHED_BYTES = 100


class Proxy:
    """One way to one server; ``port`` is where it is entered."""

    def __init__(self, proxies: "Proxies", name: str, target: int) -> None:
        self.name, self.target, self.port = name, target, free_port()
        self._proxies = proxies
        self._delay_s = 0.0
        self._open = True
        self._losing = False
        self._flowing = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._lost: set[asyncio.StreamWriter] = set()
        """Those who wait for what was lost."""

    def cut(self) -> None:
        """End every connection, and take none, until healed."""
        self._proxies.call(self._cut)

    def slow(self, seconds: float) -> None:
        """Let everything take so much longer, each way."""
        self._proxies.call(lambda: setattr(self, "_delay_s", seconds))

    def hold(self) -> None:
        """Let nothing through, and end nothing, until healed."""
        self._proxies.call(self._flowing.clear)

    def lose(self) -> None:
        """Let through whatever is asked, and none of the answers, until healed."""
        self._proxies.call(lambda: setattr(self, "_losing", True))

    def heal(self) -> None:
        """Be as if there were no proxy."""
        self._proxies.call(self._heal)

    def _heal(self) -> None:
        self._open, self._losing, self._delay_s = True, False, 0.0
        self._flowing.set()
        for writer in self._lost:
            writer.transport.abort()

    def _cut(self) -> None:
        self._open = False
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self) -> asyncio.Server:
        self._flowing.set()
        return await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._open:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        asked = False

        def ask(data: bytes) -> bool:
            nonlocal asked
            asked = asked or _is_asking(data)
            return True

        def answer(_data: bytes) -> bool:
            return not (asked and self._losing)

        try:
            await asyncio.gather(self._pump(reader, back, ask), self._pump(there, writer, answer))
        finally:
            self._writers -= {writer, back}
            self._lost.discard(writer)

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        arrives: Callable[[bytes], bool],
    ) -> None:
        try:
            while data := await reader.read(CHUNK):
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                await self._flowing.wait()
                if not arrives(data) or writer in self._lost:
                    self._lost.add(writer)
                    continue
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            gone = not self._open or writer in self._lost
            writer.transport.abort() if gone else writer.close()


def _is_asking(data: bytes) -> bool:
    """Whether these bytes of a client are more than what TLS has to say before anything is asked.

    A record of the kind that carries what is asked is that, unless it is as short as the end of
    a handshake.
    """
    if data[0] not in TLS_RECORDS:
        return True
    at = 0
    while at + 5 <= len(data):
        size = int.from_bytes(data[at + 3 : at + 5])
        if data[at] == TLS_APPLICATION and size > TLS_FINISHED_BYTES:
            return True
        at += 5 + size
    return False


class Proxies:
    """All of them, in a thread of their own, for as long as the block."""

    def __init__(self) -> None:
        self.all: dict[str, Proxy] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._servers: list[asyncio.Server] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def open(self, name: str, target: int) -> Proxy:
        """A new way to a port of this machine."""
        proxy = Proxy(self, name, target)
        self._servers.append(self._run(proxy.serve()))
        self.all[name] = proxy
        return proxy

    def call(self, act: Callable[[], object]) -> None:
        """Do something in the thread of the proxies."""
        self._loop.call_soon_threadsafe(act)

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=10)

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        me = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not me]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
