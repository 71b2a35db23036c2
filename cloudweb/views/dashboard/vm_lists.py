"""VMs: finding servers, whoever owns them."""

from collections.abc import Mapping, Sequence
from typing import Any

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb.domain import fleet, server_lists
from cloudweb.domain.server_lists import ServerRow
from cloudweb.models import Backend, OperState, Server, User
from cloudweb.security import Permission, allows
from cloudweb.views.dashboard import lists
from cloudweb.views.dashboard.lists import Column, Listing

_STATES = {"ACTIVE": "Active", "STOPPED": "Stopped", "BUILD": "Building", "ERROR": "Error"}

VMS = Listing(
    name="vms",
    title="VMs",
    one="VM",
    many="VMs",
    fields=server_lists.FIELDS,
    rows=server_lists.rows,
    row=ServerRow,
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
        Column("ipv4", "Address", lambda row: row.ipv4),
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


@view_config(route_name="admin.vms", request_method="GET", permission=Permission.DASHBOARD_VIEW)
@view_config(
    route_name="admin.vms.export", request_method="GET", permission=Permission.DASHBOARD_VIEW
)
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
        bulk=[
            (verb, word)
            for verb, (word, needed) in ACTS.items()
            if allows(request.identity.role, needed)
        ],
        busy=lambda rows: any(
            row.open_operation or row.server.state is OperState.BUILD for row in rows
        ),
        **values,
    )
