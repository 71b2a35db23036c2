"""Regions of the federation: how each answers, and what it has."""

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb.domain import audit, differences, infrastructures
from cloudweb.domain.differences import Standing
from cloudweb.models import Infrastructure, InfrastructureKind
from cloudweb.security import Permission
from cloudweb.views.dashboard import lists, pages
from cloudweb.views.dashboard.lists import Column, Listing


def condition(region: Infrastructure) -> str:
    """A region's state in a word."""
    if region.unreachable_since is not None:
        return "unreachable"
    return "never read" if region.refreshed is None else "answers"


REGIONS = Listing(
    name="regions",
    title="Regions",
    one="region",
    many="regions",
    fields=infrastructures.FIELDS,
    rows=infrastructures.rows,
    row=lambda region: region,
    key=lambda region: region.id,
    section="flavors",
    search=(Infrastructure.name, Infrastructure.keystone_url, Infrastructure.owner),
    hint="name, address or owner",
    choices={
        "kind": ("Kind", {kind.value: kind.value for kind in InfrastructureKind}),
        "state": ("State", {"answers": "answers", "away": "unreachable", "new": "never read"}),
    },
    sort="name",
    columns=(
        Column("name", "Region", lambda region: region.name),
        Column("state", "State", condition),
        Column("kind", "Kind", lambda region: region.kind.value),
        Column("keystone_url", "Keystone", lambda region: region.keystone_url, "name"),
        Column("owner", "Registered by", lambda region: region.owner, "name"),
        Column("refreshed", "As of", lambda region: region.refreshed),
    ),
    nothing="No region is registered. A region is an OpenStack, or this cloud's own clusters:"
    " cloudweb region add, or POST /v1/infrastructures.",
    api="/v1/regions",
)


@view_config(route_name="admin.regions", request_method="GET", permission=Permission.DASHBOARD_VIEW)
@view_config(
    route_name="admin.regions.export", request_method="GET", permission=Permission.DASHBOARD_VIEW
)
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
        missing=sum(cell.standing is not Standing.SAME for cell in column.cells.values()),
        history=audit.list_for(request.db, "infrastructure", region.id),
    )
