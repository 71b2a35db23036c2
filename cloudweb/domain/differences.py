"""Which region lacks which promoted flavor, and in what those it has differ."""

import dataclasses
import datetime as dt
import enum
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import catalogue, infrastructures, regions
from cloudweb.models import CatalogueFlavor, Infrastructure, InfrastructureKind, RegionalFlavor
from cloudweb.specifications import HARDWARE, Specification


class Standing(enum.StrEnum):
    """How a promoted flavor stands in a region."""

    SAME = "same"
    DIFFERENT = "different"
    OTHER_NAME = "other name"
    """The same hardware is there, under another name."""
    MISSING = "missing"
    EXTRA = "extra"
    """The region has it beside the promoted ones."""
    UNKNOWN = "unknown"
    """The region never told its flavors, or does not answer now."""


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    """One promoted flavor in one region; ``fields`` are (field, promoted, there).

    ``there`` is what the region has of it, or had when it last answered. ``similar`` has as many
    vCPUs, as much memory and disk, where the flavor itself is missing.
    """

    standing: Standing
    there: Specification | None = None
    fields: tuple[tuple[str, Any, Any], ...] = ()
    similar: Specification | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """One region: its cells by the promoted flavor's id, what it has beside them, and its age."""

    region: Infrastructure
    cells: Mapping[str, Cell]
    extra: Sequence[Specification]
    as_of: dt.datetime | None

    @property
    def is_read(self) -> bool:
        """Whether the region answers, so that what is known of it holds now."""
        return self.as_of is not None and self.region.unreachable_since is None


def matrix(session: Session) -> tuple[list[Specification], list[Column]]:
    """Every promoted flavor against every region, as last known; three statements."""
    rows = session.scalars(
        sa.select(CatalogueFlavor)
        .where(CatalogueFlavor.promoted == sa.true())
        .order_by(CatalogueFlavor.name)
    )
    promoted = [catalogue.specification_of(row) for row in rows]
    known = regions.list_all(session)
    columns = [
        column(region, promoted, known.get(region.id, []))
        for region in infrastructures.list_all(session)
    ]
    return promoted, columns


def column(
    region: Infrastructure, promoted: Sequence[Specification], there: Sequence[Specification]
) -> Column:
    """How the promoted flavors stand in one region that has these."""
    if region.refreshed is None:
        unknown = {flavor.id: Cell(Standing.UNKNOWN) for flavor in promoted}
        return Column(region, unknown, (), None)
    nameless = region.kind is InfrastructureKind.GANETI
    by_name = {flavor.name: flavor for flavor in there}
    by_id = {flavor.id: flavor for flavor in there}
    by_hardware: dict[tuple[Any, ...], Specification] = {}
    by_size: dict[tuple[Any, ...], Specification] = {}
    for flavor in there:
        by_hardware.setdefault(flavor.hardware, flavor)
        by_size.setdefault(_size(flavor), flavor)
    cells = {
        flavor.id: _cell_by_hardware(flavor, by_hardware)
        if nameless
        else _cell(flavor, by_name, by_id, by_hardware)
        for flavor in promoted
    }
    for flavor in promoted:
        if cells[flavor.id].standing is Standing.MISSING:
            similar = by_size.get(_size(flavor))
            cells[flavor.id] = dataclasses.replace(cells[flavor.id], similar=similar)
    if region.unreachable_since is not None:
        # What it had counts no more; what is beside the promoted flavors is found by it still.
        cells = {id_: Cell(Standing.UNKNOWN, cell.there) for id_, cell in cells.items()}
    matched = {cell.there.id for cell in cells.values() if cell.there is not None}
    extra = [flavor for flavor in there if flavor.id not in matched]
    return Column(region, cells, extra, region.refreshed)


def count_missing() -> sa.ScalarSelect[int]:
    """SQL for how often a promoted flavor is missing in a region that answers, as ``column`` has
    it.
    """
    same = [getattr(RegionalFlavor, f) == getattr(CatalogueFlavor, f) for f in HARDWARE]
    called = sa.or_(
        RegionalFlavor.name == CatalogueFlavor.name,
        RegionalFlavor.flavor_id == CatalogueFlavor.flavor_id,
    )
    there = sa.exists().where(
        RegionalFlavor.infrastructure_id == Infrastructure.id,
        sa.or_(sa.and_(*same), sa.and_(Infrastructure.kind != InfrastructureKind.GANETI, called)),
    )
    return (
        sa.select(sa.func.count())
        .select_from(CatalogueFlavor)
        .join(Infrastructure, _answers())
        .where(CatalogueFlavor.promoted, ~there)
        .scalar_subquery()
    )


def oldest_reading() -> sa.ScalarSelect[dt.datetime | None]:
    """SQL for since when nothing was read of the region that answers and was read longest ago."""
    return sa.select(sa.func.min(Infrastructure.refreshed)).where(_answers()).scalar_subquery()


def _answers() -> sa.ColumnElement[bool]:
    return sa.and_(
        Infrastructure.refreshed.is_not(None), Infrastructure.unreachable_since.is_(None)
    )


def _size(flavor: Specification) -> tuple[int, int, int]:
    return flavor.vcpus, flavor.ram_mb, flavor.disk_gb


def _cell_by_hardware(
    flavor: Specification, by_hardware: Mapping[tuple[Any, ...], Specification]
) -> Cell:
    """Ganeti's flavors are named by their sizes: what counts is the hardware."""
    found = by_hardware.get(flavor.hardware)
    return Cell(Standing.MISSING) if found is None else Cell(Standing.SAME, found)


def _cell(
    flavor: Specification,
    by_name: Mapping[str, Specification],
    by_id: Mapping[str, Specification],
    by_hardware: Mapping[tuple[Any, ...], Specification],
) -> Cell:
    found = by_name.get(flavor.name)
    if found is None:
        found = by_id.get(flavor.id)
        if found is not None and found.hardware == flavor.hardware:
            return _differing(Standing.OTHER_NAME, flavor, found)
    if found is None:
        found = by_hardware.get(flavor.hardware)
        return Cell(Standing.MISSING) if found is None else Cell(Standing.OTHER_NAME, found)
    same = not any(flavor.differences(found))
    return Cell(Standing.SAME, found) if same else _differing(Standing.DIFFERENT, flavor, found)


def _differing(standing: Standing, flavor: Specification, found: Specification) -> Cell:
    return Cell(standing, found, tuple(flavor.differences(found)))


def sentence(cell: Cell) -> str:
    """What to tell of a cell, on one line."""
    if cell.there is None or cell.standing is Standing.UNKNOWN:
        return cell.standing.value
    if cell.standing is Standing.OTHER_NAME:
        return f"other name: {cell.there.name}"
    return ", ".join([cell.standing.value, *(f"{f} {b!r}, not {a!r}" for f, a, b in cell.fields)])
