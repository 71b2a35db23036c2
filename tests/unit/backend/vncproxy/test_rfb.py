"""The handshake of RFB with peers that follow RFC 6143, and with peers that follow nothing."""

import asyncio
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudweb.backend.vncproxy import rfb
from cloudweb.backend.vncproxy.streams import Peer
from tests.unit.backend.vncproxy.peers import converse

PASSWORD = "Sesame12"
VERSIONS = {3: b"RFB 003.003\n", 7: b"RFB 003.007\n", 8: b"RFB 003.008\n"}
AFTER = b"\x01ClientInit and all that"


async def letting_in(near: Peer) -> bytes:
    await rfb.admit(near.reader, near.writer, PASSWORD)
    return await near.reader.readexactly(len(AFTER))


async def entering(near: Peer) -> bytes:
    await rfb.enter(near.reader, near.writer)
    return await near.reader.readexactly(len(AFTER))


class Client:
    """A VNC client of one version, as the RFC describes it."""

    def __init__(self, minor: int, password: str, *, kind: int = 2) -> None:
        self.minor, self.password, self.kind = minor, password, kind
        self.refusal: bytes | None = None

    async def __call__(self, far: Peer) -> None:
        assert await far.reader.readexactly(12) == VERSIONS[8]
        far.writer.write(VERSIONS[self.minor])
        if self.minor == 3:
            assert await far.reader.readexactly(4) == b"\0\0\0\2"
        else:
            assert await far.reader.readexactly(2) == b"\1\2"
            far.writer.write(bytes((self.kind,)))
        if self.kind == 2:
            challenge = await far.reader.readexactly(16)
            far.writer.write(rfb.answer_to(challenge, self.password))
        if await far.reader.readexactly(4) == b"\0\0\0\0":
            far.writer.write(AFTER)
        else:
            self.refusal = await far.reader.read()


@pytest.mark.parametrize("minor", [3, 7, 8])
def test_a_client_that_knows_the_password_gets_in(minor: int) -> None:
    assert converse(letting_in, Client(minor, PASSWORD)) == AFTER


@pytest.mark.parametrize("minor", [3, 7, 8])
def test_a_wrong_password_is_refused_as_the_version_has_it(minor: int) -> None:
    client = Client(minor, "sesame12")
    with pytest.raises(rfb.WrongPassword):
        converse(letting_in, client)
    reason = b"The password is wrong."
    assert client.refusal == (struct.pack(">I", len(reason)) + reason if minor == 8 else b"")


def test_a_client_cannot_choose_to_need_no_password() -> None:
    client = Client(8, PASSWORD, kind=1)
    with pytest.raises(rfb.RfbError, match="not offered"):
        converse(letting_in, client)
    assert client.refusal is not None
    assert b"Choose VNC" in client.refusal


@pytest.mark.parametrize(
    ("line", "minor"),
    [(b"RFB 003.005\n", 3), (b"RFB 003.889\n", 8), (b"RFB 004.001\n", 8), (b"RFB 003.006\n", 3)],
)
def test_versions_that_no_document_names_are_taken_as_the_rfc_says(line: bytes, minor: int) -> None:
    async def server(far: Peer) -> None:
        far.writer.write(line)
        assert await far.reader.readexactly(12) == VERSIONS[minor]
        if minor == 3:
            far.writer.write(b"\0\0\0\1" + AFTER)
        else:
            far.writer.write(b"\1\1")
            assert await far.reader.readexactly(1) == b"\1"
            far.writer.write(b"\0\0\0\0" + AFTER)

    assert converse(entering, server) == AFTER


def test_only_the_first_eight_characters_count_as_vnc_has_it() -> None:
    challenge = bytes(range(16))
    assert rfb.answer_to(challenge, "12345678") == rfb.answer_to(challenge, "123456789")
    assert rfb.answer_to(challenge, "1234567") != rfb.answer_to(challenge, "12345678")
    # How VNC password files have always kept this password: by a key that everybody knows.
    key = bytes((23, 82, 107, 6, 35, 78, 88, 7)).decode("latin-1")
    assert rfb.answer_to(b"password", key).hex() == "dbd83cfd727a1458"


class Server:
    """A VNC server of one version that says these bytes about security."""

    def __init__(self, minor: int, security: bytes, result: bytes = b"") -> None:
        self.minor, self.security, self.result = minor, security, result
        self.chosen = b""

    async def __call__(self, far: Peer) -> None:
        far.writer.write(VERSIONS[self.minor])
        assert await far.reader.readexactly(12) == VERSIONS[self.minor]
        far.writer.write(self.security)
        if self.minor > 3:
            self.chosen = await far.reader.read(1)
        if self.chosen or self.minor == 3:
            far.writer.write(self.result + AFTER)


@pytest.mark.parametrize(
    "server",
    [
        Server(3, b"\0\0\0\1"),
        Server(7, b"\1\1"),
        Server(7, b"\3\2\x10\1"),
        Server(8, b"\1\1", b"\0\0\0\0"),
        Server(8, b"\2\2\1", b"\0\0\0\0"),
    ],
)
def test_a_node_that_asks_for_nothing_is_entered(server: Server) -> None:
    assert converse(entering, server) == AFTER
    assert server.chosen == (b"" if server.minor == 3 else b"\1")


REASON = b"\0\0\0\x0dtoo many\r\nyou"


@pytest.mark.parametrize(
    ("server", "says"),
    [
        (Server(3, b"\0\0\0\2"), "security of type 2"),
        (Server(8, b"\2\2\x10"), "security of type 2, 16"),
        (Server(3, b"\0\0\0\0" + REASON), "refuses: too many  you"),
        (Server(7, b"\0" + REASON), "refuses: too many  you"),
        (Server(8, b"\0" + REASON), "refuses: too many  you"),
        (Server(8, b"\1\1", b"\0\0\0\1" + REASON), "refuses: too many  you"),
        (Server(8, b"\0\0\0\0\0"), "does not say why"),
    ],
)
def test_a_node_that_refuses_or_asks_for_more_is_left_with_its_reason(
    server: Server, says: str
) -> None:
    with pytest.raises(rfb.RfbError, match=says):
        converse(entering, server)


def test_no_more_of_a_reason_is_read_than_one_wants_to_read() -> None:
    endless = Server(8, b"\0\xff\xff\xff\xff" + b"a" * rfb.MAX_REASON_BYTES)
    with pytest.raises(rfb.RfbError, match=r"a{100}"):
        converse(entering, endless)


# --- garbage


def _as_garbage(data: bytes) -> object:
    async def far_side(far: Peer) -> None:
        far.writer.write(data)
        far.writer.write_eof()
        await far.reader.read()

    return far_side


_rfbish = st.builds(
    lambda head, rest: b"".join(head) + rest,
    st.lists(
        st.sampled_from(
            [*VERSIONS.values(), b"\0", b"\1\1", b"\1\2", b"\2", b"\0\0\0\0", b"\0\0\0\1", b"RFB "]
        ),
        max_size=5,
    ),
    st.binary(max_size=60),
)


@settings(max_examples=300, deadline=None)
@given(data=st.one_of(st.binary(max_size=100), _rfbish))
def test_garbage_from_a_client_is_refused_and_never_waited_for(data: bytes) -> None:
    async def admit(near: Peer) -> None:
        await rfb.admit(near.reader, near.writer, PASSWORD)

    with pytest.raises(rfb.RfbError):
        converse(admit, _as_garbage(data))  # type: ignore[arg-type]


@settings(max_examples=300, deadline=None)
@given(data=st.one_of(st.binary(max_size=100), _rfbish))
def test_garbage_from_a_node_is_left_or_was_an_invitation(data: bytes) -> None:
    async def enter(near: Peer) -> str | None:
        try:
            await rfb.enter(near.reader, near.writer)
        except rfb.RfbError as error:
            return str(error)
        return None

    refusal = converse(enter, _as_garbage(data))  # type: ignore[arg-type]
    if refusal is not None:
        assert refusal.isprintable()
    else:
        invited = data[:4] == b"RFB " and data[11:12] == b"\n" and b"\1" in data[12:]
        assert invited


@settings(max_examples=30, deadline=None)
@given(data=_rfbish)
def test_a_client_that_falls_silent_is_waited_for_no_longer_than_the_limit(data: bytes) -> None:
    async def admit(near: Peer) -> None:
        async with asyncio.timeout(0.02):
            await rfb.admit(near.reader, near.writer, PASSWORD)

    async def silent(far: Peer) -> None:
        far.writer.write(data)
        await far.reader.read()

    with pytest.raises((rfb.RfbError, TimeoutError)):
        converse(admit, silent)
