"""What people do about operations: cancel, do again; and operations nobody ever answers."""

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from cloudweb import faults
from cloudweb.domain import hearing, identity, interventions, operation_lists, servers, states
from cloudweb.domain.states import StatusEvent
from cloudweb.models import (
    AuditEntry,
    Backend,
    Handover,
    Nic,
    Operation,
    OperationState,
    OperState,
    Server,
    SessionFactory,
    unit_of_work,
    utc_now,
)

Make = Callable[..., Any]
CLI = identity.system("cli")


@dataclasses.dataclass
class Desk:
    """An operator's desk over one user's cloud."""

    sessions: SessionFactory
    cloud: Any
    site: Any

    def create(self) -> tuple[int, int]:
        """A new server and its create."""
        with unit_of_work(self.sessions) as session:
            server = servers.create(
                session,
                self.cloud.owner.identity,
                self.site,
                name="web",
                flavor_id=self.cloud.flavor.id,
                image_ref=self.cloud.image.id,
                metadata={},
            )
            [row] = operation_lists.list_recent(session, server_id=server.id)
        return server.id, row.operation.id

    def ask(self, verb: Callable[..., Any], server_id: int, **arguments: Any) -> int:
        with unit_of_work(self.sessions) as session:
            made: int = verb(session, CLI, server_id, **arguments).id
        return made

    def change(self, table: type[Any], row_id: int, **values: Any) -> None:
        with unit_of_work(self.sessions) as session:
            row = session.get_one(table, row_id)
            for key, value in values.items():
                setattr(row, key, value)

    def fail(self, operation_id: int, kind: str | None = "wrong_state") -> None:
        now = utc_now()
        state = OperationState.ERROR
        self.change(Operation, operation_id, state=state, finished=now, sent=now, error_class=kind)

    def cancel(self, operation_id: int) -> bool:
        with unit_of_work(self.sessions) as session:
            return interventions.cancel(session, CLI, operation_id, reason="Not wanted.")

    def retry(self, operation_id: int) -> int:
        with unit_of_work(self.sessions) as session:
            return interventions.retry(session, CLI, operation_id, reason="Once more.").id

    def get(self, table: type[Any], row_id: int) -> Any:
        with unit_of_work(self.sessions, write=False) as session:
            return session.get_one(table, row_id)

    def count(self, table: type[Any]) -> int:
        with unit_of_work(self.sessions, write=False) as session:
            return session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


@pytest.fixture
def desk(sessions: SessionFactory, cloud: Any, site: Any) -> Desk:
    return Desk(sessions, cloud, site)


# --- canceling ----------------------------------------------------------------------------------


def test_a_create_canceled_before_it_was_sent_leaves_no_server_and_nothing_of_it(
    desk: Desk,
) -> None:
    server_id, create = desk.create()
    assert desk.cancel(create) is True
    server = desk.get(Server, server_id)
    assert (server.state, server.deleted) == (OperState.DESTROYED, True)
    assert desk.get(Operation, create).state is OperationState.CANCELED
    assert (desk.count(Nic), desk.count(Handover)) == (0, 0)
    with unit_of_work(desk.sessions, write=False) as session:
        entry = session.scalars(sa.select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert entry is not None
    assert (entry.action, entry.reason) == ("operation:cancel", "Not wanted.")


def test_what_waits_behind_a_canceled_create_is_canceled_with_it(desk: Desk) -> None:
    server_id, create = desk.create()
    desk.change(Operation, create, sent=utc_now())  # so that the delete has to wait for it
    delete = desk.ask(servers.delete, server_id)
    desk.change(Operation, create, sent=None)
    assert desk.cancel(create) is True
    assert desk.get(Operation, delete).state is OperationState.CANCELED
    assert desk.get(Server, server_id).deleted


def test_canceling_an_unsent_action_leaves_its_server_as_it_is(
    desk: Desk, make_server: Make
) -> None:
    server = make_server()
    operation = desk.ask(servers.shutdown, server.id)
    assert desk.cancel(operation) is True
    assert desk.get(Server, server.id).state is OperState.STARTED
    assert desk.get(Operation, operation).finished is not None


@pytest.mark.parametrize("state", ["pending", "submitting", "submitted"])
def test_what_a_cluster_may_have_is_only_wished_to_be_canceled(
    desk: Desk, make_server: Make, state: str
) -> None:
    operation = desk.ask(servers.shutdown, make_server().id)
    desk.change(Operation, operation, state=OperationState(state), sent=utc_now())
    assert desk.cancel(operation) is False
    row = desk.get(Operation, operation)
    assert (row.state.value, row.cancel_wanted is not None) == (state, True)
    with pytest.raises(faults.Conflict, match="already"):
        desk.cancel(operation)


@pytest.mark.parametrize("state", ["running", "success", "error", "canceled"])
def test_what_has_begun_or_is_over_cannot_be_canceled(
    desk: Desk, make_server: Make, state: str
) -> None:
    operation = desk.ask(servers.shutdown, make_server().id)
    desk.change(Operation, operation, state=OperationState(state))
    with pytest.raises(faults.Conflict):
        desk.cancel(operation)
    with unit_of_work(desk.sessions) as session:
        with pytest.raises(faults.ItemNotFound):
            interventions.cancel(session, CLI, operation + 1, reason="x")
        with pytest.raises(faults.BadRequest):
            interventions.cancel(session, CLI, operation, reason=" ")


def test_a_cluster_is_asked_to_cancel_once_and_again_after_a_while(
    desk: Desk, make_server: Make
) -> None:
    server = make_server()
    operation = desk.ask(servers.shutdown, server.id)
    desk.change(Operation, operation, state=OperationState.SUBMITTED, sent=utc_now(), job_id=7)
    desk.cancel(operation)

    def claim(every_s: float) -> list[int]:
        with unit_of_work(desk.sessions) as session:
            found = interventions.claim_cancels(session, server.backend_id, every_s=every_s)
            return [row.id for row in found]

    assert claim(60) == [operation]
    assert claim(60) == []
    assert claim(0) == [operation]


# --- doing again --------------------------------------------------------------------------------


def test_a_failed_action_is_done_again_once_with_the_same_arguments(
    desk: Desk, make_server: Make
) -> None:
    failed = desk.ask(servers.reboot, make_server().id, kind="HARD")
    desk.fail(failed)
    again = desk.get(Operation, desk.retry(failed))
    before = desk.get(Operation, failed)
    assert (again.opcode, again.arguments) == (before.opcode, {"type": "HARD"})
    assert again.key != before.key
    assert (again.state, again.retry_of_id) == (OperationState.PENDING, failed)
    assert (again.reason, before.state) == ("Once more.", OperationState.ERROR)
    with pytest.raises(faults.Conflict, match=f"Operation {again.id} does it again"):
        desk.retry(failed)


def test_what_no_longer_fits_is_not_done_again(desk: Desk, make_server: Make) -> None:
    server = make_server()
    failed = desk.ask(servers.reboot, server.id, kind="SOFT")
    with pytest.raises(faults.Conflict, match="did not fail"):
        desk.retry(failed)
    desk.fail(failed)
    desk.change(Server, server.id, state=OperState.STOPPED)
    with pytest.raises(faults.Conflict, match="running"):
        desk.retry(failed)
    desk.change(Backend, server.backend_id, offline=True)
    with pytest.raises(faults.ServiceUnavailable):
        desk.retry(failed)
    desk.change(Server, server.id, deleted=True, state=OperState.DESTROYED)
    with pytest.raises(faults.Conflict, match="deleted"):
        desk.retry(failed)


def test_a_failed_create_is_tried_again_as_the_same_server(desk: Desk) -> None:
    server_id, create = desk.create()
    desk.fail(create, "environment_error")
    desk.change(Server, server_id, state=OperState.ERROR, build_percentage=40)
    again = desk.retry(create)
    server = desk.get(Server, server_id)
    assert (server.state, server.build_percentage) == (OperState.BUILD, 0)
    assert desk.get(Operation, again).arguments == desk.get(Operation, create).arguments

    assert desk.cancel(again) is True
    server = desk.get(Server, server_id)
    assert (server.state, server.deleted) == (OperState.ERROR, False), "something may be left"


def test_deleting_a_server_whose_create_is_tried_again_asks_the_cluster(desk: Desk) -> None:
    server_id, create = desk.create()
    desk.fail(create)
    desk.change(Server, server_id, state=OperState.ERROR)
    desk.retry(create)
    delete = desk.ask(servers.delete, server_id)
    assert desk.get(Operation, delete).opcode == states.REMOVE


def test_a_create_is_not_tried_again_when_its_password_is_gone(desk: Desk) -> None:
    server_id, create = desk.create()
    desk.fail(create)
    with pytest.raises(faults.Conflict, match="no longer one that failed"):
        desk.retry(create)
    desk.change(Server, server_id, state=OperState.ERROR)
    with unit_of_work(desk.sessions) as session:
        session.execute(sa.delete(Handover))
    with pytest.raises(faults.Conflict, match="password"):
        desk.retry(create)


# --- waiting no longer --------------------------------------------------------------------------


def _expire(desk: Desk) -> list[int]:
    with unit_of_work(desk.sessions) as session:
        found = interventions.list_unanswered(session, after_s=3600)
        return [each for each in found if interventions.expire(session, each)]


def test_what_a_cluster_that_is_away_never_answers_ends_in_an_explained_error(desk: Desk) -> None:
    server_id, create = desk.create()
    backend, old = desk.cloud.backend.id, utc_now() - dt.timedelta(hours=2)
    submitted = OperationState.SUBMITTED
    desk.change(Operation, create, state=submitted, sent=old, submitted=old, job_id=7)
    assert _expire(desk) == [], "the cluster answers"
    desk.change(Backend, backend, unreachable_since=utc_now())
    assert _expire(desk) == [], "it has not been away for long"
    desk.change(Backend, backend, unreachable_since=old)
    assert _expire(desk) == [create]
    row = desk.get(Operation, create)
    assert (row.state, row.error_class) == (OperationState.ERROR, states.UNANSWERED)
    assert desk.get(Server, server_id).state is OperState.ERROR
    event = StatusEvent(f"snf-{server_id}", states.CREATE, "success", 7, utc_now())
    with unit_of_work(desk.sessions) as session:
        hearing.apply_status(session, event)
    assert desk.get(Server, server_id).state is OperState.STARTED, "the late truth counts"


def test_what_was_never_sent_waits_as_long_as_it_takes(desk: Desk) -> None:
    desk.create()
    old = utc_now() - dt.timedelta(hours=2)
    desk.change(Backend, desk.cloud.backend.id, unreachable_since=old)
    assert _expire(desk) == []
