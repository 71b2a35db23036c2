"""Who listens to the message bus, how they fare, and having them rest."""

import dataclasses
import datetime as dt
import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit, texts
from cloudweb.domain.identity import Identity
from cloudweb.models import ConsumerPause, ConsumerProcess, utc_now

SILENT_AFTER = dt.timedelta(minutes=2)
"""From when on a consumer that tells nothing is held to be down."""

_FORGOTTEN_AFTER = dt.timedelta(days=1)
_ONE = 1


class ConsumerState(enum.StrEnum):
    """How a consumer is, the best first."""

    LISTENING = "listening"
    PAUSED = "paused"
    NO_BROKER = "no broker"
    DOWN = "down"


def state_of(process: ConsumerProcess, pause: ConsumerPause | None) -> ConsumerState:
    """How a consumer is, by what it last told."""
    if utc_now() - process.noted > SILENT_AFTER:
        return ConsumerState.DOWN
    if not process.broker:
        return ConsumerState.NO_BROKER
    return ConsumerState.PAUSED if pause is not None else ConsumerState.LISTENING


def note(session: Session, name: str, **values: Any) -> None:
    """Keep what a consumer tells of itself; those long silent are forgotten."""
    now = utc_now()
    long_ago = ConsumerProcess.noted < now - _FORGOTTEN_AFTER
    session.execute(sa.delete(ConsumerProcess).where(long_ago, ConsumerProcess.name != name))
    row = session.get(ConsumerProcess, name, with_for_update=True)
    if row is None:
        row = ConsumerProcess(name=name)
        session.add(row)
    for key, value in (values | {"noted": now}).items():
        setattr(row, key, value)


def leave(session: Session, name: str) -> None:
    """A consumer has ended as it was asked to."""
    session.execute(sa.delete(ConsumerProcess).where(ConsumerProcess.name == name))


def list_all(session: Session) -> Sequence[ConsumerProcess]:
    """Every consumer that told of itself lately, by name; one statement."""
    return session.scalars(sa.select(ConsumerProcess).order_by(ConsumerProcess.name)).all()


def find_state(session: Session) -> ConsumerState | None:
    """How the one is that is best off; None while none has told of itself. Two statements."""
    pause = find_pause(session)
    states = {state_of(process, pause) for process in list_all(session)}
    return next((state for state in ConsumerState if state in states), None)


@dataclasses.dataclass(frozen=True, slots=True)
class Lag:
    """How old the oldest event of a cluster's last messages was when they came."""

    seconds: float
    at: dt.datetime


def lags(processes: Iterable[ConsumerProcess]) -> Mapping[str, Lag]:
    """How far behind each cluster is, by its name and whoever heard of it last."""
    found: dict[str, Lag] = {}
    for process in processes:
        for cluster, (seconds, at) in (process.lags or {}).items():
            lag = Lag(seconds, dt.datetime.fromisoformat(at))
            if cluster not in found or found[cluster].at < lag.at:
                found[cluster] = lag
    return found


def find_pause(session: Session) -> ConsumerPause | None:
    """Who has the consumers rest, since when and why; None while they listen."""
    return session.get(ConsumerPause, _ONE)


def pause(session: Session, identity: Identity, *, reason: str) -> None:
    """Have every consumer rest: messages stay in the queues. Raises Conflict, BadRequest."""
    reason = texts.reason(reason)
    if find_pause(session) is not None:
        raise faults.Conflict("The consumers are paused already.")
    session.add(
        ConsumerPause(id=_ONE, user_id=identity.user_id, actor=identity.email, reason=reason)
    )
    session.flush()  # who comes at the same moment is told so now
    audit.record(
        *(session, identity, "consumer:pause", "consumer", "all"),
        reason=reason,
        before="listening",
        after="paused",
    )


def resume(session: Session, identity: Identity, *, reason: str = "") -> None:
    """Have the consumers listen again. Raises Conflict."""
    found = session.get(ConsumerPause, _ONE, with_for_update=True)
    if found is None:
        raise faults.Conflict("The consumers are not paused.")
    session.delete(found)
    audit.record(
        *(session, identity, "consumer:resume", "consumer", "all"),
        reason=reason,
        before="paused",
        after="listening",
    )
