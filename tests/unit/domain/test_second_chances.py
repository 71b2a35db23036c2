"""What follows when a cluster declines: again, elsewhere, or the end."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from cloudweb import faults
from cloudweb.domain import hearing, identity, interventions, operations, placement, pools
from cloudweb.domain import second_chances as chances
from cloudweb.domain import servers as servers_domain
from cloudweb.domain.second_chances import Decision
from cloudweb.domain.states import CREATE, NO_ROOM, NO_ROOM_NOW, STARTUP, StatusEvent
from cloudweb.models import (
    AddressUse,
    AuditEntry,
    Backend,
    Diagnostic,
    Handover,
    Network,
    NetworkKind,
    Nic,
    Operation,
    OperationState,
    OperState,
    PoolUse,
    PoolValue,
    Server,
    SessionFactory,
    unit_of_work,
    utc_now,
)
from cloudweb.settings import Settings

Make = Callable[..., Any]
CLI = identity.system("cli")


class Story:
    """Servers that clusters have no room for, told by hand."""

    def __init__(self, sessions: SessionFactory, settings: Settings, cloud: Any, site: Any) -> None:
        self.sessions, self.settings, self.cloud, self.site = sessions, settings, cloud, site
        self._job = 100

    def create(self) -> int:
        with unit_of_work(self.sessions) as session:
            server = servers_domain.create(
                session,
                self.cloud.owner.identity,
                self.site,
                name="web",
                flavor_id=self.cloud.flavor.id,
                image_ref=self.cloud.image.id,
                metadata={},
            )
        return server.id

    def fail(self, operation_id: int, error_class: str | None, text: str = "No.") -> StatusEvent:
        """Submit the operation and hear that its job failed."""
        self._job += 1
        with unit_of_work(self.sessions) as session:
            operation = session.get_one(Operation, operation_id)
            cluster = session.get_one(Backend, operation.backend_id).name
            operation.state, operation.sent = OperationState.SUBMITTED, utc_now()
            operation.job_id = self._job
            heard = StatusEvent(
                operation.target,
                operation.opcode,
                "error",
                self._job,
                utc_now(),
                cluster=cluster,
                error=(error_class, text),
            )
        self.hear(heard)
        return heard

    def hear(self, event: StatusEvent) -> hearing.Outcome:
        with unit_of_work(self.sessions) as session:
            return hearing.apply_status(session, event)

    def decide(self, **changes: Any) -> list[Decision | None]:
        with unit_of_work(self.sessions) as session:
            return [
                chances.decide(session, self.settings, id_)
                for id_ in chances.list_declined(session)
            ]

    def operations(self, opcode: str = CREATE) -> list[Operation]:
        with unit_of_work(self.sessions, write=False) as session:
            query = sa.select(Operation).where(Operation.opcode == opcode)
            return list(session.scalars(query.order_by(Operation.id)))

    def server(self, server_id: int) -> Server:
        with unit_of_work(self.sessions, write=False) as session:
            return session.get_one(Server, server_id)

    def rows(self, query: sa.Select[Any]) -> list[Any]:
        with unit_of_work(self.sessions, write=False) as session:
            return list(session.scalars(query))


@pytest.fixture
def story(sessions: SessionFactory, settings: Settings, cloud: Any, site: Any) -> Story:
    return Story(sessions, settings, cloud, site)


@pytest.fixture
def other(cloud: Any, make_backend: Make) -> Backend:
    """A second cluster, busier than the first."""
    made: Backend = make_backend(memory_free_mb=600_000)
    return made


def test_a_create_without_room_goes_to_the_next_cluster_once(
    story: Story, other: Backend, cloud: Any
) -> None:
    server_id = story.create()
    [first] = story.operations()
    heard = story.fail(first.id, NO_ROOM, "hail found no node")
    assert story.server(server_id).state is OperState.BUILD
    assert story.decide() == [Decision.ELSEWHERE]
    assert story.decide() == []

    failed, again = story.operations()
    assert (failed.state, failed.error_class) == (OperationState.ERROR, NO_ROOM)
    assert (again.backend_id, again.state, again.retry_of_id) == (
        other.id,
        OperationState.PENDING,
        failed.id,
    )
    assert (again.user_id, again.request_id) == (failed.user_id, failed.request_id)
    assert again.key != failed.key
    moved = story.server(server_id)
    assert (moved.backend_id, moved.state, moved.job_id) == (other.id, OperState.BUILD, 0)
    assert story.hear(heard) is hearing.Outcome.UNKNOWN, "the old cluster has no say any more"
    assert len(story.rows(sa.select(Handover).where(Handover.server_id == server_id))) == 1
    [entry] = story.rows(sa.select(AuditEntry).where(AuditEntry.action == "server:place"))
    assert (entry.operation_id, entry.details["before"], entry.details["after"]) == (
        again.id,
        cloud.backend.name,
        other.name,
    )


def test_when_no_cluster_is_left_each_has_its_say(
    story: Story, other: Backend, cloud: Any, make_backend: Make
) -> None:
    drained = make_backend(drained=True)
    server_id = story.create()
    story.fail(story.operations()[0].id, NO_ROOM, "hail found no node")
    story.decide()
    story.fail(story.operations()[1].id, NO_ROOM, "no disk of 9 GB")
    assert story.decide() == [Decision.OVER]

    last = story.operations()[-1]
    assert (last.state, last.error_class) == (OperationState.ERROR, NO_ROOM)
    assert last.error.split("\n") == [
        chances.NO_CLUSTER,
        f"{cloud.backend.name}: hail found no node",
        f"{other.name}: no disk of 9 GB",
        f"{drained.name}: drained",
    ]
    assert story.server(server_id).state is OperState.ERROR
    [told] = story.rows(sa.select(Diagnostic).where(Diagnostic.server_id == server_id))
    assert (told.level, told.message) == ("ERROR", chances.NO_CLUSTER)


def test_somebody_who_has_it_tried_again_has_all_clusters_tried_again(
    story: Story, other: Backend, cloud: Any
) -> None:
    story.create()
    for number in range(2):
        story.fail(story.operations()[number].id, NO_ROOM)
        story.decide()
    with unit_of_work(story.sessions) as session:
        interventions.retry(session, CLI, story.operations()[-1].id, reason="There is more now.")
    story.fail(story.operations()[-1].id, NO_ROOM)
    assert story.decide() == [Decision.ELSEWHERE]
    assert [op.backend_id for op in story.operations()] == [
        cloud.backend.id,
        other.id,
        other.id,
        cloud.backend.id,
    ]


@pytest.mark.parametrize("changes", [{"drained": True}, {"offline": True}])
def test_neither_drained_nor_offline_clusters_are_tried(
    story: Story, make_backend: Make, changes: dict[str, Any]
) -> None:
    make_backend(**changes)
    server_id = story.create()
    story.fail(story.operations()[0].id, NO_ROOM)
    assert story.decide() == [Decision.OVER]
    assert story.server(server_id).state is OperState.ERROR


def test_a_pinned_users_server_goes_nowhere_else(story: Story, other: Backend, cloud: Any) -> None:
    with unit_of_work(story.sessions) as session:
        placement.pin(session, CLI, cloud.owner.user, cloud.backend)
    story.create()
    story.fail(story.operations()[0].id, NO_ROOM)
    assert story.decide() == [Decision.OVER]
    assert f"{other.name}: the user is pinned to another cluster" in story.operations()[-1].error


def test_a_server_that_is_to_be_deleted_goes_nowhere(
    story: Story, other: Backend, cloud: Any
) -> None:
    server_id = story.create()
    [create] = story.operations()
    with unit_of_work(story.sessions) as session:
        session.get_one(Operation, create.id).sent = utc_now()
        session.flush()
        servers_domain.delete(session, cloud.owner.identity, server_id)
    story.fail(create.id, NO_ROOM)
    assert story.decide() == [Decision.OVER]
    assert len(story.operations()) == 1


def test_one_that_is_to_be_canceled_goes_nowhere(story: Story, other: Backend) -> None:
    server_id = story.create()
    [create] = story.operations()
    story.fail(create.id, NO_ROOM)
    with unit_of_work(story.sessions) as session:
        assert not interventions.cancel(session, CLI, create.id, reason="Not wanted.")
    assert story.decide() == [Decision.OVER]
    assert story.server(server_id).state is OperState.ERROR


def test_what_went_elsewhere_and_was_not_sent_is_deleted_without_a_trace(
    story: Story, other: Backend, cloud: Any
) -> None:
    server_id = story.create()
    story.fail(story.operations()[0].id, NO_ROOM)
    story.decide()
    with unit_of_work(story.sessions) as session:
        assert servers_domain.delete(session, cloud.owner.identity, server_id) is None
    assert story.server(server_id).deleted
    assert story.operations()[-1].state is OperationState.CANCELED


def _public(sessions: SessionFactory, backend: Backend | None, cidr: str) -> Network:
    with unit_of_work(sessions) as session:
        network = Network(
            name=cidr,
            kind=NetworkKind.CUSTOM,
            public=True,
            dhcp=True,
            cidr=cidr,
            mode="bridged",
            link="br1",
            backend_id=backend.id if backend else None,
        )
        session.add(network)
        session.flush()
        pools.create_addresses(session, network)
    return network


def _held(story: Story) -> list[PoolValue]:
    return story.rows(sa.select(PoolValue).where(PoolValue.use == PoolUse.HELD))


@pytest.fixture
def no_bridge(sessions: SessionFactory, cloud: Any, public_network: Network) -> None:
    """The public network that is on every cluster takes no new cards."""
    with unit_of_work(sessions) as session:
        session.get_one(Network, public_network.id).drained = True


@pytest.mark.usefixtures("no_bridge")
def test_a_card_on_one_clusters_network_becomes_one_on_the_others(
    story: Story, other: Backend, cloud: Any
) -> None:
    _public(story.sessions, cloud.backend, "198.51.100.0/29")
    there = _public(story.sessions, other, "203.0.113.0/29")
    server_id = story.create()
    story.fail(story.operations()[0].id, NO_ROOM)
    assert story.decide() == [Decision.ELSEWHERE]

    [card] = story.rows(sa.select(Nic).where(Nic.server_id == server_id))
    assert (card.network_id, card.index) == (there.id, 0)
    assert card.ipv4.startswith("203.0.113.")
    [held] = _held(story)
    assert held.holder_id == server_id
    [now] = story.rows(sa.select(AddressUse).where(AddressUse.until.is_(None)))
    assert (now.server_id, now.address) == (server_id, card.ipv4)
    again = story.operations()[-1]
    assert (again.nic_id, again.network_id) == (card.id, there.id)
    assert again.arguments["nics"][0]["ip"] == card.ipv4
    [made] = story.operations("OP_NETWORK_ADD")[1:]
    assert (made.backend_id, made.network_id) == (other.id, there.id)
    assert made.id < again.id, "the network is made before the server"
    with unit_of_work(story.sessions) as session:
        claimed = [
            each.opcode for each in operations.claim(session, other.id, worker="me", lease_s=9)
        ]
    assert claimed == ["OP_NETWORK_ADD"]


@pytest.mark.usefixtures("no_bridge")
def test_the_last_address_of_a_network_that_is_everywhere_goes_along(
    story: Story, other: Backend
) -> None:
    network = _public(story.sessions, None, "198.51.100.0/30")
    free = sa.select(PoolValue).where(PoolValue.use == PoolUse.FREE)
    server_id = story.create()
    with unit_of_work(story.sessions) as session:
        for value in session.scalars(free):
            value.use = PoolUse.RESERVED
    [before] = story.rows(sa.select(Nic).where(Nic.server_id == server_id))
    story.fail(story.operations()[0].id, NO_ROOM)
    assert story.decide() == [Decision.ELSEWHERE]
    [after] = story.rows(sa.select(Nic).where(Nic.server_id == server_id))
    assert (after.id, after.ipv4, after.network_id) == (before.id, before.ipv4, network.id)
    assert [value.holder_id for value in _held(story)] == [server_id]
    assert story.operations("OP_NETWORK_ADD")[-1].backend_id == other.id


def test_two_workers_decide_once(story: Story, other: Backend) -> None:
    story.create()
    [create] = story.operations()
    story.fail(create.id, NO_ROOM)
    with unit_of_work(story.sessions, write=False) as session:
        seen = session.get_one(Operation, create.id)
    assert story.decide() == [Decision.ELSEWHERE]
    with unit_of_work(story.sessions) as session, pytest.raises(faults.Conflict):
        chances._lock(session, seen)


# --- for now ------------------------------------------------------------------------------------


def test_what_fails_for_now_is_put_off_so_many_times(
    story: Story, make_server: Make, cloud: Any
) -> None:
    server = make_server(owner=cloud.owner, backend=cloud.backend, state=OperState.STOPPED)
    with unit_of_work(story.sessions) as session:
        servers_domain.start(session, cloud.owner.identity, server.id)
    keys, tries = set(), story.settings.operation_tries
    for number in range(tries):
        [start] = story.operations(STARTUP)
        assert start.declines == number
        keys.add(start.key)
        heard = story.fail(start.id, NO_ROOM_NOW, "Not now.")
        decided = Decision.AGAIN if number < tries - 1 else Decision.OVER
        assert story.decide() == [decided]
        story.hear(heard)
        if decided is Decision.AGAIN:
            [put_off] = story.operations(STARTUP)
            assert (put_off.state, put_off.sent) == (OperationState.PENDING, None)
            assert (put_off.error_class, put_off.error) == (NO_ROOM_NOW, "Not now.")
            assert utc_now() < put_off.due <= utc_now() + dt.timedelta(seconds=1)
    [start] = story.operations(STARTUP)
    assert (start.state, start.error_class) == (OperationState.ERROR, NO_ROOM_NOW)
    assert len(keys) == tries, "each job has a reason of its own"


def test_a_create_that_fails_for_now_too_often_goes_elsewhere(
    story: Story, other: Backend, cloud: Any
) -> None:
    story.create()
    for _ in range(story.settings.operation_tries - 1):
        story.fail(story.operations()[0].id, NO_ROOM_NOW)
        assert story.decide() == [Decision.AGAIN]
    story.fail(story.operations()[0].id, NO_ROOM_NOW)
    assert story.decide() == [Decision.ELSEWHERE]
    assert story.operations()[-1].backend_id == other.id


@pytest.mark.parametrize("kind", ["wrong_state", "environment_error", NO_ROOM, None])
def test_what_fails_for_good_is_not_tried_again(
    story: Story, make_server: Make, cloud: Any, kind: str | None
) -> None:
    server = make_server(owner=cloud.owner, backend=cloud.backend, state=OperState.STOPPED)
    with unit_of_work(story.sessions) as session:
        servers_domain.start(session, cloud.owner.identity, server.id)
    story.fail(story.operations(STARTUP)[0].id, kind)
    [start] = story.operations(STARTUP)
    assert (start.state, start.declines) == (OperationState.ERROR, 0)
    assert story.decide() == []


def test_a_late_answer_for_a_job_that_has_failed_since_is_not_recorded(
    story: Story, other: Backend
) -> None:
    story.create()
    [create] = story.operations()
    story.fail(create.id, NO_ROOM_NOW)
    assert story.decide() == [Decision.AGAIN]
    with unit_of_work(story.sessions) as session:
        operations.record_submitted(session, create, 101)
    [put_off] = story.operations()
    assert put_off.state is OperationState.PENDING
