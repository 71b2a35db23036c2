"""Regions of the federation: how each answers, and what it has."""

import dataclasses
from collections.abc import Sequence

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config
from sqlalchemy.orm import Session

from cloudweb.domain import audit, differences, infrastructures
from cloudweb.domain.differences import Standing
from cloudweb.models import Infrastructure, InfrastructureKind
from cloudweb.security import Permission
from cloudweb.views.dashboard import lists, pages
from cloudweb.views.dashboard.exports import page_and_files
from cloudweb.views.dashboard.flavors import words
from cloudweb.views.dashboard.lists import Column, Listing


def condition(region: Infrastructure) -> str:
    """A region's state in a word."""
    if region.unreachable_since is not None:
        return "unreachable"
    return "never read" if region.refreshed is None else "answers"


@dataclasses.dataclass(frozen=True, slots=True)
class RegionRow:
    """A region, how many flavors it has, and how many promoted ones it has not as they should be.

    Those are None where that is not known.
    """

    region: Infrastructure
    flavors: int | None = None
    differing: int | None = None


def _compared(
    _request: Request, session: Session, rows: Sequence[RegionRow]
) -> Sequence[RegionRow]:
    """The same with what comparing their flavors finds."""
    _promoted, columns = differences.matrix(session)
    by_id = {column.region.id: column for column in columns if column.as_of is not None}
    return [
        RegionRow(row.region, _count(by_id[row.region.id]), _differing(by_id[row.region.id]))
        if row.region.id in by_id
        else row
        for row in rows
    ]


def _count(column: differences.Column) -> int:
    return sum(cell.there is not None for cell in column.cells.values()) + len(column.extra)


def _differing(column: differences.Column) -> int | None:
    if not column.is_read:
        return None
    return sum(cell.standing is not Standing.SAME for cell in column.cells.values())


REGIONS = Listing(
    name="regions",
    title="Regions",
    one="region",
    many="regions",
    fields=infrastructures.FIELDS,
    rows=infrastructures.rows,
    row=RegionRow,
    key=lambda row: row.region.id,
    enrich=_compared,
    section="flavors",
    search=(Infrastructure.name, Infrastructure.keystone_url, Infrastructure.owner),
    hint="name, address or owner",
    choices={
        "kind": ("Kind", {kind.value: kind.value for kind in InfrastructureKind}),
        "state": ("State", {"answers": "answers", "away": "unreachable", "new": "never read"}),
    },
    sort="name",
    columns=(
        Column("name", "Region", lambda row: row.region.name),
        Column("state", "State", lambda row: condition(row.region)),
        Column("kind", "Kind", lambda row: row.region.kind.value),
        Column("flavors", "Flavors", lambda row: row.flavors, "n"),
        Column("differing", "Promoted that differ", lambda row: row.differing, "n"),
        Column("keystone_url", "Keystone", lambda row: row.region.keystone_url, "name"),
        Column("owner", "Registered by", lambda row: row.region.owner, "name"),
        Column("refreshed", "As of", lambda row: row.region.refreshed),
    ),
    nothing="No region is registered. A region is an OpenStack, or this cloud's own clusters:"
    " cloudweb region add, or POST /v1/infrastructures.",
)


@page_and_files("admin.regions")
def index(request: Request) -> Response:
    """GET /admin/regions, .csv, .json."""
    return lists.respond(request, REGIONS, condition=condition)


@view_config(route_name="admin.region", request_method="GET", permission=Permission.DASHBOARD_VIEW)
def show(request: Request) -> Response:
    """GET /admin/regions/{id}: how it is reached, and its flavors beside the promoted ones."""
    region = infrastructures.by_id(request.db, int(request.matchdict["id"]))
    promoted, columns = differences.matrix(request.db)
    [column] = [each for each in columns if each.region.id == region.id]
    return pages.show_signed_in(
        request,
        "region",
        region=region,
        condition=condition(region),
        promoted=promoted,
        column=column,
        differing=_differing(column),
        words=words,
        history=audit.list_for(request.db, "infrastructure", region.id),
    )
