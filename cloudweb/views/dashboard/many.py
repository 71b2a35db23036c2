"""Acts on many things at once: all there were, and what became of each thing in one."""

import dataclasses

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb.domain import acts_on_many, attention, undos
from cloudweb.domain.acts_on_many import ActRow
from cloudweb.models import SentForm, User
from cloudweb.security import Permission, allows
from cloudweb.views.dashboard import acts, lists, pages
from cloudweb.views.dashboard.exports import page_and_files
from cloudweb.views.dashboard.lists import Column, Listing
from cloudweb.views.dashboard.vm_lists import ACTS


@dataclasses.dataclass(frozen=True, slots=True)
class Noun:
    """What an act was about, the routes of one's page and of acts on many, and what does it again.

    ``again`` is what it takes to do it again from here; None where that is not done so.
    """

    one: str
    page: str
    bulk: str
    verb: str
    again: Permission | None


def _noun(act: SentForm) -> Noun:
    first = act.items[0] if act.items else {}
    verb: str = first.get("verb", "")
    if first.get("of") == "backends":
        again = Permission.BACKEND_DRAIN
        return Noun("Backend", "admin.backend", "admin.backends.bulk", verb, again)
    known = ACTS.get(verb)
    return Noun("VM", "admin.vm", "admin.vms.bulk", verb, known[1] if known else None)


MANY = Listing(
    name="acts",
    title="Acts on many",
    one="act",
    many="acts",
    section="operations",
    fields=acts_on_many.FIELDS,
    rows=acts_on_many.rows,
    row=ActRow,
    key=lambda row: row.form.key,
    search=(SentForm.title, SentForm.reason, User.email),
    hint="what, who or why",
    sort="-at,key",
    grows="at",
    columns=(
        Column("what", "What", lambda row: row.form.title, "name"),
        Column("at", "When", lambda row: row.form.created),
        Column("by", "Who", lambda row: row.by, "name"),
        Column("reason", "Why", lambda row: row.form.reason, "prose"),
        Column("of", "Of", lambda row: len(row.form.items), "n"),
        Column("skipped", "Skipped", lambda row: row.count("skipped"), "n"),
        Column("refused", "Refused", lambda row: row.count("refused"), "n"),
        Column("request", "Request", lambda row: row.form.request_id),
    ),
    shown=("at", "by", "reason", "of", "skipped", "refused"),
    nothing="Nobody has done anything to many at once yet. Tick some VMs in their list.",
)


@page_and_files("admin.acts")
def index(request: Request) -> Response:
    """GET /admin/acts, .csv, .json: newest first."""
    return lists.respond(request, MANY)


@view_config(route_name="admin.act", request_method="GET", permission=Permission.DASHBOARD_VIEW)
def show(request: Request) -> Response:
    """GET /admin/acts/{key}: who did it and why, and what became of each."""
    row = acts_on_many.get(request.db, request.matchdict["key"])
    outcomes = acts_on_many.outcomes(request.db, row.form)
    noun = _noun(row.form)
    undo = undos.find_of(request.db, request.identity, location=request.path)
    return pages.show_live(
        request,
        "became",
        busy=any(each.open for each in outcomes),
        row=row,
        act=row.form,
        outcomes=outcomes,
        noun=noun,
        flags=attention.flags,
        again=noun.verb
        if noun.again is not None and allows(request.identity.role, noun.again)
        else "",
        failed=[each.item["id"] for each in outcomes if each.failed],
        undoable=undo if undo is not None and acts.may_undo(request, undo) else None,
    )
