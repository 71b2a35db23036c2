"""One conversation with a region over HTTP: bounded in time and size, no step of it repeated."""

import socket
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests
import urllib3
from requests.adapters import HTTPAdapter

from cloudweb.backend.openstack.errors import (
    BadAnswer,
    Conflict,
    Forbidden,
    NotFound,
    Refused,
    RegionError,
    Unauthorized,
    Unreachable,
)

# A thousand flavors with long extra specs are about 2 MB.
MAX_ANSWER_BYTES = 16 * 1024 * 1024
_CHUNK = 65_536
_MAX_MESSAGE = 300

_ERRORS: dict[int, type[RegionError]] = {
    400: Refused,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
}


class Answer:
    """What came back with a 2xx: the headers, and the body where it is an object."""

    def __init__(self, status: int, headers: Mapping[str, str], body: dict[str, Any]) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Conversation:
    """Calls that together may take no longer than to connect and to read once.

    The clock starts with the first call. For one thread; close it.
    """

    def __init__(
        self,
        *,
        connect_timeout_s: float,
        read_timeout_s: float,
        ca_file: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connect_s, self._read_s = connect_timeout_s, read_timeout_s
        self._clock = clock
        self._ends: float | None = None
        self._session = requests.Session()
        # The machine's proxies and netrc say nothing about a region.
        self._session.trust_env = False
        self._session.verify = ca_file or True
        self._session.mount("http://", HTTPAdapter(max_retries=0))
        self._session.mount("https://", HTTPAdapter(max_retries=0))

    def restart(self) -> None:
        """Begin the time anew: to undo what could not be finished."""
        self._ends = None

    def close(self) -> None:
        """Let go of the connections."""
        self._session.close()

    def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: Any = None,
        secrets: tuple[str, ...] = (),
    ) -> Answer:
        """One request. Raises RegionError; its text has none of the ``secrets``."""
        sent = {"Accept": "application/json", "User-Agent": "cloudweb", **headers}
        data = None
        if body is not None:
            data, sent["Content-Type"] = orjson.dumps(body), "application/json"
        try:
            with self._session.request(
                method,
                url,
                data=data,
                headers=sent,
                timeout=self._timeouts(),
                allow_redirects=False,
                stream=True,
            ) as response:
                content = self._read(response)
        except requests.RequestException as error:
            raise _unreachable(url, error) from None
        except urllib3.exceptions.HTTPError as error:
            late = isinstance(error, urllib3.exceptions.ReadTimeoutError)
            reason = "the answer took too long" if late else "the answer broke off"
            raise Unreachable(f"{_origin(url)}: {reason}") from None
        except (OSError, ValueError) as error:
            raise Unreachable(f"{_origin(url)}: {type(error).__name__}") from None
        return _judge(url, response.status_code, response.headers, content, secrets)

    def _timeouts(self) -> tuple[float, float]:
        now = self._clock()
        if self._ends is None:
            self._ends = now + self._connect_s + self._read_s
        left = self._ends - now
        if left <= 0:
            raise Unreachable("It took too long.", maybe_sent=False)
        return min(self._connect_s, left), min(self._read_s, left)

    def _read(self, response: requests.Response) -> bytes:
        """The whole body; a region that sends it drop by drop gets no more time than any other."""
        parts: list[bytes] = []
        size = 0
        sock = _socket_of(response)
        assert self._ends is not None
        while True:
            left = self._ends - self._clock()
            if left <= 0:
                raise Unreachable("The answer took too long.")
            if sock is not None:
                sock.settimeout(left)
            part = response.raw.read1(_CHUNK, decode_content=True)
            if not part:
                return b"".join(parts)
            parts.append(part)
            size += len(part)
            if size > MAX_ANSWER_BYTES:
                raise BadAnswer("The answer is too large.")


def _socket_of(response: requests.Response) -> socket.socket | None:
    connection = getattr(response.raw, "connection", None)
    found = getattr(connection, "sock", None)
    return found if isinstance(found, socket.socket) else None


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _unreachable(url: str, error: requests.RequestException) -> Unreachable:
    never_sent = isinstance(error, requests.ConnectTimeout)
    reason = "no answer in time" if isinstance(error, requests.Timeout) else "not reachable"
    return Unreachable(f"{_origin(url)}: {reason}", maybe_sent=not never_sent)


def _judge(
    url: str, status: int, headers: Mapping[str, str], content: bytes, secrets: tuple[str, ...]
) -> Answer:
    value = _parsed(content)
    if 200 <= status < 300:
        if content and not isinstance(value, dict):
            raise BadAnswer(f"{_origin(url)}: the answer is no JSON object.")
        return Answer(status, headers, value if isinstance(value, dict) else {})
    said = _message(value)
    for secret in filter(None, secrets):
        said = said.replace(secret, "***")
    text = f"{_origin(url)}: {status} {said}".rstrip()
    if status in _ERRORS:
        raise _ERRORS[status](text)
    raise BadAnswer(text, status=status)


def _parsed(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return None


def _message(value: Any) -> str:
    """The sentence in an error of Keystone or Nova, which spell them in three ways."""
    if not isinstance(value, dict):
        return ""
    inner = next((item for item in value.values() if isinstance(item, dict)), value)
    message = inner.get("message")
    return " ".join(message.split())[:_MAX_MESSAGE] if isinstance(message, str) else ""
