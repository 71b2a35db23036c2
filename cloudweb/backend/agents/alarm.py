"""Wakes up when something in a directory changes; by inotify where there is one, else by time."""

import ctypes
import logging
import os
import select
import struct
from pathlib import Path
from types import TracebackType
from typing import Self

log = logging.getLogger(__name__)
# From <sys/inotify.h>: IN_CLOSE_WRITE, IN_MOVED_TO, IN_DELETE_SELF, IN_MOVE_SELF.
_EVENTS = 0x008 | 0x080 | 0x400 | 0x800
_GONE = 0x400 | 0x800 | 0x8000  # the last: IN_IGNORED, the watch is no more
_HEAD = struct.Struct("iIII")


class Alarm:
    """Waits for a change in one directory.

    A change that comes between two waits ends the next one at once, so nothing is slept through.
    """

    def __init__(self, directory: Path, *, without_inotify_s: float) -> None:
        self._directory = directory
        self._look_every_s = without_inotify_s
        self._fd = -1

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._close()

    def wait(self, seconds: float) -> None:
        """Return when something has changed, or after so long."""
        if self._fd < 0:
            self._open()
        if self._fd < 0:
            select.select([], [], [], min(seconds, self._look_every_s))
            return
        ready, _, _ = select.select([self._fd], [], [], seconds)
        if ready:
            self._drain()

    def _drain(self) -> None:
        """Take all there is to read; a directory that was replaced is watched anew."""
        seen = os.read(self._fd, 65536)
        at = 0
        while at + _HEAD.size <= len(seen):
            _, mask, _, length = _HEAD.unpack_from(seen, at)
            if mask & _GONE:
                self._close()
                return
            at += _HEAD.size + length

    def _open(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
            watched = self._fd >= 0 and (
                libc.inotify_add_watch(self._fd, os.fsencode(self._directory), _EVENTS) >= 0
            )
        except AttributeError:  # not Linux
            return
        if not watched:
            log.warning("no inotify (%s): looking instead", os.strerror(ctypes.get_errno()))
            self._close()

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
