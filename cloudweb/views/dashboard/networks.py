"""Networks: those of users and the public ones, and what each cluster has of one."""

import dataclasses

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb.domain import audit, network_lists, operation_lists, operator_networks, pools
from cloudweb.domain.network_lists import NetworkRow, Place
from cloudweb.models import OPEN_STATES, Network, NetworkState, SentForm, User
from cloudweb.security import Permission
from cloudweb.views.dashboard import acts, lists, pages
from cloudweb.views.dashboard.acts import Preview
from cloudweb.views.dashboard.exports import page_and_files
from cloudweb.views.dashboard.figures import plural, share
from cloudweb.views.dashboard.lists import Column, Listing
from cloudweb.views.dashboard.states import KINDS, look

_RECENT = 10
_YES_NO = {"yes": "yes", "no": "no"}

NETWORKS = Listing(
    name="networks",
    title="Networks",
    one="network",
    many="networks",
    fields=network_lists.FIELDS,
    rows=network_lists.rows,
    row=lambda *found: network_lists.row(found),
    key=lambda row: row.network.id,
    search=(Network.name, Network.cidr, Network.cidr6, Network.link, User.email),
    hint="name, subnet, link, owner or id",
    choices={
        "public": ("Public", _YES_NO),
        "kind": ("Kind", {kind.value: words for kind, words in KINDS.items()}),
        "drained": ("Drained", _YES_NO),
        "deleted": ("Deleted", {"no": "no", "yes": "yes"}),
    },
    unless_asked={"deleted": "no"},
    columns=(
        Column("name", "Network", lambda row: row.network.name),
        Column("id", "Id", lambda row: row.network.id),
        Column("state", "State", lambda row: row.network.state.value),
        Column("kind", "Kind", lambda row: row.network.kind.value),
        Column("owner", "Owner", lambda row: row.owner, "name"),
        Column("subnet", "IPv4", lambda row: row.network.cidr),
        Column("subnet6", "IPv6", lambda row: row.network.cidr6),
        Column("gateway", "Gateway", lambda row: row.network.gateway),
        Column("mac_prefix", "MAC prefix", lambda row: row.network.mac_prefix),
        Column("link", "Link", lambda row: row.network.link),
        Column("servers", "VMs", lambda row: row.servers, "n"),
        Column("free", "Free addresses", lambda row: row.free, "n"),
        Column("usable", "All addresses", lambda row: row.usable, "n"),
        Column("clusters", "On clusters", lambda row: row.made_on, "n"),
        Column("wanted_on", "For clusters", lambda row: row.wanted_on, "n"),
        Column("public", "Public", lambda row: "yes" if row.network.public else "no"),
        Column("drained", "Drained", lambda row: "yes" if row.network.drained else "no"),
        Column("created", "Created", lambda row: row.network.created),
    ),
    shown=("id", "state", "kind", "owner", "subnet", "link", "servers", "free", "clusters"),
    nothing="There is no network yet. Operators make public ones: cloudweb network create --public;"
    " users make theirs: POST /api/v1.1/networks.",
)


@page_and_files("admin.networks")
def index(request: Request) -> Response:
    """GET /admin/networks, .csv, .json."""
    return lists.respond(request, NETWORKS)


def _id(request: Request) -> int:
    return int(request.matchdict["id"])


@view_config(route_name="admin.network", request_method="GET", permission=Permission.DASHBOARD_VIEW)
def show(request: Request) -> Response:
    """GET /admin/networks/{id}: what it is, and its state on every cluster."""
    row = network_lists.get_row(request.db, _id(request))
    network = row.network
    recent = operation_lists.list_recent(request.db, network_id=network.id, limit=_RECENT)
    pool = pools.find_addresses(request.db, network.id)
    usable = pool.size - 3 if pool is not None else 0
    return pages.show_live(
        request,
        "network",
        busy=any(each.operation.state in OPEN_STATES for each in recent),
        row=row,
        network=network,
        pool=pool,
        meter=share("Addresses", usable - (row.free or 0), usable) if pool is not None else None,
        places=network_lists.list_places(request.db, network),
        word=lambda place: word(network, place),
        recent=recent,
        history=audit.list_for(request.db, "network", network.id),
        not_drained="" if network.public else _NOT_DRAINED,
        not_removed=_not_removed(row),
    )


def word(network: Network, place: Place) -> NetworkState | str:
    """What there is on a cluster: the state of what was made, or why there is nothing."""
    if place.made is not None and place.made.state is not NetworkState.DELETED:
        return place.made.state
    if network.backend_id not in (None, place.backend.id):
        return "Not for this cluster"
    if network.cidr is None:
        return "Nothing to make"
    return "Not made yet"


# --- acting -------------------------------------------------------------------------------------


def _preview(request: Request, verb: str, *, note: str = "") -> tuple[Preview, NetworkRow]:
    row = network_lists.get_row(request.db, _id(request))
    network = row.network
    places = network_lists.list_places(request.db, network)
    made = [p for p in places if p.made is not None and p.made.state is NetworkState.ACTIVE]
    preview = Preview(
        title=f"{verb} {network.name}{note}",
        verb=verb,
        section="networks",
        up=(
            ("Networks", request.route_path("admin.networks")),
            (network.name, request.route_path("admin.network", id=network.id)),
        ),
        facts={
            "Network": f"{network.name} (id {network.id}, {KINDS[network.kind].lower()})",
            "Owner": row.owner or ("everybody: it is public" if network.public else "nobody"),
            "State": look(network.state).word + (", drained" if network.drained else ""),
            "Subnet": network.cidr or "none of ours",
            "VMs on it": str(row.servers),
            "On clusters": f"{len(made)} of {len(places)}",
        },
        obstacle="It has been deleted." if network.deleted else "",
        versions=network.version,
    )
    return preview, row


def _back(request: Request) -> str:
    path: str = request.route_path("admin.network", id=_id(request))
    return path


_NOT_DRAINED = "Only public networks are drained: new servers get no other by themselves."


def _not_removed(row: NetworkRow) -> str:
    """Why it cannot be removed now; empty when it can."""
    if row.network.public and not row.network.drained:
        return "Drain it first: new servers get cards on it."
    if row.network.public and row.servers:
        return f"{plural(row.servers, 'server')} {'is' if row.servers == 1 else 'are'} on it."
    return ""


def _drain(request: Request, *, drained: bool) -> Response:
    def make() -> Preview:
        verb = "Drain" if drained else "Undrain"
        preview, row = _preview(request, verb)
        network, obstacle = row.network, preview.obstacle
        if not network.public:
            obstacle = _NOT_DRAINED
        elif network.drained is drained:
            obstacle = "It is drained already." if drained else "It is not drained."
        return dataclasses.replace(
            preview,
            follows=("New servers get no card on it.", "What is on it stays.")
            if drained
            else ("New servers may get a card on it again.",),
            obstacle=obstacle,
            command=f"cloudweb network modify {network.id} --{verb.lower()}",
        )

    def do(_preview: Preview, _reason: str, _form: SentForm) -> str:
        network = operator_networks.get(request.db, _id(request))
        operator_networks.modify(request.db, request.identity, network, drained=drained)
        return _back(request)

    return acts.respond(request, make, do)


@view_config(
    route_name="admin.network.drain",
    request_method=("GET", "POST"),
    permission=Permission.NETWORK_MANAGE,
)
def drain(request: Request) -> Response:
    """GET, POST /admin/networks/{id}/drain."""
    return _drain(request, drained=True)


@view_config(
    route_name="admin.network.undrain",
    request_method=("GET", "POST"),
    permission=Permission.NETWORK_MANAGE,
)
def undrain(request: Request) -> Response:
    """GET, POST /admin/networks/{id}/undrain."""
    return _drain(request, drained=False)


@view_config(
    route_name="admin.network.everywhere",
    request_method=("GET", "POST"),
    permission=Permission.NETWORK_MANAGE,
)
def make_everywhere(request: Request) -> Response:
    """GET, POST /admin/networks/{id}/everywhere: made on each cluster that lacks it."""

    def make() -> Preview:
        preview, row = _preview(request, "Make", note=" on every cluster")
        places = network_lists.list_places(request.db, row.network)
        lacking = [p.backend.name for p in places if word(row.network, p) == "Not made yet"]
        obstacle = preview.obstacle
        if not obstacle and not lacking:
            obstacle = "No cluster lacks it."
        return dataclasses.replace(
            preview,
            follows=[f"Made and connected on {name}." for name in lacking],
            obstacle=obstacle,
            command=f"cloudweb network modify {row.network.id} --everywhere",
        )

    def do(_preview: Preview, _reason: str, _form: SentForm) -> str:
        network = operator_networks.get(request.db, _id(request))
        rules = request.registry["cloudweb.network_rules"]
        operator_networks.make_everywhere(request.db, request.identity, rules, network)
        return _back(request)

    return acts.respond(request, make, do)


@view_config(
    route_name="admin.network.remove",
    request_method=("GET", "POST"),
    permission=Permission.NETWORK_DESTROY,
)
def remove(request: Request) -> Response:
    """GET, POST /admin/networks/{id}/remove."""

    def make() -> Preview:
        preview, row = _preview(request, "Remove")
        network, obstacle = row.network, preview.obstacle or _not_removed(row)
        return dataclasses.replace(
            preview,
            follows=(
                f"The cards of {plural(row.servers, 'VM')} on it are taken out, while"
                f" {'it runs' if row.servers == 1 else 'they run'}."
                if row.servers
                else "No VM has a card on it.",
                "It is removed from every cluster; its addresses and prefix can be used again.",
            ),
            obstacle=obstacle,
            danger=True,
            reason="required",
            phrase=f"remove network {network.id}",
            command=f"cloudweb network remove {network.id}",
        )

    def do(_preview: Preview, _reason: str, _form: SentForm) -> str:
        network = operator_networks.get(request.db, _id(request))
        operator_networks.remove(request.db, request.identity, network)
        return _back(request)

    return acts.respond(request, make, do)
