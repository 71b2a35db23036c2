"""Doing something to many things at once: each as far as it can be, and what became of each."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pyramid.request import Request
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import acts_on_many
from cloudweb.domain.identity import Identity
from cloudweb.models import Operation, SentForm
from cloudweb.views.dashboard.acts import Item

Run = Callable[[Session, Identity, int], Operation | None]


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


def keep(request: Request, form: SentForm, title: str, items: Iterable[Mapping[str, Any]]) -> str:
    """Keep what became of each; the page that says so, for everybody."""
    acts_on_many.keep(form, request.identity, title, items)
    path: str = request.route_path("admin.act", key=form.key)
    return path
