"""A cluster's refusal that an agent tells of: heard by the consumer, decided by the worker."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cloudweb.domain import states
from cloudweb.models import (
    Backend,
    EventSource,
    Operation,
    OperationState,
    OperState,
    Server,
    SessionFactory,
    unit_of_work,
)
from tests.functional.consumer.conftest import Bus, Fleet, wait_until
from tests.functional.processes import running

Make = Callable[..., Any]
CONSUMER = "cloudweb.backend.amqp.consumer"
WORKER = "cloudweb.backend.worker"


@pytest.mark.parametrize("error", [states.NO_ROOM, "environment_error"])
def test_a_create_that_failed_for_want_of_room_is_put_elsewhere_and_no_other(
    bus: Bus, ini: Path, make_fleet: Make, make_backend: Make, error: str
) -> None:
    fleet: Fleet = make_fleet(1)
    [server] = fleet.servers
    _rest(fleet, server)
    other = make_backend(event_source=EventSource.AGENTS)
    result = ["OpPrereqError", ["No node has room", error]]
    said = fleet.message(server, states.CREATE, "success", status="error", result=result)
    bus.publish(said, said)
    with running(CONSUMER, ini), running(WORKER, ini):
        wait_until(lambda: is_decided(fleet.sessions), bus.is_done)
    assert bus.dead_letters(fleet.sessions) == []
    operations, server = seen(fleet.sessions)
    if error == states.NO_ROOM:
        assert [op.backend_id for op in operations] == [fleet.backend.id, other.id]
        assert server.backend_id == other.id
        assert server.state is OperState.BUILD
    else:
        assert [op.state for op in operations] == [OperationState.ERROR]
        assert server.state is OperState.ERROR


def _rest(fleet: Fleet, server: Server) -> None:
    """The create names its card, as those that ``servers.create`` writes down do."""
    with unit_of_work(fleet.sessions) as session:
        [operation] = session.scalars(sa.select(Operation))
        operation.nic_id = server.nics[0].id
        session.get_one(Backend, fleet.backend.id).event_source = EventSource.AGENTS


def is_decided(sessions: SessionFactory) -> bool:
    """Whether nothing is left that the cluster was heard of or declined."""
    undecided = (OperationState.SUBMITTED, OperationState.RUNNING, OperationState.DECLINED)
    return not any(op.state in undecided for op in seen(sessions)[0])


def seen(sessions: SessionFactory) -> tuple[list[Operation], Server]:
    with unit_of_work(sessions, write=False) as session:
        operations = session.scalars(sa.select(Operation).order_by(Operation.id)).all()
        return list(operations), session.scalars(sa.select(Server)).one()
