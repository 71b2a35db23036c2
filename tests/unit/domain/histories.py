"""Histories of jobs on one server, as a Ganeti cluster can live through them."""

import datetime as dt
from typing import Any

from hypothesis import strategies as st

from cloudweb.domain import states
from cloudweb.domain.states import ServerFacts, StatusEvent
from cloudweb.models import OperState

T0 = dt.datetime(2024, 5, 1, 12, 0, tzinfo=dt.UTC)
INSTANCE = "snf-1"

_ENDINGS: dict[str, list[tuple[str, Any]]] = {
    "OP_INSTANCE_CREATE": [
        ("success", None),
        ("error", (states.NO_ROOM, "No node has room")),
        ("error", (None, "Broken")),
        ("error", None),
        ("canceled", None),
    ],
    "OP_INSTANCE_REMOVE": [
        ("success", None),
        ("error", (states.UNKNOWN_ENTITY, "Instance not known")),
        ("error", ("environment_error", "Node is down")),
        ("error", None),
    ],
}
_ANY_ENDING = [("success", None), ("error", (None, "Broken")), ("canceled", None)]
OPCODES = [
    states.CREATE,
    states.STARTUP,
    states.SHUTDOWN,
    states.REBOOT,
    states.REMOVE,
    "OP_INSTANCE_SET_PARAMS",
]


def new_server() -> ServerFacts:
    """A server nothing was heard of yet."""
    return ServerFacts(1, 1, 1, INSTANCE, OperState.BUILD, False, 0, None, 0, None, 0, "", "", "")


@st.composite
def histories(draw: st.DrawFn, *, instance: str = INSTANCE) -> list[StatusEvent]:
    """Up to four jobs, also at the same time: what is heard of each opcode of each."""
    heard: list[StatusEvent] = []
    for job_id in range(1, draw(st.integers(1, 4)) + 1):
        opcodes = draw(st.lists(st.sampled_from(OPCODES), min_size=1, max_size=2, unique=True))
        for opcode in opcodes:
            heard += draw(_course(instance, job_id, opcode))
    return heard


@st.composite
def _course(draw: st.DrawFn, instance: str, job_id: int, opcode: str) -> list[StatusEvent]:
    ending = draw(st.sampled_from(_ENDINGS.get(opcode, _ANY_ENDING)))
    waiting = draw(st.sampled_from(["waiting", "waitlock"]))
    course = [("queued", None), (waiting, None), ("running", None), ending]
    course = course[: draw(st.integers(1, 4))]
    second = draw(st.integers(0, 12))
    events = []
    for status, error in course:
        second += draw(st.integers(0, 5))
        log = draw(st.sampled_from([None, "", "Copying", "Waiting for node\n"]))
        time = T0 + dt.timedelta(seconds=second)
        events.append(StatusEvent(instance, opcode, status, job_id, time, log=log, error=error))
    return events
