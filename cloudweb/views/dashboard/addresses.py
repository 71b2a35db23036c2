"""Addresses: who has which, and who had one when."""

import datetime as dt

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import address_history, address_lists
from cloudweb.domain.address_history import UseRow
from cloudweb.models import AddressUse, Server, User
from cloudweb.security import Permission
from cloudweb.views.dashboard import lists, pages
from cloudweb.views.dashboard.exports import page_and_files
from cloudweb.views.dashboard.lists import Column, Listing

_MOST = 200

IPS = Listing(
    name="ips",
    title="Addresses",
    one="use",
    many="uses",
    fields=address_lists.FIELDS,
    rows=address_lists.rows,
    row=UseRow,
    key=lambda row: row.use.id,
    section="networks",
    search=(AddressUse.address, Server.name, User.email),
    hint="address, VM or owner",
    choices={"now": ("Now", {"yes": "in use now", "no": "in use before"})},
    unless_asked={"now": "yes"},
    sort="-id",
    columns=(
        Column("address", "Address", lambda row: row.use.address),
        Column("network", "Network", lambda row: row.network.name, "name"),
        Column("server", "Id", lambda row: row.server.id),
        Column("name", "VM", lambda row: row.server.name, "name"),
        Column("owner", "Owner", lambda row: row.owner, "name"),
        Column("since", "Since", lambda row: row.use.since),
        Column("until", "Until", lambda row: row.use.until),
    ),
    nothing="No VM has an address of ours yet. They get one when they are made on a network with a"
    " subnet.",
)


@page_and_files("admin.ips")
def index(request: Request) -> Response:
    """GET /admin/ips, .csv, .json."""
    return lists.respond(request, IPS)


@view_config(route_name="admin.ip", request_method="GET", permission=Permission.DASHBOARD_VIEW)
def show(request: Request) -> Response:
    """GET /admin/ips/{address}?at=TIME: everybody who had it, and who had it then."""
    given, error, at = request.GET.get("at", "").strip()[:40], "", None
    try:
        at = _time(given) if given else None
    except ValueError:
        error = "This is no time; write 2026-11-21 10:30, in UTC."
    address = request.matchdict["address"]
    try:
        uses = address_history.list_for(request.db, address=address, limit=_MOST)
    except faults.BadRequest as fault:
        raise faults.ItemNotFound(fault.message) from None
    return pages.show_signed_in(
        request,
        "ip",
        status=400 if error else 200,
        address=address,
        uses=uses,
        most=_MOST,
        now_held=[row for row in uses if row.use.until is None],
        given=given,
        at=at,
        error=error,
        then=[row for row in uses if at is not None and _held(row, at)],
    )


def _held(row: UseRow, at: dt.datetime) -> bool:
    return row.use.since <= at and (row.use.until is None or row.use.until > at)


def _time(text: str) -> dt.datetime:
    """A time as people or browsers write it. Raises ValueError."""
    time = dt.datetime.fromisoformat(text)
    return time if time.tzinfo is not None else time.replace(tzinfo=dt.UTC)
