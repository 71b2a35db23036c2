"""What follows when a cluster declines: the same again later, another cluster, or the end.

Whoever hears of it only notes it (``OperationState.DECLINED``). A worker decides here, in a
transaction of its own, which takes its locks in the one order.
"""

import datetime as dt
import enum
import random
import uuid
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import (
    address_history,
    audit,
    cards,
    hearing,
    identity,
    interventions,
    operations,
    placement,
    pools,
    states,
)
from cloudweb.models import (
    OPEN_STATES,
    Backend,
    Diagnostic,
    Flavor,
    Nic,
    Operation,
    OperationState,
    OperState,
    Server,
    utc_now,
)
from cloudweb.settings import Settings

NO_CLUSTER = "No cluster has room for the server."
"""What its owner is told."""


class Decision(enum.StrEnum):
    """What became of an operation that a cluster declined."""

    AGAIN = "put off after its job"
    ELSEWHERE = "sent elsewhere"
    OVER = "given up"


def list_declined(session: Session, *, limit: int = 100) -> Sequence[int]:
    """Operations to decide on, oldest first; one statement."""
    return session.scalars(
        sa.select(Operation.id)
        .where(Operation.state == OperationState.DECLINED)
        .order_by(Operation.id)
        .limit(limit)
    ).all()


def decide(session: Session, settings: Settings, operation_id: int) -> Decision | None:
    """Do what follows for one operation; None when that was done already.

    Raises Conflict when something changed meanwhile: ask again in another transaction.
    """
    declined = session.get(Operation, operation_id)
    if declined is None or declined.state is not OperationState.DECLINED:
        return None
    if not _is_wanted(session, declined):
        return _give_up(session, declined)
    for_now = declined.error_class == states.NO_ROOM_NOW
    if for_now and declined.declines + 1 < settings.operation_tries:
        return _put_off(session, settings, declined)
    if declined.opcode == states.CREATE and declined.server_id is not None:
        return _send_elsewhere(session, settings, declined)
    return _give_up(session, declined)


def _is_wanted(session: Session, declined: Operation) -> bool:
    """Whether it is still to be done, and what is to be done after it would be right then."""
    if declined.cancel_wanted is not None:
        return False
    if declined.server_id is None:
        return True
    server = session.get_one(Server, declined.server_id)
    if server.deleted or operations.has_open(session, server, states.REMOVE):
        return False
    return declined.opcode != states.CREATE or _is_to_be_built(server)


def _is_to_be_built(server: Server) -> bool:
    return server.state is OperState.BUILD and not server.deleted


def _lock(session: Session, declined: Operation) -> tuple[Server | None, Operation]:
    """Lock its rows. Raises Conflict when they are no longer as they were looked at."""
    seen = declined.key
    server, operation = operations.lock(session, declined.id)
    if operation.state is not OperationState.DECLINED or operation.key != seen:
        raise faults.Conflict("That was decided already.")
    return server, operation


def _put_off(session: Session, settings: Settings, declined: Operation) -> Decision:
    """The same again, in its place in the order, under a new key: the old one's job has failed."""
    _server, operation = _lock(session, declined)
    operation.declines += 1
    seconds = min(settings.worker_backoff_max_s, 2.0**operation.declines)
    operation.due = utc_now() + dt.timedelta(seconds=seconds * random.uniform(0.5, 1.0))  # noqa: S311
    operation.state, operation.key = OperationState.PENDING, uuid.uuid4().hex
    operation.sent = operation.submitted = None
    operation.attempts = 0
    return Decision.AGAIN


# --- another cluster ----------------------------------------------------------------------------


def _send_elsewhere(session: Session, settings: Settings, declined: Operation) -> Decision:
    server = session.get_one(Server, declined.server_id)
    card = session.get(Nic, declined.nic_id, options=[sa.orm.joinedload(Nic.network)])
    if card is None or _has_more_to_do(session, declined):
        return _give_up(session, declined)
    keeps = cards.is_everywhere(card.network)
    tried = _tried(session, declined)
    earlier = placement.Earlier(frozenset(tried), has_address=keeps)
    flavor = session.get_one(Flavor, server.flavor_id)
    try:
        backend = placement.choose(session, flavor, server.user_id, earlier=earlier)
    except (faults.ServiceUnavailable, faults.OverLimit):
        return _give_up(session, declined, _told_by_each(session, declined, tried, flavor, earlier))
    locked, operation = _lock(session, declined)
    if locked is None or not _is_to_be_built(locked) or _has_more_to_do(session, operation):
        raise faults.Conflict("The server is no longer one to be built.")
    before = tried[operation.backend_id][0]
    operation.state, operation.finished = OperationState.ERROR, utc_now()
    _move(session, locked, backend)
    if not keeps:
        card = _replace(session, settings, locked, card)
    worker = identity.system("worker", operation.request_id)
    cards.prepare(session, worker, card.network, backend.id, settings.instance_prefix)
    again = interventions.copy(operation, f"{before} has no room."[:255])
    again.backend_id, again.network_id, again.nic_id = backend.id, card.network_id, card.id
    again.arguments = operation.arguments | {
        "nics": [cards.parameters(card, card.network, settings.instance_prefix)]
    }
    operations.write_down(session, worker, again)
    again.user_id = operation.user_id
    audit.record(
        session,
        worker,
        "server:place",
        "server",
        locked.id,
        operation=again,
        before=before,
        after=backend.name,
        error=operation.error[:500],
    )
    return Decision.ELSEWHERE


def _has_more_to_do(session: Session, declined: Operation) -> bool:
    """Whether something else is to be done to the server, where it was to be."""
    query = sa.select(Operation.id).where(
        Operation.server_id == declined.server_id,
        Operation.state.in_(OPEN_STATES),
        Operation.id != declined.id,
    )
    return session.scalar(query.limit(1)) is not None


def _tried(session: Session, declined: Operation) -> dict[int, tuple[str, str]]:
    """The clusters that had no room, by id, in order: the name, and what each said.

    As far back as the last time that somebody had it tried again where it was.
    """
    found: dict[int, tuple[str, str]] = {}
    operation: Operation | None = declined
    while operation is not None and operation.backend_id not in found:
        name = session.get_one(Backend, operation.backend_id).name
        found[operation.backend_id] = (name, operation.error)
        before = operation.retry_of_id
        operation = session.get(Operation, before) if before is not None else None
    return dict(reversed(found.items()))


def _told_by_each(
    session: Session,
    declined: Operation,
    tried: dict[int, tuple[str, str]],
    flavor: Flavor,
    earlier: placement.Earlier,
) -> str:
    """What each cluster that was asked said, and why the others were not asked."""
    said = [f"{name}: {error}" for name, error in tried.values()]
    server = session.get_one(Server, declined.server_id)
    others = placement.explain(session, flavor, server.user_id, earlier=earlier)
    said += [f"{c.backend.name}: {c.why}" for c in others if c.backend.id not in tried]
    each = max(60, 1900 // len(said))
    return "\n".join([NO_CLUSTER, *(line[:each] for line in said)])


def _move(session: Session, server: Server, backend: Backend) -> None:
    """Nothing was heard of the server from there yet."""
    server.backend_id, server.node = backend.id, None
    server.state_time, server.state_job_id = None, 0
    server.job_time, server.job_id = None, 0
    server.job_opcode = server.job_status = server.job_log = ""
    session.flush()  # the server is read with its cards


def _replace(session: Session, settings: Settings, server: Server, card: Nic) -> Nic:
    """A card on a public network of the server's cluster, for one on another's.

    Raises Conflict when somebody took the last address there meanwhile.
    """
    profile = card.firewall_profile or settings.default_firewall_profile
    address_history.end_card(session, card)
    if card.ipv4 is not None:
        pools.release_address(session, card.network_id, card.ipv4, server_id=server.id)
    session.delete(card)
    try:
        return cards.add_public(session, server, settings.instance_prefix, profile)
    except faults.OverLimit:
        raise faults.Conflict(cards.PUBLIC_FULL) from None


# --- the end ------------------------------------------------------------------------------------


def _give_up(session: Session, declined: Operation, error: str | None = None) -> Decision:
    """It has failed, with all that follows: a server that was to be built is in error."""
    server, operation = _lock(session, declined)
    operation.state, operation.finished = OperationState.ERROR, utc_now()
    if error is not None:
        operation.error = error[:2000]
    if operation.opcode == states.CREATE and server is not None and _is_to_be_built(server):
        server.state = OperState.ERROR
        if error is not None:
            _tell(session, server)
    session.flush()  # what follows reads it
    hearing.settle(session, operation)
    return Decision.OVER


def _tell(session: Session, server: Server) -> None:
    now = utc_now()
    session.add(
        Diagnostic(
            server_id=server.id,
            level="ERROR",
            source="placement",
            source_date=now,
            message=NO_CLUSTER,
        )
    )
