"""What a node is to its cluster: draining one, taking it offline and back, master candidates."""

import dataclasses
import enum
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit, fitting, forms, moves, nodes, operations, states, texts
from cloudweb.domain.identity import Identity
from cloudweb.domain.moves import Plan, Verb
from cloudweb.models import OPEN_STATES, Backend, Flavor, Node, Operation, OperState

ROLES = {"M": "master", "C": "candidate", "R": "regular", "D": "drained", "O": "offline"}
"""Ganeti's letters."""


class Change(enum.StrEnum):
    """What can be made of a node."""

    DRAIN = "drain"
    UNDRAIN = "undrain"
    OFFLINE = "offline"
    ONLINE = "online"
    PROMOTE = "promote"
    DEMOTE = "demote"


@dataclasses.dataclass(frozen=True, slots=True)
class _Kind:
    """From which roles it can be done, what Ganeti calls what it makes, and why it cannot be."""

    before: str
    role: str
    otherwise: str


_KINDS: Mapping[Change, _Kind] = {
    Change.DRAIN: _Kind("CR", "drained", "Only what is neither drained nor offline is drained."),
    Change.UNDRAIN: _Kind("D", "regular", "It is not drained."),
    Change.OFFLINE: _Kind("CRD", "offline", "It is offline already."),
    Change.ONLINE: _Kind("O", "regular", "It is not offline."),
    Change.PROMOTE: _Kind("R", "master-candidate", "Only a regular node can become a candidate."),
    Change.DEMOTE: _Kind("C", "regular", "It is not a candidate."),
}
REVERSE = {
    Change.DRAIN: Change.UNDRAIN,
    Change.UNDRAIN: Change.DRAIN,
    Change.OFFLINE: Change.ONLINE,
    Change.ONLINE: Change.OFFLINE,
    Change.PROMOTE: Change.DEMOTE,
    Change.DEMOTE: Change.PROMOTE,
}


class Moved(faults.Conflict):
    """The node is no longer as it was when the preview was made."""

    sentence = "Nothing was done: the node has changed since this was shown."


@dataclasses.dataclass(frozen=True, slots=True)
class Impact:
    """What would follow; ``token`` moves with it. Sizes in MiB, over the cluster."""

    plan: Plan
    running: int
    """How many of its VMs run."""
    obstacle: str
    free_mb: int
    free_after_mb: int
    nodes: int
    nodes_after: int
    lost: Sequence[Flavor]
    """What the cluster would have no room for any more."""
    token: str


def role(node: Node) -> str:
    """Ganeti's letter; from the flags where it did not say one."""
    return node.role or ("O" if node.offline else "D" if node.drained else "R")


def open_change(session: Session, backend: Backend, node: Node) -> Operation | None:
    """The change of its role that is under way, if there is one."""
    query = sa.select(Operation).where(
        Operation.backend_id == backend.id,
        Operation.opcode == states.SET_ROLE,
        Operation.target == node.name,
        Operation.state.in_(OPEN_STATES),
    )
    return session.scalar(query.order_by(Operation.id).limit(1))


def _obstacle(session: Session, backend: Backend, node: Node, change: Change) -> str:
    if backend.offline:
        return f"{backend.name} is offline: nothing is asked of it."
    if role(node) == "M":
        return "It is the master: that is changed on the cluster, by gnt-cluster master-failover."
    if role(node) not in _KINDS[change].before:
        return _KINDS[change].otherwise
    under_way = open_change(session, backend, node)
    return f"Operation {under_way.id} is changing its role." if under_way is not None else ""


def possible(backend: Backend, node: Node) -> list[Change]:
    """What can be made of a node that is as it is."""
    if backend.offline:
        return []
    return [change for change, kind in _KINDS.items() if role(node) in kind.before]


def _takes(node: Node) -> bool:
    return node.vm_capable and not (node.drained or node.offline)


def impact(
    session: Session, backend: Backend, node: Node, change: Change, flavors: Sequence[Flavor]
) -> Impact:
    """What would follow from a change; six statements, the cluster is not asked."""
    plan = moves.plan_node(session, backend, node, verb=Verb.EVACUATE)
    rows = [row.node for row in nodes.list_all(session, backend_id=backend.id)]
    others = [each for each in rows if each.name != node.name and _takes(each)]
    before = [*others, node] if _takes(node) else others
    stays = {Change.DRAIN: False, Change.OFFLINE: False, Change.UNDRAIN: True, Change.ONLINE: True}
    after = [*others, node] if stays.get(change, _takes(node)) and node.vm_capable else others
    obstacle = _obstacle(session, backend, node, change)
    running = sum(step.server.state is OperState.STARTED for step in plan.steps)
    room, left = (
        max((each.memory_free_mb for each in some), default=0) for some in (before, after)
    )
    taken = [flavor for flavor in flavors if fitting.takes(backend, flavor)]
    return Impact(
        plan=plan,
        running=running,
        obstacle=obstacle,
        free_mb=sum(each.memory_free_mb for each in before),
        free_after_mb=sum(each.memory_free_mb for each in after),
        nodes=len(before),
        nodes_after=len(after),
        lost=[flavor for flavor in taken if left < flavor.ram_mb <= room],
        token=forms.token(role(node), plan.token, plan.foreign, running, obstacle),
    )


def change(
    session: Session,
    identity: Identity,
    backend: Backend,
    node: Node,
    *,
    to: Change,
    reason: str,
    seen: str | None = None,
) -> Operation:
    """Have a cluster give a node another role.

    Raises BadRequest (no reason), Moved when it is no longer what was ``seen``, Conflict.
    """
    reason = texts.reason(reason)
    session.execute(
        sa.select(Node.name)
        .where(Node.backend_id == backend.id, Node.name == node.name)
        .with_for_update()
    ).all()
    session.refresh(node)
    if seen is not None and seen != impact(session, backend, node, to, ()).token:
        raise Moved
    if obstacle := _obstacle(session, backend, node, to):
        raise faults.Conflict(f"Node {node.name} stays as it is. {obstacle}")
    operation = operations.write_down(
        session,
        identity,
        Operation(
            backend_id=backend.id,
            opcode=states.SET_ROLE,
            target=node.name,
            arguments={"role": _KINDS[to].role},
            reason=reason,
        ),
    )
    audit.record(
        *(session, identity, f"node:{to.value}", "node", node.name[:64]),
        reason=reason,
        operation=operation,
        backend=backend.name,
        node=node.name,
        before=ROLES.get(role(node), role(node)),
        after=_KINDS[to].role,
    )
    return operation
