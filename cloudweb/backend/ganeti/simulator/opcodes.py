"""What each opcode of a simulated cluster checks, takes and changes, in Ganeti's own words."""

import secrets
from collections.abc import Callable
from typing import Any

from cloudweb.backend.ganeti.simulator.spec import ClusterSpec
from cloudweb.backend.ganeti.simulator.state import Instance, Node, SimJob, State, new_uuid

# Seconds in the queue, waiting for locks, and running, before the time factor.
QUEUED_S = 0.25
WAITING_S = 0.05
RUNNING_S = {"OP_INSTANCE_CREATE": 1.7}
OTHER_RUNNING_S = 0.7
REFUSED_S = 0.05
# Seconds into a create before the cluster knows the instance.
KNOWN_AFTER_S = 0.5

OS_PARAMETERS = frozenset(
    {
        "img_id",
        "img_format",
        "img_passwd",
        "img_passwd_hash",
        "img_properties",
        "img_personality",
        "config_url",
    }
)
# What a node needs for itself.
NODE_MEMORY_MB = 1024


class OpFailed(Exception):
    """An opcode that ends in error: `result` is what its job says about it."""

    def __init__(self, kind: str, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.result = [kind, [message] if code is None else [message, code]]


def refused(message: str, code: str | None = None) -> OpFailed:
    """Refused before anything was done."""
    return OpFailed("OpPrereqError", message, code)


def running_s(job: SimJob) -> float:
    """How long a job runs; an image called slow:N takes N seconds more."""
    seconds = RUNNING_S.get(job.opcode, OTHER_RUNNING_S)
    image = str(job.arguments.get("osparams", {}).get("img_id", ""))
    if job.opcode == "OP_INSTANCE_CREATE" and image.startswith("slow:"):
        seconds += float(image.removeprefix("slow:") or 0)
    return seconds


def check_name(state: State, job: SimJob, now: float) -> None:
    """OpFailed unless the job's instance is there.

    Ganeti looks a name up before it waits for anything: a job on an instance that is still being
    made may fail though it would have had its turn later.
    """
    if job.opcode != "OP_INSTANCE_CREATE" and not state.known(job.instance, now):
        raise refused(f"Instance '{job.instance}' not known", "unknown_entity")


def begin(spec: ClusterSpec, state: State, job: SimJob, now: float) -> None:
    """Checks what the opcode needs and takes it; OpFailed."""
    if job.failure and job.failure[0] == "OpPrereqError":
        raise refused(*job.failure[1])
    if job.opcode == "OP_INSTANCE_CREATE":
        _begin_create(spec, state, job, now)
        return
    check_name(state, job, now)
    instance = state.instances[job.instance]
    if job.opcode != "OP_INSTANCE_REMOVE" and _node(state, instance.node).offline:
        raise refused(f"Primary node {instance.node} is offline", "wrong_state")
    if job.opcode in {"OP_INSTANCE_STARTUP", "OP_INSTANCE_REBOOT"} and not instance.running:
        free = free_memory_mb(spec, state, _node(state, instance.node))
        if free < instance.memory_mb:
            raise refused(
                f"Not enough memory on node {instance.node} for starting instance"
                f" {instance.name}: needed {instance.memory_mb} MiB, available {free} MiB",
                "insufficient_resources",
            )


def finish(state: State, job: SimJob, now: float) -> Any:
    """Does what the opcode is for and gives its result; OpFailed."""
    if job.failure:
        raise OpFailed(job.failure[0], *job.failure[1])
    return _EFFECTS[job.opcode](state, job, now)


def _begin_create(spec: ClusterSpec, state: State, job: SimJob, now: float) -> None:
    """As Ganeti does: the instance is there from now on, stopped, whatever becomes of the job."""
    arguments = job.arguments
    template = arguments.get("disk_template", "diskless")
    if template not in spec.templates:
        enabled = ",".join(spec.templates)
        raise refused(
            f"Disk template '{template}' is not enabled in cluster."
            f" Enabled disk templates are: {enabled}"
        )
    if job.instance in state.instances:
        raise refused(f"Instance '{job.instance}' is already in the cluster", "already_exists")
    for nic in arguments.get("nics", []):
        if nic.get("network"):
            raise refused(f"Network '{nic['network']}' not found", "unknown_entity")
    node = _place(spec, state, arguments)
    job.say(now, f" - INFO: Selected nodes for instance {job.instance} via iallocator hail: {node}")
    _check_os(spec, arguments, node)
    job.arguments = {**arguments, "pnode": node, "pnode_uuid": _node(state, node).uuid}
    job.say(now, "* creating instance disks...")
    state.instances[job.instance] = _new_instance(job, node, now)
    job.touched.append(job.instance)
    job.say(now, f"adding instance {job.instance} to cluster config")
    job.say(now, "adding disks to cluster config")


def _check_os(spec: ClusterSpec, arguments: dict[str, Any], node: str) -> None:
    name = str(arguments.get("os_type", "")).partition("+")[0]
    prefix = f"OS Parameters validation failed on node {node}:"
    if name not in spec.os:
        raise OpFailed("OpExecError", f"{prefix} Directory for OS {name} not found in search path")
    unknown = sorted(set(arguments.get("osparams", {})) - OS_PARAMETERS)
    if unknown:
        names = ", ".join(unknown)
        raise OpFailed(
            "OpExecError",
            f"{prefix} The following parameters are not supported by the OS {name}: {names}",
        )


def _new_instance(job: SimJob, node: str, now: float) -> Instance:
    arguments = job.arguments
    return Instance(
        name=job.instance,
        uuid=new_uuid(),
        node=node,
        os=str(arguments.get("os_type")),
        template=str(arguments.get("disk_template", "diskless")),
        vcpus=_vcpus(arguments),
        memory_mb=_memory_mb(arguments),
        disks=[{**disk, "uuid": new_uuid()} for disk in arguments.get("disks", [])],
        nics=[_new_nic(nic) for nic in arguments.get("nics", [])],
        tags=list(arguments.get("tags", [])),
        ctime=now,
        mtime=now,
    )


def _new_nic(nic: dict[str, Any]) -> dict[str, Any]:
    mac = nic.get("mac", "generate")
    if mac in {"generate", "auto"}:
        mac = "aa:00:00:" + ":".join(f"{byte:02x}" for byte in secrets.token_bytes(3))
    return {**nic, "mac": mac, "uuid": new_uuid()}


def _create(state: State, job: SimJob, now: float) -> Any:
    instance = state.instances[job.instance]
    image = str(job.arguments.get("osparams", {}).get("img_id", ""))
    if instance.disks:
        job.say(now, "* running the instance OS create scripts...")
        if image.startswith("fail"):
            raise OpFailed(
                "OpExecError",
                f"Could not add os for instance {job.instance} on node {instance.node}: OS create"
                " script failed (exited with exit code 1), last lines in the log file:\n"
                f"INSTANCE_NAME={job.instance}\nOSP_IMG_ID={image}\n"
                "noop OS: failing as asked by img_id",
            )
    if job.arguments.get("start", True):
        job.say(now, "* starting instance...")
        instance.change(now, running=True)
    return [instance.node]


def _startup(state: State, job: SimJob, now: float) -> Any:
    state.instances[job.instance].change(now, running=True)


def _shutdown(state: State, job: SimJob, now: float) -> Any:
    state.instances[job.instance].change(now, running=False)


def _reboot(state: State, job: SimJob, now: float) -> Any:
    instance = state.instances[job.instance]
    if not instance.running:
        job.say(now, f" - INFO: Instance {job.instance} was already stopped, starting now")
    instance.change(now, running=True)


def _remove(state: State, job: SimJob, _now: float) -> Any:
    del state.instances[job.instance]


_EFFECTS: dict[str, Callable[[State, SimJob, float], Any]] = {
    "OP_INSTANCE_CREATE": _create,
    "OP_INSTANCE_REMOVE": _remove,
    "OP_INSTANCE_STARTUP": _startup,
    "OP_INSTANCE_SHUTDOWN": _shutdown,
    "OP_INSTANCE_REBOOT": _reboot,
}


def _vcpus(arguments: dict[str, Any]) -> int:
    return int(arguments.get("beparams", {}).get("vcpus", 1))


def _memory_mb(arguments: dict[str, Any]) -> int:
    return int(arguments.get("beparams", {}).get("maxmem", 128))


def _node(state: State, name: str) -> Node:
    return next(node for node in state.nodes if node.name == name)


def instances_on(state: State, node: Node) -> list[Instance]:
    return [instance for instance in state.instances.values() if instance.node == node.name]


def free_memory_mb(spec: ClusterSpec, state: State, node: Node) -> int:
    """What running instances, and those being made, leave."""
    made = {job.instance for job in state.jobs.values() if job.status == "running" and job.touched}
    used = sum(
        instance.memory_mb
        for instance in instances_on(state, node)
        if instance.running or instance.name in made
    )
    return spec.memory_mb - NODE_MEMORY_MB - used


def free_disk_mb(spec: ClusterSpec, state: State, node: Node) -> int:
    used = sum(int(d["size"]) for i in instances_on(state, node) for d in i.disks)
    return spec.disk_mb - used


def _place(spec: ClusterSpec, state: State, arguments: dict[str, Any]) -> str:
    """The node with the most free memory among those that have room for everything."""
    disk_mb = sum(int(disk.get("size", 0)) for disk in arguments.get("disks", []))
    fitting: list[tuple[int, str]] = []
    reasons: dict[str, int] = {}
    for node in state.nodes:
        if node.offline or node.drained:
            continue
        memory_mb = free_memory_mb(spec, state, node)
        vcpus = sum(instance.vcpus for instance in instances_on(state, node))
        if memory_mb < _memory_mb(arguments):
            reasons["FailMem"] = reasons.get("FailMem", 0) + 1
        elif free_disk_mb(spec, state, node) < disk_mb:
            reasons["FailDisk"] = reasons.get("FailDisk", 0) + 1
        elif vcpus + _vcpus(arguments) > spec.cpus * spec.vcpu_ratio:
            reasons["FailCPU"] = reasons.get("FailCPU", 0) + 1
        else:
            fitting.append((memory_mb, node.name))
    if fitting:
        return max(fitting)[1]
    why = ", ".join(f"{reason}: {count}" for reason, count in sorted(reasons.items())) or "none"
    raise refused(
        "Can't compute nodes using iallocator 'hail': Request failed: Group default (preferred):"
        f" No valid allocation solutions, failure reasons: {why}",
        "insufficient_resources",
    )
