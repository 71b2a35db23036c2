"""How a state looks: an icon, a word and a tone, for every state there is and for unknown ones."""

import dataclasses
import re
from enum import StrEnum

from cloudweb.domain import attention, images
from cloudweb.domain.attention import Condition, Severity
from cloudweb.domain.cluster_jobs import JobStatus
from cloudweb.domain.consumers import ConsumerState
from cloudweb.domain.differences import Standing
from cloudweb.domain.drains import Verdict
from cloudweb.domain.states import ApiStatus
from cloudweb.domain.terms import TermsState
from cloudweb.models import (
    Backend,
    Image,
    LetterState,
    NetworkKind,
    NetworkState,
    OperationState,
    Outcome,
    PoolUse,
    ResultState,
    UserState,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Look:
    """``icon`` is a symbol of the sprite, ``tone`` one of ok, warn, crit, idle, busy."""

    icon: str
    word: str
    tone: str


class ImageState(StrEnum):
    """How an image is, as lists show it."""

    AVAILABLE = images.AVAILABLE
    UNAVAILABLE = images.UNAVAILABLE
    DELETED = "deleted"


# Pairs, as members of two enumerations may be equal: "pending" is one of several.
LOOKS: tuple[tuple[StrEnum, Look], ...] = (
    (ApiStatus.ACTIVE, Look("check", "Active", "ok")),
    (ApiStatus.BUILD, Look("half", "Building", "busy")),
    (ApiStatus.REBOOT, Look("half", "Rebooting", "busy")),
    (ApiStatus.STOPPED, Look("stop", "Stopped", "idle")),
    (ApiStatus.ERROR, Look("cross", "Error", "crit")),
    (ApiStatus.DELETED, Look("slash", "Deleted", "idle")),
    (ApiStatus.UNKNOWN, Look("question", "Unknown", "idle")),
    (OperationState.PENDING, Look("dots", "Waiting", "busy")),
    (OperationState.SUBMITTING, Look("dots", "Submitting", "busy")),
    (OperationState.SUBMITTED, Look("dots", "Queued", "busy")),
    (OperationState.RUNNING, Look("half", "Running", "busy")),
    (OperationState.SUCCESS, Look("check", "Success", "ok")),
    (OperationState.ERROR, Look("cross", "Failed", "crit")),
    (OperationState.CANCELED, Look("slash", "Canceled", "idle")),
    (JobStatus.QUEUED, Look("dots", "Queued", "busy")),
    (JobStatus.WAITING, Look("dots", "Waiting", "busy")),
    (JobStatus.CANCELING, Look("half", "Canceling", "busy")),
    (JobStatus.RUNNING, Look("half", "Running", "busy")),
    (JobStatus.CANCELED, Look("slash", "Canceled", "idle")),
    (JobStatus.SUCCESS, Look("check", "Success", "ok")),
    (JobStatus.ERROR, Look("cross", "Failed", "crit")),
    (ImageState.AVAILABLE, Look("check", "Available", "ok")),
    (ImageState.UNAVAILABLE, Look("dash", "Not available", "idle")),
    (ImageState.DELETED, Look("slash", "Deleted", "idle")),
    (ConsumerState.LISTENING, Look("check", "Listening", "ok")),
    (ConsumerState.PAUSED, Look("pause", "Paused", "warn")),
    (ConsumerState.NO_BROKER, Look("cross", "No broker", "crit")),
    (ConsumerState.DOWN, Look("cross", "Down", "crit")),
    (LetterState.WAITING, Look("warning", "Waiting", "warn")),
    (LetterState.APPLIED, Look("check", "Applied", "ok")),
    (LetterState.DROPPED, Look("slash", "Dropped", "idle")),
    (UserState.UNVERIFIED, Look("question", "Not verified", "idle")),
    (UserState.PENDING, Look("warning", "Waits", "warn")),
    (UserState.ACTIVE, Look("check", "Active", "ok")),
    (UserState.REJECTED, Look("slash", "Rejected", "idle")),
    (UserState.DEACTIVATED, Look("cross", "Deactivated", "crit")),
    (OperationState.DECLINED, Look("dots", "Declined", "busy")),
    (TermsState.DRAFT, Look("dots", "Draft", "idle")),
    (TermsState.SCHEDULED, Look("clock", "Scheduled", "busy")),
    (TermsState.IN_FORCE, Look("check", "In force", "ok")),
    (TermsState.SUPERSEDED, Look("slash", "Superseded", "idle")),
    (Outcome.DONE, Look("check", "Done", "ok")),
    (Outcome.REFUSED, Look("slash", "Refused", "warn")),
    (Outcome.FAILED, Look("cross", "Failed", "crit")),
    (Standing.SAME, Look("check", "Same", "ok")),
    (Standing.DIFFERENT, Look("unequal", "Differs", "warn")),
    (Standing.OTHER_NAME, Look("unequal", "Other name", "warn")),
    (Standing.MISSING, Look("stop", "Missing", "crit")),
    (Standing.EXTRA, Look("plus", "Extra", "idle")),
    (Standing.UNKNOWN, Look("question", "Unknown", "idle")),
    (ResultState.WAITING, Look("dots", "Waiting", "busy")),
    (ResultState.RUNNING, Look("half", "Running", "busy")),
    (ResultState.DONE, Look("check", "Installed", "ok")),
    (ResultState.UNCHANGED, Look("check", "Was there", "ok")),
    (ResultState.FAILED, Look("cross", "Failed", "crit")),
    (PoolUse.FREE, Look("check", "Free", "ok")),
    (PoolUse.HELD, Look("stop", "Used", "busy")),
    (PoolUse.RESERVED, Look("pause", "Reserved", "idle")),
    (NetworkState.PENDING, Look("half", "Being made", "busy")),
    (NetworkState.ACTIVE, Look("check", "Active", "ok")),
    (NetworkState.ERROR, Look("cross", "Error", "crit")),
    (NetworkState.DELETED, Look("slash", "Deleted", "idle")),
    (Condition.TAKING, Look("check", "Active", "ok")),
    (Condition.DRAINED, Look("pause", "Drained", "idle")),
    (Condition.OFFLINE, Look("dash", "Offline", "idle")),
    (Condition.UNREACHABLE, Look("cross", "Unreachable", "crit")),
    (Condition.STALE, Look("clock", "Stale", "warn")),
    (Condition.UNHEARD, Look("question", "Not heard yet", "idle")),
    (Condition.RESTRICTED, Look("half", "Not public", "idle")),
    (Severity.CRITICAL, Look("cross", "Critical", "crit")),
    (Severity.WARNING, Look("warning", "Warning", "warn")),
    (Verdict.OK, Look("check", "OK", "ok")),
    (Verdict.CAUTION, Look("warning", "Caution", "warn")),
    (Verdict.BLOCKED, Look("cross", "Blocked", "crit")),
)

_BY_KIND = {(type(state), state.value): look for state, look in LOOKS}


def image_state(image: Image) -> ImageState | str:
    """How an image is."""
    known = {each.value: each for each in ImageState}
    return ImageState.DELETED if image.deleted else known.get(image.status, image.status)


def look(state: object) -> Look:
    """The look of a state; one nobody knows is shown as it came."""
    found = _BY_KIND.get((type(state), getattr(state, "value", state)))  # type: ignore[arg-type]
    return found or Look("question", str(state) or "Unknown", "idle")


def all_of(backend: Backend) -> str:
    """All that holds of a backend, in the words that lists have."""
    return ", ".join(look(each).word for each in attention.flags(backend))


_VERBS = {
    "OP_INSTANCE_CREATE": "Create",
    "OP_INSTANCE_REMOVE": "Destroy",
    "OP_INSTANCE_STARTUP": "Start",
    "OP_INSTANCE_SHUTDOWN": "Shut down",
    "OP_INSTANCE_REBOOT": "Reboot",
    "OP_INSTANCE_SET_PARAMS": "Change cards",
    "OP_INSTANCE_MIGRATE": "Migrate",
    "OP_INSTANCE_FAILOVER": "Fail over",
    "OP_NODE_EVACUATE": "Evacuate mirrors",
    "OP_NODE_SET_PARAMS": "Change role of node",
    # What is only ever asked by others.
    "OP_INSTANCE_REPLACE_DISKS": "Replace disks",
    "OP_INSTANCE_RECREATE_DISKS": "Make disks anew",
    "OP_INSTANCE_GROW_DISK": "Grow disk",
    "OP_INSTANCE_REINSTALL": "Reinstall",
    "OP_INSTANCE_RENAME": "Rename",
    "OP_INSTANCE_MOVE": "Move",
    "OP_BACKUP_EXPORT": "Export",
    "OP_NODE_MIGRATE": "Migrate off node",
    "OP_CLUSTER_VERIFY": "Verify cluster",
    "OP_CLUSTER_VERIFY_CONFIG": "Verify configuration",
    "OP_CLUSTER_VERIFY_GROUP": "Verify node group",
    "OP_CLUSTER_VERIFY_DISKS": "Verify disks",
    "OP_GROUP_VERIFY_DISKS": "Verify disks of group",
    "OP_CLUSTER_REDIST_CONF": "Distribute configuration",
    "OP_TAGS_SET": "Set tags",
    "OP_TAGS_DEL": "Take off tags",
    "OP_NETWORK_ADD": "Make network",
    "OP_NETWORK_CONNECT": "Connect network",
    "OP_NETWORK_DISCONNECT": "Disconnect network",
    "OP_NETWORK_REMOVE": "Remove network",
}
_OPCODE = re.compile(r"\bOP_[A-Z_]+")


def verb(opcode: str) -> str:
    """An opcode as a word; one nobody knows is shown as it came."""
    return _VERBS.get(opcode, opcode)


def in_words(text: str) -> str:
    """A text with the opcodes in it as words."""
    return _OPCODE.sub(lambda found: verb(found[0]), text)


KINDS = {
    NetworkKind.MAC_FILTERED: "Apart by MAC prefix",
    NetworkKind.PHYSICAL_VLAN: "VLAN of its own",
    NetworkKind.IP_LESS_ROUTED: "Routed",
    NetworkKind.CUSTOM: "As set by hand",
}
"""How networks are kept apart."""

_WHEREABOUTS = {
    "drbd": "on its node, and mirrored on a second one",
    "plain": "on its node alone",
    "file": "in a file on its node alone",
    "sharedfile": "in a file that all nodes of the cluster share",
    "blockdev": "on a device that all nodes of the cluster share",
    "ext": "on storage outside the cluster",
    "rbd": "on storage outside the cluster (RBD)",
    "gluster": "on storage outside the cluster (Gluster)",
}


def whereabouts(template: str) -> str:
    """Where a disk of this template is; an en dash where that is not known."""
    return _WHEREABOUTS.get(template.partition("_")[0], "\N{EN DASH}")


_ERRORS = {
    "insufficient_resources": "The cluster has no room for it. A new server goes to the next"
    " cluster by itself; for anything else asking again helps once there is more.",
    "temp_insufficient_resources": "The cluster had no room, time after time. Asking again may"
    " help.",
    "wrong_input": "The cluster will never accept this request as it is. Asking again does"
    " not help.",
    "wrong_state": "The instance, or its node, was not in a state that allows it. Asking again"
    " helps once that has changed.",
    "unknown_entity": "The cluster does not know what this is about. Asking again does not help.",
    "already_exists": "There is one of this name already. Asking again does not help.",
    "resource_not_unique": "Something that must be unique, such as an address, is in use. Asking"
    " again helps once it is free.",
    "resolver_error": "The cluster could not resolve a name. Asking again helps once it can.",
    "internal_error": "Ganeti itself failed. Its log on the master says more. Asking again may"
    " help.",
    "environment_error": "A node's own system is in the way, such as a missing program or a full"
    " disk. Asking again helps once that is mended.",
    "job_lost": "Ganeti no longer knows the job, and what it has is not what the job was to make.",
    "unanswered": "The cluster was away for too long. When it is back, its servers are compared.",
    "prereq_error": "A condition for the job was not met.",
}


def explain(error_class: str | None) -> str:
    """What a class of error means for whoever reads it."""
    return _ERRORS.get(error_class or "", "Ganeti gives no class for this failure.")
