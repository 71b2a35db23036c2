"""Backends as operators' lists show them."""

from typing import Any

import sqlalchemy as sa

from cloudweb.domain.filters import Field, Fields
from cloudweb.models import Backend, Server

_SERVERS = (
    sa.select(sa.func.count())
    .select_from(Server)
    .where(Server.backend_id == Backend.id, Server.deleted == sa.false())
    .correlate(Backend)
    .scalar_subquery()
)

FIELDS = Fields(
    id=Backend.id,
    name=Backend.name,
    drained=Backend.drained,
    drained_until=Backend.drained_until,
    offline=Backend.offline,
    unreachable=Field.of(Backend.unreachable_since.is_not(None), nullable=False),
    hypervisor=Backend.hypervisor,
    version=Backend.ganeti_version,
    verified=Backend.verify_tls,
    servers=Field.of(_SERVERS, nullable=False),
    memory=Backend.memory_total_mb,
    memory_free=Backend.memory_free_mb,
    disk=Backend.disk_total_mb,
    disk_free=Backend.disk_free_mb,
    nodes=Backend.nodes_total,
    nodes_up=Backend.nodes_up,
    refreshed=Backend.refreshed,
    created=Backend.created,
)
"""What backends are filtered and sorted by; memory and disk in MiB."""


def rows() -> sa.Select[Any]:
    """Each backend that is not removed, and how many servers it has."""
    return sa.select(Backend, _SERVERS).where(Backend.removed.is_(None))
