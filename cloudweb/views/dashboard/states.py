"""How a state looks: an icon, a word and a tone, for every state there is and for unknown ones."""

import dataclasses
from enum import StrEnum

from cloudweb.domain.attention import Condition, Severity
from cloudweb.domain.drains import Verdict
from cloudweb.domain.states import ApiStatus
from cloudweb.models import OperationState


@dataclasses.dataclass(frozen=True, slots=True)
class Look:
    """``icon`` is a symbol of the sprite, ``tone`` one of ok, warn, crit, idle, busy."""

    icon: str
    word: str
    tone: str


LOOKS: dict[StrEnum, Look] = {
    ApiStatus.ACTIVE: Look("check", "Active", "ok"),
    ApiStatus.BUILD: Look("half", "Building", "busy"),
    ApiStatus.REBOOT: Look("half", "Rebooting", "busy"),
    ApiStatus.STOPPED: Look("stop", "Stopped", "idle"),
    ApiStatus.ERROR: Look("cross", "Error", "crit"),
    ApiStatus.DELETED: Look("slash", "Deleted", "idle"),
    ApiStatus.UNKNOWN: Look("question", "Unknown", "idle"),
    OperationState.PENDING: Look("dots", "Waiting", "busy"),
    OperationState.SUBMITTING: Look("dots", "Submitting", "busy"),
    OperationState.SUBMITTED: Look("dots", "Queued", "busy"),
    OperationState.RUNNING: Look("half", "Running", "busy"),
    OperationState.SUCCESS: Look("check", "Success", "ok"),
    OperationState.ERROR: Look("cross", "Failed", "crit"),
    OperationState.CANCELED: Look("slash", "Canceled", "idle"),
    Condition.TAKING: Look("check", "Active", "ok"),
    Condition.DRAINED: Look("pause", "Drained", "idle"),
    Condition.OFFLINE: Look("dash", "Offline", "idle"),
    Condition.UNREACHABLE: Look("cross", "Unreachable", "crit"),
    Condition.STALE: Look("clock", "Stale", "warn"),
    Condition.UNHEARD: Look("question", "Not heard yet", "idle"),
    Severity.CRITICAL: Look("cross", "Critical", "crit"),
    Severity.WARNING: Look("warning", "Warning", "warn"),
    Verdict.FINE: Look("check", "Nothing is lost", "ok"),
    Verdict.CAUTION: Look("warning", "Some flavors get tight", "warn"),
    Verdict.LOSS: Look("cross", "Some flavors stop working", "crit"),
}

_BY_KIND = {(type(state), state.value): look for state, look in LOOKS.items()}


def look(state: object) -> Look:
    """The look of a state; one nobody knows is shown as it came."""
    found = _BY_KIND.get((type(state), getattr(state, "value", state)))  # type: ignore[arg-type]
    return found or Look("question", str(state) or "Unknown", "idle")


_VERBS = {
    "OP_INSTANCE_CREATE": "Create",
    "OP_INSTANCE_REMOVE": "Destroy",
    "OP_INSTANCE_STARTUP": "Start",
    "OP_INSTANCE_SHUTDOWN": "Shut down",
    "OP_INSTANCE_REBOOT": "Reboot",
}


def verb(opcode: str) -> str:
    """An opcode as a word; one nobody knows is shown as it came."""
    return _VERBS.get(opcode, opcode)


_ERRORS = {
    "insufficient_resources": "The cluster has no room for it. Asking again helps only once there"
    " is more.",
    "temp_insufficient_resources": "The cluster had no room just then. Asking again may help.",
    "wrong_input": "The cluster will never accept this request as it is.",
    "wrong_state": "The instance, or its node, was not in a state that allows it. Asking again"
    " helps once that has changed.",
    "unknown_entity": "The cluster does not know what this is about.",
    "already_exists": "There is one of this name already.",
    "resource_not_unique": "Something that must be unique, such as an address, is in use.",
    "resolver_error": "The cluster could not resolve a name.",
    "internal_error": "Ganeti itself failed. Its log on the master says more.",
    "environment_error": "A node's own system is in the way, such as a missing program or a full"
    " disk.",
    "prereq_error": "A condition for the job was not met.",
}


def explain(error_class: str | None) -> str:
    """What a class of error means for whoever reads it."""
    return _ERRORS.get(error_class or "", "Ganeti gives no class for this failure.")
