"""What keeps a lane's threads waiting: a cluster that does not answer, and nothing to do."""

import random
import threading
import time

from cloudweb import metrics

_FAILURES_TO_OPEN = 3


class Breaker:
    """Keeps a lane from a cluster that does not answer: longer each time, with jitter."""

    def __init__(self, name: str, maximum_s: float) -> None:
        self._name = name
        self._maximum_s = maximum_s
        self._failures = 0
        self._until = 0.0
        self._lock = threading.Lock()

    def wait_s(self) -> float:
        """How long to leave the cluster alone yet; 0 or less when it may be asked."""
        return self._until - time.monotonic()

    def forgive(self) -> None:
        """Somebody says that it is worth asking it again."""
        self._until = 0.0

    def failed(self) -> None:
        """It did not answer."""
        with self._lock:
            self._failures += 1
            if self._failures >= _FAILURES_TO_OPEN:
                exponent = min(self._failures - _FAILURES_TO_OPEN, 10)
                pause = min(self._maximum_s, 2.0**exponent) * random.uniform(0.5, 1.0)  # noqa: S311
                self._until = time.monotonic() + pause
        self._show()

    def answered(self) -> None:
        """It did."""
        if self._failures:
            with self._lock:
                self._failures, self._until = 0, 0.0
        self._show()

    def _show(self) -> None:
        metrics.BACKEND_UP.labels(self._name).set(self._failures == 0)
        metrics.LANE_CLOSED.labels(self._name).set(self._until > time.monotonic())


class Wake:
    """Wakes threads that wait; what rings while nobody does is remembered once a thread."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._rung = 0
        self._changed = threading.Condition()

    def ring(self) -> None:
        with self._changed:
            self._rung = min(self._rung + 1, self._threads)
            self._changed.notify()

    def wait(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._rung > 0, timeout=seconds)
            self._rung = max(0, self._rung - 1)
