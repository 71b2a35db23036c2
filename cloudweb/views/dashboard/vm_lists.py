"""VMs: finding servers, whoever owns them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pyramid.request import Request
from pyramid.response import Response

from cloudweb.domain import fleet, forms, server_lists
from cloudweb.domain.server_lists import ServerRow
from cloudweb.models import Backend, OperState, Server, User
from cloudweb.security import Permission, allows
from cloudweb.views.dashboard import lists
from cloudweb.views.dashboard.exports import page_and_files
from cloudweb.views.dashboard.lists import Column, Listing

_STATES = {"ACTIVE": "Active", "STOPPED": "Stopped", "BUILD": "Building", "ERROR": "Error"}


def _of_cards(name: str) -> Callable[[ServerRow], str]:
    """What all of a server's cards have of this, with spaces between."""
    return lambda row: " ".join(filter(None, (getattr(card, name) for card in row.cards)))


VMS = Listing(
    name="vms",
    title="VMs",
    one="VM",
    many="VMs",
    fields=server_lists.FIELDS,
    rows=server_lists.rows,
    row=ServerRow,
    enrich=lambda _request, session, rows: server_lists.with_cards(session, rows),
    key=lambda row: row.server.id,
    search=(Server.name, Server.instance_name, User.email),
    hint="name, instance, owner or id",
    choices={
        "state": ("State", _STATES),
        "differs": ("Ganeti", {"no": "agrees", "yes": "has it otherwise"}),
        "deleted": ("Deleted", {"no": "no", "yes": "yes"}),
    },
    unless_asked={"deleted": "no"},
    shown=("id", "state", "owner", "backend", "flavor", "ipv4", "created"),
    columns=(
        Column("name", "VM", lambda row: row.server.name),
        Column("id", "Id", lambda row: row.server.id),
        Column("state", "State", lambda row: row.status.value),
        Column("owner", "Owner", lambda row: row.owner, "name"),
        Column("backend", "Backend", lambda row: row.backend_name, "name"),
        Column("flavor", "Flavor", lambda row: row.flavor.name),
        Column("ipv4", "IPv4", _of_cards("ipv4")),
        Column("ipv6", "IPv6", _of_cards("ipv6")),
        Column("mac", "MAC", _of_cards("mac")),
        Column("network", "Networks", lambda row: " ".join(c.network.name for c in row.cards)),
        Column("node", "Node", lambda row: row.server.node, "name"),
        Column("suspended", "Suspended", lambda row: "yes" if row.server.suspended else "no"),
        Column("locked", "Locked", lambda row: "yes" if row.server.locked else "no"),
        Column("created", "Created", lambda row: row.server.created),
    ),
    nothing="There is no VM yet. A user makes one with their token: POST /api/v1.1/servers.",
)


ACTS = {
    "start": ("Start", Permission.SERVER_ACT),
    "shutdown": ("Shut down", Permission.SERVER_ACT),
    "reboot": ("Reboot", Permission.SERVER_ACT),
    "suspend": ("Suspend", Permission.SERVER_ACT),
    "unsuspend": ("Unsuspend", Permission.SERVER_ACT),
    "lock": ("Lock", Permission.SERVER_ACT),
    "unlock": ("Unlock", Permission.SERVER_ACT),
    "mail": ("Mail", Permission.SERVER_ACT),
    "destroy": ("Destroy", Permission.SERVER_DESTROY),
}
"""What can be asked for many VMs at once, and who may."""

AT_ONCE = ("start", "unsuspend", "lock")
"""What hurts nobody and is done without a look at what follows."""


@page_and_files("admin.vms")
def index(request: Request) -> Response:
    """GET /admin/vms, .csv, .json."""
    backends = fleet.list_all(request.db)
    names = {backend.name: backend.name for backend in backends}
    return respond(request, VMS, backends, choices={"backend": ("Backend", names)})


def respond(
    request: Request,
    listing: Listing,
    backends: Sequence[Backend],
    *,
    besides: Mapping[str, str] | None = None,
    **values: Any,
) -> Response:
    """A list of VMs on these backends, with what can be done to many of them.

    ``besides`` are filters all of them match, beside those of the address.
    """
    return lists.respond(
        request,
        listing,
        besides=besides or {},
        silent={backend.id: backend for backend in backends if backend.is_silent},
        key=forms.new_key(),
        bulk=[
            (verb, word if verb in AT_ONCE else f"{word}…")
            for verb, (word, needed) in ACTS.items()
            if allows(request.identity.role, needed)
        ],
        busy=lambda rows: any(
            row.open_operation or row.server.state is OperState.BUILD for row in rows
        ),
        **values,
    )
