"""cloudweb-progress-monitor: passes on what an image helper says while it builds an instance.

The OS definition starts it with the instance's name and a file descriptor that the helper writes
JSON objects to. It ends when that is closed. Whatever it meets, the build goes on.
"""

import argparse
import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

from cloudweb.backend.agents import config, spool
from cloudweb.backend.agents.messages import Message, progress
from cloudweb.backend.agents.publisher import Publisher

log = logging.getLogger(__name__)
COPYING = "image-copy-progress"
KNOWN = frozenset({COPYING, "image-error", "image-info", "image-warning", "image-helper"})
EVERY_S = 1.0
"""How often a growing percentage is worth a message."""
MAX_WAITING = 1 << 20
_CHUNK = 65536


def objects(descriptor: int) -> Iterator[dict[str, Any]]:
    """The JSON objects written to a descriptor, one after the other; all else is passed over."""
    decoder = json.JSONDecoder()
    waiting = ""
    while chunk := os.read(descriptor, _CHUNK):
        waiting = (waiting + chunk.decode("utf-8", "replace")).lstrip()
        while waiting:
            try:
                value, end = decoder.raw_decode(waiting)
            except (ValueError, RecursionError):
                line, newline, rest = waiting.partition("\n")
                if not newline and len(waiting) < MAX_WAITING:
                    break  # more may come
                log.warning("not JSON: %.100r", line)
                waiting = rest.lstrip()
                continue
            waiting = waiting[end:].lstrip()
            if isinstance(value, dict):
                yield value


class Monitor:
    """Makes messages of what the helper says: each thing at once, percentages now and then."""

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._told_s = -EVERY_S

    def message_of(self, said: dict[str, Any]) -> Message | None:
        """The message to publish; None when there is nothing new to tell."""
        if said.get("type") not in KNOWN:
            log.warning("unknown type: %.100r", said.get("type"))
            return None
        if said["type"] == COPYING:
            now = time.monotonic()
            if now - self._told_s < EVERY_S and not _is_done(said):
                return None
            self._told_s = now
        return progress(self._instance, said, time.time())


def _is_done(said: dict[str, Any]) -> bool:
    share = said.get("progress")
    return isinstance(share, (int, float)) and share >= 100


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="cloudweb-progress-monitor", description="Publishes how an image is being deployed."
    )
    parser.add_argument("instance", help="Ganeti's name of the instance")
    parser.add_argument("-f", "--fd", type=int, default=0, help="read here; default 0")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="cloudweb-progress-monitor: %(message)s")
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    try:
        told = config.read()
    except OSError as error:
        log.error("%s", error)
        told = config.AgentConfig((), config.CONFIG)
    publisher = Publisher(told.urls) if told.urls else None
    if publisher is not None:
        publisher.start()
    monitor = Monitor(options.instance)
    for said in objects(options.fd):  # read to the end, or the helper would block
        message = monitor.message_of(said)
        if message is not None and publisher is not None:
            publisher.put(message)
    if publisher is not None and not publisher.stop():
        _keep(publisher.unpublished(), spool.Spool(told.spool))
    return 0


def _keep(messages: Sequence[Message], waiting: spool.Spool) -> None:
    try:
        for message in messages:
            waiting.put(message)
    except OSError as error:
        log.error("%s", error)


if __name__ == "__main__":
    raise SystemExit(main())
