"""The proxy whole: from a wish on the control socket to bytes that come through, and its limits."""

import asyncio
import contextlib
import dataclasses
import ipaddress
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cloudweb.backend.vncproxy import server
from cloudweb.backend.vncproxy.forwarding import Limits
from cloudweb.backend.vncproxy.server import Config, Proxy
from cloudweb.backend.vncproxy.streams import Peer
from cloudweb.backend.vncproxy.users import Users
from tests.ports import free_port, free_ports
from tests.unit.backend.vncproxy.peers import play
from tests.unit.backend.vncproxy.test_rfb import Client

PASSWORD = "Sesame12"
SECRET = "between us only"


class Node:
    """A VNC server without a password, which then gives back what it gets."""

    def __init__(self, *, kinds: bytes = b"\1\1") -> None:
        self.kinds = kinds
        self.port = 0
        self.peers: list[Peer] = []
        self.ended = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        self.peers.append(peer)
        try:
            writer.write(b"RFB 003.008\n")
            await reader.readexactly(12)
            writer.write(self.kinds)
            if await reader.read(1):
                writer.write(b"\0\0\0\0")
                await self.serve(peer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.ended += 1
            writer.transport.abort()

    async def serve(self, peer: Peer) -> None:
        while piece := await peer.reader.read(65_536):
            peer.writer.write(piece)
            await peer.writer.drain()


class Flood(Node):
    """One that sends without end, as fast as it is taken."""

    sent = 0

    async def serve(self, peer: Peer) -> None:
        while True:
            peer.writer.write(b"\0" * 65_536)
            await peer.writer.drain()
            self.sent += 65_536


@dataclasses.dataclass
class Scene:
    proxy: Proxy
    node: Node
    socket: Path
    opened: list[Peer] = dataclasses.field(default_factory=list)

    async def ask(self, **changes: Any) -> dict[str, Any]:
        """What the proxy answers over its unix socket."""
        reader, writer = await asyncio.open_unix_connection(self.socket)
        return await self._ask(reader, writer, changes)

    async def ask_over_tcp(self, **changes: Any) -> dict[str, Any]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.proxy.control_port)
        return await self._ask(reader, writer, changes)

    async def _ask(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        changes: dict[str, Any],
    ) -> dict[str, Any]:
        asked = {
            "source_port": 0,
            "destination_address": "127.0.0.1",
            "destination_port": self.node.port,
            "password": PASSWORD,
        } | changes
        writer.write(json.dumps(asked).encode())
        answer = json.loads(await reader.read())
        writer.close()
        assert isinstance(answer, dict)
        return answer

    async def connect(self, port: int) -> Peer:
        peer = Peer(*await asyncio.open_connection("127.0.0.1", port))
        self.opened.append(peer)
        return peer

    async def enter(self, port: int, *, minor: int = 8, password: str = PASSWORD) -> Peer:
        """A client past the handshake, whose first words came back from the node."""
        peer = await self.connect(port)
        client = Client(minor, password)
        await client(peer)
        if client.refusal is None:
            assert await peer.reader.readexactly(24) == b"\x01ClientInit and all that"
        return peer

    async def port(self) -> int:
        answer = await self.ask()
        assert answer["status"] == "OK", answer
        port: int = answer["source_port"]
        return port


async def until(what: Any) -> None:
    async with asyncio.timeout(5):
        while not what():  # noqa: ASYNC110  (what is waited for tells nobody)
            await asyncio.sleep(0.01)


async def nothing_listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return True
    writer.transport.abort()
    return False


@contextlib.asynccontextmanager
async def scene(folder: Path, node: Node | None = None, **changes: Any) -> AsyncIterator[Scene]:
    node = node or Node()
    listener = await asyncio.start_server(node, "127.0.0.1", 0)
    node.port = listener.sockets[0].getsockname()[1]
    users = Users(folder / "users")
    if not (folder / "users").exists():
        users.put("web", SECRET)
    config = Config(
        control=("127.0.0.1", 0),
        control_socket=folder / "control.sock",
        users=users,
        listen="127.0.0.1",
        ports=free_ports(10),
        limits=changes.pop("limits", Limits()),
        **changes,
    )
    proxy = Proxy(config)
    await proxy.start()
    made = Scene(proxy, node, folder / "control.sock")
    try:
        yield made
    finally:
        await proxy.stop()
        listener.close()
        for peer in (*node.peers, *made.opened):
            peer.writer.transport.abort()
        # Everybody has then heard that it is over.
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("minor", [3, 7, 8])
def test_a_client_with_the_password_reaches_the_node(tmp_path: Path, minor: int) -> None:
    async def main() -> None:
        async with scene(tmp_path) as at:
            client = await at.enter(await at.port(), minor=minor)
            big = bytes(range(256)) * 8192
            client.writer.write(big)
            assert await client.reader.readexactly(len(big)) == big
            await client.close()
            await until(lambda: at.node.ended == 1)

    play(main())


def test_over_tcp_only_users_with_their_password_may_ask(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path) as at:
            for wrong in ({}, {"auth_user": "web", "auth_password": "x"}, {"auth_user": "nobody"}):
                answer = await at.ask_over_tcp(**wrong)
                assert answer["status"] == "FAILED"
                assert "auth_user" in answer["reason"]
            assert at.node.peers == []
            answer = await at.ask_over_tcp(auth_user="web", auth_password=SECRET, type="vnc")
            assert answer["status"] == "OK"
            (tmp_path / "users").unlink()
            answer = await at.ask_over_tcp(auth_user="web", auth_password=SECRET)
            assert answer["status"] == "FAILED"

    play(main())


def test_the_unix_socket_is_for_its_owner_and_group(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path) as at:
            assert at.socket.stat().st_mode & 0o777 == 0o660
        assert not at.socket.exists()

    play(main())


def test_a_forwarding_takes_one_client(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path) as at:
            port = await at.port()
            early = await at.connect(port)
            first = await at.enter(port)
            # Who was at the door is sent away, and the door is gone.
            assert await early.reader.read() == b"RFB 003.008\n"
            assert await nothing_listens(port)
            first.writer.write(b"still there")
            assert await first.reader.readexactly(11) == b"still there"

    play(main())


def test_wrong_passwords_are_counted_and_end_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def main() -> None:
        async with scene(tmp_path) as at:
            port = await at.port()
            for _ in range(3):
                await at.enter(port, password="guessing")
            await until(lambda: at.node.ended == 1)
            assert await nothing_listens(port)

    play(main())
    assert "forwarding wrong passwords" in caplog.text


def test_after_two_wrong_passwords_the_right_one_still_opens(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path) as at:
            port = await at.port()
            for _ in range(2):
                await at.enter(port, password="mistyped")
            await at.enter(port)

    play(main())


def test_strangers_who_are_silent_or_talk_nonsense_keep_nobody_out(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path) as at:
            port = await at.port()
            for _ in range(7):
                await at.connect(port)
            for _ in range(3):
                stranger = await at.connect(port)
                stranger.writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
                await stranger.reader.read()
            await at.enter(port)

    play(main())


def test_a_forwarding_that_nobody_uses_ends_and_frees_its_port(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with scene(tmp_path, limits=Limits(wait_s=0.2)) as at:
            port = await at.port()
            await until(lambda: at.node.ended == 1)
            assert await nothing_listens(port)

    play(main())
    assert "forwarding never used" in caplog.text


def test_who_connected_in_time_may_take_a_while_to_type_the_password(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, limits=Limits(wait_s=0.2)) as at:
            port = await at.port()
            peer = await at.connect(port)
            await asyncio.sleep(0.4)
            assert await nothing_listens(port)
            await Client(8, PASSWORD)(peer)
            assert await peer.reader.readexactly(24)

    play(main())


def test_who_takes_too_long_to_type_it_is_left(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, limits=Limits(wait_s=0.1, admit_s=0.3)) as at:
            peer = await at.connect(await at.port())
            assert await peer.reader.read() == b"RFB 003.008\n"
            await until(lambda: at.node.ended == 1)

    play(main())


def test_a_client_that_reads_nothing_makes_the_node_wait(tmp_path: Path) -> None:
    async def main() -> None:
        node = Flood()
        async with scene(tmp_path, node) as at:
            peer = await at.connect(await at.port())
            await Client(3, PASSWORD)(peer)
            peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
            stood = -1
            while stood != node.sent or not stood:
                stood = node.sent
                await asyncio.sleep(0.3)
            # What lies in the buffers of four sockets and in ours; the kernel's are the most of it.
            assert node.sent < 32 << 20
            peer.writer.transport.abort()

    play(main())


@pytest.mark.parametrize(
    ("node", "says"),
    [
        (Node(kinds=b"\1\2"), "security of type 2"),
        (Node(kinds=b"\0\0\0\0\4full"), "refuses: full"),
    ],
)
def test_a_node_that_does_not_let_us_in_is_said_so_at_once(
    tmp_path: Path, node: Node, says: str
) -> None:
    async def main() -> None:
        async with scene(tmp_path, node) as at:
            answer = await at.ask()
            assert (answer["status"], answer["source_port"]) == ("FAILED", 0)
            assert says in answer["reason"]

    play(main())


class Silent(Node):
    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.peers.append(Peer(reader, writer))
        await reader.read()
        writer.close()


def test_a_node_that_is_away_or_silent_is_not_waited_for_long(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, Silent(), limits=Limits(node_s=0.2)) as at:
            assert "does not answer" in (await at.ask())["reason"]
            unused = free_port()
            assert (await at.ask(destination_port=unused))["status"] == "FAILED"
            for address in ("no such host", "nul\0", "a" * 200, "host.invalid"):
                assert (await at.ask(destination_address=address))["status"] == "FAILED"

    play(main())


def test_the_proxy_goes_only_where_it_may(tmp_path: Path) -> None:
    allowed = (ipaddress.ip_network("192.0.2.0/24"), ipaddress.ip_network("2001:db8::/32"))

    async def main() -> None:
        async with scene(tmp_path, allow=allowed) as at:
            for address in ("127.0.0.1", "localhost", "::1", "::ffff:127.0.0.1"):
                assert "may go" in (await at.ask(destination_address=address))["reason"]
            assert at.node.peers == []
        async with scene(tmp_path, allow=(ipaddress.ip_network("127.0.0.0/8"),)) as at:
            assert (await at.ask())["status"] == "OK"

    play(main())


def test_forwardings_are_counted_and_ports_are_those_of_the_range(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, max_forwardings=2) as at:
            ports = at.proxy._config.ports
            given = await at.port()
            assert given in ports
            assert (await at.ask(source_port=ports[-1] + 1))["status"] == "FAILED"
            free = next(port for port in ports if port != given)
            assert (await at.ask(source_port=free))["source_port"] == free
            assert "too many" in (await at.ask())["reason"]

    play(main())


def test_one_screen_does_not_take_them_all(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, max_of_one_screen=2) as at:
            first = await at.enter(await at.port())
            await at.port()
            assert "too many forwardings to 127.0.0.1" in (await at.ask())["reason"]
            # A wish that fails takes nothing away, and who leaves gives it back.
            assert (await at.ask(destination_port=1))["status"] == "FAILED"
            await first.close()
            await until(lambda: at.node.ended == 1)
            await asyncio.sleep(0.05)
            await at.port()

    play(main())


def test_a_port_that_is_taken_is_not_given_twice(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, max_of_one_screen=20) as at:
            given = {await at.port() for _ in range(10)}
            assert given == set(at.proxy._config.ports)
            assert "every port is taken" in (await at.ask())["reason"]
            assert "taken" in (await at.ask(source_port=min(given)))["reason"]

    play(main())


def test_a_control_connection_that_says_nothing_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_CONTROL_S", 0.2)

    async def main() -> None:
        async with scene(tmp_path) as at:
            reader, writer = await asyncio.open_unix_connection(at.socket)
            writer.write(b'{"source_port": ')
            assert json.loads(await reader.read())["status"] == "FAILED"
            writer.close()

    play(main())


def test_stopping_ends_everything_and_no_log_line_holds_a_password(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def main() -> None:
        async with scene(tmp_path) as at:
            answer = await at.ask_over_tcp(auth_user="web", auth_password=SECRET)
            used = await at.enter(answer["source_port"])
            await at.port()
            await at.connect(await at.port())
            await at.ask_over_tcp(auth_user="web", auth_password="a wrong secret")
            await at.proxy.stop()
            assert await used.reader.read() == b""
            await until(lambda: at.node.ended == 3)

    play(main())
    assert caplog.text.count("forwarding stopped") == 3
    everything = "".join(str(record.__dict__) for record in caplog.records)
    assert not any(secret in everything for secret in (PASSWORD, SECRET, "a wrong secret"))
