"""Backends as operators' lists show them."""

from typing import Any

import sqlalchemy as sa

from cloudweb.domain.cluster_jobs import UNFINISHED
from cloudweb.domain.filters import Field, Fields
from cloudweb.models import Backend, ClusterJob, Server

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


def _percent(free: Any, total: Any) -> Field:
    """How much of it is free; nothing where nothing is known."""
    return Field.of(sa.cast(100 * free / sa.func.nullif(total, 0), sa.Integer), nullable=True)


FIELDS = Fields(
    id=Backend.id,
    name=Backend.name,
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


def rows() -> sa.Select[Any]:
    """Each backend that is not removed, how many servers it has, and jobs that are not over."""
    return sa.select(Backend, _SERVERS, _JOBS).where(Backend.removed.is_(None))
