"""Removing clusters: what is in the way of it, what stays there, and forgetting one."""

import dataclasses
import enum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit, fleet, nodes
from cloudweb.domain.identity import Identity
from cloudweb.models import (
    OPEN_STATES,
    Backend,
    BackendNetwork,
    BackendPin,
    ClusterJob,
    Network,
    Operation,
    Server,
    utc_now,
)


class Holding(enum.StrEnum):
    """What keeps a cluster from being removed."""

    SERVERS = "server"
    OPERATIONS = "open operation"
    NETWORKS = "network for it alone"
    PINNED = "pinned user"
    OPEN = "open"
    """It may be given new servers."""


_MANY = {Holding.NETWORKS: "networks for it alone"}


@dataclasses.dataclass(frozen=True, slots=True)
class InTheWay:
    """One thing that is in the way, and how often."""

    what: Holding
    count: int = 1

    def __str__(self) -> str:
        if self.what is Holding.OPEN:
            return "it is not drained"
        many = _MANY.get(self.what, f"{self.what}s")
        return f"{self.count:,} {self.what if self.count == 1 else many}"


def list_in_the_way(session: Session, backend: Backend) -> list[InTheWay]:
    """What keeps a backend from being removed; nothing: it can be. One statement."""
    counted = {
        Holding.SERVERS: sa.select(sa.func.count(Server.id)).where(
            Server.backend_id == backend.id, Server.deleted == sa.false()
        ),
        Holding.OPERATIONS: sa.select(sa.func.count(Operation.id)).where(
            Operation.backend_id == backend.id, Operation.state.in_(OPEN_STATES)
        ),
        Holding.NETWORKS: sa.select(sa.func.count(Network.id)).where(
            Network.backend_id == backend.id, Network.deleted == sa.false()
        ),
        Holding.PINNED: sa.select(sa.func.count(BackendPin.user_id)).where(
            BackendPin.backend_id == backend.id
        ),
    }
    row = session.execute(sa.select(*(each.scalar_subquery() for each in counted.values()))).one()
    found = [InTheWay(what, count) for what, count in zip(counted, row, strict=True) if count]
    return found if backend.drained else [*found, InTheWay(Holding.OPEN)]


def words(in_the_way: list[InTheWay]) -> str:
    """That in words, with commas."""
    return ", ".join(map(str, in_the_way))


def list_networks(session: Session, backend: Backend) -> list[BackendNetwork]:
    """What a cluster has of networks of ours."""
    query = (
        sa.select(BackendNetwork)
        .join(Network, Network.id == BackendNetwork.network_id)
        .where(BackendNetwork.backend_id == backend.id, Network.deleted == sa.false())
    )
    return list(session.scalars(query.order_by(BackendNetwork.id)))


def remove(session: Session, identity: Identity, backend: Backend, *, reason: str) -> list[str]:
    """Forget a cluster; the names of networks of ours that stay on it.

    Its number and name are free again. Raises Conflict, which says what is in the way.
    """
    session.flush()  # a refresh would undo what was changed before
    session.refresh(backend, with_for_update=True)
    reason = fleet.one_line(reason)
    in_the_way = list_in_the_way(session, backend)
    if in_the_way:
        raise faults.Conflict(f"{backend.name} cannot be removed: {words(in_the_way)}.")
    left = [network.name for network in list_networks(session, backend)]
    session.execute(sa.delete(BackendNetwork).where(BackendNetwork.backend_id == backend.id))
    session.execute(sa.delete(ClusterJob).where(ClusterJob.backend_id == backend.id))
    nodes.keep(session, backend, ())
    audit.record(
        session,
        identity,
        "backend:remove",
        "backend",
        backend.id,
        reason=reason,
        name=backend.name,
        left=left,
        before={"drained": backend.drained, "offline": backend.offline},
        after="removed",
    )
    backend.name = f"{backend.name} (removed, {backend.id})"[-128:]
    backend.number, backend.password_sealed = None, ""  # type: ignore[assignment]
    backend.offline, backend.drained, backend.removed = True, True, utc_now()
    return left
