"""Users: who waits, who is here, and what is done about it."""

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import acceptances, audit, forms, quotas, user_acts, user_lists, web_sessions
from cloudweb.domain.user_acts import Act
from cloudweb.domain.user_lists import UserRow
from cloudweb.models import Role, User, UserState
from cloudweb.security import Permission
from cloudweb.views.dashboard import lists, pages
from cloudweb.views.dashboard.lists import Column, Listing
from cloudweb.views.dashboard.states import look
from cloudweb.views.dashboard.user_acts import obstacle

USERS = Listing(
    name="users",
    title="Users",
    one="user",
    many="users",
    fields=user_lists.FIELDS,
    rows=user_lists.rows,
    row=UserRow,
    key=lambda row: row.user.id,
    search=(User.email, User.name),
    hint="e-mail address, name or id",
    choices={
        "state": ("State", {state.value: look(state).word for state in UserState}),
        "role": ("Role", {role.value: role.value for role in Role}),
    },
    columns=(
        Column("email", "E-mail address", lambda row: row.user.email),
        Column("state", "State", lambda row: row.user.state.value),
        Column("name", "Name", lambda row: row.user.name, "name"),
        Column("role", "Role", lambda row: row.user.role.value),
        Column("servers", "VMs", lambda row: row.servers, "n"),
        Column("terms", "Terms", lambda row: row.user.terms_number or None, "n"),
        Column("seen", "Last seen", lambda row: row.user.last_seen),
        Column("created", "Since", lambda row: row.user.created),
    ),
    nothing="There are no users.",
)


@view_config(route_name="admin.users", request_method="GET", permission=Permission.DASHBOARD_VIEW)
@view_config(
    route_name="admin.users.export", request_method="GET", permission=Permission.DASHBOARD_VIEW
)
def index(request: Request) -> Response:
    """GET /admin/users, .csv, .json: in the order they came."""
    return lists.respond(request, USERS)


@view_config(route_name="admin.user", request_method="GET", permission=Permission.DASHBOARD_VIEW)
def show(request: Request) -> Response:
    """GET /admin/users/{id}."""
    return _show(request)


def _show(request: Request) -> Response:
    user = request.db.get(User, int(request.matchdict["id"]))
    if user is None:
        raise faults.ItemNotFound(f"No user {request.matchdict['id']}.")
    own_id = request.identity.user_id
    return pages.show_signed_in(
        request,
        "user",
        user=user,
        possible={act.value for act in Act if not obstacle(user, act, own_id)},
        key=forms.new_key(),
        allowances=quotas.show(request.db, user, request.conf.quotas),
        sessions=web_sessions.list_own(request.db, user.id),
        tokens=user_acts.list_tokens(request.db, user.id),
        accepted=acceptances.list_own(request.db, user.id),
        owes=acceptances.owes(request.db, user),
        entries=audit.list_for(request.db, "user", user.id),
        done=request.GET.get("done", ""),
    )
