"""The flavors that each region was last seen with."""

import dataclasses
import datetime as dt
from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.models import Infrastructure, RegionalFlavor, utc_now
from cloudweb.specifications import Specification

_FIELDS = tuple(
    field.name
    for field in dataclasses.fields(Specification)
    if field.name not in ("id", "access", "extra_specs")
)


def specification_of(row: RegionalFlavor) -> Specification:
    """The row as a plain value."""
    values = {name: getattr(row, name) for name in _FIELDS}
    return Specification(id=row.flavor_id, extra_specs=row.extra_specs, **values)


def list_flavors(session: Session, infrastructure_id: int) -> list[Specification]:
    """The flavors of one region, by name; one statement."""
    rows = session.scalars(
        sa.select(RegionalFlavor)
        .where(RegionalFlavor.infrastructure_id == infrastructure_id)
        .order_by(RegionalFlavor.name, RegionalFlavor.flavor_id)
    )
    return [specification_of(row) for row in rows]


def list_all(session: Session) -> dict[int, list[Specification]]:
    """The flavors of every region, by its id; one statement."""
    found: dict[int, list[Specification]] = {}
    table = RegionalFlavor.__table__.c
    columns = [table.infrastructure_id, table.flavor_id, table.extra_specs]
    columns += [table[name] for name in _FIELDS]
    for row in session.execute(sa.select(*columns).order_by(table.name, table.flavor_id)):
        region, flavor_id, extra_specs, *rest = row
        values = dict(zip(_FIELDS, rest, strict=True))
        found.setdefault(region, []).append(
            Specification(id=flavor_id, extra_specs=extra_specs, **values)
        )
    return found


def find_flavor(session: Session, flavor_id: str) -> Sequence[tuple[Infrastructure, Specification]]:
    """Where a flavor of this id is, by the region's name; one statement."""
    rows = session.execute(
        sa.select(Infrastructure, RegionalFlavor)
        .join(RegionalFlavor, RegionalFlavor.infrastructure_id == Infrastructure.id)
        .where(RegionalFlavor.flavor_id == flavor_id)
        .order_by(Infrastructure.name)
    )
    return [(infrastructure, specification_of(row)) for infrastructure, row in rows]


def keep(session: Session, infrastructure_id: int, flavors: Iterable[Specification]) -> bool:
    """Know these flavors of the region, as of now; whether anything changed."""
    region = session.get(Infrastructure, infrastructure_id, with_for_update=True)
    if region is None:  # unregistered meanwhile
        return False
    rows = session.scalars(
        sa.select(RegionalFlavor).where(RegionalFlavor.infrastructure_id == region.id)
    )
    known = {row.flavor_id: row for row in rows}
    told = {flavor.id: flavor for flavor in flavors}
    changed = False
    for gone in known.keys() - told.keys():
        session.delete(known[gone])
        changed = True
    for flavor in told.values():
        changed = _put(session, region.id, known.get(flavor.id), flavor) or changed
    region.refreshed = utc_now()
    region.unreachable_since, region.last_error = None, ""
    return changed


def keep_one(session: Session, infrastructure_id: int, flavor: Specification) -> None:
    """Know this one too, or as it is now."""
    if session.get(Infrastructure, infrastructure_id, with_for_update=True) is not None:
        known = session.get(RegionalFlavor, (infrastructure_id, flavor.id))
        _put(session, infrastructure_id, known, flavor)


def forget_one(session: Session, infrastructure_id: int, flavor_id: str) -> None:
    """Know that it is not there."""
    known = session.get(RegionalFlavor, (infrastructure_id, flavor_id))
    if known is not None:
        session.delete(known)


def note_unreachable(session: Session, infrastructure_id: int, message: str) -> None:
    """The region did not answer as it should; what is known of it stays, and its age."""
    region = session.get(Infrastructure, infrastructure_id, with_for_update=True)
    if region is not None:
        region.unreachable_since = region.unreachable_since or utc_now()
        region.last_error = message[:500]


def oldest(regions: Iterable[Infrastructure]) -> dt.datetime | None:
    """The age of what is known of these regions; None when one was never seen."""
    times = [region.refreshed for region in regions]
    known = [time for time in times if time is not None]
    return min(known) if known and len(known) == len(times) else None


def _put(
    session: Session, region_id: int, row: RegionalFlavor | None, flavor: Specification
) -> bool:
    if row is None:
        row = RegionalFlavor(infrastructure_id=region_id, flavor_id=flavor.id)
        session.add(row)
    extra_specs = dict(flavor.extra_specs) if flavor.extra_specs is not None else None
    values = {name: getattr(flavor, name) for name in _FIELDS} | {"extra_specs": extra_specs}
    changed = False
    for name, value in values.items():
        if getattr(row, name) != value:
            setattr(row, name, value)
            changed = True
    return changed
