"""Having done again what a job of a cluster failed to do, whoever had asked for that."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit, interventions, moves, operations, servers, states, texts
from cloudweb.domain.cluster_jobs import JobStatus
from cloudweb.domain.identity import Identity
from cloudweb.domain.job_cancels import audit_id, find_operation
from cloudweb.domain.moves import Verb
from cloudweb.models import OPEN_STATES, Backend, ClusterJob, Operation, OperationState, Server

FAILED = (JobStatus.ERROR, JobStatus.CANCELED)

_TO_A_PLACE = {"target_node", "iallocator", "ignore_ipolicy"}
TAKES: Mapping[str, frozenset[str]] = {
    states.STARTUP: frozenset({"force", "no_remember"}),
    states.SHUTDOWN: frozenset({"force", "no_remember", "timeout", "ignore_offline_nodes"}),
    states.REBOOT: frozenset({"reboot_type", "ignore_secondaries"}),
    states.MIGRATE: frozenset(
        {"mode", "live", "cleanup", "allow_failover", "allow_runtime_changes", *_TO_A_PLACE}
    ),
    states.FAILOVER: frozenset({"ignore_consistency", "cleanup", "shutdown_timeout", *_TO_A_PLACE}),
    states.MIGRATE_NODE: frozenset({"mode", "live", "allow_runtime_changes", *_TO_A_PLACE}),
    states.EVACUATE: frozenset({"mode", "early_release", "remote_node", "iallocator"}),
    states.REDISTRIBUTE: frozenset(),
}
"""The opcodes that the remote API has a call for, with what that can be given."""

_ITSELF = frozenset({"OP_ID", "reason", "comment", "debug_level", "priority"})
"""What a job is called and why, and how eagerly it is done: not what it does."""
_NAMES = frozenset({"instance_name", "node_name", "instance_uuid", "node_uuid"})
_FOUND = frozenset({"target_node_uuid", "remote_node_uuid", "admin_state_source"})
"""What Ganeti itself writes beside what a job was given."""
_SAID = frozenset({"reboot_type", "target_node"})
"""What an act on a server of ours has words for."""
_AS_ALWAYS = {"shutdown_timeout": 120, "timeout": 120, "allow_runtime_changes": True}
"""What is so, if it is not said."""


@dataclasses.dataclass(frozen=True, slots=True)
class Way:
    """How a job is done again; ``obstacle`` says why it cannot be, empty when it can.

    By the retry of the operation of ours that it was, by an act on a server of ours, or by giving
    the cluster what the job was ``given``.
    """

    obstacle: str
    operation: Operation | None = None
    server: Server | None = None
    given: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    done_by: int | None = None
    """The operation that does it again already."""

    @property
    def left_out(self) -> Sequence[str]:
        """What the job was given and the act on a server has no word for."""
        return sorted(set(self.given) - _SAID) if self.server is not None else ()


def find_way(session: Session, job: ClusterJob, backend: Backend) -> Way:
    """How a job would be done again; three statements at most, the cluster is not asked."""
    if job.status not in FAILED:
        return Way("It did not fail.")
    if job.retry_id is not None:
        return Way(f"Operation {job.retry_id} does it again already.", done_by=job.retry_id)
    operation = find_operation(session, job)
    if operation is not None:
        newer = interventions.find_retry(session, operation.id)
        return Way(_obstacle_of(operation, newer), operation, done_by=newer)
    given = _given(job)
    if why := _obstacle(job, backend, given):
        return Way(why)
    server = _find_server(session, job, given)
    if server is not None and (why := _obstacle_of_server(job, given)):
        return Way(why, server=server)
    taken = {key: value for key, value in given.items() if key in TAKES[job.opcode]}
    return Way("", server=server, given=taken)


def _obstacle_of(operation: Operation, newer: int | None) -> str:
    if newer is not None:
        return f"Operation {newer} does it again already."
    if operation.state in OPEN_STATES:
        return f"Operation {operation.id}, of which it is, goes on."
    if operation.state is OperationState.SUCCESS:
        return f"Operation {operation.id} was done all the same."
    return ""


def _obstacle_of_server(job: ClusterJob, given: Mapping[str, Any]) -> str:
    if job.opcode in states.MAKE_JOBS:
        return "Servers of ours are on this node: its own page moves each of them as it may be."
    if given.get("reboot_type") == "full":
        return "A server of ours is rebooted soft or hard only."
    return ""


def _obstacle(job: ClusterJob, backend: Backend, given: Mapping[str, Any]) -> str:
    if backend.offline:
        return f"{backend.name} is offline: nothing is asked of it."
    if job.opcode not in TAKES:
        return f"Ganeti's remote API has no call that gives {job.opcode} again."
    if job.steps > 1:
        return f"It has {job.steps} steps, and the remote API takes one at a time."
    if not given:
        return "What it was given was not read yet, or is too long to keep."
    more = sorted(set(given) - TAKES[job.opcode] - _ITSELF - _NAMES)
    if more:
        return f"The remote API cannot be told all that it was given: {', '.join(more)}."
    return ""


def _given(job: ClusterJob) -> dict[str, Any]:
    """What the job's opcode was given, without what is empty, or so anyway."""
    detail = orjson.loads(job.detail) if job.detail else {}
    steps = detail.get("ops") or [{}]
    return {
        key: value
        for key, value in steps[0].items()
        if value and key not in _FOUND and _AS_ALWAYS.get(key) != value
    }


def _find_server(session: Session, job: ClusterJob, given: Mapping[str, Any]) -> Server | None:
    """The server of ours that it is about; of a node to be emptied, one of those on it."""
    if job.opcode == states.REDISTRIBUTE or given.get("mode") == "secondary-only":
        return None
    whose = Server.node if job.opcode in states.MAKE_JOBS else Server.instance_name
    query = sa.select(Server).where(
        Server.backend_id == job.backend_id, whose == job.target, Server.deleted == sa.false()
    )
    return session.scalar(query.order_by(Server.id).limit(1))


def retry(
    session: Session, identity: Identity, backend: Backend, job_id: int, *, reason: str
) -> Operation:
    """Have done again what a job failed to do; of several operations the first.

    Raises BadRequest (no reason), ItemNotFound, Conflict (it cannot be), and what the acts on
    servers and nodes raise.
    """
    reason = texts.reason(reason)
    job = session.get(ClusterJob, (backend.id, job_id))
    if job is None:
        raise faults.ItemNotFound(f"No job {job_id} of {backend.name} is known.")
    way = find_way(session, job, backend)
    if way.obstacle:
        raise faults.Conflict(f"Job {job_id} of {backend.name} is not retried. {way.obstacle}")
    if way.operation is not None:
        made = interventions.retry(session, identity, way.operation.id, reason=reason)
    elif way.server is not None:
        made = _act(session, identity, job, way.server.id, way.given, reason)
    else:
        made = operations.write_down(
            session,
            identity,
            Operation(
                backend_id=backend.id,
                opcode=job.opcode,
                target=job.target,
                arguments={"again": dict(way.given)},
                reason=reason,
            ),
        )
    # Last, as who reads the queue locks the backend before its jobs.
    noted = session.execute(
        sa.update(ClusterJob)
        .where(
            ClusterJob.backend_id == backend.id,
            ClusterJob.job_id == job_id,
            ClusterJob.received == job.received,
            ClusterJob.retry_id.is_(None),
        )
        .values(retry_id=made.id)
    )
    if not noted.rowcount:  # type: ignore[attr-defined]
        raise faults.Conflict(f"Job {job_id} of {backend.name} has just been retried, or is gone.")
    audit.record(
        *(session, identity, "job:retry", "job", audit_id(backend, job_id)),
        reason=reason,
        operation=made,
        backend=backend.name,
        job=job_id,
        opcode=job.opcode,
        target=job.target,
        before=job.status,
        after=f"asked for again, as operation {made.id}",
    )
    return made


def _act(
    session: Session,
    identity: Identity,
    job: ClusterJob,
    server_id: int,
    given: Mapping[str, Any],
    reason: str,
) -> Operation:
    """Do to a server of ours what its own acts do, with locks and states as they hold."""
    match job.opcode:
        case states.STARTUP:
            return servers.start(session, identity, server_id)
        case states.SHUTDOWN:
            return servers.shutdown(session, identity, server_id)
        case states.REBOOT:
            kind = str(given.get("reboot_type", "hard")).upper()
            return servers.reboot(session, identity, server_id, kind=kind)
        case _:
            verb = Verb.MIGRATE if job.opcode == states.MIGRATE else Verb.FAILOVER
            to = given.get("target_node")
            return moves.move(session, identity, server_id, verb=verb, reason=reason, to=to)
