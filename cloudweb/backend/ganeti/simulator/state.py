"""What a simulated cluster remembers: nodes, instances and jobs, and how that is kept in a file."""

import os
import tempfile
import uuid
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from cloudweb.backend.ganeti import jobs
from cloudweb.backend.ganeti.simulator.spec import ClusterSpec

# Ganeti archives jobs by age; here the oldest finished ones beyond this number are forgotten.
JOBS_KEPT = 5000


@dataclass
class Node:
    """A machine of the cluster; what it has is the spec's."""

    name: str
    uuid: str
    offline: bool = False
    drained: bool = False
    candidate: bool = True


@dataclass
class Instance:
    """An instance; `nics` as they were asked for, with a MAC each.

    Its room is taken as soon as it is being made; the cluster knows its name from `known_from` on.
    """

    name: str
    uuid: str
    node: str
    os: str
    template: str
    vcpus: int
    memory_mb: int
    disks: list[dict[str, Any]]
    nics: list[dict[str, Any]]
    tags: list[str]
    ctime: float
    mtime: float
    known_from: float = 0.0
    admin_state: str = "down"
    running: bool = False
    serial_no: int = 1
    # The "fake" hypervisor shows no screens; a test may say where one is.
    network_port: int | None = None
    screen_host: str | None = None
    serial_console: bool = False
    # Where the other half of a DRBD disk is.
    secondary: str | None = None

    def change(self, now: float, *, running: bool) -> None:
        """Starts or stops it."""
        self.running = running
        self.admin_state = "up" if running else "down"
        self.mtime = now
        self.serial_no += 1


@dataclass
class Network:
    """A network; `connections` are by node group, as `mode`, `link` and `vlan`.

    `kept` are the addresses that an operator keeps from instances.
    """

    name: str
    uuid: str
    cidr: str
    gateway: str | None
    cidr6: str | None
    gateway6: str | None
    mac_prefix: str | None
    tags: list[str]
    ctime: float
    connections: dict[str, dict[str, str]] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)


@dataclass
class SimJob:
    """A job of one opcode; `result` and `log` as Ganeti writes them. Times are seconds since 1970.

    `target` is the name of the instance or network it is about. `failure` is what a fault decided
    that it shall end in: [kind, [message, code]].
    """

    id: int
    opcode: str
    target: str
    arguments: dict[str, Any]
    trail: list[list[Any]]
    received: float
    status: str = "queued"
    result: Any = None
    log: list[list[Any]] = field(default_factory=list)
    started: float | None = None
    executed: float | None = None
    ended: float | None = None
    due: float = 0.0
    failure: list[Any] | None = None
    touched: list[str] = field(default_factory=list)

    @property
    def is_final(self) -> bool:
        return self.status in jobs.FINAL_STATUSES

    @property
    def is_about_network(self) -> bool:
        return self.opcode.startswith("OP_NETWORK_")

    @property
    def is_about_node(self) -> bool:
        return self.opcode.startswith("OP_NODE_")

    @property
    def is_about_cluster(self) -> bool:
        return self.arguments.get("kind") == "cluster" or self.opcode.startswith("OP_CLUSTER_")

    @property
    def is_about_others(self) -> bool:
        """Whether it is about anything but one instance."""
        return self.is_about_network or self.is_about_node or self.is_about_cluster

    @property
    def input(self) -> dict[str, Any]:
        """The opcode's own arguments, with what Ganeti calls the object it is about."""
        kind = self.opcode.split("_")[1]
        if kind == "CLUSTER":
            return dict(self.arguments)
        name = {"NETWORK": "network_name", "NODE": "node_name", "TAGS": "name"}.get(
            kind, "instance_name"
        )
        return {name: self.target, **self.arguments}

    def say(self, now: float, message: str) -> None:
        self.log.append([len(self.log) + 1, stamp(now), "message", message])

    def seen(self) -> jobs.Job:
        """The job as our own client would read it."""
        op = jobs.JobOp(
            opcode=self.opcode,
            instance=None if self.is_about_others else self.target,
            status=self.status,
            error=jobs.error_of(self.status, self.result),
            log=jobs.last_log_line(self.log),
            reasons=tuple(entry[1] for entry in self.trail if entry[1]),
            started=_moment(self.started),
            executed=_moment(self.executed),
            ended=_moment(self.ended),
            input=self.input,
        )
        return jobs.Job(
            id=self.id,
            status=self.status,
            ops=(op,),
            received=_moment(self.received),
            started=op.started,
            ended=op.ended,
        )


def stamp(when: float | None) -> list[int] | None:
    """A time as Ganeti writes it: [seconds, microseconds]."""
    if when is None:
        return None
    return [int(when), int(when % 1 * 1_000_000)]


def _moment(when: float | None) -> datetime | None:
    return None if when is None else datetime.fromtimestamp(when, UTC)


@dataclass
class State:
    """Everything one cluster remembers."""

    uuid: str
    ctime: float
    nodes: list[Node]
    instances: dict[str, Instance] = field(default_factory=dict)
    networks: dict[str, Network] = field(default_factory=dict)
    jobs: dict[int, SimJob] = field(default_factory=dict)
    last_job_id: int = 0

    @classmethod
    def fresh(cls, spec: ClusterSpec, now: float) -> "State":
        names = [f"n{number}.{spec.full_name}" for number in range(1, spec.nodes + 1)]
        return cls(new_uuid(), now, [Node(name, new_uuid()) for name in names])

    def known(self, name: str, now: float) -> bool:
        return name in self.instances and self.instances[name].known_from <= now

    def forget_old_jobs(self) -> None:
        for job in list(self.jobs.values())[: max(0, len(self.jobs) - JOBS_KEPT)]:
            if job.is_final:
                del self.jobs[job.id]

    def dump(self) -> dict[str, Any]:
        return {
            "uuid": self.uuid,
            "ctime": self.ctime,
            "nodes": [asdict(node) for node in self.nodes],
            "instances": [asdict(instance) for instance in self.instances.values()],
            "networks": [asdict(network) for network in self.networks.values()],
            "jobs": [asdict(job) for job in self.jobs.values()],
            "last_job_id": self.last_job_id,
        }

    @classmethod
    def load(cls, kept: dict[str, Any]) -> "State":
        instances = [Instance(**row) for row in kept["instances"]]
        return cls(
            uuid=kept["uuid"],
            ctime=kept["ctime"],
            nodes=[Node(**row) for row in kept["nodes"]],
            instances={instance.name: instance for instance in instances},
            networks={row["name"]: Network(**row) for row in kept.get("networks", [])},
            jobs={row["id"]: _job(row) for row in kept["jobs"]},
            last_job_id=kept["last_job_id"],
        )


def _job(row: dict[str, Any]) -> SimJob:
    """A job that was kept; older files call its target its instance."""
    if "instance" in row:
        row["target"] = row.pop("instance")
    return SimJob(**row)


def new_uuid() -> str:
    return str(uuid.uuid4())


def read_states(path: Path) -> dict[str, State]:
    """The clusters kept in a file, by name; none if there is no such file."""
    if not path.exists():
        return {}
    kept = orjson.loads(path.read_bytes())
    return {name: State.load(row) for name, row in kept["clusters"].items()}


def write_states(path: Path, dumps: dict[str, dict[str, Any]]) -> None:
    """Replaces the file in one step, so that a crash leaves the old one or the new one."""
    content = orjson.dumps({"clusters": dumps})
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as new:
        new.write(content)
    os.replace(new.name, path)  # noqa: PTH105
