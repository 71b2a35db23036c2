"""What a cluster says when it is asked what became of an operation."""

from collections.abc import Mapping, Sequence

from cloudweb.backend.ganeti import errors
from cloudweb.backend.ganeti.jobs import Job, JobOp
from cloudweb.backend.ganeti.objects import ClusterNetwork, Instance
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.domain import states
from cloudweb.domain.states import NetworkEvent, NicReport, StatusEvent
from cloudweb.models import Operation, utc_now

_JOB_LOST = ("job_lost", "Ganeti no longer knows the job.")
_CHANGES_CARDS = (states.CREATE, states.SET_PARAMS)


def mark_of(operation: Operation) -> str:
    """What the entry in the job's reason trail begins with; by it the job is found again."""
    return f"cloudweb:{operation.key}"


def reason_of(operation: Operation) -> str:
    """What stands in the job's reason trail: the mark, the request, and why, in ASCII."""
    said = f"{mark_of(operation)} request:{operation.request_id or 'none'}"
    why = " ".join(operation.reason.split()).encode("ascii", "backslashreplace").decode()
    return f"{said} {why}" if why else said


def ask(
    client: RapiClient, cluster: str, operation: Operation
) -> Sequence[StatusEvent] | Sequence[NetworkEvent]:
    """Events that tell how an operation's job goes. Raises RapiError."""
    job = _find_job(client, operation)
    if operation.server_id is None:
        return [_network_event(client, cluster, operation, job)]
    if job is None:
        return [_lost(client, cluster, operation)]
    return [_event(client, cluster, operation, job, op) for op in job.ops]


def gone(cluster: str, operation: Operation) -> StatusEvent:
    """The event of a removal of what does not exist."""
    return StatusEvent(
        cluster=cluster,
        instance=operation.target,
        opcode=operation.opcode,
        status="error",
        job_id=0,
        time=utc_now(),
        error=(states.UNKNOWN_ENTITY, "The instance does not exist."),
    )


def nics_of(instance: Instance) -> tuple[NicReport, ...]:
    """The cards of an instance."""
    return tuple(
        NicReport(nic.index, nic.mac, nic.ip, nic.name, nic.network) for nic in instance.nics
    )


def _find_job(client: RapiClient, operation: Operation) -> Job | None:
    """The operation's job, if the cluster still knows it."""
    try:
        job = client.job(operation.job_id or 0)
    except errors.NotFound:
        return None
    # Else it is from another cluster's numbering, begun anew, and not ours.
    return job if job.has_mark(mark_of(operation)) else None


# --- jobs about instances -----------------------------------------------------------------------


def _event(
    client: RapiClient, cluster: str, operation: Operation, job: Job, op: JobOp
) -> StatusEvent:
    nics = None
    if op.status == "success" and op.opcode in _CHANGES_CARDS:
        instance = _find_instance(client, operation.target)
        nics = nics_of(instance) if instance is not None else ()
    return StatusEvent(
        cluster=cluster,
        instance=op.instance or operation.target,
        opcode=op.opcode,
        status=op.status,
        job_id=job.id,
        time=job.event_time(),
        log=op.log,
        error=(op.error.code, op.error.message) if op.error else None,
        nics=nics,
    )


def _lost(client: RapiClient, cluster: str, operation: Operation) -> StatusEvent:
    """Ganeti no longer knows the job: what the instance is now tells how it ended."""
    instance = _find_instance(client, operation.target)
    wanted = _is_as_wanted(operation, instance)
    return StatusEvent(
        cluster=cluster,
        instance=operation.target,
        opcode=operation.opcode,
        status="success" if wanted else "error",
        job_id=operation.job_id or 0,
        time=utc_now(),
        error=None if wanted else _JOB_LOST,
        nics=nics_of(instance) if instance is not None else (),
    )


def _is_as_wanted(operation: Operation, instance: Instance | None) -> bool:
    """Whether an instance is as the operation was to make it."""
    if operation.opcode == states.REMOVE or instance is None:
        return (operation.opcode == states.REMOVE) == (instance is None)
    match operation.opcode:
        case states.CREATE:
            return True
        case states.SHUTDOWN:
            return not instance.oper_state
        case states.SET_PARAMS:
            return all(_has_changed(instance, *change) for change in operation.arguments["nics"])
        case states.MIGRATE | states.FAILOVER:
            return bool(instance.pnode != operation.arguments["from"])
        case states.ADD_TAGS:
            return set(operation.arguments["tags"]) <= set(instance.tags)
        case states.DELETE_TAGS:
            return not set(operation.arguments["tags"]) & set(instance.tags)
        case _:
            return bool(instance.oper_state)


def _has_changed(
    instance: Instance, verb: str, place: int | str, card: Mapping[str, object]
) -> bool:
    """Whether a card was added or removed; of one without a name that cannot be known."""
    there = {nic.name for nic in instance.nics}
    return card.get("name") in there if verb == "add" else place not in there


def _find_instance(client: RapiClient, name: str) -> Instance | None:
    try:
        return client.instance(name)
    except errors.NotFound:
        return None


# --- jobs about networks ------------------------------------------------------------------------


def _network_event(
    client: RapiClient, cluster: str, operation: Operation, job: Job | None
) -> NetworkEvent:
    error: tuple[str | None, str] | None = None
    if job is not None:
        status = job.status
        if job.error is not None:
            error = (job.error.code, job.error.message)
        elif job.status == "success" and operation.opcode in states.MAKE_JOBS:
            status, error = _of_jobs(client, job)
    else:
        wanted = _is_settled(client, operation)
        status, error = ("success", None) if wanted else ("error", _JOB_LOST)
    return NetworkEvent(
        network=operation.target,
        opcode=operation.opcode,
        status=status,
        job_id=operation.job_id or 0,
        time=job.event_time() if job is not None else utc_now(),
        cluster=cluster,
        error=error,
    )


def _of_jobs(client: RapiClient, job: Job) -> tuple[str, tuple[str | None, str] | None]:
    """How far the jobs are that a job has made: running until all have ended."""
    failed: tuple[str | None, str] | None = None
    for job_id in (made for op in job.ops for made in op.jobs):
        try:
            each = client.job(job_id)
        except errors.NotFound:
            failed = _JOB_LOST
            continue
        if not each.is_final:
            return "running", None
        if each.error is not None:
            failed = (each.error.code, each.error.message)
    return ("error", failed) if failed is not None else ("success", None)


def _is_settled(client: RapiClient, operation: Operation) -> bool:
    if operation.opcode == states.REMOVE:  # of an instance without a server
        return _find_instance(client, operation.target) is None
    if "again" in operation.arguments:
        return _is_again(client, operation)
    if operation.opcode == states.EVACUATE:
        return False
    if operation.opcode == states.SET_ROLE:
        letters = _LETTERS.get(str(operation.arguments.get("role")), "")
        return any(
            node.name == operation.target and (node.role or "?") in letters
            for node in client.nodes_bulk()
        )
    return _network_is_as_wanted(operation, _find_network(client, operation.target))


def _is_again(client: RapiClient, operation: Operation) -> bool:
    """Whether an instance without a server is as the job was to make it, where that shows."""
    if operation.opcode not in (states.STARTUP, states.SHUTDOWN, states.REBOOT):
        return False
    instance = _find_instance(client, operation.target)
    wanted = operation.opcode != states.SHUTDOWN
    return instance is not None and instance.oper_state is wanted


_LETTERS = {"drained": "D", "offline": "O", "regular": "RC", "master-candidate": "C"}
"""The roles that a node may have after it was given one; Ganeti makes candidates of itself."""


def _network_is_as_wanted(operation: Operation, network: ClusterNetwork | None) -> bool:
    group = operation.arguments.get("group")
    match operation.opcode:
        case states.ADD_NETWORK:
            return network is not None
        case states.CONNECT_NETWORK:
            return network is not None and group in network.groups
        case states.DISCONNECT_NETWORK:
            return network is None or group not in network.groups
        case _:
            return network is None


def _find_network(client: RapiClient, name: str) -> ClusterNetwork | None:
    try:
        return client.network(name)
    except errors.NotFound:
        return None
