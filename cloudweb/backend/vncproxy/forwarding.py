"""One forwarding: a port that waits for a client who knows the password, and goes to a node."""

import asyncio
import dataclasses
from typing import Any

from cloudweb.backend.vncproxy import rfb
from cloudweb.backend.vncproxy.streams import Peer, join

# Strangers may knock at the port: none of them keeps out who knows the password for long.
_MEETINGS_AT_ONCE = 8
_MAX_MEETINGS = 100


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """How long and how often."""

    wait_s: float = 30.0
    """For a client to connect."""
    admit_s: float = 60.0
    """For a client to say the password: a person may be typing it."""
    node_s: float = 3.0
    """For the node to accept the connection and let us in."""
    wrong_passwords: int = 3


class Forwarding:
    """Takes one client to the node, once."""

    def __init__(self, node: Peer, password: str, limits: Limits) -> None:
        self._node = node
        self._password = password
        self._limits = limits
        self._wrong = 0
        self._met = 0
        self._over = False
        self._meetings: set[asyncio.Task[None]] = set()
        self._client: asyncio.Future[Peer | None] = asyncio.get_running_loop().create_future()
        self.outcome = "stopped"
        """How it went, in two words for the log."""
        self.facts: dict[str, Any] = {}

    def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Somebody connected to the port."""
        self._met += 1
        busy = len(self._meetings) >= _MEETINGS_AT_ONCE or self._met > _MAX_MEETINGS
        if busy or self._over or self._client.done():
            writer.transport.abort()
            return
        task = asyncio.create_task(self._meet(Peer(reader, writer)))
        self._meetings.add(task)
        task.add_done_callback(self._parted)

    async def run(self, listener: asyncio.Server) -> None:
        """Wait for the client and carry its bytes; everything is closed when this returns."""
        try:
            client = await self._await_client(listener)
            self._part()
            if client is not None:
                await self._carry(client)
        finally:
            listener.close()
            self._client.cancel()  # if there is none, nobody is to become it any more
            client = None if self._client.cancelled() else self._client.result()
            self._part()
            ends = [peer.close() for peer in (client, self._node) if peer is not None]
            await asyncio.gather(*ends, *self._meetings, return_exceptions=True)

    async def _await_client(self, listener: asyncio.Server) -> Peer | None:
        """Who knows the password; None when nobody came who did."""
        await asyncio.wait([self._client], timeout=self._limits.wait_s)
        self._over = True
        listener.close()
        if not self._meetings:
            self._settle(None, "never used")
        # Who connected in time may still say the password.
        return await self._client

    async def _carry(self, client: Peer) -> None:
        self.facts["client"] = client.address
        self.outcome = "stopped"
        client.keep_alive()
        sent, shown = await join(client, self._node)
        self.outcome = "ended"
        self.facts |= {"client_bytes": sent, "node_bytes": shown}

    async def _meet(self, client: Peer) -> None:
        try:
            async with asyncio.timeout(self._limits.admit_s):
                await rfb.admit(client.reader, client.writer, self._password)
        except (rfb.RfbError, TimeoutError) as error:
            self._wrong += isinstance(error, rfb.WrongPassword)
            await client.close()
            if self._wrong >= self._limits.wrong_passwords:
                self._settle(None, "wrong passwords")
        except asyncio.CancelledError:
            client.writer.transport.abort()
            raise
        else:
            if not self._settle(client, "begun"):
                await client.close()

    def _part(self) -> None:
        """Send away whoever is still at the door."""
        for meeting in self._meetings:
            meeting.cancel()

    def _parted(self, task: asyncio.Task[None]) -> None:
        self._meetings.discard(task)
        if not self._meetings and self._over:
            self._settle(None, "never used")

    def _settle(self, client: Peer | None, outcome: str) -> bool:
        """Decide who the client is, if nobody did before; whether this did."""
        if self._client.done():
            return False
        self.outcome = outcome
        self._client.set_result(client)
        return True
