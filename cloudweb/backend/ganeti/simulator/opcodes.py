"""What each opcode of a simulated cluster checks, takes and changes, in Ganeti's own words."""

from collections.abc import Callable
from typing import Any

from cloudweb.backend.ganeti.simulator import moves, networks, nics, tags
from cloudweb.backend.ganeti.simulator.moves import free_memory_mb, instances_on
from cloudweb.backend.ganeti.simulator.refusals import OpFailed, refused
from cloudweb.backend.ganeti.simulator.spec import ClusterSpec
from cloudweb.backend.ganeti.simulator.state import Instance, Node, SimJob, State, new_uuid

# Seconds in the queue, waiting for locks, and running, before the time factor.
QUEUED_S = 0.25
WAITING_S = 0.05
RUNNING_S = {"OP_INSTANCE_CREATE": 1.7, "OP_TAGS_SET": 0.1, "OP_TAGS_DEL": 0.1}
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


def running_s(job: SimJob) -> float:
    """How long a job runs; an image called slow:N takes N seconds more."""
    seconds = RUNNING_S.get(job.opcode, OTHER_RUNNING_S)
    image = str(job.arguments.get("osparams", {}).get("img_id", ""))
    if job.opcode == "OP_INSTANCE_CREATE" and image.startswith("slow:"):
        seconds += float(image.removeprefix("slow:") or 0)
    return seconds


def check_names(spec: ClusterSpec, state: State, job: SimJob, now: float) -> None:
    """OpFailed unless what the job names is there.

    Ganeti looks names up before it waits for anything: a job on an instance that is still being
    made may fail though it would have had its turn later.
    """
    if job.is_about_network:
        networks.check_names(spec, state, job)
        return
    if job.is_about_cluster:
        return
    if job.is_about_node:
        moves.find_node(state, job.target)
        return
    if job.opcode == "OP_INSTANCE_SET_PARAMS" and not job.arguments["nics"]:
        raise refused("No changes submitted", "wrong_input")
    if job.opcode != "OP_INSTANCE_CREATE" and not state.known(job.target, now):
        raise refused(f"Instance '{job.target}' not known", "unknown_entity")


def begin(spec: ClusterSpec, state: State, job: SimJob, now: float) -> None:
    """Checks what the opcode needs and takes it; OpFailed."""
    if job.failure and job.failure[0] == "OpPrereqError":
        raise refused(*job.failure[1])
    if job.is_about_network:
        networks.begin(spec, state, job, now)
        return
    if job.opcode == "OP_INSTANCE_CREATE":
        _begin_create(spec, state, job, now)
        return
    check_names(spec, state, job, now)
    if job.opcode.startswith("OP_CLUSTER_"):
        return
    if job.is_about_node:
        moves.check_role(state, job)
        return
    if job.opcode in {"OP_TAGS_SET", "OP_TAGS_DEL"}:
        tags.begin(state, job)
    elif job.opcode == "OP_INSTANCE_SET_PARAMS":
        nics.begin(spec, state, job, now)
    elif job.opcode in moves.OPCODES:
        moves.begin(spec, state, job, now)
    else:
        _check_node(spec, state, job)


def _check_node(spec: ClusterSpec, state: State, job: SimJob) -> None:
    """The instance's node must answer, and have the memory to start it."""
    instance = state.instances[job.target]
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


def finish(spec: ClusterSpec, state: State, job: SimJob, now: float) -> Any:
    """Does what the opcode is for and gives its result; OpFailed."""
    if job.failure:
        raise OpFailed(job.failure[0], *job.failure[1])
    if job.opcode == "OP_NODE_SET_PARAMS":
        return moves.set_role(state, job)
    if job.opcode == "OP_NODE_MIGRATE":
        return moves.migration(state, job)
    if job.is_about_node:
        return moves.evacuation(spec, state, job)
    if job.opcode == "OP_INSTANCE_SET_PARAMS":
        return nics.finish(spec, state, job, now)
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
    if job.target in state.instances:
        raise refused(f"Instance '{job.target}' is already in the cluster", "already_exists")
    nics.check_asked(state, arguments["nics"])
    node = _place(spec, state, job)
    job.say(now, f" - INFO: Selected nodes for instance {job.target} via iallocator hail: {node}")
    _check_os(spec, arguments, node)
    job.arguments = {**arguments, "pnode": node, "pnode_uuid": _node(state, node).uuid}
    cards = nics.new_nics(spec, state, job, arguments["nics"], node, now)
    job.say(now, "* creating instance disks...")
    state.instances[job.target] = made = _new_instance(job, node, cards, now)
    if template == "drbd":
        made.secondary = moves.other_node(spec, state, node)
    job.touched.append(job.target)
    job.say(now, f"adding instance {job.target} to cluster config")
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


def _new_instance(job: SimJob, node: str, cards: list[dict[str, Any]], now: float) -> Instance:
    arguments = job.arguments
    return Instance(
        name=job.target,
        uuid=new_uuid(),
        node=node,
        os=str(arguments.get("os_type")),
        template=str(arguments.get("disk_template", "diskless")),
        vcpus=_vcpus(arguments),
        memory_mb=_memory_mb(arguments),
        disks=[{**disk, "uuid": new_uuid()} for disk in arguments.get("disks", [])],
        nics=cards,
        tags=sorted(set(arguments["tags"])),
        ctime=now,
        mtime=now,
    )


def _create(state: State, job: SimJob, now: float) -> Any:
    instance = state.instances[job.target]
    image = str(job.arguments.get("osparams", {}).get("img_id", ""))
    if instance.disks:
        job.say(now, "* running the instance OS create scripts...")
        if image.startswith("fail"):
            raise OpFailed(
                "OpExecError",
                f"Could not add os for instance {job.target} on node {instance.node}: OS create"
                " script failed (exited with exit code 1), last lines in the log file:\n"
                f"INSTANCE_NAME={job.target}\nOSP_IMG_ID={image}\n"
                "noop OS: failing as asked by img_id",
            )
    if job.arguments.get("start", True):
        job.say(now, "* starting instance...")
        instance.change(now, running=True)
    return [instance.node]


def _startup(state: State, job: SimJob, now: float) -> Any:
    state.instances[job.target].change(now, running=True)


def _shutdown(state: State, job: SimJob, now: float) -> Any:
    state.instances[job.target].change(now, running=False)


def _reboot(state: State, job: SimJob, now: float) -> Any:
    instance = state.instances[job.target]
    if not instance.running:
        job.say(now, f" - INFO: Instance {job.target} was already stopped, starting now")
    instance.change(now, running=True)


def _redistribute(_state: State, _job: SimJob, _now: float) -> Any:
    return None


def _remove(state: State, job: SimJob, _now: float) -> Any:
    del state.instances[job.target]


_EFFECTS: dict[str, Callable[[State, SimJob, float], Any]] = {
    "OP_INSTANCE_CREATE": _create,
    "OP_INSTANCE_REMOVE": _remove,
    "OP_INSTANCE_STARTUP": _startup,
    "OP_INSTANCE_SHUTDOWN": _shutdown,
    "OP_INSTANCE_REBOOT": _reboot,
    "OP_INSTANCE_MIGRATE": moves.finish,
    "OP_INSTANCE_FAILOVER": moves.finish,
    "OP_INSTANCE_REPLACE_DISKS": moves.replace,
    "OP_CLUSTER_REDIST_CONF": _redistribute,
    "OP_TAGS_SET": tags.finish,
    "OP_TAGS_DEL": tags.finish,
    "OP_NETWORK_ADD": networks.finish,
    "OP_NETWORK_CONNECT": networks.finish,
    "OP_NETWORK_DISCONNECT": networks.finish,
    "OP_NETWORK_REMOVE": networks.finish,
}


def _vcpus(arguments: dict[str, Any]) -> int:
    return int(arguments.get("beparams", {}).get("vcpus", 1))


def _memory_mb(arguments: dict[str, Any]) -> int:
    return int(arguments.get("beparams", {}).get("maxmem", 128))


def _node(state: State, name: str) -> Node:
    return next(node for node in state.nodes if node.name == name)


def free_disk_mb(spec: ClusterSpec, state: State, node: Node) -> int:
    here = (i for i in state.instances.values() if node.name in (i.node, i.secondary))
    used = sum(int(d["size"]) for i in here for d in i.disks)
    return spec.disk_mb - used


def _place(spec: ClusterSpec, state: State, job: SimJob) -> str:
    """The node with the most free memory among those that have room for everything."""
    arguments = job.arguments
    groups = _groups_for(spec, state, job)
    disk_mb = sum(int(disk.get("size", 0)) for disk in arguments.get("disks", []))
    fitting: list[tuple[int, str]] = []
    reasons: dict[str, int] = {}
    for node in state.nodes:
        if node.offline or node.drained:
            continue
        if networks.group_of(spec, state, node.name) not in groups:
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


def _groups_for(spec: ClusterSpec, state: State, job: SimJob) -> set[str]:
    """The node groups with all the networks that a new instance is to be on; OpFailed."""
    wanted = {nic["network"] for nic in job.arguments["nics"] if nic.get("network")}
    groups = {
        group
        for group in spec.groups
        if all(group in state.networks[name].connections for name in wanted)
    }
    if not groups:
        raise refused(
            "Can't compute nodes using iallocator 'hail': Request failed: group"
            f" {spec.groups[0]} is not connected to a network required by instance {job.target}",
            "insufficient_resources",
        )
    return groups
