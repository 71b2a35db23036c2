"""The VMs that were chosen in a list: those that were ticked, or all that match."""

from collections.abc import Sequence

from pyramid.request import Request

from cloudweb import faults
from cloudweb.domain import server_lists
from cloudweb.domain.server_lists import ServerRow
from cloudweb.models import Server
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
    if not ids:
        raise faults.BadRequest("No VM was chosen. Tick some in the list.")
    return ids


def chosen(request: Request) -> Sequence[ServerRow]:
    """The same as rows, by id; two statements at most."""
    query = server_lists.rows().where(Server.id.in_(chosen_ids(request))).order_by(Server.id)
    return [ServerRow(*row) for row in request.db.execute(query)]
