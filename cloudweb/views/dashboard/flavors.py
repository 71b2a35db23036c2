"""Promoted flavors against every region: what is the same, differs, lacks or is beside them."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import audit, catalogue, differences, installs
from cloudweb.domain import promoted as promoted_flavors
from cloudweb.domain.differences import Cell, Column, Standing
from cloudweb.models import ResultState
from cloudweb.security import Permission
from cloudweb.specifications import MAX_ID, Specification
from cloudweb.views.dashboard import pages
from cloudweb.views.dashboard.exports import export, page_and_files

_MOST_REGIONS = 8
_WORDS = {
    "name": "name",
    "vcpus": "vCPU",
    "ram_mb": "RAM",
    "disk_gb": "disk",
    "swap_mb": "swap",
    "ephemeral_gb": "ephemeral",
    "rxtx_factor": "rxtx",
    "extra_specs": "extra specs",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """A row of the matrix: a flavor, whether it is promoted, and its cell in each region."""

    flavor: Specification
    promoted: bool
    cells: Sequence[Cell | None]

    @property
    def differs(self) -> bool:
        """Whether any region has it otherwise than the others should."""
        return any(self.differs_in(place) for place in range(len(self.cells)))

    def differs_in(self, place: int) -> bool:
        """Whether the region of this column is known to have it otherwise."""
        cell = self.cells[place]
        return cell is None or cell.standing not in (Standing.SAME, Standing.UNKNOWN)


def _lines(promoted: Sequence[Specification], columns: Sequence[Column]) -> Iterator[Line]:
    for flavor in promoted:
        yield Line(flavor, promoted=True, cells=[column.cells[flavor.id] for column in columns])


def _extra_lines(columns: Sequence[Column]) -> Iterator[Line]:
    """What regions have beside the promoted ones, by name; a cell is None where it is not."""
    by_name: dict[str, dict[int, Specification]] = {}
    for number, column in enumerate(columns):
        for flavor in column.extra:
            by_name.setdefault(flavor.name, {})[number] = flavor
    for _name, there in sorted(by_name.items()):
        first = there[min(there)]
        cells = [_extra_cell(each, there.get(n), first) for n, each in enumerate(columns)]
        yield Line(first, promoted=False, cells=cells)


def _extra_cell(column: Column, there: Specification | None, first: Specification) -> Cell | None:
    if not column.is_read:
        return Cell(Standing.UNKNOWN, there)
    if there is None:
        return None
    return Cell(Standing.EXTRA, there, tuple(first.differences(there)))


@page_and_files("admin.flavors")
def matrix(request: Request) -> Response:
    """GET /admin/flavors?show=differences|all|extra&q=&region=…&by=region, .csv, .json."""
    promoted, every = differences.matrix(request.db)
    chosen = [name for name in request.GET.getall("region") if name][:_MOST_REGIONS]
    columns = [each for each in every if not chosen or each.region.name in chosen]
    wanted = request.GET.get("show", "differences")
    text = request.GET.get("q", "").strip()[:100].casefold()
    lines = [each for each in _lines(promoted, columns) if text in each.flavor.name.casefold()]
    differing = [line for line in lines if line.differs]
    places = [n for n in range(len(columns)) if any(line.differs_in(n) for line in lines)]
    extra = [e for e in _extra_lines(columns) if text in e.flavor.name.casefold()]
    shown = {"all": lines, "extra": extra}.get(wanted, differing)
    if notation := request.matchdict.get("notation"):
        names = ["flavor", "promoted", *(each.region.name for each in columns)]
        return export(notation, "flavors", names, iter([_told(shown, columns)]))
    return pages.show_signed_in(
        request,
        "flavors",
        lines=shown,
        columns=columns,
        every=every,
        differing_in=len(places),
        unread=sum(not column.is_read for column in columns),
        counts={"differences": len(differing), "all": len(lines), "extra": len(extra)},
        show=wanted if wanted in ("all", "extra") else "differences",
        text=text,
        chosen=chosen,
        by_region=request.GET.get("by") == "region",
        most=_MOST_REGIONS,
        words=words,
        url=lambda **changes: _url(request, changes),
        export_url=lambda notation: request.route_path(
            "admin.flavors.export", notation=notation, _query=_query(request, {})
        ),
        promoted=promoted,
    )


def _query(request: Request, changes: Mapping[str, str | None]) -> list[tuple[str, str]]:
    known = ("show", "q", "region", "by")
    kept = [(k, v) for k, v in request.GET.items() if k in known and k not in changes and v]
    return kept + [(k, v) for k, v in changes.items() if v]


def _url(request: Request, changes: Mapping[str, str | None]) -> str:
    path: str = request.route_path("admin.flavors", _query=_query(request, changes))
    return path


def words(cell: Cell | None) -> str:
    """What a cell says beside its state: in what it differs, or what is there instead."""
    if cell is None:
        return ""
    similar = cell.there if cell.standing is Standing.OTHER_NAME else cell.similar
    if similar is not None:
        return f"similar: {similar.name}"
    return ", ".join(
        f"{_WORDS.get(field, field)} {theirs} ≠ {ours}" for field, ours, theirs in cell.fields
    )


def _told(lines: Sequence[Line], columns: Sequence[Column]) -> list[dict[str, object]]:
    return [
        {"flavor": line.flavor.name, "promoted": line.promoted}
        | {
            column.region.name: _sentence(cell)
            for column, cell in zip(columns, line.cells, strict=True)
        }
        for line in lines
    ]


def _sentence(cell: Cell | None) -> str:
    if cell is None:
        return "not there"
    more = words(cell)
    return f"{cell.standing.value}: {more}" if more else cell.standing.value


# --- one flavor ---------------------------------------------------------------------------------


@view_config(route_name="admin.flavor", request_method="GET", permission=Permission.DASHBOARD_VIEW)
def show(request: Request) -> Response:
    """GET /admin/flavors/flavor?flavor=ID: how every region has it, and what was done about it."""
    row = promoted_flavors.get(request.db, request.GET.get("flavor", "")[:MAX_ID])
    flavor = catalogue.specification_of(row)
    _promoted, columns = differences.matrix(request.db)
    return pages.show_signed_in(
        request,
        "flavor",
        flavor=flavor,
        line=Line(flavor, promoted=True, cells=[column.cells[flavor.id] for column in columns]),
        columns=columns,
        words=words,
        orders=installs.list_of(request.db, row),
        entries=audit.list_for(request.db, "catalogue", flavor.id),
    )


# --- two regions --------------------------------------------------------------------------------


@view_config(
    route_name="admin.flavors.compare", request_method="GET", permission=Permission.DASHBOARD_VIEW
)
def compare(request: Request) -> Response:
    """GET /admin/flavors/compare?a=REGION&b=REGION: what one has and the other has not so."""
    _promoted, every = differences.matrix(request.db)
    by_name = {column.region.name: column for column in every}
    names = [request.GET.get(key, "") for key in ("a", "b")]
    for name in names:
        if name and name not in by_name:
            raise faults.ItemNotFound(f"No region {name[:100]}.")
    rows: list[tuple[str, Specification | None, Specification | None, str]] = []
    if all(names):
        rows = _compared(*(_flavors_of(by_name[name]) for name in names))
    return pages.show_signed_in(
        request, "flavors_compare", regions=list(by_name), a=names[0], b=names[1], rows=rows
    )


def _flavors_of(column: Column) -> dict[str, Specification]:
    there = [cell.there for cell in column.cells.values() if cell.there is not None]
    return {flavor.name: flavor for flavor in [*there, *column.extra]}


def _compared(
    ours: Mapping[str, Specification], theirs: Mapping[str, Specification]
) -> list[tuple[str, Specification | None, Specification | None, str]]:
    """By name: what both have alike is left out."""
    rows = []
    for name in sorted(ours.keys() | theirs.keys()):
        a, b = ours.get(name), theirs.get(name)
        differs = ""
        if a is not None and b is not None:
            differs = ", ".join(f"{_WORDS.get(f, f)} {x} ≠ {y}" for f, x, y in a.differences(b))
            if not differs:
                continue
        rows.append((name, a, b, differs))
    return rows


# --- what became of an installation -------------------------------------------------------------


@view_config(route_name="admin.install", request_method="GET", permission=Permission.DASHBOARD_VIEW)
def show_install(request: Request) -> Response:
    """GET /admin/flavors/installs/{id}: the result in each region."""
    order = installs.get(request.db, int(request.matchdict["id"]))
    results = installs.results(request.db, order.id)
    open_states = (ResultState.WAITING, ResultState.RUNNING)
    return pages.show_live(
        request,
        "install",
        busy=any(result.state in open_states for result in results),
        order=order,
        flavor=installs.flavor_of(request.db, order),
        results=results,
        failed=any(result.state is ResultState.FAILED for result in results),
    )


def number(request: Request, name: str, *, least: int) -> int:
    """A whole number of the address or form. Raises BadRequest."""
    text: Any = request.params.get(name, "")
    if not (isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 10):
        raise faults.BadRequest(f"{name} must be a whole number.", details={name: "Digits."})
    if int(text) < least:
        raise faults.BadRequest(f"{name} must be at least {least}.")
    return int(text)
