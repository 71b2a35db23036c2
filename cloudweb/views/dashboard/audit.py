"""The audit: who did what, when, from where and why, and what was refused."""

import dataclasses
import re
from typing import Any

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import acts_on_many, audit_chain, audit_lists, undos
from cloudweb.models import AuditChain, AuditEntry, Operation, Outcome, Role
from cloudweb.security import Permission, allows
from cloudweb.views.dashboard import lists, pages
from cloudweb.views.dashboard.exports import page_and_files
from cloudweb.views.dashboard.lists import Column, Listing
from cloudweb.views.dashboard.states import look

_DOORS = {
    "api": "API",
    "dashboard": "Dashboard",
    "cli": "Terminal",
    "worker": "Worker",
    "amqp": "Messages",
}
_LINKS = {
    "server": "admin.vm",
    "backend": "admin.backend",
    "operation": "admin.operation",
    "user": "admin.user",
    "terms": "admin.terms.version",
    "letter": "admin.letter",
    "network": "admin.network",
    "pool": "admin.pool",
    "image": "admin.image",
    "infrastructure": "admin.region",
    "install": "admin.install",
    "flavor": "admin.flavors.compute.flavor",
}
_ID = {"image": re.compile(r"[0-9a-f-]{36}")}
_NUMBER = re.compile(r"[0-9]{1,18}")
"""How what is targeted is named in addresses; some entries name several things, or none."""


def _details(part: int) -> Any:
    def value(entry: AuditEntry) -> object:
        found = audit_lists.before_after(entry.details)[part]
        return found if isinstance(found, str) else "; ".join(f"{k}={v}" for k, v in found.items())

    return value


AUDIT = Listing(
    name="audit",
    section="operations",
    title="Audit",
    one="entry",
    many="entries",
    fields=audit_lists.FIELDS,
    rows=audit_lists.rows,
    row=lambda entry: entry,
    key=lambda entry: entry.id,
    search=(AuditEntry.actor, AuditEntry.action, AuditEntry.reason, AuditEntry.target_id),
    hint="who, what, why or target",
    choices={
        "outcome": ("Outcome", {each.value: look(each).word for each in Outcome}),
        "door": ("Through", _DOORS),
        "role": ("Role", {each.value: each.value for each in Role}),
    },
    sort="-id",
    columns=(
        Column("at", "When", lambda entry: entry.at),
        Column("actor", "Who", lambda entry: entry.actor, "name"),
        Column("action", "What", lambda entry: entry.action),
        Column("role", "Role", lambda entry: entry.role),
        Column("target", "On", lambda entry: f"{entry.target_kind} {entry.target_id}", "name"),
        Column("outcome", "Outcome", lambda entry: entry.outcome.value),
        Column("before", "Before", _details(0), "name"),
        Column("after", "After", _details(1), "name"),
        Column("reason", "Why", lambda entry: entry.reason, "prose"),
        Column("door", "Through", lambda entry: entry.door),
        Column("address", "From", lambda entry: entry.address),
        Column("request", "Request", lambda entry: entry.request_id),
        Column("operation", "Operation", lambda entry: entry.operation_id),
        Column("job", "Job", audit_lists.job_of),
        Column("details", "Details", _details(2), "name"),
        Column("number", "Number", lambda entry: entry.seal_number),
        Column("seal", "Seal", lambda entry: entry.seal),
    ),
    shown=("actor", "action", "role", "target", "outcome", "reason", "operation", "door"),
    nothing="No act recorded yet.",
)


@page_and_files("admin.audit")
def index(request: Request) -> Response:
    """GET /admin/audit, .csv, .json: all of it, or for roles that may not see that, one's own."""
    identity = request.identity
    everything = allows(identity.role, Permission.AUDIT_VIEW)
    listing = AUDIT
    if not everything:
        own = dataclasses.replace(AUDIT, rows=lambda: audit_lists.rows(identity))
        listing = dataclasses.replace(own, title="Your own acts")
    chain = request.db.get(AuditChain, 1)
    return lists.respond(
        request,
        listing,
        everything=everything,
        chain=chain,
        unsealed=audit_chain.is_anything_unsealed(request.db),
        link_to=lambda entry: link_to(request, entry),
    )


def link_to(request: Request, entry: AuditEntry) -> str:
    """The page of what an entry is about; nothing where there is none."""
    route = _LINKS.get(entry.target_kind)
    if entry.target_kind == "catalogue":
        query = {"flavor": entry.target_id}
        flavor: str = request.route_path("admin.flavor", _query=query)
        return flavor
    if route == "admin.letter" and not allows(request.identity.role, Permission.QUEUE_VIEW):
        return ""
    if route is None or not _ID.get(entry.target_kind, _NUMBER).fullmatch(entry.target_id):
        return ""
    path: str = request.route_path(route, id=entry.target_id)
    return path


@view_config(
    route_name="admin.audit.entry", request_method="GET", permission=Permission.DASHBOARD_VIEW
)
def show(request: Request) -> Response:
    """GET /admin/audit/{id}: before, after and everything else of one entry."""
    entry = request.db.get(AuditEntry, int(request.matchdict["id"]))
    identity = request.identity
    mine = entry is not None and entry.user_id == identity.user_id
    if entry is None or not (mine or allows(identity.role, Permission.AUDIT_VIEW)):
        raise faults.ItemNotFound(f"No entry {request.matchdict['id']} that you may see.")
    operation = request.db.get(Operation, entry.operation_id) if entry.operation_id else None
    before, after, others = audit_lists.before_after(entry.details)
    others = {name: value for name, value in others.items() if name != "undoes"}
    return pages.show_signed_in(
        request,
        "audit_entry",
        entry=entry,
        before=before,
        after=after,
        others=others,
        operation=operation,
        target=link_to(request, entry),
        part_of=acts_on_many.find_of(request.db, entry.user_id, entry.request_id),
        undoes=entry.details.get("undoes"),
        undoable=undos.find_of(request.db, identity, entry_id=entry.id),
    )
