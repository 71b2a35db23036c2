"""The history of comparisons."""

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import comparisons
from cloudweb.domain.comparisons import ComparisonRow
from cloudweb.models import Backend
from cloudweb.security import Permission
from cloudweb.views.dashboard import figures, lists, pages
from cloudweb.views.dashboard.exports import page_and_files
from cloudweb.views.dashboard.lists import Column, Listing
from cloudweb.views.dashboard.reconcile import KINDS

_KINDS = {kind.value: words for kind, words in KINDS.items()}

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
        Column("took", "Took", lambda row: row.record.took_ms, "n"),
        Column("found", "Differences", lambda row: row.record.found, "n"),
        Column("appeared", "New", lambda row: "; ".join(row.record.appeared), "prose"),
        Column("gone", "Gone", lambda row: "; ".join(row.record.gone), "prose"),
        Column("error", "Left out", lambda row: row.record.error, "prose"),
        Column("by", "Asked for by", lambda row: row.by, "name"),
    ),
    nothing="Nothing was compared yet.",
)


@page_and_files("admin.reconcile.runs")
def index(request: Request) -> Response:
    """GET /admin/reconcile/runs, .csv, .json: the newest first, and what had changed."""
    up = (("Reconcile", "admin.reconcile"),)
    return lists.respond(request, RUNS, up=up, kinds=_KINDS, took=figures.took)


@view_config(
    route_name="admin.reconcile.between", request_method="GET", permission=Permission.DASHBOARD_VIEW
)
def show_between(request: Request) -> Response:
    """GET /admin/reconcile/runs/between?id=A&id=B: how they differ; with one id, the one before."""
    texts = request.GET.getall("id")
    if not all(text.isascii() and text.isdigit() and len(text) < 19 for text in texts):
        raise faults.BadRequest("A comparison has a number.")
    ids = sorted({int(text) for text in texts})
    if len(ids) == 1 and (before := _before(request, ids[0])) is not None:
        ids = [before, *ids]
    if len(ids) != 2:
        raise faults.BadRequest("Choose two comparisons: tick them in the list.")
    one, two = (comparisons.get(request.db, each) for each in ids)
    return pages.show_signed_in(
        request,
        "reconcile_between",
        one=one,
        two=two,
        between=comparisons.between(one.record, two.record),
        kinds=_KINDS,
        most=comparisons.MOST_KEPT,
        took=figures.took,
    )


def _before(request: Request, record_id: int) -> int | None:
    return comparisons.find_before(request.db, comparisons.get(request.db, record_id).record)
