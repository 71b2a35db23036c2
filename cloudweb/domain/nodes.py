"""The nodes of clusters, as they were when the clusters were last asked."""

import dataclasses
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain.filters import Field, Fields
from cloudweb.models import Backend, Node


@dataclasses.dataclass(frozen=True, slots=True)
class NodeReport:
    """What a cluster says of one of its nodes; sizes in MiB, 0 of one that does not answer."""

    name: str
    node_group: str
    role: str
    drained: bool
    offline: bool
    vm_capable: bool
    memory_total_mb: int
    memory_free_mb: int
    disk_total_mb: int
    disk_free_mb: int
    cpus: int
    primaries: int
    secondaries: int


_FIELDS = tuple(field.name for field in dataclasses.fields(NodeReport))


def keep(session: Session, backend: Backend, reports: Sequence[NodeReport]) -> None:
    """Make the rows of a cluster's nodes what it said; the backend's row must be locked."""
    known = {
        node.name: node
        for node in session.scalars(sa.select(Node).where(Node.backend_id == backend.id))
    }
    for report in reports:
        values = {name: getattr(report, name) for name in _FIELDS}
        node = known.pop(report.name, None)
        if node is None:
            session.add(Node(backend_id=backend.id, **values))
            continue
        for name, value in values.items():
            setattr(node, name, value)
    for gone in known.values():
        session.delete(gone)


_NONE = "no instances"


def state(node: Node) -> str:
    """How the node is, in one word."""
    if node.offline:
        return "offline"
    return "drained" if node.drained else "up" if node.vm_capable else _NONE


@dataclasses.dataclass(frozen=True, slots=True)
class NodeRow:
    """A node as operators' lists show it."""

    backend: Backend
    node: Node


_STATE = sa.case(
    (Node.offline, "offline"), (Node.drained, "drained"), (Node.vm_capable, "up"), else_=_NONE
)

FIELDS = Fields(
    name=Node.name,
    backend=Backend.name,
    group=Node.node_group,
    role=Node.role,
    state=Field.of(
        _STATE, words={word: word for word in ("up", "drained", "offline", _NONE)}, nullable=False
    ),
    primaries=Node.primaries,
    secondaries=Node.secondaries,
    memory=Node.memory_total_mb,
    memory_free=Node.memory_free_mb,
    disk=Node.disk_total_mb,
    disk_free=Node.disk_free_mb,
    cpus=Node.cpus,
    refreshed=Backend.refreshed,
)
"""What nodes are filtered and sorted by; memory and disk in MiB."""


def rows() -> sa.Select[Backend, Node]:
    """What every NodeRow is made of, by cluster and name."""
    return (
        sa.select(Backend, Node)
        .join(Node, Node.backend_id == Backend.id)
        .order_by(Backend.id, Node.name)
    )


def list_all(session: Session, *, backend_id: int | None = None) -> list[NodeRow]:
    """The nodes (of one cluster), by cluster and name; one statement."""
    query = rows()
    if backend_id is not None:
        query = query.where(Backend.id == backend_id)
    return [NodeRow(backend, node) for backend, node in session.execute(query)]
