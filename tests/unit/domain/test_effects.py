"""What the end of an operation means for cards, addresses, firewalls and networks."""

import datetime as dt
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from cloudweb import faults
from cloudweb.domain import (
    attachments,
    firewalls,
    hearing,
    networks,
    operations,
    pools,
    server_views,
    servers,
    snapshots,
    states,
)
from cloudweb.domain.cards import Profile
from cloudweb.domain.hearing import Outcome
from cloudweb.domain.identity import system
from cloudweb.domain.snapshots import InstanceReport, Snapshot
from cloudweb.domain.states import NetworkEvent, NicReport, StatusEvent
from cloudweb.models import (
    Backend,
    BackendNetwork,
    ListVersion,
    Network,
    NetworkKind,
    NetworkState,
    Nic,
    NicState,
    Operation,
    OperationState,
    PoolKind,
    PoolUse,
    PoolValue,
    Server,
    SessionFactory,
    unit_of_work,
    utc_now,
)
from tests.conftest import Person

T0 = dt.datetime(2024, 5, 1, 12, 0, tzinfo=dt.UTC)
RULES = networks.Rules((NetworkKind.MAC_FILTERED,), "prv0", "snf-")
MAC = "aa:00:10:11:22:33"
_jobs = itertools.count(100)


class Story:
    """One user's server and networks, and what their cluster says."""

    def __init__(self, sessions: SessionFactory, owner: Person, server: Server) -> None:
        self.sessions = sessions
        self.owner = owner
        self.server = server

    def do(self, act: Callable[..., Any], *given: Any, **more: Any) -> Any:
        with unit_of_work(self.sessions) as session:
            return act(session, self.owner.identity, *given, **more)

    def make_network(self, **more: Any) -> Network:
        made: Network = self.do(networks.create, RULES, name="private", **more)
        return made

    def connect(self, network: Network) -> None:
        self.do(attachments.connect, RULES, network.id, server_id=self.server.id)

    def operation(self, opcode: str) -> Operation:
        """The newest of this opcode; it is at the cluster now."""
        with unit_of_work(self.sessions) as session:
            found = session.scalars(
                sa.select(Operation).where(Operation.opcode == opcode).order_by(Operation.id)
            ).all()[-1]
            if found.state is OperationState.PENDING:
                found.state, found.job_id = OperationState.SUBMITTED, next(_jobs)
            return found

    def hear(self, opcode: str, status: str = "success", **more: Any) -> Outcome:
        """What is said of the newest operation of an opcode."""
        operation = self.operation(opcode)
        assert operation.job_id
        with unit_of_work(self.sessions) as session:
            cluster = session.get_one(Backend, operation.backend_id).name
            time = T0 + dt.timedelta(seconds=operation.job_id)
            if operation.server_id is None:
                told = NetworkEvent(
                    operation.target, opcode, status, operation.job_id, time, cluster, **more
                )
                return hearing.apply_networks(session, [told])[0]
            event = StatusEvent(
                operation.target, opcode, status, operation.job_id, time, cluster, **more
            )
            return hearing.apply_status(session, event)

    def connected(self, network: Network) -> Nic:
        """The server's card on the network, which it has got."""
        self.connect(network)
        for opcode in (states.ADD_NETWORK, states.CONNECT_NETWORK):
            self.hear(opcode)
        self.hear(states.SET_PARAMS, nics=self.report())
        return self.cards()[-1]

    def report(self) -> tuple[NicReport, ...]:
        """The cards as the cluster would list them."""
        return tuple(
            NicReport(index, MAC if index else card.mac, card.ipv4, card.name)
            for index, card in enumerate(self.cards())
        )

    def cards(self) -> Sequence[Nic]:
        with unit_of_work(self.sessions, write=False) as session:
            wanted = sa.select(Nic).where(Nic.server_id == self.server.id).order_by(Nic.index)
            return session.scalars(wanted).all()

    def held(self) -> int:
        """How many addresses somebody has."""
        with unit_of_work(self.sessions, write=False) as session:
            wanted = sa.select(sa.func.count()).select_from(PoolValue)
            held = wanted.where(PoolValue.use == PoolUse.HELD, PoolValue.holder_kind == "server")
            return session.scalar(held) or 0

    def versions(self, network: Network) -> tuple[int, int, int]:
        """What moves with what clients see: of the server, the network, the owner's lists."""
        with unit_of_work(self.sessions, write=False) as session:
            return (
                session.get_one(Server, self.server.id).version,
                session.get_one(Network, network.id).version,
                session.get_one(ListVersion, self.owner.user.id).version,
            )

    def network(self, network: Network) -> Network:
        with unit_of_work(self.sessions, write=False) as session:
            return session.get_one(Network, network.id)

    def on_cluster(self, network: Network) -> NetworkState:
        with unit_of_work(self.sessions, write=False) as session:
            return session.scalars(
                sa.select(BackendNetwork.state).where(BackendNetwork.network_id == network.id)
            ).one()


@pytest.fixture
def story(
    sessions: SessionFactory, make_user: Callable[..., Person], make_server: Callable[..., Server]
) -> Story:
    with unit_of_work(sessions) as session:
        pools.create(session, system("cli"), kind=PoolKind.MAC_PREFIX, base="aa:00:0", size=4096)
    owner = make_user()
    return Story(sessions, owner, make_server(owner=owner))


# --- cards --------------------------------------------------------------------------------------


def test_a_card_that_was_added_is_shown_with_its_addresses(story: Story) -> None:
    network = story.make_network(cidr6="2001:db8:1::/64")
    story.connect(network)
    before = story.versions(network)
    nics = (
        NicReport(0, "aa:00:00:49:2e:7e", "192.168.32.6"),
        NicReport(1, MAC, "192.168.1.1", story.cards()[1].name),
    )
    assert story.hear(states.SET_PARAMS, nics=nics) is Outcome.APPLIED
    card = story.cards()[1]
    assert (card.state, card.mac, card.ipv4) == (NicState.ACTIVE, MAC, "192.168.1.1")
    assert card.ipv6 == "2001:db8:1:0:a800:10ff:fe11:2233"
    after = story.versions(network)
    assert all(now > then for now, then in zip(after, before, strict=True))


def test_a_card_that_was_heard_of_again_changes_nothing(story: Story) -> None:
    network = story.make_network()
    story.connected(network)
    before = story.versions(network)
    assert story.hear(states.SET_PARAMS, nics=story.report()) is Outcome.STALE
    assert story.versions(network) == before


def test_a_change_without_cards_is_looked_at_soon(story: Story) -> None:
    network = story.make_network()
    story.connect(network)
    story.hear(states.SET_PARAMS)
    operation = story.operation(states.SET_PARAMS)
    assert (operation.state, operation.due) == (OperationState.SUBMITTED, operations.ASK_NOW)
    assert story.cards()[1].state is NicState.ADDING
    story.hear(states.SET_PARAMS, nics=())
    assert story.cards()[1].state is NicState.ACTIVE


@pytest.mark.parametrize("status", ["error", "canceled"])
def test_a_card_that_was_not_added_is_gone_with_its_address(story: Story, status: str) -> None:
    network = story.make_network()
    story.connect(network)
    assert story.held() == 1
    story.hear(states.SET_PARAMS, status, error=("wrong_state", "No"))
    assert (len(story.cards()), story.held()) == (1, 0)


def test_an_add_that_no_cluster_takes_is_undone(story: Story) -> None:
    network = story.make_network()
    story.connect(network)
    with unit_of_work(story.sessions) as session:
        row = session.scalars(
            sa.select(Operation).where(Operation.opcode == states.SET_PARAMS)
        ).one()
        row.state, row.worker = OperationState.SUBMITTING, "me"
    with unit_of_work(story.sessions) as session:
        hearing.refuse(session, row, error_class="wrong_input", message="No")
    assert story.operation(states.SET_PARAMS).state is OperationState.ERROR
    assert (len(story.cards()), story.held()) == (1, 0)


def test_a_card_that_was_removed_is_gone_and_those_after_it_move_up(story: Story) -> None:
    one, two = story.make_network(), story.make_network(cidr="10.0.0.0/24")
    story.connected(one)
    story.connected(two)
    before = story.versions(one)
    story.do(attachments.disconnect, one.id, server_id=story.server.id)
    story.hear(states.SET_PARAMS, nics=())
    left = story.cards()
    assert [(card.index, card.network_id) for card in left[1:]] == [(1, two.id)]
    assert story.held() == 1
    after = story.versions(one)
    assert all(now > then for now, then in zip(after, before, strict=True))


def test_a_card_that_was_gone_already_is_as_if_removed(story: Story) -> None:
    network = story.make_network()
    story.connected(network)
    story.do(attachments.disconnect, network.id, server_id=story.server.id)
    error = (states.UNKNOWN_ENTITY, "Cannot find NIC with identifier snf-nic-2")
    story.hear(states.SET_PARAMS, "error", error=error)
    assert (len(story.cards()), story.held()) == (1, 0)
    operation = story.operation(states.SET_PARAMS)
    assert (operation.state, operation.error) == (OperationState.SUCCESS, "")


def test_a_card_that_went_with_its_server_was_removed(story: Story) -> None:
    network = story.make_network()
    story.connected(network)
    story.do(servers.delete, story.server.id)
    story.do(networks.delete, network.id)
    story.hear(states.REMOVE)
    story.hear(states.SET_PARAMS, "error", error=(states.UNKNOWN_ENTITY, "Instance not known"))
    operation = story.operation(states.SET_PARAMS)
    assert (operation.state, operation.error) == (OperationState.SUCCESS, "")


def test_a_card_that_was_to_come_is_shown_once_it_is_to_go(story: Story) -> None:
    network = story.make_network()
    story.connect(network)
    before = story.versions(network)
    story.do(networks.delete, network.id)
    with unit_of_work(story.sessions, write=False) as session:
        shown = server_views.get(session, story.owner.identity, story.server.id)
    assert [nic.network for nic in shown.nics] == ["public", str(network.id)]
    after = story.versions(network)
    assert all(now > then for now, then in zip(after, before, strict=True))


def test_a_card_without_a_name_is_not_removed_while_its_place_may_change(story: Story) -> None:
    one, two = story.make_network(), story.make_network(cidr="10.0.0.0/24")
    for network in (one, two):
        story.connected(network)
    with unit_of_work(story.sessions) as session:
        session.execute(sa.update(Nic).values(name=None))
    story.do(attachments.disconnect, one.id, server_id=story.server.id)
    with pytest.raises(faults.BuildInProgress):
        story.do(attachments.disconnect, two.id, server_id=story.server.id)
    story.hear(states.SET_PARAMS, nics=())
    story.do(attachments.disconnect, two.id, server_id=story.server.id)
    removing = story.operation(states.SET_PARAMS)
    assert removing.arguments == {"nics": [["remove", 1, {}]]}


def test_a_card_that_was_not_removed_is_there_again(story: Story) -> None:
    network = story.make_network()
    story.connected(network)
    story.do(attachments.disconnect, network.id, server_id=story.server.id)
    story.hear(states.SET_PARAMS, "error", error=("wrong_state", "No"))
    assert (story.cards()[1].state, story.held()) == (NicState.ACTIVE, 1)


def test_an_address_given_to_another_stays_theirs(
    story: Story, make_server: Callable[..., Server]
) -> None:
    network = story.make_network()
    story.connected(network)
    story.do(attachments.disconnect, network.id, server_id=story.server.id)
    story.hear(states.SET_PARAMS, nics=())
    other = make_server(owner=story.owner)
    story.do(attachments.connect, RULES, network.id, server_id=other.id)
    with unit_of_work(story.sessions) as session:
        session.execute(sa.update(Operation).values(state=OperationState.SUCCESS))
    gone = StatusEvent(story.server.instance_name or "", states.REMOVE, "success", 9, T0)
    with unit_of_work(story.sessions) as session:
        hearing.apply_status(session, gone)
    assert story.held() == 1


def test_a_server_that_is_gone_leaves_its_networks(story: Story) -> None:
    network = story.make_network()
    story.connected(network)
    before = story.versions(network)
    gone = StatusEvent(story.server.instance_name or "", states.REMOVE, "success", 9, T0)
    with unit_of_work(story.sessions) as session:
        hearing.apply_status(session, gone)
    assert (story.cards(), story.held()) == ([], 0)
    after = story.versions(network)
    assert all(now > then for now, then in zip(after, before, strict=True))


def test_cards_are_known_by_their_names(story: Story) -> None:
    story.connected(story.make_network())
    story.connected(story.make_network(cidr="10.0.0.0/24"))
    public, one, two = story.cards()
    swapped = (
        NicReport(0, public.mac, public.ipv4, public.name),
        NicReport(1, "aa:00:00:00:00:02", two.ipv4, two.name),
        NicReport(2, "aa:00:00:00:00:01", one.ipv4, one.name),
    )
    with unit_of_work(story.sessions) as session:
        name = story.server.instance_name or ""
        told = {name: InstanceReport(name, running=None, nics=swapped)}
        snapshots.apply(session, story.server.backend_id, Snapshot(utc_now(), told))
    found = [(card.index, card.id, card.mac) for card in story.cards()[1:]]
    assert found == [(1, two.id, "aa:00:00:00:00:02"), (2, one.id, "aa:00:00:00:00:01")]


# --- firewalls ----------------------------------------------------------------------------------


def firewall(story: Story) -> str | None:
    return story.cards()[0].firewall_profile


def test_a_firewall_shows_when_its_tag_is_there_and_the_old_tag_goes_then(story: Story) -> None:
    story.do(firewalls.set_profile, story.server.id, profile=Profile.ENABLED)
    assert firewall(story) == "DISABLED"
    story.hear(states.ADD_TAGS)
    assert firewall(story) == "ENABLED"
    old = story.operation(states.DELETE_TAGS)
    assert old.arguments == {"tags": ["synnefo:network:0:unprotected"]}


def test_a_firewall_that_is_refused_changes_nothing(story: Story) -> None:
    story.do(firewalls.set_profile, story.server.id, profile=Profile.ENABLED)
    story.hear(states.ADD_TAGS, "error", error=("wrong_state", "No"))
    assert firewall(story) == "DISABLED"
    with unit_of_work(story.sessions, write=False) as session:
        opcodes = session.scalars(sa.select(Operation.opcode)).all()
    assert states.DELETE_TAGS not in opcodes


def test_of_two_firewalls_asked_for_at_once_the_second_stays(story: Story) -> None:
    for profile in (Profile.ENABLED, Profile.PROTECTED):
        story.do(firewalls.set_profile, story.server.id, profile=profile)
    story.hear(states.ADD_TAGS)
    assert firewall(story) == "PROTECTED"
    with unit_of_work(story.sessions, write=False) as session:
        removed = session.scalars(
            sa.select(Operation.arguments).where(Operation.opcode == states.DELETE_TAGS)
        ).all()
    tags = {tag for arguments in removed for tag in arguments["tags"]}
    assert tags == {"synnefo:network:0:unprotected", "synnefo:network:0:protected"}


def test_back_and_forth_leaves_the_last_tag_on(story: Story) -> None:
    for profile in (Profile.ENABLED, Profile.DISABLED):
        story.do(firewalls.set_profile, story.server.id, profile=profile)
    story.hear(states.ADD_TAGS)
    assert firewall(story) == "DISABLED"
    old = story.operation(states.DELETE_TAGS)
    assert old.arguments == {"tags": ["synnefo:network:0:protected"]}


def test_a_tag_that_was_not_there_is_no_failure(story: Story) -> None:
    story.do(firewalls.set_profile, story.server.id, profile=Profile.ENABLED)
    story.hear(states.ADD_TAGS)
    error = (states.UNKNOWN_ENTITY, "Tag(s) 'x' not found")
    story.hear(states.DELETE_TAGS, "error", error=error)
    assert story.operation(states.DELETE_TAGS).state is OperationState.SUCCESS


# --- networks -----------------------------------------------------------------------------------


def test_a_network_is_there_when_every_group_is_connected(story: Story) -> None:
    with unit_of_work(story.sessions) as session:
        backend = session.get_one(Backend, story.server.backend_id)
        backend.node_groups = ["default", "rack2"]
    network = story.make_network()
    story.connect(network)
    story.hear(states.ADD_NETWORK)
    story.hear(states.CONNECT_NETWORK)
    assert story.on_cluster(network) is NetworkState.PENDING
    with unit_of_work(story.sessions) as session:
        first = session.scalars(
            sa.select(Operation).where(
                Operation.opcode == states.CONNECT_NETWORK,
                Operation.state == OperationState.PENDING,
            )
        ).one()
        first.state, first.job_id = OperationState.SUBMITTED, 7
        cluster = session.get_one(Backend, first.backend_id).name
    told = NetworkEvent(first.target, first.opcode, "success", 7, T0, cluster)
    with unit_of_work(story.sessions) as session:
        assert hearing.apply_networks(session, [told]) == [Outcome.APPLIED]
    assert story.on_cluster(network) is NetworkState.ACTIVE


def test_a_network_that_was_there_already_is_ours(story: Story) -> None:
    network = story.make_network()
    story.connect(network)
    story.hear(states.ADD_NETWORK, "error", error=(states.ALREADY_EXISTS, "It is there"))
    story.hear(states.CONNECT_NETWORK)
    assert story.on_cluster(network) is NetworkState.ACTIVE


def test_a_network_that_could_not_be_made_is_tried_again(story: Story) -> None:
    network = story.make_network()
    story.connect(network)
    story.hear(states.ADD_NETWORK, "error", error=("wrong_input", "No"))
    assert story.on_cluster(network) is NetworkState.ERROR
    story.hear(states.CONNECT_NETWORK, "error", error=(states.UNKNOWN_ENTITY, "Not found"))
    story.hear(states.SET_PARAMS, "error", error=(states.UNKNOWN_ENTITY, "Not found"))
    assert (len(story.cards()), story.held()) == (1, 0)
    story.connected(network)
    assert story.on_cluster(network) is NetworkState.ACTIVE


def test_a_failure_without_its_reason_is_looked_at_soon(story: Story) -> None:
    network = story.make_network()
    story.connect(network)
    assert story.hear(states.ADD_NETWORK, "error") is Outcome.STALE
    operation = story.operation(states.ADD_NETWORK)
    assert (operation.state, operation.due) == (OperationState.SUBMITTED, operations.ASK_NOW)


@pytest.mark.parametrize(
    ("status", "error"),
    [("success", None), ("error", (states.UNKNOWN_ENTITY, "Network not found"))],
)
def test_a_deleted_network_gives_back_all_it_had(
    story: Story, status: str, error: tuple[str, str] | None
) -> None:
    network = story.make_network()
    story.connected(network)
    story.do(networks.delete, network.id)
    story.hear(states.SET_PARAMS, nics=())
    story.hear(states.DISCONNECT_NETWORK, status, error=error)
    assert not story.network(network).deleted
    story.hear(states.REMOVE_NETWORK, status, error=error)
    assert story.network(network).deleted
    with unit_of_work(story.sessions, write=False) as session:
        held = session.scalars(sa.select(PoolValue).where(PoolValue.use == PoolUse.HELD)).all()
    assert held == []


def test_a_network_that_cannot_be_removed_can_be_tried_again(story: Story) -> None:
    network = story.make_network()
    story.connected(network)
    story.do(networks.delete, network.id)
    story.hear(states.SET_PARAMS, "error", error=("wrong_state", "No"))
    story.hear(states.DISCONNECT_NETWORK, "error", error=("wrong_state", "In use"))
    story.hear(states.REMOVE_NETWORK, "error", error=("wrong_state", "Connected"))
    assert story.on_cluster(network) is NetworkState.ERROR
    story.do(networks.delete, network.id)
    story.hear(states.SET_PARAMS, nics=())
    story.hear(states.DISCONNECT_NETWORK)
    story.hear(states.REMOVE_NETWORK)
    assert story.network(network).deleted


def test_a_network_ends_with_the_last_server_on_it(story: Story) -> None:
    network = story.make_network()
    story.connected(network)
    story.do(networks.delete, network.id)
    story.hear(states.DISCONNECT_NETWORK)
    story.hear(states.REMOVE_NETWORK)
    assert not story.network(network).deleted
    gone = StatusEvent(story.server.instance_name or "", states.REMOVE, "success", 9, T0)
    with unit_of_work(story.sessions) as session:
        hearing.apply_status(session, gone)
    assert story.network(network).deleted


def test_what_is_not_ours_is_said_so(story: Story) -> None:
    told = NetworkEvent("web", states.ADD_NETWORK, "success", 3, T0, "elsewhere.example.org")
    with unit_of_work(story.sessions) as session:
        assert hearing.apply_networks(session, [told]) == [Outcome.UNKNOWN]


# --- order --------------------------------------------------------------------------------------


def ready(story: Story) -> list[str]:
    """The opcodes of what a worker would submit now."""
    with unit_of_work(story.sessions) as session:
        claimed = operations.claim(
            session, story.server.backend_id, worker="w", lease_s=60, limit=50
        )
        found = [each.opcode for each in claimed]
        for each in claimed:
            each.state = OperationState.SUCCESS
    return found


def test_a_network_is_made_then_connected_then_used(story: Story) -> None:
    story.connect(story.make_network())
    steps = [ready(story) for _ in range(4)]
    assert steps == [[states.ADD_NETWORK], [states.CONNECT_NETWORK], [states.SET_PARAMS], []]


def test_a_network_is_removed_after_every_card_on_it(
    story: Story, make_server: Callable[..., Server]
) -> None:
    network = story.make_network()
    story.connect(network)
    with unit_of_work(story.sessions) as session:
        backend = session.get_one(Backend, story.server.backend_id)
    other = make_server(owner=story.owner, backend=backend)
    story.do(attachments.connect, RULES, network.id, server_id=other.id)
    for _ in range(3):
        ready(story)
    story.do(networks.delete, network.id)
    steps = [ready(story) for _ in range(3)]
    assert steps == [
        [states.SET_PARAMS, states.SET_PARAMS],
        [states.DISCONNECT_NETWORK],
        [states.REMOVE_NETWORK],
    ]


def test_networks_do_not_wait_for_one_another(story: Story) -> None:
    story.connect(story.make_network())
    story.connect(story.make_network(cidr="10.0.0.0/24"))
    assert ready(story) == [states.ADD_NETWORK, states.ADD_NETWORK]


def test_networks_are_asked_about_more_often(story: Story) -> None:
    story.connect(story.make_network())
    for opcode in (states.ADD_NETWORK, states.SET_PARAMS):
        story.operation(opcode)
    with unit_of_work(story.sessions) as session:
        since = operations.utc_now() - dt.timedelta(seconds=30)
        session.execute(sa.update(Operation).values(due=since))
    with unit_of_work(story.sessions) as session:
        asked = operations.claim_open_jobs(
            session, story.server.backend_id, every_s=60, networks_every_s=1
        )
        assert [each.opcode for each in asked] == [states.ADD_NETWORK]
