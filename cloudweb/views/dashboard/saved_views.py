"""Saved views: the lists of the dashboard as somebody likes them, under a name."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import saved_views
from cloudweb.domain.saved_views import ViewRow
from cloudweb.models import SavedView, SentForm
from cloudweb.security import Permission
from cloudweb.views.dashboard import acts, lists
from cloudweb.views.dashboard.acts import Field, Kind, Preview
from cloudweb.views.dashboard.addresses import IPS
from cloudweb.views.dashboard.audit import AUDIT
from cloudweb.views.dashboard.backends import BACKENDS
from cloudweb.views.dashboard.compute_flavors import COMPUTE_FLAVORS
from cloudweb.views.dashboard.exports import page_and_files
from cloudweb.views.dashboard.images import IMAGES
from cloudweb.views.dashboard.jobs import JOBS
from cloudweb.views.dashboard.lists import Asked, Column, Listing
from cloudweb.views.dashboard.networks import NETWORKS
from cloudweb.views.dashboard.node_lists import NODES
from cloudweb.views.dashboard.operations import OPERATIONS
from cloudweb.views.dashboard.pool_pages import POOLS
from cloudweb.views.dashboard.queues import LETTERS
from cloudweb.views.dashboard.regions import REGIONS
from cloudweb.views.dashboard.terms import TERMS
from cloudweb.views.dashboard.users import USERS
from cloudweb.views.dashboard.vm_lists import VMS

LISTINGS: Mapping[str, Listing] = {
    each.name: each
    for each in (
        VMS,
        BACKENDS,
        NODES,
        NETWORKS,
        IPS,
        POOLS,
        IMAGES,
        COMPUTE_FLAVORS,
        REGIONS,
        USERS,
        TERMS,
        OPERATIONS,
        JOBS,
        LETTERS,
        AUDIT,
    )
}
"""The lists of which views can be saved."""
_SHARED = {"": "only me", saved_views.EVERYONE: "everyone"}


def words(query: str) -> str:
    """What a view asks for, for people."""
    return ", ".join(f"{name}: {value}" for name, value in parse_qsl(query)) or "everything"


def shared_words(shared_with: str) -> str:
    """With whom a view is shared."""
    return _SHARED.get(shared_with, f"every {shared_with}")


VIEWS = Listing(
    name="views",
    title="Saved views",
    one="view",
    many="views",
    section="overview",
    fields=saved_views.FIELDS,
    rows=saved_views.rows,
    row=ViewRow,
    key=lambda row: row.view.id,
    search=(SavedView.name, SavedView.query),
    hint="name or filter",
    choices={
        "list": ("List", {name: each.title for name, each in LISTINGS.items()}),
        "shared": ("Shared with", {saved_views.EVERYONE: "everyone"}),
    },
    sort="name,id",
    columns=(
        Column("name", "View", lambda row: row.view.name, "name"),
        Column("list", "List", lambda row: row.view.listing),
        Column("query", "Shows", lambda row: row.view.query, "name"),
        Column("owner", "By", lambda row: row.owner, "name"),
        Column("shared", "For", lambda row: shared_words(row.view.shared_with)),
        Column("opens", "The list opens so", lambda row: row.view.opens),
        Column("created", "Since", lambda row: row.view.created),
    ),
    nothing="No view is saved yet. Filter, sort or choose columns in a list, and save it there.",
)


@page_and_files("admin.views")
def index(request: Request) -> Response:
    """GET /admin/views, .csv, .json: one's own, and what others share."""
    identity = request.identity
    return lists.respond(
        request,
        VIEWS,
        within=[saved_views.visible(identity)],
        titles={name: each.title for name, each in LISTINGS.items()},
        words=words,
        shared_words=shared_words,
        mine=lambda view: saved_views.may_change(identity, view),
    )


def _fields(view: SavedView | None) -> tuple[Field, ...]:
    shared = [(value, shared_words(value), "") for value in saved_views.SHARED_WITH]
    return (
        Field(
            *("name", "Name"),
            value=view.name if view else "",
            required=True,
            longest=saved_views.LONGEST_NAME,
        ),
        Field(
            *("shared_with", "For", Kind.MENU),
            value=view.shared_with if view else "",
            options=shared,
        ),
        Field(
            *("opens", "The list opens so for me", Kind.TICK),
            value="yes" if view and view.opens else "",
        ),
    )


def _up(request: Request) -> tuple[tuple[str, str], ...]:
    return (("Saved views", request.route_path("admin.views")),)


def _chosen(request: Request) -> dict[str, object]:
    return {
        "name": acts.text(request, "name"),
        "shared_with": acts.text(request, "shared_with"),
        "opens": acts.text(request, "opens") == "yes",
    }


@view_config(
    route_name="admin.view.new", request_method=("GET", "POST"), permission=Permission.VIEW_SAVE
)
def save(request: Request) -> Response:
    """GET, POST /admin/views/new?list=…&query=…: keep the list as it is shown."""
    listing = LISTINGS.get(request.params.get("list", ""))
    query = request.params.get("query", "")
    if listing is None:
        raise faults.BadRequest("There is no such list.")
    spelt = urlencode(parse_qsl(query, keep_blank_values=True))
    asked = Asked(Request.blank(f"/?{spelt}"), listing)
    if asked.error:
        raise faults.BadRequest(asked.error)
    query = asked.own_query

    def make() -> Preview:
        return Preview(
            title=f"Save this view of {listing.title}",
            verb="Save",
            section="overview",
            up=((listing.title, request.route_path(listing.route) + f"?{query}"),),
            facts={"List": listing.title, "Shows": words(query)},
            follows=("It is in the list of your views, and above the list itself.",),
            kept={"list": [listing.name], "query": [query]},
            fields=_fields(None),
            leave="Do not save it",
        )

    def do(_preview: Preview, _reason: str, _form: SentForm) -> str:
        view = saved_views.add(
            *(request.db, request.identity),
            listing=listing.name,
            query=query,
            **_chosen(request),  # type: ignore[arg-type]
        )
        path: str = request.route_path(listing.route, _query={"view": view.id})
        return path

    return acts.respond(request, make, do)


def _own(request: Request) -> SavedView:
    view = saved_views.get(request.db, request.identity, int(request.matchdict["id"])).view
    if not saved_views.may_change(request.identity, view):
        raise faults.Forbidden("It is somebody else's. Save one of your own.")
    return view


def _facts(request: Request, view: SavedView) -> dict[str, str]:
    row = saved_views.get(request.db, request.identity, view.id)
    return {
        "View": view.name,
        "List": LISTINGS[view.listing].title,
        "Shows": words(view.query),
        "By": row.owner,
        "For": shared_words(view.shared_with),
    }


@view_config(
    route_name="admin.view.edit", request_method=("GET", "POST"), permission=Permission.VIEW_SAVE
)
def edit(request: Request) -> Response:
    """GET, POST /admin/views/{id}/edit: its name, who sees it, whether the list opens so."""

    def make() -> Preview:
        view = _own(request)
        return Preview(
            title=f"Change the view {view.name}",
            verb="Change",
            section="overview",
            up=_up(request),
            facts=_facts(request, view),
            fields=_fields(view),
        )

    def do(_preview: Preview, _reason: str, _form: SentForm) -> str:
        values = _chosen(request)
        saved_views.change(
            request.db,
            request.identity,
            _own(request),
            **values,  # type: ignore[arg-type]
        )
        path: str = request.route_path("admin.views")
        return path

    return acts.respond(request, make, do)


@view_config(
    route_name="admin.view.remove", request_method=("GET", "POST"), permission=Permission.VIEW_SAVE
)
def remove(request: Request) -> Response:
    """GET, POST /admin/views/{id}/remove."""

    def make() -> Preview:
        view = _own(request)
        shared = f" Those it is shared with ({shared_words(view.shared_with)}) lose it, too."
        return Preview(
            title=f"Remove the view {view.name}",
            verb="Remove",
            section="overview",
            up=_up(request),
            facts=_facts(request, view),
            follows=(f"Nothing but the view goes.{shared if view.shared_with else ''}",),
            harsh=True,
        )

    def do(_preview: Preview, _reason: str, _form: SentForm) -> str:
        saved_views.remove(request.db, request.identity, _own(request))
        path: str = request.route_path("admin.views")
        return path

    return acts.respond(request, make, do)
