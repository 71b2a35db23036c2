"""One cluster's lane: submits what is due there, asks about its jobs, reads how it is.

Nothing here waits for another cluster, and no transaction is open while the network is used.
"""

import dataclasses
import logging
import random
import threading
import time
from collections.abc import Callable

import sqlalchemy.exc

from cloudweb import logs, metrics
from cloudweb.backend.cluster_report import read_report
from cloudweb.backend.ganeti import errors
from cloudweb.backend.ganeti.jobs import Job
from cloudweb.backend.ganeti.objects import Instance
from cloudweb.backend.ganeti.operations import create_body, submit
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.domain import fleet, hearing, operations, states
from cloudweb.models import (
    Backend,
    EventSource,
    Operation,
    SessionFactory,
    unit_of_work,
    utc_now,
)
from cloudweb.settings import Settings

_log = logging.getLogger(__name__)

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


class _Wake:
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


def reason_of(operation: Operation) -> str:
    """What stands in the job's reason trail: by it the job is found again, and the request."""
    return f"cloudweb:{operation.key} request:{operation.request_id or 'none'}"


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """All a lane needs to know of its cluster; a change of any makes a new lane."""

    id: int
    name: str
    url: str
    username: str
    password: str = dataclasses.field(repr=False)
    ca_file: str | None
    fingerprint: str
    verify_tls: bool
    event_source: EventSource

    def connect(self, settings: Settings) -> RapiClient:
        """A client for one thread."""
        return RapiClient(
            self.url,
            self.username,
            self.password,
            ca_file=self.ca_file,
            fingerprint=self.fingerprint or None,
            verify=self.verify_tls,
            connect_timeout_s=settings.rapi_connect_timeout_s,
            read_timeout_s=settings.rapi_read_timeout_s,
        )


class Lane:
    """The threads that work for one cluster."""

    def __init__(
        self, target: Target, settings: Settings, sessions: SessionFactory, worker: str
    ) -> None:
        self.target = target
        self._settings = settings
        self._sessions = sessions
        self._worker = worker
        self._stop = threading.Event()
        self._wake = _Wake(max(1, settings.worker_lane_threads))
        self._breaker = Breaker(target.name, settings.worker_backoff_max_s)
        self._threads = [
            threading.Thread(target=self._run, args=(self._submit_one,), name=f"{target.name}/{n}")
            for n in range(max(1, settings.worker_lane_threads))
        ]
        self._refresh_at = 0.0
        self._threads.append(
            threading.Thread(target=self._run, args=(self._follow,), name=f"{target.name}/follow")
        )

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Something may be due."""
        self._wake.ring()

    def stop(self) -> None:
        """End after what is under way; ``join`` waits for it."""
        self._stop.set()
        for _ in self._threads:
            self._wake.ring()

    def is_alive(self) -> bool:
        """Whether any of its threads still runs."""
        return any(thread.is_alive() for thread in self._threads)

    def join(self) -> None:
        """Wait until all threads have ended."""
        for thread in self._threads:
            thread.join()

    def _run(self, step: Callable[[RapiClient], float]) -> None:
        """Repeat a step, waiting as long as it says in between; a failure never ends the lane."""
        with self.target.connect(self._settings) as client:
            while not self._stop.is_set():
                pause = self._breaker.wait_s()
                if pause <= 0:
                    pause = self._try(step, client)
                if pause > 0:
                    self._pause(pause, wakeable=step == self._submit_one)

    def _try(self, step: Callable[[RapiClient], float], client: RapiClient) -> float:
        try:
            return step(client)
        except (sqlalchemy.exc.DBAPIError, sqlalchemy.exc.TimeoutError) as error:
            cause = getattr(error, "orig", None) or error
            _log.warning("database away", extra={"error": str(cause)[:200]})
        except Exception:  # noqa: BLE001  (a lane outlives whatever one operation does to it)
            _log.exception("lane failed", extra={"backend": self.target.name})
        return 1.0

    def _pause(self, seconds: float, *, wakeable: bool) -> None:
        seconds = min(seconds, 5.0)
        if wakeable and self._breaker.wait_s() <= 0:
            self._wake.wait(seconds)
        else:
            self._stop.wait(seconds)

    # --- submitting ---------------------------------------------------------------------------

    def _submit_one(self, client: RapiClient) -> float:
        """Submit the next due operation; how long to wait when there is none."""
        with unit_of_work(self._sessions) as session:
            claimed = operations.claim(
                session,
                self.target.id,
                worker=self._worker,
                lease_s=self._settings.worker_lease_s,
            )
        for operation in claimed:
            token = logs.request_id.set(operation.request_id)
            try:
                self._submit(client, operation)
            finally:
                logs.request_id.reset(token)
        return 0.0 if claimed else self._settings.worker_poll_s

    def _submit(self, client: RapiClient, operation: Operation) -> None:
        try:
            job_id = self._adopt_or_send(client, operation)
        except errors.RapiError as error:
            self._not_submitted(operation, error)
            return
        except ValueError as error:
            self._refused(operation, "wrong_input", str(error))
            return
        self._breaker.answered()
        if job_id is None:
            return
        with unit_of_work(self._sessions) as session:
            operations.record_submitted(session, operation.id, job_id)
        self._count("submitted", operation, job=job_id)

    def _adopt_or_send(self, client: RapiClient, operation: Operation) -> int | None:
        """The id of the operation's job: one it already has in Ganeti, or a new one.

        None when it may still be on its way there, and must be looked for again.
        """
        if operation.sent is not None:
            job = client.find_job(reason_of(operation))
            if job is not None:
                self._count("adopted", operation, job=job.id)
                return job.id
            left = self._settings.worker_lease_s - (utc_now() - operation.sent).total_seconds()
            if left > 0:
                self._put_off(operation, min(left, 5.0), sure=False, message="Looking for its job.")
                return None
        with unit_of_work(self._sessions) as session:
            if not operations.note_sending(session, operation):
                return None
        return submit(
            client, operation.opcode, operation.target, _arguments(operation), reason_of(operation)
        )

    def _not_submitted(self, operation: Operation, error: errors.RapiError) -> None:
        if isinstance(error, errors.NotFound) and operation.opcode == states.REMOVE:
            self._apply([_gone(self.target.name, operation)])
            with unit_of_work(self._sessions) as session:
                operations.record_gone(session, operation.id)
            self._count("gone", operation)
            return
        if isinstance(error, (errors.BadRequest, errors.NotFound)):
            missing = isinstance(error, errors.NotFound)
            kind = states.UNKNOWN_ENTITY if missing else "wrong_input"
            self._refused(operation, kind, error.message)
            return
        if not isinstance(error, errors.Busy):
            self._unreachable(error)
        seconds = min(self._settings.worker_backoff_max_s, 2.0 ** min(operation.attempts - 1, 10))
        jittered = seconds * random.uniform(0.5, 1.0)  # noqa: S311
        sent_before = operation.sent is not None
        sure = not error.maybe_sent and not sent_before
        self._put_off(operation, jittered, sure=sure, message=error.message)
        self._count("put off", operation, error=error.message[:200])

    def _put_off(self, operation: Operation, seconds: float, *, sure: bool, message: str) -> None:
        with unit_of_work(self._sessions) as session:
            operations.put_off(
                session, operation, seconds=seconds, surely_not_sent=sure, message=message
            )

    def _refused(self, operation: Operation, kind: str, message: str) -> None:
        with unit_of_work(self._sessions) as session:
            operations.record_refused(session, operation, error_class=kind, message=message)
        self._count("refused", operation, error=message[:200])

    def _count(self, outcome: str, operation: Operation, **facts: object) -> None:
        metrics.SUBMISSIONS.labels(self.target.name, outcome).inc()
        _log.info(
            f"operation {outcome}",
            extra={
                "backend": self.target.name,
                "operation": operation.id,
                "opcode": operation.opcode,
                "target": operation.target,
                **facts,
            },
        )

    def _unreachable(self, error: errors.RapiError) -> None:
        self._breaker.failed()
        with unit_of_work(self._sessions) as session:
            backend = session.get(Backend, self.target.id, with_for_update=True)
            if backend is not None:
                fleet.note_unreachable(backend, error.message)

    # --- following and refreshing -------------------------------------------------------------

    def _follow(self, client: RapiClient) -> float:
        """Ask about open jobs it is time to ask about, and now and then how the cluster is."""
        try:
            self._ask(client)
            if time.monotonic() >= self._refresh_at:
                self._refresh_at = time.monotonic() + self._settings.worker_refresh_s
                self._refresh(client)
        except errors.RapiError as error:
            self._unreachable(error)
            _log.warning(
                "cluster does not answer",
                extra={"backend": self.target.name, "error": error.message[:200]},
            )
        return min(self._settings.worker_follow_s, self._settings.worker_poll_s)

    def _ask(self, client: RapiClient) -> None:
        agents = self.target.event_source is EventSource.AGENTS
        every_s = (
            self._settings.worker_safety_follow_s if agents else self._settings.worker_follow_s
        )
        with unit_of_work(self._sessions) as session:
            followed = operations.claim_open_jobs(session, self.target.id, every_s=every_s)
        for operation in followed:
            self._apply(self._hear(client, operation))
        if followed:
            self._breaker.answered()

    def _hear(self, client: RapiClient, operation: Operation) -> list[states.StatusEvent]:
        """What the cluster says of an operation's job."""
        try:
            job = client.job(operation.job_id or 0)
        except errors.NotFound:
            return [self._lost(client, operation)]
        reason = reason_of(operation)
        if not any(reason in op.reasons for op in job.ops):
            # Another cluster's numbering, begun anew: that job is not ours.
            return [self._lost(client, operation)]
        return [event for event in self._events(client, operation, job) if event is not None]

    def _events(
        self, client: RapiClient, operation: Operation, job: Job
    ) -> list[states.StatusEvent | None]:
        moment = job.event_time()
        events: list[states.StatusEvent | None] = []
        for op in job.ops:
            made = op.status == "success" and op.opcode == states.CREATE
            instance = _find_instance(client, operation.target) if made else None
            events.append(
                states.StatusEvent(
                    cluster=self.target.name,
                    instance=op.instance or operation.target,
                    opcode=op.opcode,
                    status=op.status,
                    job_id=job.id,
                    time=moment,
                    log=op.log,
                    error=(op.error.code, op.error.message) if op.error else None,
                    nics=_nics(instance) if instance is not None else None,
                )
            )
        return events

    def _lost(self, client: RapiClient, operation: Operation) -> states.StatusEvent:
        """Ganeti no longer knows the job: what the instance is now tells how it ended."""
        instance = _find_instance(client, operation.target)
        running = instance is not None and bool(instance.oper_state)
        wanted = {
            states.CREATE: instance is not None,
            states.REMOVE: instance is None,
            states.SHUTDOWN: instance is not None and not running,
        }.get(operation.opcode, running)
        return states.StatusEvent(
            cluster=self.target.name,
            instance=operation.target,
            opcode=operation.opcode,
            status="success" if wanted else "error",
            job_id=operation.job_id or 0,
            time=utc_now(),
            error=None if wanted else ("job_lost", "Ganeti no longer knows the job."),
            nics=_nics(instance) if instance is not None else None,
        )

    def _apply(self, events: list[states.StatusEvent]) -> None:
        if not events:
            return
        with unit_of_work(self._sessions) as session:
            outcomes = hearing.apply_statuses(session, events)
        if hearing.Outcome.APPLIED in outcomes:
            self.wake()

    def _refresh(self, client: RapiClient) -> None:
        report = read_report(client)
        nics = {instance.name: _nics(instance) for instance in client.instances_bulk()}
        with unit_of_work(self._sessions) as session:
            backend = session.get(Backend, self.target.id, with_for_update=True)
            if backend is not None:
                fleet.refresh(session, backend, report)
                hearing.apply_instances(session, backend, nics)
        self._breaker.answered()


def _arguments(operation: Operation) -> dict[str, object]:
    """What the RAPI call takes, from what the domain wrote down."""
    if operation.opcode == states.CREATE:
        return create_body(name=operation.target, **operation.arguments)
    return dict(operation.arguments)


def _gone(cluster: str, operation: Operation) -> states.StatusEvent:
    return states.StatusEvent(
        cluster=cluster,
        instance=operation.target,
        opcode=operation.opcode,
        status="error",
        job_id=0,
        time=utc_now(),
        error=(states.UNKNOWN_ENTITY, "The instance does not exist."),
    )


def _find_instance(client: RapiClient, name: str) -> Instance | None:
    try:
        return client.instance(name)
    except errors.NotFound:
        return None


def _nics(instance: Instance) -> tuple[states.NicReport, ...]:
    return tuple(states.NicReport(nic.index, nic.mac, nic.ip) for nic in instance.nics)
