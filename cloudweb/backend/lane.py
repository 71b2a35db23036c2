"""One cluster's lane: submits what is due there, asks about its jobs, reads how it is.

Nothing here waits for another cluster, and no transaction is open while the network is used.
"""

import datetime as dt
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence

import sqlalchemy.exc

from cloudweb import logs, metrics
from cloudweb.backend import asking
from cloudweb.backend.adopting import Adopting
from cloudweb.backend.breaker import Breaker, Wake
from cloudweb.backend.cluster_report import read_report
from cloudweb.backend.comparing import Comparison
from cloudweb.backend.ganeti import errors, troubles
from cloudweb.backend.ganeti.operations import create_body, submit
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.backend.job_watch import JobWatch
from cloudweb.backend.os_parameters import OsParameters
from cloudweb.backend.target import Target
from cloudweb.domain import fleet, hearing, interventions, job_cancels, operations, states
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

JOBS_LISTED_S = 5.5 * 3600
"""Ganeti's watcher takes a job out of the list, for good, six hours after its end."""
_MAY_BE_ARCHIVED = (
    "It was sent so long ago that its job, if there is one, cannot be found any more."
)


class Lane:
    """The threads that work for one cluster."""

    def __init__(
        self,
        target: Target,
        settings: Settings,
        sessions: SessionFactory,
        worker: str,
        os_parameters: OsParameters,
    ) -> None:
        self.target = target
        self._settings = settings
        self._sessions = sessions
        self._worker = worker
        self._os_parameters = os_parameters
        self._stop = threading.Event()
        self._wake = Wake(max(1, settings.worker_lane_threads))
        self._breaker = Breaker(target.name, settings.worker_backoff_max_s)
        self._threads = [
            threading.Thread(target=self._run, args=(self._submit_one,), name=f"{target.name}/{n}")
            for n in range(max(1, settings.worker_lane_threads))
        ]
        self._refresh_at = self._compare_at = self._jobs_at = 0.0
        self._refresh_asked: dt.datetime | None = None
        agents = target.event_source is EventSource.AGENTS
        self._compare_every_s = settings.worker_refresh_s if agents else settings.worker_compare_s
        self._comparison = Comparison(target.id, target.name, sessions, settings)
        self._adopting = Adopting(target.id, sessions, settings.instance_prefix)
        self._jobs = JobWatch(target.id, sessions)
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

    def refresh_soon(self) -> None:
        """The cluster was changed: look at it as a whole when next following."""
        self._refresh_at = self._compare_at = self._jobs_at = 0.0

    def refresh_asked(self, at: dt.datetime | None) -> None:
        """Somebody asked for it then, if at all: done once for each time."""
        if at is not None and at != self._refresh_asked:
            self._refresh_asked = at
            self._breaker.forgive()
            self.refresh_soon()

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
        busy = bool(claimed) or self._cancel_some(client)
        return 0.0 if busy else self._settings.worker_poll_s

    def _cancel_some(self, client: RapiClient) -> bool:
        """Ask the cluster to cancel jobs that are to be; whether there were any."""
        with unit_of_work(self._sessions) as session:
            wanted = interventions.claim_cancels(
                session, self.target.id, every_s=self._settings.worker_lease_s
            )
        for operation in wanted:
            try:
                promised = client.cancel_job(operation.job_id or 0)
            except errors.NotFound:
                promised = False  # it is asked about all the same
            except errors.RapiError as error:
                self._count("cancel not asked", operation, error=error.message[:200])
                continue
            self._count("cancel asked", operation, promised=promised)
            with unit_of_work(self._sessions) as session:
                interventions.ask_now(session, operation.id)
        return self._cancel_others(client) or bool(wanted)

    def _cancel_others(self, client: RapiClient) -> bool:
        """The same for jobs that may be anybody's."""
        with unit_of_work(self._sessions) as session:
            wanted = job_cancels.claim(
                session, self.target.id, every_s=self._settings.worker_lease_s
            )
        for job_id in wanted:
            outcome: object
            try:
                outcome = client.cancel_job(job_id)
            except errors.RapiError as error:
                outcome = error.message[:200]
            facts = {"backend": self.target.name, "job": job_id, "promised": outcome}
            _log.info("cancel of a job asked", extra=facts)
            self._jobs_at = 0.0
        return bool(wanted)

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
            operations.record_submitted(session, operation, job_id)
        self._count("submitted", operation, job=job_id)

    def _adopt_or_send(self, client: RapiClient, operation: Operation) -> int | None:
        """The id of the operation's job: one it already has in Ganeti, or a new one.

        None when it may still be on its way there, and must be looked for again.
        """
        if operation.sent is not None:
            job = client.find_job(asking.mark_of(operation))
            if job is not None:
                self._count("adopted", operation, job=job.id)
                return job.id
            since_s = (utc_now() - operation.sent).total_seconds()
            if since_s > JOBS_LISTED_S:
                self._refused(operation, states.UNANSWERED, _MAY_BE_ARCHIVED)
                return None
            left = self._settings.worker_lease_s - since_s
            if left > 0:
                self._put_off(operation, min(left, 5.0), sure=False, message="Looking for its job.")
                return None
        if operation.cancel_wanted is not None:
            with unit_of_work(self._sessions) as session:
                if interventions.drop_unsent(session, operation):
                    self._count("canceled", operation)
            return None
        noted = utc_now()
        with unit_of_work(self._sessions) as session:
            if not operations.note_sending(session, operation):
                return None
            told = self._os_parameters.sending(session, operation)
        if (utc_now() - noted).total_seconds() > self._settings.worker_lease_s / 2:
            # Who looks for the job at the lease's end must not do so before it has come there.
            sure = operation.sent is None
            self._put_off(operation, 0.0, sure=sure, message="Held up before it was sent.")
            self._count("held up", operation)
            return None
        arguments = _arguments(operation, told)
        return submit(
            client, operation.opcode, operation.target, arguments, asking.reason_of(operation)
        )

    def _not_submitted(self, operation: Operation, error: errors.RapiError) -> None:
        if isinstance(error, errors.NotFound) and operation.opcode == states.REMOVE:
            self._apply([asking.gone(self.target.name, operation)])
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
            hearing.refuse(session, operation, error_class=kind, message=message)
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
                fleet.note_unreachable(backend, troubles.why(error))

    # --- following and refreshing -------------------------------------------------------------

    def _follow(self, client: RapiClient) -> float:
        """Ask about open jobs it is time to ask about, and now and then how the cluster is."""
        try:
            self._ask(client)
            if time.monotonic() >= self._refresh_at:
                self._refresh_at = time.monotonic() + self._settings.worker_refresh_s
                self._refresh(client)
            if time.monotonic() >= self._compare_at:
                self._compare_at = time.monotonic() + self._compare_every_s
                self._comparison.run(client)
                self._adopting.run(client)
            if time.monotonic() >= self._jobs_at:
                self._jobs_at = time.monotonic() + self._settings.worker_jobs_s
                self._jobs.run(client)
        except errors.RapiError as error:
            self._unreachable(error)
            self._comparison.note_failed(error.message)
            self._adopting.note_failed(error.message)
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
            followed = operations.claim_open_jobs(
                session,
                self.target.id,
                every_s=every_s,
                networks_every_s=self._settings.worker_follow_s,
            )
        for operation in followed:
            self._apply(asking.ask(client, self.target.name, operation))
        if followed:
            self._breaker.answered()

    def _apply(self, heard: Sequence[states.StatusEvent] | Sequence[states.NetworkEvent]) -> None:
        networks = [event for event in heard if isinstance(event, states.NetworkEvent)]
        servers = [event for event in heard if isinstance(event, states.StatusEvent)]
        if not heard:
            return
        with unit_of_work(self._sessions) as session:
            outcomes = hearing.apply_statuses(session, servers) if servers else []
            if any(event.opcode == states.CREATE for event in servers):
                self._os_parameters.tidy(session, self.target.id)
            outcomes += hearing.apply_networks(session, networks) if networks else []
        moving = {*states.MOVES, *states.MAKE_JOBS, states.SET_ROLE}
        if any(event.opcode in moving and event.status == "success" for event in heard):
            self.refresh_soon()  # it says on which node they are, and how the nodes are
        if hearing.Outcome.APPLIED in outcomes:
            self.wake()

    def _refresh(self, client: RapiClient) -> None:
        report = read_report(client)
        with unit_of_work(self._sessions) as session:
            backend = session.get(Backend, self.target.id, with_for_update=True)
            if backend is not None:
                fleet.refresh(session, backend, report)
        if backend is not None and backend.refreshed is None and backend.last_error:
            self._refresh_at = 0.0  # nothing else is asked of what is not the cluster that is meant
            raise errors.UnexpectedAnswer(backend.last_error)
        self._breaker.answered()


def _arguments(operation: Operation, told: Mapping[str, str]) -> dict[str, object]:
    """What the RAPI call takes, from what the domain wrote down and a new instance is told."""
    if operation.opcode == states.CREATE:
        osparams = operation.arguments["osparams"] | told
        arguments = operation.arguments | {"osparams": osparams}
        return create_body(name=operation.target, **arguments)
    return dict(operation.arguments)
