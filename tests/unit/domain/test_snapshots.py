"""What our servers take from all instances of a cluster, seen at one time."""

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from cloudweb.domain import identity, servers, snapshots
from cloudweb.domain.snapshots import InstanceReport, Seen, Snapshot
from cloudweb.domain.states import NicReport
from cloudweb.models import (
    Backend,
    BackendNetwork,
    Network,
    NetworkKind,
    NetworkState,
    Nic,
    OperState,
    Server,
    SessionFactory,
    unit_of_work,
    utc_now,
)

Make = Callable[..., Any]
CARD = NicReport(0, "aa:00:00:49:2e:7e", "192.168.32.6")
"""The card that ``make_server`` gives."""


@dataclasses.dataclass
class Cluster:
    """A backend, and what its cluster tells."""

    sessions: SessionFactory
    backend: Backend
    make_server: Make

    def server(self, **values: Any) -> Server:
        made: Server = self.make_server(backend=self.backend, **values)
        return made

    def tell(self, *reports: InstanceReport, ago_s: float = 0.0) -> Seen:
        taken = utc_now() - dt.timedelta(seconds=ago_s)
        with unit_of_work(self.sessions) as session:
            snapshot = Snapshot(taken, {report.name: report for report in reports})
            return snapshots.apply(session, self.backend.id, snapshot)

    def read(self, server: Server) -> Server:
        with unit_of_work(self.sessions, write=False) as session:
            return session.get_one(Server, server.id)

    def cards(self, server: Server) -> list[tuple[int, str | None, str | None]]:
        with unit_of_work(self.sessions, write=False) as session:
            query = sa.select(Nic).where(Nic.server_id == server.id).order_by(Nic.index)
            return [(nic.index, nic.mac, nic.ipv4) for nic in session.scalars(query)]


@pytest.fixture
def cluster(sessions: SessionFactory, make_server: Make, make_backend: Make) -> Cluster:
    return Cluster(sessions, make_backend(), make_server)


def report(server: Server, *, running: bool | None = True, **values: Any) -> InstanceReport:
    given = {"nics": (CARD,), "node": "n1"} | values
    return InstanceReport(server.instance_name or "", running, **given)


def test_what_was_done_by_hand_shows_and_moves_the_version_once(cluster: Cluster) -> None:
    stopped, started = cluster.server(), cluster.server(state=OperState.STOPPED)
    same = cluster.server()
    new_card = dataclasses.replace(CARD, ip="192.168.32.7")
    told = (report(stopped, running=False, nics=(new_card,)), report(started), report(same))

    assert cluster.tell(*told) == Seen(2, frozenset())

    assert cluster.read(stopped).state is OperState.STOPPED
    assert cluster.cards(stopped) == [(0, CARD.mac, "192.168.32.7")]
    assert cluster.read(started).state is OperState.STARTED
    for server, moved in ((stopped, 1), (started, 1), (same, 0)):
        assert cluster.read(server).version == server.version + moved
    assert cluster.tell(*told) == Seen(0, frozenset())


def test_a_migration_shows_the_node_and_moves_no_version(cluster: Cluster) -> None:
    server = cluster.server()
    cluster.tell(report(server, node="n2"))
    after = cluster.read(server)
    assert (after.node, after.version) == ("n2", server.version)


def test_what_is_being_done_or_is_newer_is_left_alone(cluster: Cluster) -> None:
    busy, newer = cluster.server(), cluster.server()
    with unit_of_work(cluster.sessions) as session:
        servers.reboot(session, identity.system("cli"), busy.id, kind="SOFT")
    told = [report(server, running=False) for server in (busy, newer)]
    assert cluster.tell(*told, ago_s=30) == Seen(0, frozenset())
    assert cluster.tell(told[0]) == Seen(0, frozenset({newer.instance_name}))
    assert cluster.read(busy).state is cluster.read(newer).state is OperState.STARTED


@pytest.mark.parametrize("state", [OperState.BUILD, OperState.ERROR])
def test_what_was_never_built_needs_a_decision(cluster: Cluster, state: OperState) -> None:
    server = cluster.server(state=state)
    cluster.tell(report(server))
    assert cluster.read(server).state is state


def test_a_node_that_does_not_say_whether_it_runs_changes_no_state(cluster: Cluster) -> None:
    server = cluster.server()
    cluster.tell(report(server, running=None))
    assert cluster.read(server).state is OperState.STARTED


def test_an_instance_that_is_gone_is_told_and_its_server_stays(cluster: Cluster) -> None:
    gone, never = cluster.server(), cluster.server(state=OperState.ERROR)
    assert cluster.tell() == Seen(0, frozenset({gone.instance_name}))
    assert not cluster.read(gone).deleted
    assert not cluster.read(never).deleted


def test_cards_added_and_taken_by_hand_come_and_go_with_their_addresses(
    cluster: Cluster, sessions: SessionFactory
) -> None:
    server = cluster.server()
    with unit_of_work(sessions) as session:
        network = Network(
            name="private", kind=NetworkKind.CUSTOM, mode="bridged", link="br1", dhcp=False
        )
        session.add(network)
        session.flush()
        session.add(
            BackendNetwork(
                network_id=network.id,
                backend_id=cluster.backend.id,
                name="snf-net-9",
                state=NetworkState.ACTIVE,
            )
        )
    added = NicReport(1, "aa:00:00:00:00:09", "10.0.0.9", "by-hand", "snf-net-9")
    foreign = NicReport(2, "aa:00:00:00:00:0a", None, "other", "not-ours")
    assert cluster.tell(report(server, nics=(CARD, added, foreign))).moved == 1
    assert cluster.cards(server) == [(0, CARD.mac, CARD.ip), (1, added.mac, added.ip)]
    assert cluster.tell(report(server, nics=(CARD, added, foreign))).moved == 0
    assert cluster.tell(report(server, nics=(dataclasses.replace(added, index=0),))).moved == 1
    assert cluster.cards(server) == [(0, added.mac, added.ip)]


def test_comparing_costs_no_more_statements_for_more_servers(
    cluster: Cluster, count_statements: Make
) -> None:
    told = [report(cluster.server()) for _ in range(3)]
    cluster.tell(*told)
    with count_statements() as few:
        cluster.tell(*told)
    told += [report(cluster.server()) for _ in range(20)]
    cluster.tell(*told)
    with count_statements() as many:
        cluster.tell(*told)
    assert len(few) == len(many) <= 5
