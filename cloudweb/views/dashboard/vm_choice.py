"""The VMs that were chosen in a list: those that were ticked, or all that match."""

from collections.abc import Sequence
from typing import NoReturn

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request

from cloudweb import faults
from cloudweb.domain import server_lists
from cloudweb.domain.server_lists import ServerRow
from cloudweb.models import Server
from cloudweb.views.dashboard import pages
from cloudweb.views.dashboard.acts import Item
from cloudweb.views.dashboard.lists import Asked
from cloudweb.views.dashboard.vm_lists import VMS

MOST = 200
_OWN = ("all", "verb", "id", "subject", "text")


def chosen_ids(request: Request) -> list[int]:
    """The ids that were ticked, or all that a list's filters leave. Raises BadRequest."""
    if request.params.get("all") == "yes":
        asked = Asked(request, VMS, own=_OWN)
        if asked.error:
            raise faults.BadRequest(asked.error)
        query = asked.query.with_only_columns(Server.id, maintain_column_froms=True)
        ids = list(request.db.scalars(query.order_by(Server.id).limit(MOST + 1)))
    else:
        texts = request.params.getall("id")[: MOST + 1]
        ids = sorted({int(t) for t in texts if t.isascii() and t.isdigit() and len(t) < 19})
    if len(ids) > MOST:
        raise faults.BadRequest(f"At most {MOST} VMs at a time. Narrow the list by filters.")
    return ids or nothing_ticked(request, "admin.vms")


def nothing_ticked(request: Request, route: str) -> NoReturn:
    """Back to the list, which says that nothing was chosen. Raises Refused, BadRequest."""
    if request.method != "GET" and request.matched_route.name != f"{route}.choose":
        raise faults.BadRequest("Nothing was chosen. Tick some in the list.")
    query = [(name, value) for name, value in request.GET.items() if name not in _OWN]
    where = request.route_path(route, _query=[*query, ("unticked", "yes")])
    raise pages.Refused(HTTPSeeOther(where))


def rows_of(request: Request, ids: Sequence[int]) -> Sequence[ServerRow]:
    """Those of these VMs that there are, by id; one statement."""
    query = server_lists.rows().where(Server.id.in_(ids)).order_by(Server.id)
    return [ServerRow(*row) for row in request.db.execute(query)]


def gone(ids: Sequence[int], rows: Sequence[ServerRow]) -> list[Item]:
    """Those that were chosen and are not there: they are skipped, and said to be."""
    there = {row.server.id for row in rows}
    return [Item(id_, f"VM {id_}", "There is no such VM.") for id_ in ids if id_ not in there]
