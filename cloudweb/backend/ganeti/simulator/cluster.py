"""A simulated cluster: takes jobs, runs them in time and in order, and shows what there is."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from cloudweb.backend.ganeti.jobs import Job
from cloudweb.backend.ganeti.simulator import answers, opcodes
from cloudweb.backend.ganeti.simulator.faults import Faults
from cloudweb.backend.ganeti.simulator.refusals import OpFailed
from cloudweb.backend.ganeti.simulator.spec import ClusterSpec
from cloudweb.backend.ganeti.simulator.state import SimJob, State

# How many jobs Ganeti runs at a time.
MAX_RUNNING_JOBS = 20


class Cluster:
    """One cluster, safe for many threads. `on_status(cluster, job)` hears of every change."""

    def __init__(
        self,
        spec: ClusterSpec,
        *,
        state: State | None = None,
        time_factor: float = 1.0,
        on_status: Callable[["Cluster", Job], None] | None = None,
        on_accept: Callable[[], None] | None = None,
    ) -> None:
        self.spec = spec
        self.state = state or State.fresh(spec, time.time())
        self.faults = Faults()
        self.requests: Counter[str] = Counter()
        self.changed = False
        self._factor = time_factor
        self._on_status = on_status
        self._on_accept = on_accept
        self._lock = threading.RLock()

    def submit(
        self, opcode: str, target: str, arguments: dict[str, Any], trail: list[list[Any]]
    ) -> int:
        """Takes a job into the queue and gives its id."""
        now = time.time()
        with self._lock:
            self.state.last_job_id += 1
            job = SimJob(
                id=self.state.last_job_id,
                opcode=opcode,
                target=target,
                arguments=arguments,
                trail=trail,
                received=now,
                due=now + opcodes.QUEUED_S * self._factor,
                failure=self.faults.take_failure(opcode),
            )
            source = f"gnt:opcode:{opcode.removeprefix('OP_').lower()}"
            job.trail.append([source, f"job={job.id};index=0", int(now * 1e9)])
            self.state.jobs[job.id] = job
            self.state.forget_old_jobs()
            self._tell(job)
        if self._on_accept:
            self._on_accept()
        return job.id

    def cancel(self, job_id: int) -> list[Any]:
        """Cancels a job that has not begun; Ganeti's answer: [whether it did, a sentence]."""
        with self._lock:
            job = self.state.jobs.get(job_id)
            if job is None or job.is_final:
                return [False, f"Job {job_id} not found in queue"]
            if job.status == "running":
                return [False, "Job no longer waiting, can't cancel (informed it anyway)"]
            self._end(job, "canceled", "Job canceled by request", time.time())
            return [True, "Job successfully cancelled"]

    def advance(self) -> float | None:
        """Brings every job as far as it has come; seconds until the next change, if one is due."""
        with self._lock:
            now = time.time()
            unfinished = [job for job in self.state.jobs.values() if not job.is_final]
            busy: set[tuple[bool, str]] = set()
            active = sum(job.status != "queued" for job in unfinished)
            for job in unfinished:
                if job.status == "queued" and job.due <= now and active < MAX_RUNNING_JOBS:
                    active += 1
                    job.started = now
                    self._await_locks(job, now)
                if job.status == "waiting" and job.due <= now and not _waits(job, busy):
                    self._start(job, now)
                if job.status == "running" and job.due <= now:
                    self._complete(job, now)
                if not job.is_final:
                    busy.add((job.is_about_network, job.target))
            # A job that is overdue waits for another, whose end will be in this list.
            dues = [job.due - now for job in unfinished if not job.is_final and job.due > now]
            return max(0.01, min(dues)) if dues else None

    def show(self, what: Callable[[ClusterSpec, State], Any]) -> Any:
        """A view of the state as it is now, made under the lock."""
        with self._lock:
            self.advance()
            return what(self.spec, self.state)

    def show_job(self, job_id: int) -> dict[str, Any]:
        with self._lock:
            self.advance()
            return answers.job_row(job_id, self.state.jobs.get(job_id))

    def set_screen(
        self, name: str, *, host: str | None, port: int | None, serial: bool = False
    ) -> bool:
        """Says where an instance's VNC is; whether there is such an instance."""
        with self._lock:
            instance = self.state.instances.get(name)
            if instance is None:
                return False
            instance.screen_host, instance.network_port = host, port
            instance.serial_console = serial
            self.changed = True
            return True

    def set_node(self, name: str, *, offline: bool | None, drained: bool | None) -> bool:
        """Marks a node; whether there is such a node."""
        with self._lock:
            for node in self.state.nodes:
                if node.name == name or node.name.partition(".")[0] == name:
                    node.offline = node.offline if offline is None else offline
                    node.drained = node.drained if drained is None else drained
                    self.changed = True
                    return True
            return False

    def dump(self) -> dict[str, Any]:
        with self._lock:
            self.changed = False
            return self.state.dump()

    def _await_locks(self, job: SimJob, now: float) -> None:
        try:
            opcodes.check_names(self.spec, self.state, job, now)
        except OpFailed as failed:
            self._end(job, "error", failed.result, now)
        else:
            self._move(job, "waiting", now + opcodes.WAITING_S * self._factor)

    def _start(self, job: SimJob, now: float) -> None:
        job.executed = now
        seconds = opcodes.running_s(job)
        try:
            opcodes.begin(self.spec, self.state, job, now)
        except OpFailed as failed:
            job.failure = failed.result
            seconds = opcodes.REFUSED_S
        for name in job.touched:
            known_after = min(seconds, opcodes.KNOWN_AFTER_S) * self._factor
            self.state.instances[name].known_from = now + known_after
        self._move(job, "running", now + seconds * self._factor)

    def _complete(self, job: SimJob, now: float) -> None:
        try:
            result = opcodes.finish(self.spec, self.state, job, now)
            if job.opcode in {"OP_NODE_EVACUATE", "OP_NODE_MIGRATE"}:
                made = [
                    self.submit(opcode, name, given, [*job.trail]) for opcode, name, given in result
                ]
                result = {"jobs": [[True, str(job_id)] for job_id in made]}
        except OpFailed as failed:
            self._end(job, "error", failed.result, now)
        else:
            self._end(job, "success", result, now)

    def _move(self, job: SimJob, status: str, due: float) -> None:
        job.status = status
        job.due = due
        self._tell(job)

    def _end(self, job: SimJob, status: str, result: Any, now: float) -> None:
        job.status = status
        job.result = result
        job.ended = now
        self._tell(job)

    def _tell(self, job: SimJob) -> None:
        self.changed = True
        if self._on_status:
            self._on_status(self, job.seen())


def _waits(job: SimJob, busy: set[tuple[bool, str]]) -> bool:
    """Whether something that the job locks is held, by what earlier jobs are about."""
    if job.opcode == "OP_NETWORK_DISCONNECT" and any(not network for network, _ in busy):
        return True  # Ganeti locks every instance of the group
    return (job.is_about_network, job.target) in busy
