"""What the audit holds after an act, and whether an entry says all it should."""

import dataclasses
import re

import sqlalchemy as sa

from cloudweb.models import AuditEntry, Outcome, SessionFactory, unit_of_work

ADDRESS, REQUEST = "192.0.2.7", "audit-1"
"""Where every request of these tests comes from, and the id it brings."""

_ACTION = re.compile(r"[a-z-]+:[a-z-]+")


@dataclasses.dataclass(frozen=True)
class Wrote:
    """What one act writes: these actions, in any order. The first entry holds these ``details``;
    ``operation`` says that it names what a cluster was asked.
    """

    actions: tuple[str, ...]
    details: tuple[str, ...] = ()
    operation: bool = False


def wrote(*actions: str, details: str = "", operation: bool = False) -> Wrote:
    """A row of a table: the actions, and the details of the first in one string."""
    return Wrote(actions, tuple(details.split()), operation)


MOVED = "before after"
"""The details of what was one way and is another."""


NOTHING_MOVES = {
    "backend:adopt",
    "backend:adopt-plan",
    "backend:refresh",
    "image:share",
    "network:everywhere",
    "notice:send",
    "pool:mend",
    "promoted:install",
    "promoted:retry",
    "reconcile:compare",
    "secret:rotate",
    "server:console",
    "session:close",
    "session:open",
    "session:prove",
    "terms:tell",
    "user:activation-send",
    "user:mail",
    "user:password",
    "user:reset-ask",
}
"""Actions that ask, send or let somebody in: nothing of ours was one way and is another. What
became of what they ask for is told by entries of its own, or by the details."""


class Ledger:
    """Reads what was added to the audit since it was last read."""

    def __init__(self, sessions: SessionFactory) -> None:
        self._sessions, self._last = sessions, 0
        self.new()

    def new(self) -> list[AuditEntry]:
        """The entries since, in their order."""
        with unit_of_work(self._sessions, write=False) as session:
            query = sa.select(AuditEntry).where(AuditEntry.id > self._last).order_by(AuditEntry.id)
            found = list(session.scalars(query))
        self._last = max([self._last, *(entry.id for entry in found)])
        return found


def check_done(
    entries: list[AuditEntry],
    expected: Wrote,
    *,
    actor: str,
    role: str,
    door: str,
    reason: str | None = None,
    web: bool = True,
) -> None:
    """Fails unless these are what an act that succeeded should have written."""
    found = [entry for entry in entries if entry.outcome is Outcome.DONE]
    assert sorted(entry.action for entry in found) == sorted(expected.actions), spoken(entries)
    for entry in found:
        check_whole(entry, actor=actor, role=role, door=door, web=web)
    first = next(entry for entry in found if entry.action == expected.actions[0])
    for entry in found:
        if entry.action not in NOTHING_MOVES:
            moved = [entry.details.get(part) for part in ("before", "after")]
            assert any(each not in (None, "") for each in moved), f"{entry.action}: {entry.details}"
    missing = set(expected.details) - set(first.details)
    assert not missing, f"{first.action} does not say {missing}: {first.details}"
    assert expected.details or expected.operation, "an entry says more than that it happened"
    assert (first.operation_id is not None) is expected.operation, first.action
    if reason is not None:
        assert [entry.reason for entry in found] == [reason] * len(found)


def spoken(entries: list[AuditEntry]) -> list[str]:
    """The entries, for whoever reads a failure."""
    return [f"{e.action} {e.outcome} {e.reason} {e.details}" for e in entries]


def check_whole(entry: AuditEntry, *, actor: str, role: str, door: str, web: bool) -> None:
    """Fails unless the entry says who, as what, through which door, from where, on what."""
    assert (entry.actor, entry.role, entry.door) == (actor, role, door)
    assert _ACTION.fullmatch(entry.action), entry.action
    assert entry.target_kind, entry.action
    assert entry.target_id, entry.action
    assert entry.target_id != "None"
    assert entry.address == ADDRESS if web else "@" in entry.address
    assert entry.request_id == (REQUEST if web else "")


def check_refused(entries: list[AuditEntry], *, actor: str, role: str, door: str) -> None:
    """Fails unless an attempt that was refused left one whole entry, and nothing was done."""
    assert len(entries) == 1, spoken(entries)
    [entry] = entries
    assert entry.outcome is not Outcome.DONE
    assert entry.reason, "it says why"
    check_whole(entry, actor=actor, role=role, door=door, web=True)
