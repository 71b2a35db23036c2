"""The proxy: takes wishes on its control sockets, keeps the forwardings, and ends them all."""

import asyncio
import collections
import dataclasses
import errno
import ipaddress
import logging
import os
import random
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cloudweb.backend.vncproxy import control, rfb
from cloudweb.backend.vncproxy.control import Refused, Request
from cloudweb.backend.vncproxy.forwarding import Forwarding, Limits
from cloudweb.backend.vncproxy.streams import Peer
from cloudweb.backend.vncproxy.users import Users

_log = logging.getLogger(__name__)

_CONTROLS_AT_ONCE = 32
_CONTROL_S = 5.0
_TLS_HANDSHAKE_S = 5.0

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Meet = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Config:
    """Where the proxy listens, whom it obeys and where it goes."""

    control: tuple[str, int] | None = ("127.0.0.1", 24_999)
    control_socket: Path | None = None
    control_socket_mode: int = 0o660
    tls: ssl.SSLContext | None = None
    """Of the TCP control socket."""
    users: Users | None = None
    """Whom the TCP control socket obeys; the unix socket obeys whoever may open it."""
    listen: str | None = None
    """The address clients connect to; None: all."""
    ports: range = range(25_000, 30_000)
    allow: tuple[Network, ...] = ()
    """Where it may go; empty: anywhere."""
    max_forwardings: int = 200
    max_of_one_screen: int = 8
    """Of these to one port of one node: nobody takes them all by asking again and again."""
    limits: Limits = dataclasses.field(default_factory=Limits)


class Proxy:
    """The proxy; ``start`` opens the control sockets, ``stop`` ends everything."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._controls: list[asyncio.Server] = []
        self._conversations: set[asyncio.Task[None]] = set()
        self._forwardings: set[asyncio.Task[None]] = set()
        self._screens: collections.Counter[tuple[str, int]] = collections.Counter()

    async def start(self) -> None:
        """Listen for wishes. Raises OSError."""
        config = self._config
        if config.control is not None:
            host, port = config.control
            tls: dict[str, Any] = {}
            if config.tls is not None:
                tls = {"ssl": config.tls, "ssl_handshake_timeout": _TLS_HANDSHAKE_S}
            meet = self._on_control(trusted=False)
            self._controls.append(await asyncio.start_server(meet, host, port, **tls))
        if config.control_socket is not None:
            mask = os.umask(0o177)
            try:
                meet = self._on_control(trusted=True)
                server = await asyncio.start_unix_server(meet, config.control_socket)
            finally:
                os.umask(mask)
            config.control_socket.chmod(config.control_socket_mode)
            self._controls.append(server)

    @property
    def control_port(self) -> int:
        """The port of the TCP control socket."""
        port: int = self._controls[0].sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """End every conversation and forwarding."""
        for server in self._controls:
            server.close()
        tasks = [*self._conversations, *self._forwardings]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._config.control_socket is not None:
            self._config.control_socket.unlink(missing_ok=True)

    # --- the control connection -----------------------------------------------------------------

    def _on_control(self, *, trusted: bool) -> Meet:
        def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if len(self._conversations) >= _CONTROLS_AT_ONCE:
                writer.transport.abort()
                return
            task = asyncio.create_task(self._converse(Peer(reader, writer), trusted=trusted))
            self._conversations.add(task)
            task.add_done_callback(self._conversations.discard)

        return meet

    async def _converse(self, peer: Peer, *, trusted: bool) -> None:
        try:
            answer = await self._answer(peer, trusted=trusted)
            peer.writer.write(answer)
        except OSError as error:
            _log.info("control connection lost", extra={"from": peer.address, "error": str(error)})
        finally:
            await peer.close()

    async def _answer(self, peer: Peer, *, trusted: bool) -> bytes:
        try:
            async with asyncio.timeout(_CONTROL_S):
                request = await control.read_request(peer.reader)
                if not trusted:
                    await self._authenticate(request)
            port = await self._forward(request)
        except TimeoutError:
            return control.failed("the request took too long")
        except Refused as refused:
            _log.warning("refused", extra={"from": peer.address, "reason": str(refused)})
            return control.failed(str(refused))
        return control.succeeded(port)

    async def _authenticate(self, request: Request) -> None:
        users = self._config.users
        try:
            known = users is not None and await asyncio.to_thread(
                users.accept, request.user, request.user_password
            )
        except (OSError, ValueError) as error:
            _log.error("users unreadable", extra={"error": str(error)})
            known = False
        if not known:
            raise Refused("auth_user and auth_password are not those of a user")

    # --- forwardings ----------------------------------------------------------------------------

    async def _forward(self, request: Request) -> int:
        """The port of a new forwarding; the node has let us in. Raises Refused."""
        screen = (request.address, request.port)
        if self._screens.total() >= self._config.max_forwardings:
            raise Refused("there are too many forwardings")
        if self._screens[screen] >= self._config.max_of_one_screen:
            raise Refused(f"there are too many forwardings to {request.address} {request.port}")
        self._screens[screen] += 1
        try:
            node = await self._enter_node(request)
            try:
                return await self._open(request, node)
            except BaseException:
                await node.close()
                raise
        except BaseException:
            self._release(screen)
            raise

    def _release(self, screen: tuple[str, int]) -> None:
        self._screens[screen] -= 1
        if not self._screens[screen]:
            del self._screens[screen]

    async def _enter_node(self, request: Request) -> Peer:
        """A connection to the node's VNC server, past its security. Raises Refused."""
        where = f"{request.address} port {request.port}"
        try:
            async with asyncio.timeout(self._config.limits.node_s):
                node = await self._connect(request)
                try:
                    await rfb.enter(node.reader, node.writer)
                except BaseException:
                    node.writer.transport.abort()
                    raise
        except TimeoutError:
            raise Refused(f"{where} does not answer") from None
        except (rfb.RfbError, OSError, ValueError) as error:
            raise Refused(f"{where}: {error}") from None
        node.keep_alive()
        return node

    async def _connect(self, request: Request) -> Peer:
        """A connection to an address of the destination that is allowed, as it was looked up."""
        found = await asyncio.get_running_loop().getaddrinfo(
            request.address, request.port, type=socket.SOCK_STREAM
        )
        addresses = [str(row[4][0]) for row in found if self._allowed(str(row[4][0]))]
        if not addresses:
            raise Refused(f"{request.address} is not where this proxy may go")
        failure: OSError | None = None
        for address in addresses:
            try:
                return Peer(*await asyncio.open_connection(address, request.port))
            except OSError as error:
                failure = error
        assert failure is not None
        raise failure

    def _allowed(self, address: str) -> bool:
        parsed = ipaddress.ip_address(address.partition("%")[0])
        mapped = getattr(parsed, "ipv4_mapped", None)
        return not self._config.allow or any(
            (mapped or parsed) in network for network in self._config.allow
        )

    async def _open(self, request: Request, node: Peer) -> int:
        """Listen for the client and let the forwarding run; its port. Raises Refused."""
        forwarding = Forwarding(node, request.password, self._config.limits)
        listener, port = await self._listen(request.source_port, forwarding.meet)
        task = asyncio.create_task(self._run(forwarding, listener, request, port))
        self._forwardings.add(task)
        task.add_done_callback(self._forwardings.discard)
        task.add_done_callback(lambda _: self._release((request.address, request.port)))
        return port

    async def _listen(self, wanted: int, meet: Meet) -> tuple[asyncio.Server, int]:
        """A listener on the wanted port, or for 0 on any free one of the range. Raises Refused."""
        ports = self._config.ports
        if wanted and wanted not in ports:
            raise Refused(f"port {wanted} is not between {ports[0]} and {ports[-1]}")
        # Whoever guesses the next port finds it no easier.
        first = random.randrange(len(ports))  # noqa: S311
        for port in [wanted] if wanted else [*ports[first:], *ports[:first]]:
            try:
                return await asyncio.start_server(meet, self._config.listen, port), port
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise Refused(f"port {port}: {error}") from None
        raise Refused(f"port {wanted} is taken" if wanted else "every port is taken")

    async def _run(
        self, forwarding: Forwarding, listener: asyncio.Server, request: Request, port: int
    ) -> None:
        started = time.monotonic()
        try:
            await forwarding.run(listener)
        except OSError as error:
            forwarding.facts["error"] = str(error)
        finally:
            _log.info(
                f"forwarding {forwarding.outcome}",
                extra={
                    "user": request.user or "local",
                    "node": request.address,
                    "node_port": request.port,
                    "port": port,
                    "seconds": round(time.monotonic() - started, 1),
                    **forwarding.facts,
                },
            )
