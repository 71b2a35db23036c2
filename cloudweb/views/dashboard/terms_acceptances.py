"""Who accepted a version of the terms of use."""

import sqlalchemy as sa
from pyramid.request import Request
from pyramid.response import Response

from cloudweb.domain import acceptances, terms
from cloudweb.models import Acceptance, User
from cloudweb.views.dashboard import lists
from cloudweb.views.dashboard.exports import page_and_files
from cloudweb.views.dashboard.lists import Column, Listing

ACCEPTANCES = Listing(
    name="terms.acceptances",
    title="Acceptances",
    one="acceptance",
    many="acceptances",
    fields=acceptances.FIELDS,
    rows=acceptances.rows,
    row=acceptances.Row,
    key=lambda row: row.acceptance.id,
    search=(User.email, Acceptance.address, Acceptance.noted_by, Acceptance.reason),
    hint="user, address or why",
    sort="-id",
    section="terms",
    choices={"door": ("Through", {"dashboard": "Dashboard", "cli": "Terminal"})},
    columns=(
        Column("user", "User", lambda row: row.email, "name"),
        Column("at", "When", lambda row: row.acceptance.at),
        Column("address", "From", lambda row: row.acceptance.address),
        Column("door", "Through", lambda row: row.acceptance.door),
        Column("noted_by", "Written down by", lambda row: row.acceptance.noted_by, "name"),
        Column("reason", "Why", lambda row: row.acceptance.reason, "prose"),
        Column("text", "Text", lambda row: row.acceptance.text_digest),
        Column("request", "Request", lambda row: row.acceptance.request_id),
    ),
    shown=("at", "address", "door", "noted_by", "reason", "text"),
    nothing="Nobody has accepted it yet.",
)


@page_and_files("admin.terms.acceptances")
def index(request: Request) -> Response:
    """GET /admin/terms/{id}/acceptances, .csv, .json: who, when, from where, and which text."""
    wanted = terms.get(request.db, int(request.matchdict["id"]))
    name = f"version {wanted.number}" if wanted.number else "the draft"
    within: tuple[sa.ColumnElement[bool], ...] = (Acceptance.terms_id == wanted.id,)
    up = (("Terms of use", "admin.terms"), (name.capitalize(), "admin.terms.version"))
    return lists.respond(request, ACCEPTANCES, within=within, title=f"Who accepted {name}", up=up)
