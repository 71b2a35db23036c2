"""Doing something to many things at once: each as far as it can be, and what became of each."""

import dataclasses
from collections.abc import Callable
from typing import Any

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import forms, operation_lists
from cloudweb.domain.identity import Identity
from cloudweb.models import OPEN_STATES, Operation
from cloudweb.security import Permission
from cloudweb.views.dashboard import pages
from cloudweb.views.dashboard.acts import Item

Run = Callable[[Session, Identity, int], Operation | None]


@dataclasses.dataclass(frozen=True, slots=True)
class Noun:
    """What there can be many of, and the routes of its list, its page and its bulk acts."""

    one: str
    many: str
    section: str
    page: str
    again: Permission

    @property
    def list(self) -> str:
        """The route of the list; that of acts on many begins like it."""
        return f"admin.{self.section}"


_NOUNS = {
    "vms": Noun("VM", "VMs", "vms", "admin.vm", Permission.SERVER_ACT),
    "backends": Noun("Backend", "Backends", "backends", "admin.backend", Permission.BACKEND_DRAIN),
}


def carry_out(request: Request, item: Item, run: Run, *, of: str, verb: str) -> dict[str, Any]:
    """What became of one: its operation, or why nothing was asked."""
    told: dict[str, Any] = {"id": item.id, "name": item.name, "why": item.why_not}
    told |= {"of": of, "verb": verb}
    if item.why_not:
        return told | {"result": "skipped"}
    try:
        with request.db.begin_nested():
            operation = run(request.db, request.identity, item.id)
            request.db.flush()
    except faults.Fault as fault:
        return told | {"result": "refused", "why": fault.message}
    return told | {"result": "asked", "operation": operation.id if operation else None}


@view_config(route_name="admin.form", request_method="GET", permission=Permission.DASHBOARD_VIEW)
def show(request: Request) -> Response:
    """GET /admin/forms/{key}: what became of each."""
    form = forms.get(request.db, request.identity, request.matchdict["key"])
    ids = [item["operation"] for item in form.items if item.get("operation")]
    found = {each.id: each for each in operation_lists.list_by_ids(request.db, ids)}
    failed = [
        item["id"]
        for item in form.items
        if item["result"] == "refused"
        or (item.get("operation") in found and found[item["operation"]].error)
    ]
    return pages.show_live(
        request,
        "form",
        busy=any(each.state in OPEN_STATES for each in found.values()),
        form=form,
        noun=_NOUNS[form.items[0].get("of", "vms") if form.items else "vms"],
        operations=found,
        failed=failed,
    )
