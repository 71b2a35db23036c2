"""Messages on disk until a broker has them: for programs that must not wait for one."""

import json
import logging
import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

import pika
from pika.exceptions import AMQPError

from cloudweb.backend.agents.messages import EXCHANGE, Message
from cloudweb.backend.agents.publisher import properties_of, shuffled

log = logging.getLogger(__name__)
MAX_FILES = 20_000
_SUFFIX = ".message"


class Spool:
    """A directory of messages, one a file, read in the order in which they were put."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def put(self, message: Message) -> None:
        """Keep a message; when this returns it is whole or not there. Raises OSError."""
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{time.time_ns():020}-{os.getpid()}-{secrets.token_hex(4)}"
        said = {"key": message.routing_key, "body": message.body.decode()}
        new = self._path / f"{name}.new"
        new.write_text(json.dumps(said), encoding="utf-8")
        new.rename(self._path / f"{name}{_SUFFIX}")
        self._drop_oldest()

    def files(self, *, older_than_s: float = 0) -> list[Path]:
        """What waits, the oldest first."""
        try:
            paths = sorted(self._path.glob(f"*{_SUFFIX}"))
        except FileNotFoundError:
            return []
        before = time.time_ns() - int(older_than_s * 1e9)
        return [path for path in paths if _time_of(path.name) <= before]

    def _drop_oldest(self) -> None:
        for path in self.files()[:-MAX_FILES]:
            log.error("no broker for too long: a message is lost")
            path.unlink(missing_ok=True)


def _time_of(name: str) -> int:
    digits = name.partition("-")[0]
    return int(digits) if digits.isdigit() else 0


def _read(path: Path) -> Message | None:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return Message(str(said["key"]), str(said["body"]).encode())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s is no message: %s", path, error)
        path.unlink(missing_ok=True)
        return None


def flush(
    spool: Spool, urls: Sequence[str], *, older_than_s: float = 0, timeout_s: float = 5.0
) -> int:
    """Publish what waits; how many the broker has confirmed. A file goes when its message has.

    Two that flush at once may publish a message twice, which harms nobody. Raises AMQPError,
    OSError.
    """
    waiting = spool.files(older_than_s=older_than_s)
    if not waiting or not urls:
        return 0
    sent = 0
    with pika.BlockingConnection(shuffled(urls, timeout_s)) as connection:
        channel = connection.channel()
        channel.exchange_declare(EXCHANGE, "topic", durable=True)
        channel.confirm_delivery()
        for path in waiting:
            message = _read(path)
            if message is not None:
                properties = properties_of(message)
                channel.basic_publish(EXCHANGE, message.routing_key, message.body, properties)
                path.unlink(missing_ok=True)
                sent += 1
    return sent


def try_flush(spool: Spool, urls: Sequence[str], **options: float) -> bool:
    """As ``flush``; whether a broker took what waited. What went wrong is in the log."""
    try:
        flush(spool, urls, **options)
    except (AMQPError, OSError) as error:
        log.warning("broker: %r", error)
        return False
    return True
