"""Bringing servers to other nodes of their cluster: what would become of each, and doing it."""

import dataclasses
import enum
import hashlib
from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit, operations, servers, states, texts
from cloudweb.domain.identity import Identity
from cloudweb.models import (
    OPEN_STATES,
    Backend,
    Flavor,
    Node,
    Operation,
    OperState,
    Server,
)


class Verb(enum.StrEnum):
    """What can be asked for: of a server the first two, of a node the first and the last."""

    MIGRATE = "migrate"
    """Live, and nothing else."""
    FAILOVER = "failover"
    """Shut down and started elsewhere."""
    EVACUATE = "evacuate"
    """Live where that can be, else by a failover; with the disks that others mirror there."""


class Part(enum.StrEnum):
    """What of a node is evacuated."""

    ALL = "all"
    PRIMARIES = "primaries"
    """The servers that run or would run there."""
    SECONDARIES = "secondaries"
    """The mirrors of disks that others have there."""


class Way(enum.StrEnum):
    """What would become of a server."""

    LIVE = "moves live"
    FAILOVER = "needs failover"
    STAYS = "cannot move"


class Moved(faults.Conflict):
    """Not all is as it was when the preview was made: nothing was done."""

    sentence = "Nothing was done: the servers there have changed since this was shown."


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """A server, how it would be moved and why so; ``done`` says whether what was asked does it."""

    server: Server
    flavor: Flavor
    way: Way
    why: str
    done: bool

    @property
    def opcode(self) -> str:
        return states.MIGRATE if self.way is Way.LIVE else states.FAILOVER


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What emptying a node would do; ``token`` moves with it.

    ``foreign`` instances there are none of our servers and stay, unless it is evacuated and they
    have only the mirror of a disk there: ``mirrors`` says how many instances do.
    """

    node: Node
    steps: Sequence[Step]
    foreign: int
    mirrors: int
    token: str


_ON_TWO_NODES = "drbd"
_ON_ANY_NODE = frozenset({"diskless", "blockdev", "ext", "sharedfile", "rbd", "gluster"})


# --- planning -----------------------------------------------------------------------------------


class _Room:
    """The nodes of a cluster, and the memory that is left on them as servers are moved."""

    def __init__(self, session: Session, backend: Backend) -> None:
        rows = session.scalars(sa.select(Node).where(Node.backend_id == backend.id))
        self.nodes = {node.name: node for node in rows}
        self._free_mb = {node.name: node.memory_free_mb for node in self.nodes.values()}

    def obstacle(self, name: str) -> str:
        """Why no server can be brought to a node; empty when one can."""
        node = self.nodes.get(name)
        if node is None:
            return f"There is no node {name}."
        if node.offline or node.drained or not node.vm_capable:
            state = (
                "offline" if node.offline else "drained" if node.drained else "without instances"
            )
            return f"Node {name} is {state}."
        return ""

    def take(self, server: Server, flavor: Flavor, to: str | None) -> str:
        """Note that a server goes to the roomiest other node of its group, or why it cannot."""
        needed = flavor.ram_mb if server.state is OperState.STARTED else 0
        here = self.nodes[server.node or ""]
        if to is not None:
            names = [to]
        else:
            names = [
                node.name
                for node in self.nodes.values()
                if node.node_group == here.node_group and node is not here
                if not self.obstacle(node.name)
            ]
        if not names:
            return f"No other node of group {here.node_group} takes instances."
        best = max(names, key=lambda name: self._free_mb[name])
        if self._free_mb[best] < needed:
            where = f"Node {to} has" if to else "No other node has"
            return f"{where} {needed} MiB of free memory, by the last figures."
        self._free_mb[best] -= needed
        return ""

    def is_offline(self, name: str) -> bool:
        return self.nodes[name].offline


def _step(
    room: _Room, server: Server, flavor: Flavor, *, verb: Verb, to: str | None, busy: bool
) -> Step:
    def step(way: Way, why: str) -> Step:
        wanted = {Verb.MIGRATE: (Way.LIVE,), Verb.FAILOVER: (Way.FAILOVER,)}
        done = way in wanted.get(verb, (Way.LIVE, Way.FAILOVER))
        return Step(server, flavor, way, why, done)

    if why := _obstacle(room, server, flavor, to, busy=busy):
        return step(Way.STAYS, why)
    template = flavor.disk_template.partition("_")[0]
    if template != _ON_TWO_NODES and (why := room.take(server, flavor, to)):
        return step(Way.STAYS, why)
    if server.state is not OperState.STARTED:
        return step(Way.FAILOVER, "It does not run: nothing is interrupted.")
    if room.is_offline(server.node or ""):
        return step(Way.FAILOVER, "Its node is offline: it is started on another.")
    if verb is Verb.FAILOVER:
        return step(Way.FAILOVER, "It is shut down and started on another node.")
    return step(Way.LIVE, "It goes on running.")


def _obstacle(room: _Room, server: Server, flavor: Flavor, to: str | None, *, busy: bool) -> str:
    """Why a server can be moved to no node at all, whatever room there is."""
    template = flavor.disk_template.partition("_")[0]
    if server.node is None or server.node not in room.nodes:
        return "It is not known on which node it is."
    if server.state not in (OperState.STARTED, OperState.STOPPED):
        return "It is not built."
    if busy:
        return "Something is still to be done to it."
    if template == _ON_TWO_NODES:
        return "Its disks are mirrored to one node, and it goes to no other." if to else ""
    if template not in _ON_ANY_NODE:
        return f"Its disks are only on this node ({flavor.disk_template})."
    if to == server.node:
        return f"It is on {to} already."
    return room.obstacle(to) if to is not None else ""


def _busy(session: Session, server_ids: Iterable[int]) -> set[int | None]:
    open_ones = sa.select(Operation.server_id).where(
        Operation.server_id.in_(list(server_ids)), Operation.state.in_(OPEN_STATES)
    )
    return set(session.scalars(open_ones))


def plan_server(
    session: Session, server: Server, backend: Backend, *, verb: Verb, to: str | None = None
) -> Step:
    """What would become of one server; three statements, nothing is asked of its cluster."""
    flavor = session.get_one(Flavor, server.flavor_id)
    busy = bool(_busy(session, [server.id]))
    return _step(_Room(session, backend), server, flavor, verb=verb, to=to, busy=busy)


def get_node(session: Session, backend: Backend, name: str) -> Node:
    """A node by its name, or what is before the first dot of it. Raises ItemNotFound."""
    rows = session.scalars(sa.select(Node).where(Node.backend_id == backend.id)).all()
    exact = [node for node in rows if node.name == name]
    found = exact or [node for node in rows if node.name.partition(".")[0] == name]
    if len(found) != 1:
        raise faults.ItemNotFound(f"No node {name} in {backend.name}.")
    return found[0]


def plan_node(
    session: Session, backend: Backend, node: Node, *, verb: Verb, part: Part = Part.ALL
) -> Plan:
    """What would become of the servers of a node; four statements, the cluster is not asked.

    The largest come first, as they are the hardest to find room for. ``part`` is for evacuating.
    """
    mirrors = node.secondaries if verb is Verb.EVACUATE and part is not Part.PRIMARIES else 0
    if part is Part.SECONDARIES:
        return Plan(node, (), 0, mirrors, token((), mirrors))
    rows = session.execute(
        sa.select(Server, Flavor)
        .join(Flavor, Flavor.id == Server.flavor_id)
        .where(
            Server.backend_id == backend.id,
            Server.node == node.name,
            Server.deleted == sa.false(),
        )
        .order_by(Flavor.ram_mb.desc(), Server.id)
    ).all()
    busy = _busy(session, [row[0].id for row in rows])
    room = _Room(session, backend)
    steps = [
        _step(room, server, flavor, verb=verb, to=None, busy=server.id in busy)
        for server, flavor in rows
    ]
    foreign = max(0, node.primaries - len(steps))
    return Plan(node, steps, foreign, mirrors, token(steps, mirrors))


def token(steps: Iterable[Step], mirrors: int = 0) -> str:
    """What stands for these steps: it moves when one of them does."""
    seen = [f"{step.server.id}:{step.server.node}:{step.way}:{step.done}" for step in steps]
    return hashlib.sha256(f"{sorted(seen)}:{mirrors}".encode()).hexdigest()[:32]


# --- doing it -----------------------------------------------------------------------------------


def move(
    session: Session,
    identity: Identity,
    server_id: int,
    *,
    verb: Verb,
    reason: str,
    to: str | None = None,
    seen: str | None = None,
) -> Operation:
    """Have a server brought to another node, that of this name or one that Ganeti chooses.

    Raises BadRequest (no reason), Moved when it is no longer what was ``seen``, Conflict (it cannot
    be moved so) and as ``servers.for_action``.
    """
    reason = texts.reason(reason)
    server = servers.for_action(session, identity, server_id)
    backend = session.get_one(Backend, server.backend_id)
    to = get_node(session, backend, to).name if to is not None else None
    step = plan_server(session, server, backend, verb=verb, to=to)
    if seen is not None and seen != token([step]):
        raise Moved
    if not step.done:
        said = step.why if step.way is Way.STAYS else f"It {step.way.value}. {step.why}"
        raise faults.Conflict(f"Server {server_id} is not moved. {said}")
    return _enqueue(session, identity, step, reason, to)


def empty(
    session: Session,
    identity: Identity,
    backend: Backend,
    node: Node,
    *,
    verb: Verb,
    reason: str,
    seen: str | None = None,
    part: Part = Part.ALL,
) -> list[Operation]:
    """Have all servers of a node moved that can be; what was asked for, one operation each.

    Of one that is evacuated only a ``part``, if that is wanted.

    Raises BadRequest (no reason), Moved when it is no longer what was ``seen``,
    ServiceUnavailable when the cluster is offline, Conflict when nothing there can be moved.
    """
    reason = texts.reason(reason)
    if backend.offline:
        raise faults.ServiceUnavailable(f"{backend.name} is offline.")
    on_it = sa.select(Server.id).where(Server.backend_id == backend.id, Server.node == node.name)
    session.execute(on_it.order_by(Server.id).with_for_update()).all()
    plan = plan_node(session, backend, node, verb=verb, part=part)
    if seen is not None and seen != plan.token:
        raise Moved
    made = [
        _enqueue(session, identity, step, reason, None)
        for step in sorted(plan.steps, key=lambda step: step.server.id)
        if step.done
    ]
    if plan.mirrors:
        made.append(_evacuate_mirrors(session, identity, backend, node, reason))
    if not made:
        raise faults.Conflict(f"Nothing on {node.name} can be moved so.")
    audit.record(
        *(session, identity, f"node:{verb.value}", "node", node.name[:64]),
        reason=reason,
        backend=backend.name,
        part=part.value,
        servers=[operation.server_id for operation in made if operation.server_id is not None],
        before=f"{len(plan.steps)} servers",
        after=f"{sum(step.done for step in plan.steps)} of them to be elsewhere",
    )
    return made


def _enqueue(
    session: Session, identity: Identity, step: Step, reason: str, to: str | None
) -> Operation:
    arguments = {"from": step.server.node} | ({"target_node": to} if to is not None else {})
    operation = operations.enqueue(
        session, identity, step.server, step.opcode, arguments, reason=reason
    )
    verb = "migrate" if step.way is Way.LIVE else "failover"
    audit.record(
        *(session, identity, f"server:{verb}", "server", step.server.id),
        reason=reason,
        operation=operation,
        node=step.server.node,
        to=to,
        before=step.server.node,
        after=to or "a node that Ganeti chooses",
    )
    return operation


def _evacuate_mirrors(
    session: Session, identity: Identity, backend: Backend, node: Node, reason: str
) -> Operation:
    """Have the mirrors of disks on a node made elsewhere: a job that makes others."""
    operation = Operation(
        backend_id=backend.id,
        opcode=states.EVACUATE,
        target=node.name,
        arguments={"mode": "secondary-only"},
        reason=reason,
    )
    return operations.write_down(session, identity, operation)


# --- how it goes --------------------------------------------------------------------------------


def list_moves(
    session: Session, backend: Backend, node: Node, *, limit: int = 50
) -> list[Operation]:
    """The newest moves off a node and changes of its role, newest first; one statement.

    What moved longer ago than 500 moves of the cluster is not looked for.
    """
    rows = session.scalars(
        sa.select(Operation)
        .where(
            Operation.backend_id == backend.id,
            Operation.opcode.in_((*states.MOVES, states.EVACUATE, states.SET_ROLE)),
        )
        .order_by(Operation.id.desc())
        .limit(500)
    )
    mine = (row for row in rows if node.name in (row.arguments.get("from"), row.target))
    return list(mine)[:limit]
