"""The progress monitor: what it reads, what it passes on, and that it never stands in the way."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pika
import pytest

from cloudweb.backend.agents import config, progress
from cloudweb.backend.agents.progress import Monitor
from cloudweb.backend.agents.spool import Spool
from tests.unit.backend.agents.test_publisher import Listener


@contextmanager
def written(*chunks: bytes) -> Iterator[int]:
    """A descriptor that these chunks come from."""
    reading, writing = os.pipe()

    def write() -> None:
        for chunk in chunks:
            os.write(writing, chunk)
        os.close(writing)

    thread = threading.Thread(target=write)
    thread.start()
    yield reading
    thread.join()
    os.close(reading)


@pytest.mark.parametrize(
    "chunks",
    [
        (b'{"a": 1}\n{"a": 2}\n',),
        (b'{"a": 1}{"a": 2}',),
        (b'{"a', b'": 1}\n', b'{"a": ', b"2}"),
        (b'what is this\n{"a": 1}\n[1]\n7\n{"a": 2}\nhalf {',),
        (b'\xff\xfe\n{"a": 1} {"a": 2}',),
    ],
)
def test_objects_are_read_however_they_are_written(chunks: tuple[bytes, ...]) -> None:
    with written(*chunks) as descriptor:
        assert list(progress.objects(descriptor)) == [{"a": 1}, {"a": 2}]


def test_a_line_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "MAX_WAITING", 1000)
    with written(b"[" * 3000, b'\n{"a": 1}') as descriptor:
        assert {"a": 1} in list(progress.objects(descriptor))


def test_percentages_are_told_now_and_then_and_the_last_for_sure() -> None:
    monitor = Monitor("snf-1")
    said = [
        monitor.message_of({"type": "image-copy-progress", "progress": share})
        for share in (1.5, 2, 3, 100)
    ]
    assert [message is not None for message in said] == [True, False, False, True]


def test_what_nobody_knows_is_not_passed_on() -> None:
    assert Monitor("snf-1").message_of({"type": "poem"}) is None
    assert Monitor("snf-1").message_of({}) is None


def test_what_the_helper_says_reaches_the_broker(tmp_path: Path, amqp_url: str) -> None:
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        listener = Listener(connection.channel(), kind="progress")
        said = {"type": "image-helper", "subtype": "task-start", "task": "FixPartitionTable"}
        done = subprocess.run(
            [sys.executable, "-m", "cloudweb.backend.agents.progress", f"{listener.prefix}-3"],
            input=json.dumps(said).encode() + b"\nnoise\n",
            env=os.environ | {config.URLS: amqp_url, config.SPOOL: str(tmp_path)},
            timeout=30,
            check=False,
        )
        heard = json.loads(listener.heard(1)[0])

    assert done.returncode == 0
    assert heard.pop("event_time")[0] > 1_700_000_000
    assert heard == said | {"instance": f"{listener.prefix}-3"}


def test_without_a_broker_it_waits_in_the_spool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(config.URLS, "amqp://127.0.0.1:1")
    monkeypatch.setenv(config.SPOOL, str(tmp_path / "spool"))
    monkeypatch.setattr(progress.Publisher, "stop", lambda self: False)
    with written(b'{"type": "image-error", "messages": ["no space left"]}') as descriptor:
        assert progress.main(["--fd", str(descriptor), "snf-1"]) == 0

    assert len(Spool(tmp_path / "spool").files()) == 1
