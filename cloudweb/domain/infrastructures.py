"""The regions of the federation: registering them, and who may do what there."""

import datetime as dt
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit
from cloudweb.domain.filters import Field, Fields
from cloudweb.domain.identity import Identity
from cloudweb.models import (
    MAX_ID,
    CatalogueNode,
    Infrastructure,
    InfrastructureKind,
    InstallResult,
    RegionalFlavor,
    Role,
    utc_now,
)

MANAGERS = (Role.FLAVOR_MANAGER, Role.ADMIN)
"""Whose business the catalogue and every region is."""


REGISTRARS = (*MANAGERS, Role.OPERATOR)
"""Who may always make this installation connect to a new address."""


_STATE = sa.case(
    (Infrastructure.unreachable_since.is_not(None), "away"),
    (Infrastructure.refreshed.is_(None), "new"),
    else_="answers",
)

FIELDS = Fields(
    id=Infrastructure.id,
    name=Infrastructure.name,
    kind=Infrastructure.kind,
    state=Field.of(
        _STATE, words={word: word for word in ("new", "answers", "away")}, nullable=False
    ),
    owner=Infrastructure.owner,
    keystone_url=Infrastructure.keystone_url,
    refreshed=Infrastructure.refreshed,
    error=Infrastructure.last_error,
    created=Infrastructure.created,
)
"""What regions are filtered and sorted by."""


def rows() -> sa.Select[Infrastructure]:
    """Every infrastructure, by name."""
    return sa.select(Infrastructure).order_by(Infrastructure.name)


def list_all(session: Session) -> Sequence[Infrastructure]:
    """Every infrastructure, by name."""
    return session.scalars(rows()).all()


def find(session: Session, name: str) -> Infrastructure | None:
    """The infrastructure of this name, if any."""
    return session.scalar(sa.select(Infrastructure).where(Infrastructure.name == name))


def by_id(session: Session, infrastructure_id: int) -> Infrastructure:
    """The infrastructure. Raises ItemNotFound."""
    wanted = infrastructure_id if 0 < infrastructure_id <= MAX_ID else 0
    region = session.get(Infrastructure, wanted)
    if region is None:
        raise faults.ItemNotFound(f"No region {infrastructure_id}.")
    return region


def get(session: Session, name: str) -> Infrastructure:
    """The infrastructure of this name. Raises ItemNotFound."""
    found = find(session, name)
    if found is None:
        raise faults.ItemNotFound(f"The infrastructure {name} does not exist")
    return found


def get_region(session: Session, name: str) -> Infrastructure:
    """The same, for whoever asks about a region. Raises UnknownThere."""
    found = find(session, name)
    if found is None:
        raise faults.UnknownThere(f"Not Found the region {name}")
    return found


def get_nodes(session: Session, names: Sequence[str]) -> list[Infrastructure]:
    """The infrastructures of these names, in their order. Raises BadRequest, Conflict."""
    if len(set(names)) != len(names):
        raise faults.BadRequest("The flavor request is not well formed")
    rows = session.scalars(sa.select(Infrastructure).where(Infrastructure.name.in_(names)))
    known = {row.name: row for row in rows}
    for name in names:
        if name not in known:
            raise faults.Conflict(f"The node {name} does not exist")
    return [known[name] for name in names]


def manages_all(identity: Identity) -> bool:
    """Whether every region and the catalogue are this actor's business."""
    return identity.role in MANAGERS


def may_manage(identity: Identity, infrastructure: Infrastructure) -> bool:
    """Whether this actor may change what is in the region with the region's own account."""
    return manages_all(identity) or (
        bool(infrastructure.owner) and infrastructure.owner == identity.email
    )


def check_manages(identity: Identity, infrastructure: Infrastructure) -> None:
    """Raises Forbidden for anybody else's region."""
    if not may_manage(identity, infrastructure):
        raise faults.Forbidden(
            f"Error when managing flavors in the region {infrastructure.name}. "
            "Your credentials don't give you access to this resource."
        )


def check_may_register(identity: Identity, *, anybody: bool) -> None:
    """Raises Forbidden unless this actor may register infrastructures, or ``anybody`` may."""
    if not anybody and identity.role not in REGISTRARS:
        raise faults.Forbidden("Infrastructures are registered by flavor managers and operators")


def register(
    session: Session,
    identity: Identity,
    *,
    name: str,
    kind: InfrastructureKind = InfrastructureKind.OPENSTACK,
    keystone_url: str = "",
    nova_url: str = "",
    username: str = "",
    password_sealed: str = "",
    tenant: str = "",
    region_name: str = "",
    disk_template: str = "",
) -> Infrastructure:
    """A new infrastructure, not asked yet. Raises Conflict."""
    if find(session, name) is not None:
        raise faults.Conflict(f"The infrastructure {name} already exists")
    new = Infrastructure(
        name=name,
        kind=kind,
        owner=identity.email if identity.user_id is not None or identity.door == "api" else "",
        keystone_url=keystone_url.rstrip("/"),
        nova_url=nova_url,
        username=username,
        password_sealed=password_sealed,
        tenant=tenant,
        region_name=region_name or name,
        disk_template=disk_template,
    )
    session.add(new)
    session.flush()  # the audit entry names its id
    audit.record(
        session,
        identity,
        "infrastructure:register",
        "infrastructure",
        new.id,
        name=name,
        kind=kind.value,
        keystone_url=keystone_url,
        after="registered",
    )
    return new


def unregister(session: Session, identity: Identity, name: str) -> None:
    """Forget an infrastructure. Raises ItemNotFound, Forbidden, Conflict while a flavor is there.

    Nothing is changed in the region itself.
    """
    row = session.scalar(
        sa.select(Infrastructure).where(Infrastructure.name == name).with_for_update()
    )
    if row is None:
        raise faults.ItemNotFound(f"The infrastructure {name} does not exist")
    if not may_manage(identity, row):
        raise faults.Forbidden(f"The infrastructure {name} is somebody else's")
    used = sa.select(CatalogueNode.catalogue_id).where(CatalogueNode.infrastructure_id == row.id)
    if session.scalar(used.limit(1)) is not None:
        raise faults.Conflict(f"The infrastructure {name} is still being used")
    for table in (RegionalFlavor, InstallResult):
        session.execute(sa.delete(table).where(table.infrastructure_id == row.id))
    session.delete(row)
    audit.record(
        *(session, identity, "infrastructure:unregister", "infrastructure", row.id),
        name=name,
        before="registered",
        after="forgotten",
    )


def count_due(session: Session, *, every_s: float) -> int:
    """How many regions' flavors were not asked for so long."""
    before = utc_now() - dt.timedelta(seconds=every_s)
    query = sa.select(sa.func.count()).select_from(Infrastructure).where(_not_asked_since(before))
    return session.scalar(query) or 0


def claim_due(session: Session, *, every_s: float, limit: int = 100) -> list[Infrastructure]:
    """Regions whose flavors were not asked for so long; nobody else gets them meanwhile."""
    now = utc_now()
    due = sa.select(Infrastructure).where(_not_asked_since(now - dt.timedelta(seconds=every_s)))
    rows = session.scalars(
        due.order_by(Infrastructure.id).limit(limit).with_for_update(skip_locked=True)
    ).all()
    for row in rows:
        row.tried = now
    return list(rows)


def _not_asked_since(before: dt.datetime) -> sa.ColumnElement[bool]:
    return sa.or_(Infrastructure.tried.is_(None), Infrastructure.tried <= before)
