"""``cloudweb-consumer``: hears over the message bus what clusters did, and writes it down."""

import argparse
import concurrent.futures
import logging
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TypeVar

import sqlalchemy as sa
from pika.exceptions import AMQPError
from prometheus_client import Counter, Gauge, Histogram

from cloudweb import logs, metrics, spare_the_collector
from cloudweb.backend.amqp import batch, checking
from cloudweb.backend.amqp.batch import DatabaseAway, Delivery, Verdict
from cloudweb.backend.amqp.link import Link, letter_of
from cloudweb.backend.amqp.pulse import Pulse
from cloudweb.backend.amqp.topology import Topology, TopologyError
from cloudweb.backend.target import Target
from cloudweb.domain import dead_letters
from cloudweb.models import SessionFactory, make_engine, unit_of_work, utc_now
from cloudweb.sealing import Sealer
from cloudweb.settings import Settings, SettingsError

log = logging.getLogger(__name__)

MESSAGES = Counter(
    "cloudweb_consumer_messages_total",
    "Messages dealt with, by what became of them.",
    ("outcome",),
    registry=metrics.REGISTRY,
)
BATCH_SECONDS = Histogram(
    "cloudweb_consumer_batch_seconds",
    "Time to apply and acknowledge a batch.",
    registry=metrics.REGISTRY,
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30),
)
LAG = Gauge(
    "cloudweb_consumer_lag_seconds",
    "Age of the oldest event of the last batch; 0 when nothing is waiting.",
    registry=metrics.REGISTRY,
)
CONNECTED = Gauge(
    "cloudweb_consumer_connected", "Whether there is a broker.", registry=metrics.REGISTRY
)
RECONNECTS = Counter(
    "cloudweb_consumer_reconnects_total", "Connections lost.", registry=metrics.REGISTRY
)
AWAY = Counter(
    "cloudweb_consumer_database_away_total",
    "Times a batch had to wait for the database.",
    registry=metrics.REGISTRY,
)

_IDLE_S = 0.5
_QUIET_S = 0.01
_YIELD_S = 0.0001
_STEADY_S = 5.0
_COUNT_EVERY_S = 10.0
_CHECK_S = 30.0

Done = TypeVar("Done")


class _Stopping(Exception):
    """A signal came while waiting."""


class _Pause:
    """How long to wait before the next try: longer each time, and never the same for two of us."""

    def __init__(self, first_s: float, longest_s: float) -> None:
        self._first_s, self._longest_s = first_s, longest_s
        self._next_s = first_s

    def next(self) -> float:
        pause, self._next_s = self._next_s, min(self._next_s * 2, self._longest_s)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311  (not a secret)

    def reset(self) -> None:
        self._next_s = self._first_s


class Consumer:
    """Applies what comes, a batch at a time, until it is stopped.

    While the database is at work, in a thread, the next batch is read and heartbeats go on.
    """

    def __init__(self, settings: Settings, sessions: SessionFactory) -> None:
        self._settings = settings
        self._sessions = sessions
        self._topology = Topology(
            settings.instance_prefix.removesuffix("-"), settings.amqp_queue_type
        )
        self._dead = frozenset(queue.dead for queue in self._topology.queues)
        self._stopping = threading.Event()
        self._pause = _Pause(0.25, 30.0)
        self._count_at = 0.0
        self._busy = False
        self._pulse = Pulse(sessions)
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="apply")

    def stop(self) -> None:
        """End soon: the batch at hand is finished first. May be called by a signal handler."""
        self._stopping.set()

    def run(self) -> None:
        """Consume until stopped, over whichever node of the broker answers.

        Raises:
            TopologyError: the broker has something else under one of our names.
        """
        spare_the_collector()
        while not self._stopping.is_set():
            started = time.monotonic()
            lost = self._run_over_some_host()
            if self._stopping.is_set():
                break
            if time.monotonic() - started > _STEADY_S:
                self._pause.reset()
            if lost:
                RECONNECTS.inc()
            self._pulse.beat()
            pause = self._pause.next()
            log.info("trying the broker again", extra={"in_s": round(pause, 1)})
            self._sleep(pause)
        self._pulse.stop()
        log.info("stopped")

    def _run_over_some_host(self) -> bool:
        """Consume over the first host that answers; whether there was one."""
        for url in random.sample(self._settings.amqp_hosts, len(self._settings.amqp_hosts)):
            if self._stopping.is_set():
                return False
            host = sa.make_url(url).set(query={}).render_as_string(hide_password=True)
            try:
                link = Link(url, self._topology, prefetch=self._settings.amqp_prefetch)
            except (AMQPError, OSError) as error:
                log.warning("no broker", extra={"host": host, "error": repr(error)[:300]})
                self._pulse.lost(repr(error))
                continue
            log.info("connected", extra={"host": host, "queues": self._topology.prefix})
            CONNECTED.set(1)
            self._pulse.found(sa.make_url(url).host or "")
            try:
                self._consume(link)
            except _Stopping:
                pass
            except (AMQPError, OSError) as error:
                log.warning("broker lost", extra={"host": host, "error": repr(error)[:300]})
                self._pulse.lost(repr(error))
            finally:
                CONNECTED.set(0)
                link.close()
            return True
        return False

    def _consume(self, link: Link) -> None:
        while not self._stopping.is_set():
            self._pulse.beat(len(link.pending))
            if self._pulse.rests():
                link.wait(_IDLE_S)
            elif deliveries := self._collect(link):
                self._settle(link, deliveries)
            else:
                self._busy = False
                LAG.set(0)
            if time.monotonic() >= self._count_at:
                self._count_at = time.monotonic() + _COUNT_EVERY_S
                self._note_counts(link)

    def _note_counts(self, link: Link) -> None:
        """Write down how full the queues are, for the pages that show it; next time will do too."""
        counts = link.count(self._topology.names)
        try:
            with unit_of_work(self._sessions) as session:
                dead_letters.note_counts(session, counts)
        except sa.exc.SQLAlchemyError as error:
            log.warning("queues not counted", extra={"error": repr(error)[:300]})

    def _collect(self, link: Link) -> list[Delivery]:
        """The next batch: what comes within a moment of the first, up to so many.

        Where little is said nothing more is waited for once it is quiet.
        """
        link.read(0 if link.pending else _IDLE_S)
        if not link.pending:
            return []
        most = self._settings.consumer_batch
        ends = time.monotonic() + self._settings.consumer_batch_s
        while (count := len(link.pending)) < most and (left := ends - time.monotonic()) > 0:
            link.read(left if self._busy else min(left, _QUIET_S))
            if len(link.pending) == count and not self._busy:
                break
        self._busy = len(link.pending) > most // 10
        return [link.pending.popleft() for _ in range(min(most, len(link.pending)))]

    def _settle(self, link: Link, deliveries: list[Delivery]) -> None:
        """Apply, commit, bury what cannot be applied, acknowledge: in this order."""
        started = time.perf_counter()
        self._keep(link, [d for d in deliveries if d.queue in self._dead])
        verdict = self._apply(link, [d for d in deliveries if d.queue not in self._dead])
        for letter in verdict.dead:
            link.bury(letter)
            facts = {"reason": letter.reason[:300]}
            if letter.traceback:
                facts["trace"] = letter.traceback[-2000:]
            log.warning("dead letter", extra=facts)
        link.acknowledge(deliveries[-1].tag)
        took_s = time.perf_counter() - started
        self._count(verdict, took_s)
        self._pulse.count(deliveries, verdict)
        log.debug("batch", extra={"messages": len(deliveries), "took_ms": round(took_s * 1000, 1)})

    def _keep(self, link: Link, deliveries: list[Delivery]) -> None:
        """Take dead letters over into the database, where there are tools for them."""
        if deliveries:
            letters = [letter_of(delivery) for delivery in deliveries]
            self._insist(link, lambda: batch.keep(self._sessions, letters))

    def _apply(self, link: Link, deliveries: list[Delivery]) -> Verdict:
        return self._insist(link, lambda: batch.apply(self._sessions, deliveries))

    def _insist(self, link: Link, work: Callable[[], Done]) -> Done:
        """Do the work, waiting for the database as long as it takes."""
        pause = _Pause(0.25, 30.0)
        while True:
            try:
                return self._beside(link, work)
            except DatabaseAway as error:
                AWAY.inc()
                self._pulse.waited()
                wait_s = pause.next()
                log.warning(
                    "no database", extra={"error": str(error), "again_in_s": round(wait_s, 1)}
                )
                self._sleep(wait_s, link)

    def _beside(self, link: Link, work: Callable[[], Done]) -> Done:
        """Do the work in a thread; it has ended when this returns or raises."""
        done = self._thread.submit(work)
        done.add_done_callback(lambda _done: link.wake())
        try:
            while not done.done():
                link.read(_IDLE_S)
                # The thread may wait for the interpreter, which a reader with more to read would
                # take again at once: then the database's answer lies there until all is read.
                time.sleep(_YIELD_S)
        finally:
            concurrent.futures.wait([done])
        return done.result()

    def _sleep(self, seconds: float, link: Link | None = None) -> None:
        """Wait; the broker's heartbeats go on. Raises _Stopping in the middle of a batch."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            if self._stopping.is_set() and link is not None:
                raise _Stopping
            if self._stopping.is_set():
                return
            if link is None:
                time.sleep(min(left, _IDLE_S))
            else:
                link.wait(min(left, _IDLE_S))

    def _count(self, verdict: Verdict, took_s: float) -> None:
        for outcome, count in verdict.outcomes.items():
            MESSAGES.labels(outcome).inc(count)
        if verdict.dead:
            MESSAGES.labels("dead letter").inc(len(verdict.dead))
        if verdict.oldest is not None:
            LAG.set((utc_now() - verdict.oldest).total_seconds())
        BATCH_SECONDS.observe(took_s)


def main(argv: Sequence[str] | None = None) -> int:
    """Consume until SIGTERM or SIGINT; the exit status."""
    parser = argparse.ArgumentParser(
        prog="cloudweb-consumer", description="Hear over the message bus what the clusters did."
    )
    parser.add_argument("config", help="the ini file, as for pserve")
    parser.add_argument(
        "--check",
        action="store_true",
        help="only ask every cluster with agents whether its messages come through, and end",
    )
    arguments = parser.parse_args(argv)
    from cloudweb.cli.config import load_settings

    try:
        settings = load_settings(arguments.config)
        if not settings.amqp_hosts:
            raise SettingsError("Setting cloudweb.amqp_hosts names no broker to listen to.")
    except (SettingsError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    if arguments.check:
        return check(settings)
    logs.setup(settings)
    # Each lost connection is one line of ours; pika would tell the same in twenty.
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    try:
        run(settings)
    except TopologyError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def check(settings: Settings) -> int:
    """Follow a heartbeat of each cluster with agents to our database; 1 if one was not heard."""
    engine = make_engine(settings.database_url, pool_size=1)
    sealer = Sealer.of(settings)
    found = checking.check(
        SessionFactory(engine),
        lambda backend: Target.of(backend, sealer).connect(settings),
        timeout_s=_CHECK_S,
    )
    engine.dispose()
    for each in found:
        heard = each.heard_after_s
        fate = each.problem if heard is None else f"heard after {heard:.1f} s"
        sys.stdout.write(f"{each.backend}: {fate}\n")
    if not found:
        sys.stdout.write("No cluster has agents.\n")
    return 0 if all(each.heard_after_s is not None for each in found) else 1


def run(settings: Settings) -> None:
    """Consume with these settings until a signal ends it. Raises TopologyError."""
    engine = make_engine(
        settings.database_url,
        pool_size=1,
        statement_timeout_s=settings.database_statement_timeout_s,
    )
    consumer = Consumer(settings, SessionFactory(engine))

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        consumer.stop()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    if settings.consumer_metrics_port:
        metrics.serve(settings.consumer_metrics_port)
    consumer.run()
    engine.dispose()


if __name__ == "__main__":
    sys.exit(main())
