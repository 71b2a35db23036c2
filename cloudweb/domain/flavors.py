"""What flavors there are, and making them."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit
from cloudweb.domain.filters import Fields
from cloudweb.domain.identity import Identity
from cloudweb.models import MAX_ID, Flavor

FIELDS = Fields(
    id=Flavor.id,
    cpu=Flavor.cpu,
    ram=Flavor.ram_mb,
    disk=Flavor.disk_gb,
    template=Flavor.disk_template,
    deleted=Flavor.deleted,
)
"""What flavors are filtered and sorted by; memory in MiB, disk in GiB."""


def rows() -> sa.Select[Flavor]:
    """Every flavor, deleted or not, by id."""
    return sa.select(Flavor).order_by(Flavor.id)


def list_active(
    session: Session, *, after_id: int | None = None, limit: int | None = None
) -> Sequence[Flavor]:
    """Every flavor a server can be made with, by id; at most ``limit``, after ``after_id``."""
    query = sa.select(Flavor).where(Flavor.deleted == sa.false(), Flavor.id > (after_id or 0))
    return session.scalars(query.order_by(Flavor.id).limit(limit)).all()


def get(session: Session, flavor_id: int) -> Flavor:
    """The flavor, deleted or not. Raises ItemNotFound."""
    flavor = session.get(Flavor, flavor_id) if 0 < flavor_id <= MAX_ID else None
    if flavor is None:
        raise faults.ItemNotFound("Flavor not found.")
    return flavor


def find(
    session: Session, *, cpu: int, ram_mb: int, disk_gb: int, disk_template: str
) -> Flavor | None:
    """The flavor of this size, deleted or not, if any."""
    if max(cpu, ram_mb, disk_gb) > 2**31 - 1:
        return None
    same = sa.select(Flavor).where(
        Flavor.cpu == cpu,
        Flavor.ram_mb == ram_mb,
        Flavor.disk_gb == disk_gb,
        Flavor.disk_template == disk_template,
    )
    return session.scalar(same)


def create(
    session: Session, identity: Identity, *, cpu: int, ram_mb: int, disk_gb: int, disk_template: str
) -> Flavor:
    """A new flavor, or a deleted one again. Raises BadRequest, Conflict when it exists."""
    if cpu < 1 or ram_mb < 1 or disk_gb < 0 or max(cpu, ram_mb, disk_gb) > 2**31 - 1:
        raise faults.BadRequest("A flavor needs at least 1 CPU and 1 MiB of memory.")
    flavor = find(session, cpu=cpu, ram_mb=ram_mb, disk_gb=disk_gb, disk_template=disk_template)
    if flavor is not None and not flavor.deleted:
        raise faults.Conflict(f"Flavor {flavor.name} exists with id {flavor.id}.")
    if flavor is None:
        flavor = Flavor(cpu=cpu, ram_mb=ram_mb, disk_gb=disk_gb, disk_template=disk_template)
        session.add(flavor)
        session.flush()  # the audit entry names its id
    flavor.deleted = False
    audit.record(session, identity, "flavor:create", "flavor", flavor.id, name=flavor.name)
    return flavor


def delete(session: Session, identity: Identity, flavor_id: int) -> None:
    """Let no new server have it; those that do keep it. Raises ItemNotFound."""
    flavor = get(session, flavor_id)
    if flavor.deleted:
        raise faults.ItemNotFound("Flavor not found.")
    flavor.deleted = True
    audit.record(session, identity, "flavor:delete", "flavor", flavor.id, name=flavor.name)


def restore(session: Session, identity: Identity, flavor: Flavor) -> None:
    """Let new servers have a deleted flavor again."""
    flavor.deleted = False
    audit.record(session, identity, "flavor:restore", "flavor", flavor.id, name=flavor.name)
