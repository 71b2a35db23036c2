"""``cloudweb-worker``: a lane for each cluster, woken by the database or by the clock."""

import argparse
import logging
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType

import psycopg
import sqlalchemy as sa

from cloudweb import logs, metrics
from cloudweb.backend import comparing
from cloudweb.backend.audit_watch import AuditWatch
from cloudweb.backend.lane import Lane
from cloudweb.backend.mailroom import Mailroom
from cloudweb.backend.os_parameters import OsParameters
from cloudweb.backend.region_watch import RegionWatch
from cloudweb.backend.target import Target
from cloudweb.domain import (
    acts_on_many,
    address_history,
    audit_chain,
    capacity,
    fleet,
    forms,
    handovers,
    held_forms,
    interventions,
    mail,
    operations,
    pool_days,
    second_chances,
    undos,
)
from cloudweb.faults import Conflict
from cloudweb.models import Backend, SessionFactory, make_engine, unit_of_work
from cloudweb.sealing import Sealer
from cloudweb.settings import Settings, SettingsError

_log = logging.getLogger(__name__)

_LOOK_FOR_BACKENDS_S = 1.0
_TIDY_S = 60.0
_SEAL_S = 5.0


class Worker:
    """Keeps one lane a cluster that is not offline, until stopped."""

    def __init__(self, settings: Settings, sessions: SessionFactory) -> None:
        self.name = f"{socket.gethostname()[:30]}-{os.getpid()}-{secrets.token_hex(4)}"
        self._settings = settings
        self._sessions = sessions
        self._sealer = Sealer.of(settings)
        self._os_parameters = OsParameters(settings, self._sealer)
        self._tidy_at = 0.0
        self._seal_at = 0.0
        self._audit_watch = AuditWatch(sessions)
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
        regions = RegionWatch(self._settings, self._sessions)
        regions.start()
        mails = Mailroom(self._settings, self._sessions)
        mails.start()
        _log.info("worker ready", extra={"worker": self.name})
        try:
            while not self._stop.is_set():
                self._look()
                self._stop.wait(_LOOK_FOR_BACKENDS_S)
        finally:
            self._stop.set()
            regions.stop()
            mails.stop()
            self._match_lanes({})
            for lane in self._ending:
                lane.join()
            regions.join()
            mails.join()
            listener.join()
        _log.info("worker ended", extra={"worker": self.name})

    def _look(self) -> None:
        try:
            backends = self._backends()
            self._match_lanes(self._targets(backends))
            self._pass_on(backends)
            self._decide()
            self._tidy()
            comparing.check_pools(self._sessions, every_s=self._settings.reconcile_every_s)
            self._seal()
            self._audit_watch.look()
        except sa.exc.SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or error
            _log.warning("database away", extra={"error": str(cause)[:200]})

    def _decide(self) -> None:
        """Do what follows for what clusters have declined."""
        with unit_of_work(self._sessions, write=False) as session:
            declined = second_chances.list_declined(session)
        for operation_id in declined:
            try:
                with unit_of_work(self._sessions) as session:
                    decision = second_chances.decide(session, self._settings, operation_id)
            except Conflict as conflict:
                _log.info(
                    "not decided", extra={"operation": operation_id, "error": conflict.message}
                )
            else:
                if decision is not None:
                    metrics.DECISIONS.labels(decision.name.lower()).inc()
                    _log.info(f"operation {decision}", extra={"operation": operation_id})

    def _tidy(self) -> None:
        """Now and then, drop what nobody needs any longer."""
        if time.monotonic() < self._tidy_at:
            return
        self._tidy_at = time.monotonic() + _TIDY_S
        with unit_of_work(self._sessions) as session:
            gone = handovers.purge(session)
            forms.forget_old(session)
            held_forms.forget_old(session)
            undos.forget_old(session)
            mail.purge(session)
            address_history.purge(session, older_than_days=self._settings.history_days)
            acts_on_many.purge(session, older_than_days=self._settings.history_days)
            audit_chain.purge(session, older_than_days=self._settings.history_days)
            self._os_parameters.tidy(session)
            after_s = self._settings.operation_expiry_s
            expired = interventions.list_unanswered(session, after_s=after_s)
        with unit_of_work(self._sessions) as session:
            pool_days.note(session)
            capacity.note_hours(session)
        for operation_id in expired:
            with unit_of_work(self._sessions) as session:
                if interventions.expire(session, operation_id):
                    _log.warning("operation never answered", extra={"operation": operation_id})
        if gone:
            _log.info("handovers dropped", extra={"count": gone})

    def _seal(self) -> None:
        """Chain what was written into the audit since. The end of the chain goes into the log,
        where nobody who can only change the database reaches it.
        """
        if time.monotonic() < self._seal_at:
            return
        self._seal_at = time.monotonic() + _SEAL_S
        with unit_of_work(self._sessions, write=False) as session:
            waiting = audit_chain.is_anything_unsealed(session)
        while waiting and not self._stop.is_set():
            with unit_of_work(self._sessions) as session:
                done = audit_chain.seal(session)
            if done is not None:
                _log.info("audit sealed", extra={"head": str(done)})
            waiting = done is not None and done.is_full

    def _backends(self) -> Sequence[Backend]:
        with unit_of_work(self._sessions, write=False) as session:
            return [b for b in fleet.list_all(session) if not b.offline]

    def _pass_on(self, backends: Sequence[Backend]) -> None:
        """Tell the lanes for which of them somebody wants newer figures."""
        for backend in backends:
            if lane := self._lanes.get(backend.id):
                lane.refresh_asked(backend.refresh_asked)

    def _targets(self, backends: Sequence[Backend]) -> dict[int, Target]:
        targets = {}
        for backend in backends:
            target = self._target(backend)
            if target is not None:
                targets[backend.id] = target
        return targets

    def _target(self, backend: Backend) -> Target | None:
        try:
            return Target.of(backend, self._sealer)
        except ValueError as error:
            _log.error("password unreadable", extra={"backend": backend.name, "error": str(error)})
            return None

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
            lane = Lane(target, self._settings, self._sessions, self.name, self._os_parameters)
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
                backend_id, _, what = notice.payload.partition(" ")
                lane = self._lanes.get(int(backend_id)) if backend_id.isdigit() else None
                if lane is None:
                    continue
                if what == "refresh":
                    lane.refresh_soon()
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
