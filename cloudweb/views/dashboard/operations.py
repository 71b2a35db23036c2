"""Operations: what clusters were asked to do, and what became of it."""

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb.domain import accounts, attention, operations
from cloudweb.models import OPEN_STATES, OperationState
from cloudweb.security import Permission
from cloudweb.views.dashboard import pages
from cloudweb.views.dashboard.queries import PER_PAGE, Query
from cloudweb.views.dashboard.states import look


@view_config(
    route_name="admin.operations", request_method="GET", permission=Permission.DASHBOARD_VIEW
)
def index(request: Request) -> Response:
    """GET /admin/operations: newest first."""
    query = Query(request, ("state",))
    states = {state.value: state for state in OperationState}
    state = states.get(query.text("state"))
    if state is None:
        query.drop("state")
    limit = query.per_page
    found = operations.list_recent(
        request.db, state=state, before_id=query.number("after"), limit=limit + 1
    )
    rows = found[:limit]
    return pages.show_live(
        request,
        "operations",
        busy=any(row.operation.state in OPEN_STATES for row in rows),
        rows=rows,
        total=attention.count_operations(request.db, state),
        more=query.url(after=rows[-1].operation.id) if len(found) > limit else None,
        first=query.url(after=None) if query.number("after") else None,
        chips=query.chips({"state": f"State: {look(state).word}"} if state else {}),
        query=query,
        states=list(OperationState),
        sizes=PER_PAGE,
    )


@view_config(
    route_name="admin.operation", request_method="GET", permission=Permission.DASHBOARD_VIEW
)
def show(request: Request) -> Response:
    """GET /admin/operations/{id}."""
    row = operations.find_row(request.db, int(request.matchdict["id"]))
    return pages.show_live(
        request,
        "operation",
        busy=row.operation.state in OPEN_STATES,
        row=row,
        operation=row.operation,
        by=accounts.email_of(request.db, row.operation.user_id),
    )
