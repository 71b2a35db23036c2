"""What is said on the message bus about a job of Ganeti."""

import json
from dataclasses import dataclass
from datetime import datetime

from cloudweb.backend.ganeti.jobs import Job, JobOp

EXCHANGE = "ganeti"


@dataclass(frozen=True)
class Message:
    """A message and where it goes."""

    routing_key: str
    body: bytes


def op_statuses(job: Job, cluster: str) -> list[Message]:
    """A `ganeti-op-status` message for each opcode, unless the job is not about one instance."""
    names = {op.instance for op in job.ops if op.instance}
    if len(names) != 1:
        return []
    return [op_status(job, op, cluster) for op in job.ops if op.instance]


def op_status(job: Job, op: JobOp, cluster: str) -> Message:
    """The status of one opcode; `result` says why it failed, and is there only then."""
    prefix = (op.instance or "").partition("-")[0]
    said: dict[str, object] = {
        "event_time": _split_time(job.event_time(op)),
        "type": "ganeti-op-status",
        "instance": op.instance,
        "operation": op.opcode,
        "status": op.status,
        "cluster": cluster,
        "logmsg": op.log,
        "jobId": job.id,
    }
    if op.error:
        details = [op.error.message] + ([op.error.code] if op.error.code else [])
        said["result"] = [op.error.kind, details]
    return Message(f"ganeti.{prefix}.event.op", json.dumps(said).encode())


def _split_time(when: datetime) -> list[int]:
    """A time as Ganeti writes it: [seconds, microseconds]."""
    return [int(when.timestamp()), when.microsecond]
