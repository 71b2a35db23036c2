"""Whatever a cluster does and however its events come: who heard all of it ends alike."""

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cloudweb.domain import states
from cloudweb.domain.hearing import Outcome
from cloudweb.domain.states import StatusEvent
from cloudweb.models import OperState, Server, SessionFactory
from tests.unit.domain.histories import OPCODES, T0
from tests.unit.domain.test_hearing import (
    apply,
    apply_watched,
    end_of,
    new_server,
    read,
    submit,
)

__all__ = ["new_server"]

_ERRORS = [
    None,
    (None, "Broken"),
    (states.UNKNOWN_ENTITY, "Not known"),
    (states.NO_ROOM, "No node has room"),
    (states.NO_ROOM_NOW, "Not now"),
]
_ENDS = [("success", None), ("canceled", None), *(("error", error) for error in _ERRORS)]


@dataclasses.dataclass(frozen=True)
class Running:
    """A job that has not ended, as far as it is."""

    number: int
    opcode: str
    second: int
    step: int = 0


class Hearing(RuleBasedStateMachine):
    """A cluster's jobs on one server, heard by two twins of it.

    The first hears each event as it happens; the second hears any of them, any time, again and
    again, alone and in batches, and in the end those it has not heard.
    """

    running = Bundle("running")

    def __init__(self, sessions: SessionFactory, new: Callable[..., Server]) -> None:
        super().__init__()
        self.sessions = sessions
        self.prompt, self.late = new(), new()
        self.happened: list[StatusEvent] = []
        self.heard: set[int] = set()
        self.jobs = 0

    def _happens(self, job: Running, status: str, error: Any = None) -> None:
        time = T0 + dt.timedelta(seconds=job.second)
        event = StatusEvent("twin", job.opcode, status, job.number, time, error=error)
        self.happened.append(event)
        apply_watched(self.sessions, self.prompt, [event])

    def _hear(self, *numbers: int) -> list[Outcome]:
        self.heard |= set(numbers)
        name = self.late.instance_name or ""
        events = [self.happened[n]._replace(instance=name) for n in numbers]
        return apply(self.sessions, *events)

    @rule(target=running, opcode=st.sampled_from(OPCODES), second=st.integers(0, 20))
    def begins(self, opcode: str, second: int) -> Any:
        """Jobs of one server may begin at the same time, or before older ones by the clock."""
        if self.jobs == 6:
            return multiple()
        self.jobs += 1
        for twin in (self.prompt, self.late):
            submit(self.sessions, twin, opcode, self.jobs)
        job = Running(self.jobs, opcode, second)
        self._happens(job, "queued")
        return job

    @rule(target=running, job=consumes(running), seconds=st.integers(0, 4))
    def goes_on(self, job: Running, seconds: int) -> Any:
        if job.step == 2:
            return job
        further = dataclasses.replace(job, second=job.second + seconds, step=job.step + 1)
        self._happens(further, ("waiting", "running")[job.step])
        return further

    @rule(job=consumes(running), seconds=st.integers(0, 4), end=st.sampled_from(_ENDS))
    def ends(self, job: Running, seconds: int, end: tuple[str, Any]) -> None:
        self._happens(dataclasses.replace(job, second=job.second + seconds), *end)

    @precondition(lambda self: self.happened)
    @rule(data=st.data())
    def is_heard(self, data: st.DataObject) -> None:
        """One event, a second time at once: that changes nothing any more."""
        number = data.draw(st.integers(0, len(self.happened) - 1))
        self._hear(number)
        before = read(self.sessions, self.late)
        assert self._hear(number) == [Outcome.STALE]
        after = read(self.sessions, self.late)
        assert (after.version, after.updated) == (before.version, before.updated)

    @precondition(lambda self: self.happened)
    @rule(data=st.data())
    def are_heard_together(self, data: st.DataObject) -> None:
        which = st.integers(0, len(self.happened) - 1)
        self._hear(*data.draw(st.lists(which, min_size=2, max_size=6)))

    @invariant()
    def deleted_is_for_ever(self) -> None:
        for twin in (self.prompt, self.late):
            now = read(self.sessions, twin)
            twin_was_deleted = getattr(self, f"gone_{twin.id}", False)
            assert now.deleted or not twin_was_deleted
            assert now.deleted is (now.state is OperState.DESTROYED)
            setattr(self, f"gone_{twin.id}", now.deleted)

    def teardown(self) -> None:
        left = [n for n in range(len(self.happened)) if n not in self.heard]
        if left:
            self._hear(*reversed(left))
        assert end_of(self.sessions, self.late) == end_of(self.sessions, self.prompt)
        if self.happened:
            again = self._hear(*range(len(self.happened)))
            assert set(again) == {Outcome.STALE}


def test_any_order_and_any_repetition_of_what_a_cluster_does_ends_alike(
    sessions: SessionFactory, new_server: Callable[..., Server]
) -> None:
    run_state_machine_as_test(
        lambda: Hearing(sessions, new_server),
        settings=settings(
            max_examples=15,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
