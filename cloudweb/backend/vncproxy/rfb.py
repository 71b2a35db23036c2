"""The beginning of RFB (RFC 6143), both ways: letting a client in, and entering a node's server.

What comes after security is the same in every version and needs no understanding.
"""

import asyncio
import hmac
import re
import secrets
import struct
from collections.abc import Awaitable, Callable
from typing import TypeVar

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

NONE, VNC_AUTHENTICATION = 1, 2
MAX_REASON_BYTES = 1024
"""The longest reason of a refusal that is read."""

_NEWEST = b"RFB 003.008\n"
_VERSION = re.compile(rb"RFB ([0-9]{3})\.([0-9]{3})\n")
_OK, _FAILED = struct.pack(">I", 0), struct.pack(">I", 1)

T = TypeVar("T")


class RfbError(Exception):
    """The peer does not speak RFB, or does not want what we want; the text holds no secret."""


class WrongPassword(RfbError):
    """The client does not know the password, and was told so."""


async def admit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, password: str) -> None:
    """Let in a client that knows the password, in RFB 3.3, 3.7 or 3.8; no time limit of its own.

    Raises RfbError; WrongPassword when everything else was right.
    """
    writer.write(_NEWEST)
    minor = _minor(await _read(reader, len(_NEWEST)))
    if minor >= 7:
        writer.write(bytes((1, VNC_AUTHENTICATION)))
        if (await _read(reader, 1))[0] != VNC_AUTHENTICATION:
            await _refuse(writer, minor, "Choose VNC authentication.")
            raise RfbError("the client chose a security type it was not offered")
    else:
        writer.write(struct.pack(">I", VNC_AUTHENTICATION))
    challenge = secrets.token_bytes(16)
    writer.write(challenge)
    given = await _read(reader, len(challenge))
    if not hmac.compare_digest(given, answer_to(challenge, password)):
        await _refuse(writer, minor, "The password is wrong.")
        raise WrongPassword("the password is wrong")
    writer.write(_OK)
    await _drain(writer)


async def enter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass the security of a VNC server that asks for none. Raises RfbError, saying why not."""
    minor = _minor(await _read(reader, len(_NEWEST)))
    writer.write(b"RFB 003.%03d\n" % minor)
    await _drain(writer)
    if minor < 7:
        [kind] = struct.unpack(">I", await _read(reader, 4))
        if kind == 0:
            raise RfbError(f"the VNC server refuses: {await _reason(reader)}")
        _check_none(bytes((min(kind, 255),)))
        return
    [count] = await _read(reader, 1)
    if count == 0:
        raise RfbError(f"the VNC server refuses: {await _reason(reader)}")
    _check_none(await _read(reader, count))
    writer.write(bytes((NONE,)))
    await _drain(writer)
    if minor >= 8 and await _read(reader, 4) != _OK:
        raise RfbError(f"the VNC server refuses: {await _reason(reader)}")


def answer_to(challenge: bytes, password: str) -> bytes:
    """What VNC authentication answers: DES of the challenge, by the password's first 8 characters.

    VNC takes the bits of each byte of the key in the other order.
    """
    key = password.encode("latin-1", "replace")[:8].ljust(8, b"\0")
    mirrored = bytes(int(f"{byte:08b}"[::-1], 2) for byte in key)
    # The same key three times over makes DES of triple DES. ECB is what the protocol has.
    encryptor = Cipher(TripleDES(mirrored * 3), modes.ECB()).encryptor()  # noqa: S305
    return encryptor.update(challenge) + encryptor.finalize()


def _minor(line: bytes) -> int:
    """3, 7 or 8: the version to speak with whoever says this of themselves."""
    match = _VERSION.fullmatch(line)
    if match is None:
        raise RfbError("the peer does not speak RFB")
    said = (int(match[1]), int(match[2]))
    if said >= (3, 8):
        return 8
    # Numbers that no document names are 3.3, as the RFC has it.
    return 7 if said == (3, 7) else 3


def _check_none(kinds: bytes) -> None:
    if NONE not in kinds:
        asked = ", ".join(str(kind) for kind in kinds)
        raise RfbError(f"the VNC server asks for security of type {asked}; it must ask for none")


async def _refuse(writer: asyncio.StreamWriter, minor: int, reason: str) -> None:
    """Tell the client no; why, since 3.8 has a place for it."""
    text = reason.encode("ascii")
    writer.write(_FAILED + (struct.pack(">I", len(text)) + text if minor >= 8 else b""))
    await _drain(writer)


async def _reason(reader: asyncio.StreamReader) -> str:
    """Why the server refuses, on one line; as much of it as one wants to read."""
    [length] = struct.unpack(">I", await _read(reader, 4))
    text = (await _read(reader, min(length, MAX_REASON_BYTES))).decode("utf-8", "replace")
    return "".join(c if c.isprintable() else " " for c in text) or "it does not say why"


async def _read(reader: asyncio.StreamReader, count: int) -> bytes:
    return await _speaking(lambda: reader.readexactly(count))


async def _drain(writer: asyncio.StreamWriter) -> None:
    await _speaking(writer.drain)


async def _speaking(do: Callable[[], Awaitable[T]]) -> T:
    try:
        return await do()
    except (asyncio.IncompleteReadError, OSError) as error:
        raise RfbError("the peer ended the connection") from error
