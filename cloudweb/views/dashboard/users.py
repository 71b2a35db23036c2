"""Users: who waits, who is here, and what is done about it."""

import dataclasses
from collections.abc import Sequence

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import (
    acceptances,
    address_lists,
    audit,
    forms,
    quota_use,
    quotas,
    user_acts,
    user_lists,
    web_sessions,
)
from cloudweb.domain.user_acts import Act
from cloudweb.domain.user_lists import UserRow
from cloudweb.models import Role, User, UserState
from cloudweb.security import Permission
from cloudweb.views.dashboard import figures, lists, pages
from cloudweb.views.dashboard.exports import page_and_files
from cloudweb.views.dashboard.lists import Column, Listing
from cloudweb.views.dashboard.states import look
from cloudweb.views.dashboard.user_acts import obstacle


def _with_use(request: Request, session: Session, rows: Sequence[UserRow]) -> Sequence[UserRow]:
    """The same with how near each is to their limits."""
    ids = [row.user.id for row in rows]
    found = quota_use.fullest(session, ids, request.conf.quotas)
    return [dataclasses.replace(row, use=found.get(row.user.id)) for row in rows]


def _use(row: UserRow) -> str:
    use = row.use
    return f"{figures.resource(use.resource)}: {use.used} of {use.limit}" if use else ""


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
        "factor": ("Second factor", {"yes": "set up", "no": "none"}),
        "owes": ("Terms", {"yes": "yet to accept", "no": "nothing owed"}),
    },
    enrich=_with_use,
    columns=(
        Column("email", "E-mail address", lambda row: row.user.email),
        Column("state", "State", lambda row: row.user.state.value),
        Column("name", "Name", lambda row: row.user.name, "name"),
        Column("role", "Role", lambda row: row.user.role.value),
        Column("factor", "Second factor", lambda row: row.user.totp_sealed is not None),
        Column("servers", "VMs", lambda row: row.servers, "n"),
        Column("use", "Nearest limit", _use, "name"),
        Column("terms", "Terms", lambda row: row.user.terms_number or None),
        Column("accepted", "Accepted", lambda row: row.accepted),
        Column("owes", "Yet to accept", lambda row: row.owes),
        Column("seen", "Last seen", lambda row: row.user.last_seen),
        Column("created", "Since", lambda row: row.user.created),
    ),
    shown=("state", "name", "role", "servers", "use", "terms", "seen", "created"),
    nothing="There are no users.",
)


@page_and_files("admin.users")
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
    allowances = quotas.show(request.db, user, request.conf.quotas)
    has = {each.resource.value: each.used for each in allowances}
    return pages.show_signed_in(
        request,
        "user",
        user=user,
        obstacles={act.value: obstacle(user, act, own_id) for act in Act},
        key=forms.new_key(),
        allowances=allowances,
        has=has | {"addresses": address_lists.count_of(request.db, user.id)},
        sessions=web_sessions.list_own(request.db, user.id),
        tokens=user_acts.list_tokens(request.db, user.id),
        accepted=acceptances.list_own(request.db, user.id),
        owes=acceptances.owes(request.db, user),
        entries=audit.list_for(request.db, "user", user.id),
        done=request.GET.get("done", ""),
    )
