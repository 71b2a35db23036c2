"""Backends as operators' lists show them."""

import dataclasses
from typing import Any

import sqlalchemy as sa

from cloudweb.domain.cluster_jobs import UNFINISHED
from cloudweb.domain.filters import Field, Fields
from cloudweb.models import (
    Backend,
    BackendNetwork,
    ClusterJob,
    Network,
    NetworkState,
    Pool,
    PoolUse,
    PoolValue,
    Server,
)

_SERVERS = (
    sa.select(sa.func.count())
    .select_from(Server)
    .where(Server.backend_id == Backend.id, Server.deleted == sa.false())
    .correlate(Backend)
    .scalar_subquery()
)

_JOBS = (
    sa.select(sa.func.count())
    .select_from(ClusterJob)
    .where(ClusterJob.backend_id == Backend.id, ClusterJob.status.in_(UNFINISHED))
    .correlate(Backend)
    .scalar_subquery()
)


_FREE_THERE = (
    sa.select(Network.id, Network.backend_id, sa.func.count().label("free"))
    .join_from(Network, Pool, Pool.network_id == Network.id)
    .join(PoolValue, PoolValue.pool_id == Pool.id)
    .where(
        Network.public == sa.true(),
        Network.deleted == sa.false(),
        Network.drained == sa.false(),
        Network.state == NetworkState.ACTIVE,
        PoolValue.use == PoolUse.FREE,
    )
    .group_by(Network.id, Network.backend_id)
    .subquery("free_there")
)
"""How many addresses each public network has left that new servers get cards on."""

_ADDRESSES = (
    sa.select(BackendNetwork.backend_id, sa.func.sum(_FREE_THERE.c.free).label("free"))
    .join(_FREE_THERE, _FREE_THERE.c.id == BackendNetwork.network_id)
    .where(BackendNetwork.state == NetworkState.ACTIVE)
    .group_by(BackendNetwork.backend_id)
    .subquery("addresses")
)
"""The same for each cluster, of the networks that are there; each pool is counted once."""

_FREE = sa.cast(sa.func.coalesce(_ADDRESSES.c.free, 0), sa.BigInteger)

_STATE = sa.case(
    (Backend.offline, "offline"),
    (Backend.unreachable_since.is_not(None), "unreachable"),
    (Backend.drained, "drained"),
    (Backend.refreshed.is_(None), "unheard"),
    (Backend.public == sa.false(), "restricted"),
    else_="active",
)
STATES = {
    "active": "Active",
    "drained": "Drained",
    "restricted": "Not public",
    "offline": "Offline",
    "unreachable": "Unreachable",
    "unheard": "Not heard yet",
}
"""What a filter on the state may name: what matters most of how a backend is, in words."""


def _percent(free: Any, total: Any) -> Field:
    """How much of it is free; nothing where nothing is known."""
    return Field.of(sa.cast(100 * free / sa.func.nullif(total, 0), sa.Integer), nullable=True)


FIELDS = Fields(
    id=Backend.id,
    name=Backend.name,
    state=Field.of(_STATE, words={word: word for word in STATES}, nullable=False),
    drained=Backend.drained,
    drained_until=Backend.drained_until,
    offline=Backend.offline,
    public=Backend.public,
    unreachable=Field.of(Backend.unreachable_since.is_not(None), nullable=False),
    hypervisor=Backend.hypervisor,
    version=Backend.ganeti_version,
    verified=Backend.verify_tls,
    servers=Field.of(_SERVERS, nullable=False),
    jobs=Field.of(_JOBS, nullable=False),
    addresses=Field.of(_FREE, nullable=False),
    template=sa.cast(Backend.disk_templates, sa.Text),
    memory_free_percent=_percent(Backend.memory_free_mb, Backend.memory_total_mb),
    disk_free_percent=_percent(Backend.disk_free_mb, Backend.disk_total_mb),
    memory=Backend.memory_total_mb,
    memory_free=Backend.memory_free_mb,
    disk=Backend.disk_total_mb,
    disk_free=Backend.disk_free_mb,
    nodes=Backend.nodes_total,
    nodes_up=Backend.nodes_up,
    refreshed=Backend.refreshed,
    created=Backend.created,
)
"""What backends are filtered and sorted by; memory and disk in MiB, ``template~drbd`` has that."""


@dataclasses.dataclass(frozen=True, slots=True)
class BackendRow:
    """A backend as operators' lists show it."""

    backend: Backend
    servers: int
    jobs: int
    """How many jobs of the cluster's queue are not over."""
    addresses: int
    """How many addresses of public networks are left there."""


def rows() -> sa.Select[Any]:
    """What ``BackendRow`` is made of, of each backend that is not removed."""
    return (
        sa.select(Backend, _SERVERS, _JOBS, _FREE)
        .outerjoin(_ADDRESSES, _ADDRESSES.c.backend_id == Backend.id)
        .where(Backend.removed.is_(None))
    )
