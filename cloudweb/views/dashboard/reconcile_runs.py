"""The history of comparisons."""

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb.domain import comparisons
from cloudweb.domain.comparisons import ComparisonRow
from cloudweb.models import Backend
from cloudweb.security import Permission
from cloudweb.views.dashboard import lists
from cloudweb.views.dashboard.lists import Column, Listing

RUNS = Listing(
    name="reconcile.runs",
    title="Comparisons",
    one="comparison",
    many="comparisons",
    fields=comparisons.FIELDS,
    rows=comparisons.rows,
    row=ComparisonRow,
    key=lambda row: row.record.id,
    search=(Backend.name,),
    hint="backend",
    sort="-id",
    section="operations",
    columns=(
        Column("at", "When", lambda row: row.record.at),
        Column("backend", "Of", lambda row: row.backend or "pools", "name"),
        Column("compared", "Instances", lambda row: row.record.compared, "n"),
        Column("found", "Differences", lambda row: row.record.found, "n"),
        Column("appeared", "New", lambda row: "; ".join(row.record.appeared), "prose"),
        Column("gone", "Gone", lambda row: "; ".join(row.record.gone), "prose"),
        Column("error", "Left out", lambda row: row.record.error, "prose"),
        Column("by", "Asked for by", lambda row: row.by, "name"),
    ),
    nothing="Nothing was compared yet.",
)


@view_config(
    route_name="admin.reconcile.runs", request_method="GET", permission=Permission.DASHBOARD_VIEW
)
@view_config(
    route_name="admin.reconcile.runs.export",
    request_method="GET",
    permission=Permission.DASHBOARD_VIEW,
)
def index(request: Request) -> Response:
    """GET /admin/reconcile/runs, .csv, .json: the newest first, and what had changed."""
    return lists.respond(request, RUNS, up=(("Reconcile", "admin.reconcile"),))
