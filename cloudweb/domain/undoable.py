"""What it takes to undo an act: a step that was done, and how to reverse one of its kind."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain.identity import Identity


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One thing that was done: the action, on what, and what the audit says of it."""

    action: str
    target: str
    details: Mapping[str, Any]

    @property
    def id(self) -> int:
        """The number of what it was done to; 0 for what has none."""
        return int(self.target) if self.target.isascii() and self.target.isdigit() else 0


@dataclasses.dataclass(frozen=True, slots=True)
class Reverse:
    """How to undo one kind of act, and what it takes.

    ``left`` is how the world is as far as the act goes, locked: it must not have moved since.
    """

    permission: str
    left: Callable[[Session, Step], object]
    do: Callable[[Session, Identity, Step], object]
    words: str
    """What undoing brings about."""
    can: Callable[[Step], bool] = lambda _step: True
    unmakes: bool = False
    """Whether what the act was about is no more, once it is undone."""


def lock_row(session: Session, table: Any, where: sa.ColumnElement[bool]) -> Any:
    """The row, locked, as it is now; None where there is none."""
    query = sa.select(table).where(where).with_for_update()
    return session.scalar(query.execution_options(populate_existing=True))
