"""``cloudweb-worker``: a lane for each cluster, woken by the database or by the clock."""

import argparse
import logging
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from types import FrameType

import psycopg
import sqlalchemy as sa

from cloudweb import logs, metrics
from cloudweb.backend.lane import Lane, Target
from cloudweb.domain import fleet, operations
from cloudweb.models import Backend, SessionFactory, make_engine, unit_of_work
from cloudweb.sealing import Sealer
from cloudweb.settings import Settings, SettingsError

_log = logging.getLogger(__name__)

_LOOK_FOR_BACKENDS_S = 1.0


class Worker:
    """Keeps one lane a cluster that is not offline, until stopped."""

    def __init__(self, settings: Settings, sessions: SessionFactory) -> None:
        self.name = f"{socket.gethostname()[:30]}-{os.getpid()}-{secrets.token_hex(4)}"
        self._settings = settings
        self._sessions = sessions
        self._sealer = Sealer(settings.secret_key)
        self._lanes: dict[int, Lane] = {}
        self._ending: list[Lane] = []
        self._stop = threading.Event()

    def stop(self) -> None:
        """End after what is under way."""
        self._stop.set()

    def run(self) -> None:
        """Work until stopped; every lane has ended when this returns."""
        listener = threading.Thread(target=self._listen, name="listen")
        listener.start()
        _log.info("worker ready", extra={"worker": self.name})
        try:
            while not self._stop.is_set():
                self._look()
                self._stop.wait(_LOOK_FOR_BACKENDS_S)
        finally:
            self._stop.set()
            self._match_lanes({})
            for lane in self._ending:
                lane.join()
            listener.join()
        _log.info("worker ended", extra={"worker": self.name})

    def _look(self) -> None:
        try:
            self._match_lanes(self._targets())
        except sa.exc.SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or error
            _log.warning("database away", extra={"error": str(cause)[:200]})

    def _targets(self) -> dict[int, Target]:
        with unit_of_work(self._sessions, write=False) as session:
            backends = [b for b in fleet.list_all(session) if not b.offline]
        targets = {}
        for backend in backends:
            target = self._target(backend)
            if target is not None:
                targets[backend.id] = target
        return targets

    def _target(self, backend: Backend) -> Target | None:
        try:
            password = self._sealer.open(backend.password_sealed)
        except ValueError as error:
            _log.error("password unreadable", extra={"backend": backend.name, "error": str(error)})
            return None
        return Target(
            id=backend.id,
            name=backend.name,
            url=backend.url,
            username=backend.username,
            password=password,
            ca_file=backend.ca_file,
            fingerprint=backend.fingerprint,
            verify_tls=backend.verify_tls,
            event_source=backend.event_source,
        )

    def _match_lanes(self, targets: dict[int, Target]) -> None:
        """End the lanes of clusters that changed or went, start those of new ones."""
        ending = [
            lane for lane in self._lanes.values() if targets.get(lane.target.id) != lane.target
        ]
        for lane in ending:
            lane.stop()
            del self._lanes[lane.target.id]
        self._ending = [lane for lane in (*self._ending, *ending) if lane.is_alive()]
        for backend_id, target in targets.items():
            if backend_id not in self._lanes:
                self._start(target)

    def _start(self, target: Target) -> None:
        try:
            lane = Lane(target, self._settings, self._sessions, self.name)
            target.connect(self._settings).close()
        except ValueError as error:
            _log.error("bad address", extra={"backend": target.name, "error": str(error)})
            return
        self._lanes[target.id] = lane
        lane.start()

    def _listen(self) -> None:
        """Wake lanes when PostgreSQL says that something was enqueued; elsewhere lanes poll."""
        url = self._sessions.engine.url
        if url.get_backend_name() != "postgresql":
            return
        plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
        while not self._stop.is_set():
            try:
                with psycopg.connect(plain, autocommit=True, connect_timeout=5) as connection:
                    connection.execute(f"LISTEN {operations.CHANNEL}")
                    self._wake_on_notify(connection)
            except psycopg.Error as error:
                _log.warning("listening failed", extra={"error": str(error)[:200]})
                self._stop.wait(1.0)

    def _wake_on_notify(self, connection: psycopg.Connection) -> None:
        while not self._stop.is_set():
            for notice in connection.notifies(timeout=0.5):
                lane = self._lanes.get(int(notice.payload)) if notice.payload.isdigit() else None
                if lane is not None:
                    lane.wake()


def main(argv: Sequence[str] | None = None) -> int:
    """Run a worker until SIGTERM or SIGINT; the exit status."""
    parser = argparse.ArgumentParser(
        prog="cloudweb-worker", description="Tell the clusters what to do, and hear what they did."
    )
    parser.add_argument("config", help="the ini file, as for pserve")
    arguments = parser.parse_args(argv)
    from cloudweb.cli.config import load_settings

    try:
        settings = load_settings(arguments.config)
    except (SettingsError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    logs.setup(settings)
    run(settings)
    return 0


def run(settings: Settings) -> None:
    """Run a worker with these settings until a signal ends it."""
    lanes = 16 * (settings.worker_lane_threads + 1)
    engine = make_engine(settings.database_url, pool_size=min(lanes, 20))
    worker = Worker(settings, SessionFactory(engine))

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        worker.stop()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    if settings.worker_metrics_port:
        metrics.serve(settings.worker_metrics_port)
    worker.run()
    engine.dispose()


if __name__ == "__main__":
    sys.exit(main())
