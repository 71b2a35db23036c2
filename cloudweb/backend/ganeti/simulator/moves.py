"""Moving the instances of a simulated cluster to other nodes, and emptying a node."""

from typing import Any

from cloudweb.backend.ganeti.simulator import networks
from cloudweb.backend.ganeti.simulator.refusals import refused
from cloudweb.backend.ganeti.simulator.spec import ClusterSpec
from cloudweb.backend.ganeti.simulator.state import Instance, Node, SimJob, State

OPCODES = frozenset({"OP_INSTANCE_MIGRATE", "OP_INSTANCE_FAILOVER", "OP_INSTANCE_REPLACE_DISKS"})
_ON_TWO_NODES = "drbd"
_ON_ANY_NODE = frozenset({"diskless", "blockdev", "ext", "sharedfile", "rbd", "gluster"})
# What a node needs for itself.
NODE_MEMORY_MB = 1024


def find_node(state: State, name: str) -> Node:
    """The node of a name, in full or without its domain; OpFailed."""
    for node in state.nodes:
        if name in (node.name, node.name.partition(".")[0]):
            return node
    raise refused(f"Node '{name}' not known", "unknown_entity")


def role_of(state: State, node: Node) -> str:
    """Ganeti's letter for what a node is; the first one is the master."""
    if node is state.nodes[0]:
        return "M"
    return "O" if node.offline else "D" if node.drained else "C" if node.candidate else "R"


def check_role(state: State, job: SimJob) -> None:
    """That the role a job is to give can be given; OpFailed."""
    if job.opcode != "OP_NODE_SET_PARAMS":
        return
    node, given = find_node(state, job.target), job.arguments
    if role_of(state, node) == "M":
        raise refused("The master role can be changed only via master-failover", "wrong_input")
    if given["master_candidate"] and (node.offline or node.drained):
        raise refused(
            f"Node '{node.name}' is offline, drained or not master_capable, its can't be"
            " promoted to master candidate",
            "wrong_state",
        )


def set_role(state: State, job: SimJob) -> list[list[object]]:
    """Gives the role; what has changed, as Ganeti tells it."""
    node, given = find_node(state, job.target), job.arguments
    changed: list[list[object]] = []
    if given["offline"] is not None or given["drained"] is not None:
        node.offline, node.drained = bool(given["offline"]), bool(given["drained"])
        changed += [["offline", str(node.offline)], ["drained", str(node.drained)]]
    # The pool of candidates is larger than these clusters: who comes back is one again.
    came_back = given["offline"] is False and not node.candidate
    node.candidate = bool(given["master_candidate"] or came_back)
    return [*changed, ["master_candidate", str(node.candidate)]]


def instances_on(state: State, node: Node) -> list[Instance]:
    return [instance for instance in state.instances.values() if instance.node == node.name]


def free_memory_mb(spec: ClusterSpec, state: State, node: Node) -> int:
    """What running instances, and those being made, leave."""
    made = {job.target for job in state.jobs.values() if job.status == "running" and job.touched}
    used = sum(
        instance.memory_mb
        for instance in instances_on(state, node)
        if instance.running or instance.name in made
    )
    return spec.memory_mb - NODE_MEMORY_MB - used


def other_node(
    spec: ClusterSpec, state: State, name: str, *, memory_mb: int = 0, but: str | None = None
) -> str | None:
    """The node of the same group with the most free memory, if any has so much."""
    group = networks.group_of(spec, state, name)
    fitting = [
        (free_memory_mb(spec, state, node), node.name)
        for node in state.nodes
        if node.name not in (name, but) and not (node.offline or node.drained)
        if networks.group_of(spec, state, node.name) == group
    ]
    free_mb, found = max(fitting, default=(-1, None))
    return found if free_mb >= memory_mb else None


def begin(spec: ClusterSpec, state: State, job: SimJob, now: float) -> None:
    """Checks that the instance can be moved, and settles to which node; OpFailed."""
    instance = state.instances[job.target]
    if job.opcode == "OP_INSTANCE_REPLACE_DISKS":
        return
    fails_over = job.opcode == "OP_INSTANCE_FAILOVER"
    target = _target(spec, state, job, instance, fails_over=fails_over)
    job.arguments = {**job.arguments, "target_node": target.name}
    if instance.running:
        free_mb = free_memory_mb(spec, state, target)
        if free_mb < instance.memory_mb:
            raise refused(
                f"Not enough memory on node {target.name} for migrating instance"
                f" {instance.name}: needed {instance.memory_mb} MiB, available {free_mb} MiB",
                "insufficient_resources",
            )
    if target.drained:
        raise refused(f"Can't use drained node {target.name}", "wrong_state")
    if target.offline:
        raise refused(f"Can't use offline node: {target.name}", "wrong_state")
    if not fails_over and (not instance.running or find_node(state, instance.node).offline):
        raise refused("Can't migrate, please use failover", "wrong_state")
    verb = "Failing over" if fails_over else "Migrating"
    job.say(now, f"{verb} instance {instance.name}")


def _target(
    spec: ClusterSpec, state: State, job: SimJob, instance: Instance, *, fails_over: bool
) -> Node:
    wanted = job.arguments.get("target_node")
    if instance.template == _ON_TWO_NODES:
        secondary = find_node(state, instance.secondary or "")
        if wanted is not None and find_node(state, wanted) is not secondary:
            verb = "failed over" if fails_over else "migrated"
            raise refused(
                f"Instances with disk types drbd cannot be {verb} to arbitrary nodes (neither an"
                " iallocator nor a target node can be passed)",
                "wrong_input",
            )
        return secondary
    if instance.template not in _ON_ANY_NODE:
        verb = "failovers" if fails_over else "migrations"
        raise refused(
            f"Instance's disk layout '{instance.template}' does not allow {verb}", "wrong_state"
        )
    if wanted is None:
        needed_mb = instance.memory_mb if instance.running else 0
        wanted = other_node(spec, state, instance.node, memory_mb=needed_mb)
        if wanted is None:
            raise refused(
                "Can't compute nodes using iallocator 'hail': Request failed: No solution found",
                "insufficient_resources",
            )
    found = find_node(state, wanted)
    if found.name == instance.node:
        raise refused(
            f"Cannot migrate instance {instance.name} to its primary ({found.name})",
            "wrong_state",
        )
    return found


def finish(state: State, job: SimJob, now: float) -> None:
    """Moves the instance; it runs there if it was to run."""
    instance = state.instances[job.target]
    if instance.secondary is not None:
        instance.secondary = instance.node
    instance.node = job.arguments["target_node"]
    instance.mtime = now
    instance.serial_no += 1


def replace(state: State, job: SimJob, now: float) -> None:
    """Brings the other half of a DRBD disk to another node."""
    instance = state.instances[job.target]
    instance.secondary = job.arguments["remote_node"]
    instance.mtime = now


def migration(state: State, job: SimJob) -> list[tuple[str, str, dict[str, Any]]]:
    """What jobs bring the instances of a node elsewhere, live; as ``evacuation``."""
    node = find_node(state, job.target)
    given = {key: job.arguments.get(key) for key in ("target_node", "iallocator", "mode")}
    return [("OP_INSTANCE_MIGRATE", each.name, given) for each in instances_on(state, node)]


def evacuation(
    spec: ClusterSpec, state: State, job: SimJob
) -> list[tuple[str, str, dict[str, Any]]]:
    """What jobs empty a node: opcode, instance and arguments; OpFailed."""
    node, mode = find_node(state, job.target), job.arguments["mode"]
    made: list[tuple[str, str, dict[str, Any]]] = []
    if mode in {"primary-only", "all"}:
        for instance in instances_on(state, node):
            live = instance.running and not node.offline
            opcode = "OP_INSTANCE_MIGRATE" if live else "OP_INSTANCE_FAILOVER"
            made.append((opcode, instance.name, {"target_node": None}))
    if mode in {"secondary-only", "all"}:
        for instance in state.instances.values():
            if instance.secondary != node.name:
                continue
            remote = other_node(spec, state, instance.node, but=node.name)
            if remote is None:
                raise refused(
                    "Can't compute nodes using iallocator 'hail': Unable to evacuate instances"
                    f" {instance.name} (no node has room for its disks)",
                    "insufficient_resources",
                )
            made.append(("OP_INSTANCE_REPLACE_DISKS", instance.name, {"remote_node": remote}))
    return made
