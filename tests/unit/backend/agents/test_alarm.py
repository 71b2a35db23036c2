"""The alarm: it wakes for a change, sleeps without one, and outlives its directory."""

import time
from pathlib import Path

import pytest

from cloudweb.backend.agents.alarm import Alarm


def waited_s(alarm: Alarm, seconds: float) -> float:
    started = time.monotonic()
    alarm.wait(seconds)
    return time.monotonic() - started


def put(directory: Path, name: str) -> None:
    new = directory / f"{name}.new"
    new.touch()
    new.rename(directory / name)


def test_a_change_before_the_wait_ends_it_at_once(tmp_path: Path) -> None:
    with Alarm(tmp_path, without_inotify_s=5) as alarm:
        put(tmp_path, "job-1")
        assert waited_s(alarm, 5) < 1
        assert waited_s(alarm, 0.05) >= 0.05


def test_a_directory_that_is_replaced_is_watched_anew(tmp_path: Path) -> None:
    queue = tmp_path / "queue"
    queue.mkdir()
    with Alarm(queue, without_inotify_s=0.01) as alarm:
        queue.rmdir()
        alarm.wait(5)
        queue.mkdir()
        alarm.wait(0.05)
        put(queue, "job-1")
        assert waited_s(alarm, 5) < 1


def test_without_inotify_it_looks_by_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere:
        pass

    monkeypatch.setattr("ctypes.CDLL", lambda *_args, **_options: Elsewhere())
    with Alarm(tmp_path, without_inotify_s=0.01) as alarm:
        assert waited_s(alarm, 5) < 1
