"""What Ganeti's jobs mean for a server: the states, the transitions and their order."""

import dataclasses
import datetime as dt
import enum
from typing import NamedTuple, Protocol

from cloudweb.models import OperationState, OperState

CREATE = "OP_INSTANCE_CREATE"
REMOVE = "OP_INSTANCE_REMOVE"
STARTUP = "OP_INSTANCE_STARTUP"
SHUTDOWN = "OP_INSTANCE_SHUTDOWN"
REBOOT = "OP_INSTANCE_REBOOT"
SET_PARAMS = "OP_INSTANCE_SET_PARAMS"
ADD_TAGS = "OP_TAGS_SET"
DELETE_TAGS = "OP_TAGS_DEL"
ADD_NETWORK = "OP_NETWORK_ADD"
CONNECT_NETWORK = "OP_NETWORK_CONNECT"
DISCONNECT_NETWORK = "OP_NETWORK_DISCONNECT"
REMOVE_NETWORK = "OP_NETWORK_REMOVE"
MIGRATE = "OP_INSTANCE_MIGRATE"
FAILOVER = "OP_INSTANCE_FAILOVER"
EVACUATE = "OP_NODE_EVACUATE"
SET_ROLE = "OP_NODE_SET_PARAMS"
MIGRATE_NODE = "OP_NODE_MIGRATE"
REDISTRIBUTE = "OP_CLUSTER_REDIST_CONF"

MOVES = frozenset({MIGRATE, FAILOVER})
"""What brings a server to another node and changes nothing else of it."""

MAKE_JOBS = frozenset({EVACUATE, MIGRATE_NODE})
"""What is done by the jobs that its job puts into the queue."""

WITH_EFFECTS = frozenset({SET_PARAMS, ADD_TAGS, DELETE_TAGS})
"""What, when it ends, changes cards of a server; see ``domain.effects``."""

UNKNOWN_ENTITY = "unknown_entity"
"""Ganeti's class for what does not exist."""
UNANSWERED = "unanswered"
"""Ours for what no cluster ever told of."""
ALREADY_EXISTS = "already_exists"
"""Ganeti's class for what does."""
NO_ROOM = "insufficient_resources"
"""Ganeti's class for what the cluster has no room for."""
NO_ROOM_NOW = "temp_insufficient_resources"
"""Ganeti's class for what it has no room for at the moment: its only one for what will pass."""

STATUS_RANK = {
    "queued": 0,
    "waiting": 1,
    "waitlock": 1,
    "running": 2,
    "canceling": 3,
    "canceled": 4,
    "error": 4,
    "success": 4,
}
"""Every status a job can have, and how far along it is; ``waitlock`` is an older ``waiting``."""

FINAL_RANK = 4

TRANSITIONS: dict[tuple[str, str], OperState] = {
    (CREATE, "success"): OperState.STARTED,
    (CREATE, "error"): OperState.ERROR,
    (CREATE, "canceled"): OperState.ERROR,
    (STARTUP, "success"): OperState.STARTED,
    (SHUTDOWN, "success"): OperState.STOPPED,
    (REBOOT, "success"): OperState.STARTED,
    (REMOVE, "success"): OperState.DESTROYED,
}
"""What a finished job makes of a server; every other pair leaves its state alone."""

OPERATION_STATES = {
    "queued": OperationState.SUBMITTED,
    "waiting": OperationState.SUBMITTED,
    "waitlock": OperationState.SUBMITTED,
    "running": OperationState.RUNNING,
    "canceling": OperationState.RUNNING,
    "canceled": OperationState.CANCELED,
    "error": OperationState.ERROR,
    "success": OperationState.SUCCESS,
}

OPERATION_RANK = {
    OperationState.PENDING: 0,
    OperationState.SUBMITTING: 1,
    OperationState.SUBMITTED: 2,
    OperationState.RUNNING: 3,
    OperationState.DECLINED: 4,
    OperationState.CANCELED: 4,
    OperationState.ERROR: 4,
    OperationState.SUCCESS: 4,
}


class ApiStatus(enum.StrEnum):
    """A server's status as the compute API spells it."""

    BUILD = "BUILD"
    ERROR = "ERROR"
    STOPPED = "STOPPED"
    ACTIVE = "ACTIVE"
    REBOOT = "REBOOT"
    DELETED = "DELETED"
    UNKNOWN = "UNKNOWN"


class HasState(Protocol):
    """A server row, or a copy of one."""

    @property
    def state(self) -> OperState: ...
    @property
    def deleted(self) -> bool: ...
    @property
    def job_opcode(self) -> str: ...
    @property
    def job_status(self) -> str: ...
    @property
    def build_percentage(self) -> int: ...


_PLAIN = {
    OperState.BUILD: ApiStatus.BUILD,
    OperState.ERROR: ApiStatus.ERROR,
    OperState.STOPPED: ApiStatus.STOPPED,
    OperState.STARTED: ApiStatus.ACTIVE,
    OperState.DESTROYED: ApiStatus.DELETED,
}


def api_status(server: HasState) -> ApiStatus:
    """The status the API shows: a reboot under way shows as such."""
    if server.deleted:
        return ApiStatus.DELETED
    if (
        server.state is OperState.STARTED
        and server.job_opcode == REBOOT
        and server.job_status in ("queued", "waiting", "waitlock", "running")
    ):
        return ApiStatus.REBOOT
    return _PLAIN.get(server.state, ApiStatus.UNKNOWN)


def progress(server: HasState) -> int:
    """100 once the server is ACTIVE, else how much of it is built."""
    return 100 if api_status(server) is ApiStatus.ACTIVE else server.build_percentage


@dataclasses.dataclass(frozen=True, slots=True)
class NicReport:
    """A network card as the cluster has it; ``name`` and ``network`` are Ganeti's names."""

    index: int
    mac: str | None
    ip: str | None = None
    name: str | None = None
    network: str | None = None


class StatusEvent(NamedTuple):
    """What is heard of one opcode of one job; the same from a message and from asking Ganeti.

    ``cluster`` is None where an old agent does not say it. ``error`` is (class, message).
    """

    instance: str
    opcode: str
    status: str
    job_id: int
    time: dt.datetime
    cluster: str | None = None
    log: str | None = None
    error: tuple[str | None, str] | None = None
    nics: tuple[NicReport, ...] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class NetworkEvent:
    """What is heard of a job about a network of a cluster; ``error`` is (class, message)."""

    network: str
    opcode: str
    status: str
    job_id: int
    time: dt.datetime
    cluster: str
    error: tuple[str | None, str] | None = None


@dataclasses.dataclass(slots=True)
class ServerFacts:
    """The columns of a server that events change, and those that say which it is."""

    id: int
    user_id: int
    backend_id: int
    instance_name: str
    state: OperState
    deleted: bool
    build_percentage: int
    state_time: dt.datetime | None
    state_job_id: int
    job_time: dt.datetime | None
    job_id: int
    job_opcode: str
    job_status: str
    job_log: str

    def apply(self, event: StatusEvent) -> bool:
        """Change by one event; whether anything changed.

        What comes of a set of events does not depend on their order or on repeats: the newest, by
        (time, job, progress of the job), decides. DESTROYED is for ever, since its first event.
        """
        target = target_state(event)
        if target is OperState.DESTROYED:
            return self._destroy(event)
        if self.deleted:
            return False
        noted = self._note_job(event)
        return (target is not None and self._move(event, target)) or noted

    def _destroy(self, event: StatusEvent) -> bool:
        if self.deleted and not self._was_gone_by(event):
            return False
        self.state, self.deleted = OperState.DESTROYED, True
        self.state_time, self.state_job_id = event.time, event.job_id
        self._take_job(event)
        return True

    def _was_gone_by(self, event: StatusEvent) -> bool:
        """Whether an event of its end is from before the one that is known."""
        if self.state_time is None:  # it never was at the cluster
            return False
        known = (self.state_time, self.state_job_id, self.job_opcode, self.job_status, self.job_log)
        said = (event.time, event.job_id, event.opcode, event.status, _log_of(event))
        return said < known

    def _note_job(self, event: StatusEvent) -> bool:
        if self.job_time is not None and not self._is_newer(event, self.job_time):
            return False
        self._take_job(event)
        return True

    def _is_newer(self, event: StatusEvent, known_time: dt.datetime) -> bool:
        rank, known_rank = STATUS_RANK[event.status], STATUS_RANK.get(self.job_status, -1)
        if event.job_id == self.job_id and event.opcode == self.job_opcode and rank != known_rank:
            # A job goes forward only, whatever the clock of the cluster did meanwhile.
            return rank > known_rank
        if (event.time, event.job_id) != (known_time, self.job_id):
            return (event.time, event.job_id) > (known_time, self.job_id)
        # Which one wins here matters little, but it must be the same one in every order.
        known = (known_rank, self.job_opcode, self.job_status, self.job_log)
        return (rank, event.opcode, event.status, _log_of(event)) > known

    def _take_job(self, event: StatusEvent) -> None:
        self.job_time, self.job_id = event.time, event.job_id
        self.job_opcode, self.job_status = event.opcode, event.status
        self.job_log = _log_of(event)

    def _move(self, event: StatusEvent, target: OperState) -> bool:
        if self.state_time is not None:
            known = (self.state_time, self.state_job_id, self.state)
            if (event.time, event.job_id, target) <= known:
                return False
        self.state = target
        self.state_time, self.state_job_id = event.time, event.job_id
        return True


def _log_of(event: StatusEvent) -> str:
    return event.log.replace("\0", "")[:500] if event.log else ""


class OperationOutcome(Protocol):
    """An operation row, or a copy of one, as far as its job's status changes it."""

    opcode: str
    state: OperationState
    error: str
    error_class: str | None
    finished: dt.datetime | None


@dataclasses.dataclass(slots=True)
class OperationFacts:
    """The columns of an open operation that events read and change."""

    id: int
    server_id: int
    job_id: int
    opcode: str
    state: OperationState
    error: str
    error_class: str | None
    finished: dt.datetime | None
    due: dt.datetime
    network_id: int | None
    nic_id: int | None


def target_state(event: StatusEvent) -> OperState | None:
    """The state the event puts its server in, or None when it leaves it as it is."""
    if event.opcode == REMOVE and is_gone(event):
        return OperState.DESTROYED
    if needs_a_look(event) or (event.opcode == CREATE and is_declined(CREATE, event.error)):
        return None  # still to be built: another try may help
    return TRANSITIONS.get((event.opcode, event.status))


def is_declined(opcode: str, error: tuple[str | None, str] | None) -> bool:
    """Whether what failed like this may be done later, or, being a create, elsewhere."""
    error_class = error[0] if error is not None else None
    return error_class == NO_ROOM_NOW or (opcode == CREATE and error_class == NO_ROOM)


def is_gone(event: StatusEvent) -> bool:
    """A removal that failed because there was nothing left to remove, by Ganeti's own word."""
    return event.opcode == REMOVE and _failed_by(event, UNKNOWN_ENTITY)


def is_done(event: StatusEvent | NetworkEvent) -> bool:
    """A failure that leaves the cluster as it was wanted: nothing to remove, or there already."""
    if event.opcode in (REMOVE, DELETE_TAGS, DISCONNECT_NETWORK, REMOVE_NETWORK):
        return _failed_by(event, UNKNOWN_ENTITY)
    return event.opcode == ADD_NETWORK and _failed_by(event, ALREADY_EXISTS)


def _failed_by(event: StatusEvent | NetworkEvent, kind: str) -> bool:
    return event.status == "error" and event.error is not None and event.error[0] == kind


def needs_a_look(event: StatusEvent, nic_id: int | None = None) -> bool:
    """Whether the event does not tell what came of its operation: Ganeti must be asked.

    That is why a create or a removal failed, and after a change of our cards what they are now.
    """
    failed = event.status == "error" and event.error is None
    if event.opcode == SET_PARAMS and nic_id is not None:
        return failed or (event.status == "success" and event.nics is None)
    return failed and event.opcode in (CREATE, REMOVE, DELETE_TAGS)
