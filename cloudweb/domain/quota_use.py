"""How near users are to their limits, for many of them at once."""

import dataclasses
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain.quotas import Limits
from cloudweb.models import UNLIMITED, Flavor, Image, Network, Quota, Resource, Server


@dataclasses.dataclass(frozen=True, slots=True)
class Use:
    """What a user has and may have of one resource."""

    resource: Resource
    used: int
    limit: int

    @property
    def share(self) -> float:
        """From 0 on; more than 1 when there is more than there may be."""
        return self.used / self.limit if self.limit else float(self.used > 0)


def fullest(session: Session, user_ids: Sequence[int], defaults: Limits) -> dict[int, Use]:
    """Of each user the limit that is nearest; none for who has no limit. Four statements."""
    own: dict[int, dict[Resource, int]] = {}
    query = sa.select(Quota.user_id, Quota.resource, Quota.limit)
    for user_id, resource, limit in session.execute(query.where(Quota.user_id.in_(user_ids))):
        own.setdefault(user_id, {})[resource] = limit
    usual = {Resource(name): limit for name, limit in defaults.items() if limit is not None}
    limits = {user_id: usual | own.get(user_id, {}) for user_id in user_ids}
    if not any(limits.values()):
        return {}
    used = _used(session, user_ids)
    nearest = {}
    for user_id, each in limits.items():
        uses = [
            Use(resource, used.get((user_id, resource), 0), limit)
            for resource, limit in each.items()
            if limit != UNLIMITED
        ]
        if uses:
            nearest[user_id] = max(uses, key=lambda use: use.share)
    return nearest


def _used(session: Session, user_ids: Sequence[int]) -> dict[tuple[int, Resource], int]:
    servers = (
        sa.select(
            Server.user_id,
            sa.func.count(),
            sa.func.sum(Flavor.cpu),
            sa.func.sum(Flavor.ram_mb),
            sa.func.sum(Flavor.disk_gb),
        )
        .join(Flavor, Server.flavor_id == Flavor.id)
        .where(Server.user_id.in_(user_ids), Server.deleted == sa.false())
        .group_by(Server.user_id)
    )
    of_servers = (Resource.SERVERS, Resource.CPU, Resource.RAM_MB, Resource.DISK_GB)
    used = {
        (row[0], resource): int(row[place])
        for row in session.execute(servers)
        for place, resource in enumerate(of_servers, 1)
    }
    for resource, owner, deleted in (
        (Resource.NETWORKS, Network.user_id, Network.deleted),
        (Resource.IMAGES, Image.owner_id, Image.deleted),
    ):
        counted = (
            sa.select(owner, sa.func.count())
            .where(owner.in_(user_ids), deleted == sa.false())
            .group_by(owner)
        )
        used |= {(user, resource): n for user, n in session.execute(counted) if user is not None}
    return used
