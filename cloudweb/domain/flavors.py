"""What flavors there are, and making them."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit
from cloudweb.domain.identity import Identity
from cloudweb.models import MAX_ID, Flavor, Server

Size = tuple[int, int, int, str]
"""CPUs, MiB of memory, GiB of disk, and the disk template: no two flavors are alike in it."""

LARGEST = 2**31 - 1
"""No number of a flavor is larger."""

_TEMPLATE = re.compile(r"[A-Za-z0-9_-]{1,50}")
_NAME = re.compile(r"C([0-9]{1,10})R([0-9]{1,10})D([0-9]{1,10})([A-Za-z0-9_-]{1,50})")


def size_of(flavor: Flavor) -> Size:
    """What tells it from every other."""
    return flavor.cpu, flavor.ram_mb, flavor.disk_gb, flavor.disk_template


def name_of(size: Size) -> str:
    """What a flavor of this size is called."""
    return "C{}R{}D{}{}".format(*size)


def is_template(text: str) -> bool:
    """Whether a disk template may be called so."""
    return _TEMPLATE.fullmatch(text) is not None


def read_name(text: str) -> Size | None:
    """The size that a name such as ``C1R1024D20drbd`` stands for; None for what is no such name."""
    found = _NAME.fullmatch(text)
    if found is None:
        return None
    cpu, ram_mb, disk_gb = (min(int(digits), LARGEST) for digits in found.groups()[:3])
    return cpu, ram_mb, disk_gb, found[4]


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
    if max(cpu, ram_mb, disk_gb) > LARGEST:
        return None
    return session.scalar(sa.select(Flavor).where(is_size((cpu, ram_mb, disk_gb, disk_template))))


def is_size(size: Size) -> sa.ColumnElement[bool]:
    """SQL for whether a flavor is of this size."""
    cpu, ram_mb, disk_gb, template = size
    return sa.and_(
        Flavor.cpu == cpu,
        Flavor.ram_mb == ram_mb,
        Flavor.disk_gb == disk_gb,
        Flavor.disk_template == template,
    )


def find_sizes(session: Session, sizes: Iterable[Size]) -> dict[Size, Flavor]:
    """Those there are of these sizes, deleted or not; one statement."""
    wanted = {size for size in sizes if max(size[:3]) <= LARGEST}
    cpus, rams, disks, templates = ({size[n] for size in wanted} for n in range(4))
    near = sa.select(Flavor).where(
        Flavor.cpu.in_(cpus),
        Flavor.ram_mb.in_(rams),
        Flavor.disk_gb.in_(disks),
        Flavor.disk_template.in_(templates),
    )
    found = {size_of(flavor): flavor for flavor in session.scalars(near)} if wanted else {}
    return {size: flavor for size, flavor in found.items() if size in wanted}


def count_servers(session: Session, flavor: Flavor) -> int:
    """How many servers have it."""
    query = sa.select(sa.func.count()).select_from(Server)
    query = query.where(Server.flavor_id == flavor.id, Server.deleted == sa.false())
    return session.scalar(query) or 0


def create(
    session: Session, identity: Identity, *, cpu: int, ram_mb: int, disk_gb: int, disk_template: str
) -> Flavor:
    """A new flavor, or a deleted one again. Raises BadRequest, Conflict when it exists."""
    if cpu < 1 or ram_mb < 1 or disk_gb < 0 or max(cpu, ram_mb, disk_gb) > LARGEST:
        raise faults.BadRequest("A flavor needs at least 1 CPU and 1 MiB of memory.")
    if not is_template(disk_template):
        raise faults.BadRequest("A disk template is a word such as drbd, plain or ext_rbd.")
    flavor = find(session, cpu=cpu, ram_mb=ram_mb, disk_gb=disk_gb, disk_template=disk_template)
    if flavor is not None and not flavor.deleted:
        raise faults.Conflict(f"Flavor {flavor.name} exists with id {flavor.id}.")
    if flavor is None:
        flavor = Flavor(cpu=cpu, ram_mb=ram_mb, disk_gb=disk_gb, disk_template=disk_template)
        session.add(flavor)
        session.flush()  # the audit entry names its id
    flavor.deleted = False
    _record(session, identity, flavor, "create", after="offered")
    return flavor


def ensure(
    session: Session, identity: Identity, sizes: Sequence[Size]
) -> list[tuple[Flavor, bool]]:
    """One flavor of each size, and whether it is new; those that are offered already stay.

    Raises BadRequest, and Conflict when one is asked for alone and there is it already.
    """
    wanted = list(dict.fromkeys(sizes))
    known = find_sizes(session, wanted)
    made = []
    for size in wanted:
        there = known.get(size)
        if there is not None and not there.deleted and len(wanted) > 1:
            made.append((there, False))
            continue
        cpu, ram_mb, disk_gb, template = size
        values = {"cpu": cpu, "ram_mb": ram_mb, "disk_gb": disk_gb}
        made.append((create(session, identity, **values, disk_template=template), True))
    return made


def delete(session: Session, identity: Identity, flavor_id: int) -> None:
    """Let no new server have it; those that do keep it. Raises ItemNotFound."""
    flavor = get(session, flavor_id)
    if flavor.deleted:
        raise faults.ItemNotFound("Flavor not found.")
    flavor.deleted = True
    _record(session, identity, flavor, "delete", before="offered", after="deleted")


def restore(session: Session, identity: Identity, flavor: Flavor) -> None:
    """Let new servers have a deleted flavor again."""
    flavor.deleted = False
    _record(session, identity, flavor, "restore", before="deleted", after="offered")


def _record(
    session: Session, identity: Identity, flavor: Flavor, verb: str, **details: Any
) -> None:
    audit.record(
        *(session, identity, f"flavor:{verb}", "flavor", flavor.id), name=flavor.name, **details
    )
