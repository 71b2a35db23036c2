"""What is said on the control connection: one JSON object each way, as snf-vncauthproxy has it."""

import asyncio
import dataclasses
from typing import Any

import orjson

MAX_REQUEST_BYTES = 4096
_LONGEST_PASSWORD = 64


class Refused(Exception):
    """The proxy will not do it; the text says why, to the one who asks and to the log."""


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """A wish for a forwarding; ``source_port`` 0 leaves the port to the proxy."""

    source_port: int
    address: str
    port: int
    password: str = dataclasses.field(repr=False)
    user: str
    user_password: str = dataclasses.field(repr=False)


async def read_request(reader: asyncio.StreamReader) -> Request:
    """The one request of a connection. Clients mark no end, so it ends where the object does.

    Raises Refused. The caller sets the time limit.
    """
    text = b""
    while True:
        piece = await reader.read(MAX_REQUEST_BYTES)
        text += piece
        if len(text) > MAX_REQUEST_BYTES:
            raise Refused("the request is too long")
        if text.rstrip().endswith(b"}"):
            try:
                return parse(orjson.loads(text))
            except orjson.JSONDecodeError:
                pass  # a brace inside it; the rest is still to come
        if not piece:
            raise Refused("the request is not a JSON object")


def parse(asked: Any) -> Request:
    """The request in a JSON value. Raises Refused, naming what is wrong."""
    if not isinstance(asked, dict):
        raise Refused("the request is not a JSON object")
    if asked.get("type", "vnc") != "vnc":
        raise Refused("type must be vnc")
    return Request(
        source_port=_port(asked, "source_port", least=0),
        address=_text(asked, "destination_address", 255),
        port=_port(asked, "destination_port", least=1),
        password=_password(asked),
        user=_text(asked, "auth_user", 64, needed=False),
        user_password=_text(asked, "auth_password", 256, needed=False),
    )


def succeeded(port: int) -> bytes:
    """The answer when the proxy listens on this port."""
    return orjson.dumps({"source_port": port, "status": "OK"})


def failed(reason: str) -> bytes:
    """The answer when it does not."""
    return orjson.dumps({"source_port": 0, "status": "FAILED", "reason": reason})


def _port(asked: dict[str, Any], key: str, *, least: int) -> int:
    value = asked.get(key, 0 if least == 0 else None)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 5:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 65_535:
        raise Refused(f"{key} is not a port")
    return value


def _text(asked: dict[str, Any], key: str, longest: int, *, needed: bool = True) -> str:
    value = asked.get(key)
    if value is None and not needed:
        return ""
    if not isinstance(value, str) or len(value) > longest or (needed and not value):
        raise Refused(f"{key} is not a text of 1 to {longest} characters")
    return value


def _password(asked: dict[str, Any]) -> str:
    value = _text(asked, "password", _LONGEST_PASSWORD)
    # VNC keys are bytes; what cannot be typed everywhere is nobody's password.
    if not value.isascii() or not value.isprintable():
        raise Refused("password is not printable ASCII")
    return value
