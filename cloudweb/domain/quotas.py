"""How much of each resource a user has, and may have."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit
from cloudweb.domain.filters import Fields
from cloudweb.domain.identity import Identity
from cloudweb.models import (
    MAX_ID,
    UNLIMITED,
    Flavor,
    Image,
    Network,
    Quota,
    Resource,
    Server,
    User,
)

Limits = Mapping[str, int | None]
"""How much of each resource there may be; None: as much as there is."""


def check(session: Session, user_id: int, defaults: Limits, wanted: Mapping[Resource, int]) -> None:
    """Raise OverLimit when the user, who now asks for this, has too much already.

    Locks the user, so that of many who ask at once each sees what those before it got; it must
    be a transaction's first lock. Two statements, one where nothing is limited.
    """
    limits: dict[str, int | None] = {**defaults}
    limits.update(_lock(session, user_id))
    if all(limits.get(resource) is None for resource in wanted):
        return
    # A statement of its own: what it counts is as of now, and not of before the lock.
    used = _used(session, user_id)
    for resource, more in wanted.items():
        limit = limits.get(resource)
        if limit is not None and used[resource] + more > limit:
            raise faults.OverLimit(
                "Resource Limit Exceeded for your account.",
                details=f"Limit for resource '{resource.value}' exceeded for your account. "
                f"Current value: {used[resource]}, Limit: {limit}, Requested: {more}",
            )


def of_server(flavor: Flavor) -> dict[Resource, int]:
    """What one server of this flavor takes."""
    return {
        Resource.SERVERS: 1,
        Resource.CPU: flavor.cpu,
        Resource.RAM_MB: flavor.ram_mb,
        Resource.DISK_GB: flavor.disk_gb,
    }


_users, _quotas = cast(sa.Table, User.__table__), cast(sa.Table, Quota.__table__)
_LOCK = (
    sa.select(_quotas.c.resource, _quotas.c.limit)
    .select_from(_users.outerjoin(_quotas, _quotas.c.user_id == _users.c.id))
    .where(_users.c.id == sa.bindparam("user"))
    .with_for_update(of=_users, key_share=True)
)


def _lock(session: Session, user_id: int) -> Iterable[tuple[Resource, int | None]]:
    """Lock the user; their own limits."""
    rows = session.connection().execute(_LOCK, {"user": user_id})
    return [(Resource(name), _limit(limit)) for name, limit in rows if name is not None]


def _limit(stored: int) -> int | None:
    return None if stored == UNLIMITED else stored


def _used(session: Session, user_id: int) -> dict[Resource, int]:
    row = session.connection().execute(_USED, {"user": user_id}).one()
    return {resource: int(getattr(row, resource.value)) for resource in Resource}


def _sum(column: Any) -> sa.ColumnElement[int]:
    return sa.func.coalesce(sa.func.sum(column), 0)


_networks = (
    sa.select(sa.func.count())
    .select_from(Network)
    .where(Network.user_id == sa.bindparam("user"), Network.deleted == sa.false())
)
_registered = (
    sa.select(sa.func.count())
    .select_from(Image)
    .where(Image.owner_id == sa.bindparam("user"), Image.deleted == sa.false())
)
_USED = (
    sa.select(
        sa.func.count(Server.id).label(Resource.SERVERS.value),
        _sum(Flavor.cpu).label(Resource.CPU.value),
        _sum(Flavor.ram_mb).label(Resource.RAM_MB.value),
        _sum(Flavor.disk_gb).label(Resource.DISK_GB.value),
        _networks.scalar_subquery().label(Resource.NETWORKS.value),
        _registered.scalar_subquery().label(Resource.IMAGES.value),
    )
    .select_from(Server)
    .join(Flavor, Server.flavor_id == Flavor.id)
    .where(Server.user_id == sa.bindparam("user"), Server.deleted == sa.false())
)


# --- for operators ------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Allowance:
    """What a user has of a resource, and may have; ``own`` when it differs from the settings."""

    resource: Resource
    used: int
    limit: int | None
    own: bool


def show(session: Session, user: User, defaults: Limits) -> list[Allowance]:
    """What the user has and may have of each resource; two statements."""
    rows = session.scalars(sa.select(Quota).where(Quota.user_id == user.id))
    own = {row.resource: _limit(row.limit) for row in rows}
    used = _used(session, user.id)
    return [
        Allowance(
            resource,
            used[resource],
            own[resource] if resource in own else defaults.get(resource),
            resource in own,
        )
        for resource in Resource
    ]


FIELDS = Fields(user=User.email, resource=Quota.resource, limit=Quota.limit)
"""What users' own limits are filtered and sorted by; -1 is no limit."""


def rows() -> sa.Select[str, Resource, int]:
    """Every user's own limits, as they are kept, by e-mail address and resource."""
    return (
        sa.select(User.email, Quota.resource, Quota.limit)
        .join(User, Quota.user_id == User.id)
        .order_by(User.email, Quota.resource)
    )


def set_own(
    session: Session, identity: Identity, user: User, resource: Resource, limit: int | None
) -> None:
    """Let the user have so much of it, whatever the settings say. Raises BadRequest."""
    if limit is not None and not 0 <= limit <= MAX_ID:
        raise faults.BadRequest("A limit is a number that is not negative, or unlimited.")
    row, before = _locked(session, user, resource)
    stored = UNLIMITED if limit is None else limit
    if row is None:
        session.add(Quota(user_id=user.id, resource=resource, limit=stored))
    else:
        row.limit = stored
    _record(session, identity, user, resource, before, _spelt(limit))


def unset_own(session: Session, identity: Identity, user: User, resource: Resource) -> bool:
    """Let the settings say how much of it the user may have; whether that changed anything."""
    row, before = _locked(session, user, resource)
    if row is None:
        return False
    session.delete(row)
    _record(session, identity, user, resource, before, "default")
    return True


def _locked(session: Session, user: User, resource: Resource) -> tuple[Quota | None, str]:
    """The user's own limit and how it is spelt; the user is locked."""
    _lock(session, user.id)
    row = session.scalar(
        sa.select(Quota).where(Quota.user_id == user.id, Quota.resource == resource)
    )
    return row, "default" if row is None else _spelt(_limit(row.limit))


def _record(
    session: Session,
    identity: Identity,
    user: User,
    resource: Resource,
    before: str,
    after: str,
) -> None:
    audit.record(
        session,
        identity,
        "quota:set",
        "user",
        user.id,
        resource=resource.value,
        email=user.email,
        before=before,
        after=after,
    )


def _spelt(limit: int | None) -> str:
    return "unlimited" if limit is None else str(limit)
