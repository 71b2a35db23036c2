"""The tags of a simulated cluster's instances; its own are only rehearsed."""

import re

from cloudweb.backend.ganeti.simulator.refusals import OpFailed, refused
from cloudweb.backend.ganeti.simulator.state import SimJob, State

_TAG = re.compile(r"[\w.+*/:@-]{1,128}")


def begin(state: State, job: SimJob) -> None:
    """Checks the tags; OpFailed."""
    tags = job.arguments["tags"]
    if not all(_TAG.fullmatch(tag) for tag in tags):
        raise OpFailed("TagError", "Tag contains invalid characters")
    if job.opcode == "OP_TAGS_DEL":
        missing = sorted(set(tags) - set(state.instances[job.target].tags))
        if missing:
            names = ", ".join(f"'{tag}'" for tag in missing)
            raise refused(f"Tag(s) {names} not found", "unknown_entity")


def finish(state: State, job: SimJob, now: float) -> None:
    """Hangs the tags on the instance or takes them off; the cluster's own stay as they are."""
    if job.is_about_cluster:
        return
    instance = state.instances[job.target]
    given = set(job.arguments["tags"])
    there = set(instance.tags)
    instance.tags = sorted(there | given if job.opcode == "OP_TAGS_SET" else there - given)
    instance.mtime = now
    instance.serial_no += 1
