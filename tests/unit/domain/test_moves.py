"""What would become of servers that are to leave their node, and having it done."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from cloudweb import faults
from cloudweb.domain import identity, moves, operations, states
from cloudweb.domain.moves import Verb, Way
from cloudweb.models import (
    AuditEntry,
    Backend,
    Node,
    Operation,
    OperState,
    Server,
    SessionFactory,
    unit_of_work,
)

Make = Callable[..., Any]
CLI = identity.system("cli")


@dataclasses.dataclass
class Cluster:
    """A backend with the nodes n1 and n2 in one group and n3 in another."""

    sessions: SessionFactory
    backend: Backend
    make_server: Make
    make_flavor: Make

    def server(self, template: str = "sharedfile", ram_mb: int = 1024, **values: Any) -> Server:
        flavor = self.make_flavor(disk_template=template, ram_mb=ram_mb)
        given = {"node": "n1.example.org"} | values
        made: Server = self.make_server(backend=self.backend, flavor=flavor, **given)
        return made

    def change(self, node: str, **values: Any) -> None:
        with unit_of_work(self.sessions) as session:
            row = session.get_one(Node, (self.backend.id, f"{node}.example.org"))
            for name, value in values.items():
                setattr(row, name, value)

    def plan(self, verb: Verb = Verb.EVACUATE, node: str = "n1") -> dict[int, tuple[Way, bool]]:
        with unit_of_work(self.sessions, write=False) as session:
            row = moves.get_node(session, self.backend, node)
            plan = moves.plan_node(session, self.backend, row, verb=verb)
            return {step.server.id: (step.way, step.done) for step in plan.steps}

    def why(self, server: Server, verb: Verb = Verb.MIGRATE, to: str | None = None) -> str:
        with unit_of_work(self.sessions, write=False) as session:
            row = session.get_one(Server, server.id)
            return moves.plan_server(session, row, self.backend, verb=verb, to=to).why

    def empty(self, verb: Verb, *, seen: str | None = None) -> list[tuple[str, str]]:
        with unit_of_work(self.sessions) as session:
            backend = session.get_one(Backend, self.backend.id)
            row = moves.get_node(session, backend, "n1")
            how = {"verb": verb, "reason": "A new fan.", "seen": seen}
            made = moves.empty(session, CLI, backend, row, **how)  # type: ignore[arg-type]
            return [(operation.opcode, operation.target) for operation in made]

    def move(self, server: Server, verb: Verb, to: str | None = None) -> Operation:
        with unit_of_work(self.sessions) as session:
            return moves.move(session, CLI, server.id, verb=verb, reason="A new fan.", to=to)


@pytest.fixture
def cluster(
    sessions: SessionFactory, make_backend: Make, make_server: Make, make_flavor: Make
) -> Cluster:
    backend = make_backend()
    with unit_of_work(sessions) as session:
        for number, group in ((1, "default"), (2, "default"), (3, "other")):
            session.add(
                Node(
                    backend_id=backend.id,
                    name=f"n{number}.example.org",
                    node_group=group,
                    drained=False,
                    offline=False,
                    vm_capable=True,
                    memory_total_mb=8192,
                    memory_free_mb=4096,
                    disk_total_mb=100_000,
                    disk_free_mb=100_000,
                    cpus=8,
                    primaries=0,
                    secondaries=0,
                )
            )
    return Cluster(sessions, backend, make_server, make_flavor)


def test_each_server_of_a_node_is_told_how_it_would_move(cluster: Cluster) -> None:
    live, mirrored, stays = cluster.server(), cluster.server("drbd"), cluster.server("plain")
    stopped = cluster.server(state=OperState.STOPPED)
    unbuilt = cluster.server(state=OperState.ERROR)
    busy = cluster.server("ext_vlmc")
    cluster.server(node="n2.example.org")
    with unit_of_work(cluster.sessions) as session:
        row = session.get_one(Server, busy.id)
        operations.enqueue(session, CLI, row, states.SHUTDOWN)
    ways = {
        live.id: Way.LIVE,
        mirrored.id: Way.LIVE,
        stopped.id: Way.FAILOVER,
        stays.id: Way.STAYS,
        unbuilt.id: Way.STAYS,
        busy.id: Way.STAYS,
    }
    assert cluster.plan() == {id_: (way, way is not Way.STAYS) for id_, way in ways.items()}
    assert cluster.plan(Verb.MIGRATE) == {id_: (w, w is Way.LIVE) for id_, w in ways.items()}
    assert cluster.why(stays) == "Its disks are only on this node (plain)."
    assert cluster.why(busy) == "Something is still to be done to it."
    assert cluster.why(unbuilt) == "It is not built."


def test_of_a_node_that_is_offline_all_need_a_failover(cluster: Cluster) -> None:
    server = cluster.server()
    cluster.change("n1", offline=True)
    assert cluster.plan() == {server.id: (Way.FAILOVER, True)}
    assert cluster.plan(Verb.MIGRATE) == {server.id: (Way.FAILOVER, False)}


def test_room_is_counted_down_and_nodes_that_take_nothing_are_not_counted(
    cluster: Cluster,
) -> None:
    big, small, last = (cluster.server(ram_mb=size) for size in (3000, 1000, 500))
    assert {id_: way for id_, (way, _) in cluster.plan().items()} == {
        big.id: Way.LIVE,
        small.id: Way.LIVE,
        last.id: Way.STAYS,
    }
    assert cluster.why(last) == "It goes on running.", "alone it has room"
    assert cluster.why(big, to="n3.example.org") == "It goes on running."
    cluster.change("n2", drained=True)
    assert cluster.why(last) == "No other node of group default takes instances."
    assert cluster.why(last, to="n2.example.org") == "Node n2.example.org is drained."
    assert cluster.why(last, to="n1.example.org") == "It is on n1.example.org already."


def test_a_node_is_emptied_by_an_operation_for_each_server(cluster: Cluster) -> None:
    live, stopped = cluster.server(), cluster.server(state=OperState.STOPPED)
    cluster.server("plain")
    cluster.change("n1", secondaries=2)
    assert cluster.empty(Verb.EVACUATE) == [
        ("OP_INSTANCE_MIGRATE", live.instance_name),
        ("OP_INSTANCE_FAILOVER", stopped.instance_name),
        ("OP_NODE_EVACUATE", "n1.example.org"),
    ]
    with unit_of_work(cluster.sessions, write=False) as session:
        query = sa.select(AuditEntry).where(AuditEntry.reason != "").order_by(AuditEntry.id)
        entries = session.scalars(query).all()
        told = [(entry.action, entry.reason) for entry in entries]
        node = moves.get_node(session, cluster.backend, "n1")
        listed = moves.list_moves(session, cluster.backend, node)
    assert told == [
        (action, "A new fan.") for action in ("server:migrate", "server:failover", "node:evacuate")
    ]
    assert len(listed) == 3
    assert {way for way, _ in cluster.plan().values()} == {Way.STAYS}


def test_only_what_moves_live_is_migrated_and_nothing_when_there_is_none(
    cluster: Cluster,
) -> None:
    cluster.server(state=OperState.STOPPED)
    with pytest.raises(faults.Conflict, match="Nothing on n1"):
        cluster.empty(Verb.MIGRATE)
    live = cluster.server()
    assert cluster.empty(Verb.MIGRATE) == [("OP_INSTANCE_MIGRATE", live.instance_name)]


def test_what_has_changed_since_it_was_shown_is_not_done(cluster: Cluster) -> None:
    cluster.server()
    with unit_of_work(cluster.sessions, write=False) as session:
        node = moves.get_node(session, cluster.backend, "n1.example.org")
        seen = moves.plan_node(session, cluster.backend, node, verb=Verb.EVACUATE).token
    cluster.server()
    with pytest.raises(moves.Moved):
        cluster.empty(Verb.EVACUATE, seen=seen)
    with unit_of_work(cluster.sessions, write=False) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Operation)) == 0


def test_a_server_is_moved_to_a_node_that_is_named(cluster: Cluster) -> None:
    server = cluster.server()
    moved = cluster.move(server, Verb.FAILOVER, to="n3")
    assert (moved.opcode, moved.reason) == ("OP_INSTANCE_FAILOVER", "A new fan.")
    assert moved.arguments == {"from": "n1.example.org", "target_node": "n3.example.org"}
    with pytest.raises(faults.Conflict, match="still to be done"):
        cluster.move(server, Verb.MIGRATE)


def test_what_cannot_be_moved_so_is_refused_and_says_why(cluster: Cluster) -> None:
    stopped, mirrored = cluster.server(state=OperState.STOPPED), cluster.server("drbd")
    with pytest.raises(faults.Conflict, match="It needs failover"):
        cluster.move(stopped, Verb.MIGRATE)
    with pytest.raises(faults.Conflict, match="goes to no other"):
        cluster.move(mirrored, Verb.MIGRATE, to="n2")
    with pytest.raises(faults.ItemNotFound):
        cluster.move(mirrored, Verb.MIGRATE, to="n9")
    with pytest.raises(faults.BadRequest), unit_of_work(cluster.sessions) as session:
        moves.move(session, CLI, mirrored.id, verb=Verb.MIGRATE, reason=" ")


def test_nothing_is_asked_of_a_cluster_that_is_offline(cluster: Cluster) -> None:
    server = cluster.server()
    with unit_of_work(cluster.sessions) as session:
        session.get_one(Backend, cluster.backend.id).offline = True
    with pytest.raises(faults.ServiceUnavailable):
        cluster.empty(Verb.EVACUATE)
    with pytest.raises(faults.ServiceUnavailable):
        cluster.move(server, Verb.MIGRATE)
