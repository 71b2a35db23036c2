"""What was done to one thing alone, such as a VM: the audit of that."""

import dataclasses
from typing import Any

from pyramid.request import Request
from pyramid.response import Response

from cloudweb.domain import audit_lists, server_lists
from cloudweb.models import AuditEntry
from cloudweb.security import Permission, allows
from cloudweb.views.dashboard import lists
from cloudweb.views.dashboard.audit import AUDIT
from cloudweb.views.dashboard.exports import page_and_files
from cloudweb.views.dashboard.lists import Listing

_ALIKE = ("kind", "target")
_GUARDED = ("address", "request", "before", "after", "details", "number", "seal")
"""What only those are shown who may see the whole audit."""


def _less(listing: Listing, *names: str) -> Listing:
    columns = tuple(column for column in listing.columns if column.name not in names)
    return dataclasses.replace(listing, fields=listing.fields.without(*names), columns=columns)


HISTORY = dataclasses.replace(
    _less(AUDIT, *_ALIKE),
    title="History",
    cells="history",
    search=(AuditEntry.actor, AuditEntry.action, AuditEntry.reason),
    hint="who, what or why",
    shown=("actor", "action", "role", "outcome", "reason", "operation", "door"),
    nothing="Nothing was done to it by hand yet.",
)


VM_TABS = (("Overview", "admin.vm"), ("History", "admin.vm.history"))
"""The pages of a VM: words and route."""


@page_and_files("admin.vm.history")
def list_of_vm(request: Request) -> Response:
    """GET /admin/vms/{id}/history, .csv, .json: who did what to it, and why."""
    server = server_lists.get_row(request.db, int(request.matchdict["id"])).server
    return respond(
        request,
        "server",
        server.id,
        name="vm.history",
        section="vms",
        tabs=VM_TABS,
        title=f"History of {server.name}",
        up=(("VMs", "admin.vms"), (server.name, "admin.vm")),
    )


def respond(
    request: Request,
    kind: str,
    id_: int,
    *,
    name: str,
    section: str,
    tabs: tuple[tuple[str, str], ...],
    **values: Any,
) -> Response:
    """The history of one thing as a page or a file; ``name`` is its list's."""
    listing = dataclasses.replace(HISTORY, name=name, section=section, tabs=tabs)
    if not allows(request.identity.role, Permission.AUDIT_VIEW):
        listing = _less(listing, *_GUARDED)
    return lists.respond(request, listing, within=(audit_lists.about(kind, id_),), **values)
