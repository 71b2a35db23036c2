"""What agents say on the message bus, in the form that consumers of Synnefo's agents know."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cloudweb.backend.ganeti.jobs import Job, JobOp, OpError

EXCHANGE = "ganeti"


@dataclass(frozen=True)
class Message:
    """A message and where it goes."""

    routing_key: str
    body: bytes


def messages_of(job: Job, cluster: str) -> list[Message]:
    """What is to be said of a job: a message for each opcode that anybody wants to hear of."""
    return [message for op in job.ops if (message := message_of(job, op, cluster)) is not None]


def message_of(job: Job, op: JobOp, cluster: str) -> Message | None:
    """The message about one opcode of a job; None when there is nothing to say.

    Instances are spoken of where the whole job is about one of them.
    """
    if op.instance:
        names = {other.instance for other in job.ops if other.instance}
        return op_status(job, op, cluster) if len(names) == 1 else None
    if op.opcode.startswith("OP_NETWORK_") and isinstance(op.input.get("network_name"), str):
        return network_status(job, op, cluster)
    if op.opcode in ("OP_CLUSTER_SET_PARAMS", "OP_CLUSTER_RENAME"):
        return cluster_status(job, op, cluster)
    tag = _heartbeat_tag(op)
    return heartbeat(tag, cluster) if tag else None


def _heartbeat_tag(op: JobOp) -> str | None:
    tags = op.input.get("tags")
    if op.opcode != "OP_TAGS_SET" or op.status != "success" or not isinstance(tags, list):
        return None
    return next((str(tag) for tag in tags if str(tag).startswith(HEARTBEAT_TAG)), None)


def op_status(job: Job, op: JobOp, cluster: str) -> Message:
    """The status of one opcode; `result` says why it failed, and is there only then."""
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
        said["result"] = _result(op.error)
    return _message(f"ganeti.{_prefix(op.instance or '')}.event.op", said)


def network_status(job: Job, op: JobOp, cluster: str) -> Message:
    """The status of an opcode about a network."""
    name = str(op.input.get("network_name"))
    said: dict[str, object] = {
        "event_time": _split_time(job.event_time(op)),
        "type": "ganeti-network-status",
        "operation": op.opcode,
        "status": op.status,
        "cluster": cluster,
        "jobId": job.id,
        "logmsg": op.log,
        "network": name,
        "subnet": op.input.get("network"),
        "gateway": op.input.get("gateway"),
        "group_name": op.input.get("group_name"),
    }
    if op.opcode == "OP_NETWORK_SET_PARAMS":
        for key in ("add_reserved_ips", "remove_reserved_ips"):
            said[key] = op.input.get(key)
    if op.error:
        said["result"] = _result(op.error)
    return _message(f"ganeti.{_prefix(name)}.event.network", said)


def cluster_status(job: Job, op: JobOp, cluster: str) -> Message:
    """Something about the cluster itself was changed."""
    return _message(
        "ganeti.event.cluster",
        {
            "event_time": _split_time(job.event_time(op)),
            "type": "ganeti-cluster-status",
            "operation": op.opcode,
            "status": op.status,
            "cluster": cluster,
            "jobId": job.id,
            "logmsg": op.log,
        },
    )


HEARTBEAT_TAG = "cloudweb:heartbeat:"
"""A dry run of adding a tag that begins so comes back as a heartbeat."""


def heartbeat(tag: str, cluster: str) -> Message:
    """The answer to whoever asks whether messages come through; ``tag`` says who asked."""
    return _message(
        "eventd.heartbeat", {"type": "eventd-heartbeat", "cluster": cluster, "tag": tag}
    )


def net_status(
    instance: str, nics: Sequence[Mapping[str, str]], cluster: str | None, now: float
) -> Message:
    """The network cards of an instance, in order."""
    said: dict[str, object] = {
        "event_time": _split_seconds(now),
        "type": "ganeti-net-status",
        "instance": instance,
        "nics": list(nics),
    }
    if cluster:
        said["cluster"] = cluster
    return _message(f"ganeti.{_prefix(instance)}.event.net", said)


def progress(instance: str, said: Mapping[str, object], now: float) -> Message:
    """What an image helper said, about which instance and when."""
    told = {**said, "instance": instance, "event_time": _split_seconds(now)}
    return _message(f"ganeti.{_prefix(instance)}.event.progress", told)


def _message(key: str, said: Mapping[str, object]) -> Message:
    return Message(key, json.dumps(said).encode())


def _prefix(name: str) -> str:
    return name.partition("-")[0]


def _result(error: OpError) -> list[object]:
    return [error.kind, [error.message] + ([error.code] if error.code else [])]


def _split_seconds(seconds: float) -> list[int]:
    return [int(seconds), int(seconds % 1 * 1_000_000)]


def _split_time(when: datetime) -> list[int]:
    """A time as Ganeti writes it: [seconds, microseconds]."""
    return [int(when.timestamp()), when.microsecond]
