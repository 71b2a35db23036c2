"""What flavors there are, and making them."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit
from cloudweb.domain.identity import Identity
from cloudweb.models import MAX_ID, Flavor


def list_active(session: Session) -> Sequence[Flavor]:
    """Every flavor a server can be made with, by id."""
    return session.scalars(
        sa.select(Flavor).where(Flavor.deleted == sa.false()).order_by(Flavor.id)
    ).all()


def get(session: Session, flavor_id: int) -> Flavor:
    """The flavor, deleted or not. Raises ItemNotFound."""
    flavor = session.get(Flavor, flavor_id) if 0 < flavor_id <= MAX_ID else None
    if flavor is None:
        raise faults.ItemNotFound("Flavor not found.")
    return flavor


def create(
    session: Session, identity: Identity, *, cpu: int, ram_mb: int, disk_gb: int, disk_template: str
) -> Flavor:
    """A new flavor. Raises BadRequest for impossible sizes, Conflict when it exists."""
    if cpu < 1 or ram_mb < 1 or disk_gb < 0 or max(cpu, ram_mb, disk_gb) > 2**31 - 1:
        raise faults.BadRequest("A flavor needs at least 1 CPU and 1 MiB of memory.")
    same = sa.select(Flavor).where(
        Flavor.cpu == cpu,
        Flavor.ram_mb == ram_mb,
        Flavor.disk_gb == disk_gb,
        Flavor.disk_template == disk_template,
    )
    if (known := session.scalar(same)) is not None:
        raise faults.Conflict(f"Flavor {known.name} exists with id {known.id}.")
    flavor = Flavor(cpu=cpu, ram_mb=ram_mb, disk_gb=disk_gb, disk_template=disk_template)
    session.add(flavor)
    session.flush()  # the audit entry names its id
    audit.record(session, identity, "flavor:create", "flavor", flavor.id, name=flavor.name)
    return flavor
