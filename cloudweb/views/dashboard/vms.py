"""VMs: finding servers, whoever owns them, and acting on one."""

import hashlib
from collections.abc import Sequence

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import audit, fleet, operations, servers, states
from cloudweb.domain.operations import OperationRow
from cloudweb.domain.servers import Filter, ServerRow
from cloudweb.models import OPEN_STATES, Backend, OperState
from cloudweb.security import Permission
from cloudweb.views.dashboard import pages
from cloudweb.views.dashboard.queries import PER_PAGE, Query

_STATE_WORDS = {
    OperState.STARTED: "Active",
    OperState.STOPPED: "Stopped",
    OperState.BUILD: "Building",
    OperState.ERROR: "Error",
}
_RECENT = 20


@view_config(route_name="admin.vms", request_method="GET", permission=Permission.DASHBOARD_VIEW)
def index(request: Request) -> Response:
    """GET /admin/vms: by id, as filtered."""
    backends = fleet.list_all(request.db)
    query = Query(request, ("q", "state", "backend", "owner", "deleted"))
    wanted, words = _read_filter(query, backends)
    limit = query.per_page
    found = servers.list_rows(
        request.db, wanted, after_id=query.number("after") or 0, limit=limit + 1
    )
    rows = found[:limit]
    return pages.show_live(
        request,
        "vms",
        busy=any(row.open_operation or row.server.state is OperState.BUILD for row in rows),
        rows=rows,
        total=servers.count_rows(request.db, wanted),
        more=query.url(after=rows[-1].server.id) if len(found) > limit else None,
        first=query.url(after=None) if query.number("after") else None,
        chips=query.chips(words),
        query=query,
        backends=backends,
        states=_STATE_WORDS,
        sizes=PER_PAGE,
    )


def _read_filter(query: Query, backends: Sequence[Backend]) -> tuple[Filter, dict[str, str]]:
    known: dict[int, Backend] = {backend.id: backend for backend in backends}
    words: dict[str, str] = {}
    state = {state.value: state for state in _STATE_WORDS}.get(query.text("state"))
    backend = known.get(query.number("backend") or 0)
    if text := query.text("q"):
        words["q"] = f"Contains: {text}"
    if state is not None:
        words["state"] = f"State: {_STATE_WORDS[state]}"
    if backend is not None:
        words["backend"] = f"Backend: {backend.name}"
    if owner := query.text("owner"):
        words["owner"] = f"Owner: {owner}"
    if deleted := bool(query.text("deleted")):
        words["deleted"] = "Deleted ones"
    wanted = Filter(text, state, backend.id if backend else None, owner, deleted)
    return wanted, words


@view_config(route_name="admin.vm", request_method="GET", permission=Permission.DASHBOARD_VIEW)
def show(request: Request) -> Response:
    """GET /admin/vms/{id}."""
    return _show(request)


def _show(request: Request, *, status: int = 200, error: str = "") -> Response:
    row = servers.get_row(request.db, _id(request))
    recent = operations.list_recent(request.db, server_id=row.server.id, limit=_RECENT)
    [view] = servers.load(request.db, [row.server.id])
    backend = fleet.get(request.db, row.server.backend_id)
    return pages.show_live(
        request,
        "vm",
        status=status,
        busy=_has_open(recent) or row.server.state is OperState.BUILD,
        row=row,
        server=row.server,
        view=view,
        recent=recent,
        obstacles=_obstacles(row, recent, backend),
        history=audit.list_for(request.db, "server", row.server.id),
        error=error,
        asked=_asked(recent, request.GET.get("done", "")),
    )


def _asked(recent: Sequence[OperationRow], verb: str) -> OperationRow | None:
    """What was just asked for, while it is still to be done."""
    wanted = (row for row in recent if row.operation.opcode == _OPCODES.get(verb))
    newest = next(wanted, None)
    return newest if newest is not None and newest.operation.state in OPEN_STATES else None


def _id(request: Request) -> int:
    return int(request.matchdict["id"])


def _has_open(recent: Sequence[OperationRow], opcode: str | None = None) -> bool:
    return any(
        row.operation.state in OPEN_STATES and opcode in (None, row.operation.opcode)
        for row in recent
    )


def _obstacles(row: ServerRow, recent: Sequence[OperationRow], backend: Backend) -> dict[str, str]:
    """Why an action cannot be asked for now, in words; the domain refuses by its own rules."""
    state = row.server.state
    all_but_destroy, reboot, start, shutdown, destroy = "", "", "", "", ""
    if backend.offline:
        all_but_destroy = destroy = "Its cluster is offline."
    elif _has_open(recent, states.REMOVE):
        all_but_destroy = destroy = "It is being destroyed."
    elif state is OperState.BUILD:
        all_but_destroy = "It is still being built."
    elif state is OperState.ERROR:
        all_but_destroy = "It was never built; it can only be destroyed."
    elif state is OperState.STARTED:
        start = "It is running."
    else:
        reboot = shutdown = "It is not running."
    return {
        "start": all_but_destroy or start,
        "shutdown": all_but_destroy or shutdown,
        "reboot": all_but_destroy or reboot,
        "destroy": destroy,
    }


# --- acting -------------------------------------------------------------------------------------

_OPCODES = {
    "start": states.STARTUP,
    "shutdown": states.SHUTDOWN,
    "reboot": states.REBOOT,
    "destroy": states.REMOVE,
}


@view_config(route_name="admin.vm.start", request_method="POST", permission=Permission.SERVER_ACT)
def start(request: Request) -> Response:
    """POST /admin/vms/{id}/start: at once; a second click changes nothing."""
    recent = operations.list_recent(request.db, server_id=_id(request), limit=_RECENT)
    if not _has_open(recent, states.STARTUP):
        try:
            servers.start(request.db, request.identity, _id(request))
        except (faults.BadRequest, faults.BuildInProgress, faults.Conflict) as fault:
            refused = _show(request, status=fault.code, error=fault.message)
            raise pages.Refused(refused) from None
    return _done(request, "start")


def _done(request: Request, verb: str) -> Response:
    path = request.route_path("admin.vm", id=_id(request), _query={"done": verb})
    return HTTPSeeOther(path)


@view_config(route_name="admin.vm.shutdown", request_method="GET", permission=Permission.SERVER_ACT)
@view_config(route_name="admin.vm.reboot", request_method="GET", permission=Permission.SERVER_ACT)
@view_config(
    route_name="admin.vm.destroy", request_method="GET", permission=Permission.SERVER_DESTROY
)
def confirm(request: Request) -> Response:
    """GET /admin/vms/{id}/shutdown, reboot, destroy: what would happen."""
    return _confirm(request)


def _verb(request: Request) -> str:
    name: str = request.matched_route.name
    return name.rpartition(".")[2]


def _confirm(
    request: Request,
    *,
    status: int = 200,
    moved: bool = False,
    errors: dict[str, str] | None = None,
) -> Response:
    row = servers.get_row(request.db, _id(request))
    recent = operations.list_recent(request.db, server_id=row.server.id, limit=_RECENT)
    backend = fleet.get(request.db, row.server.backend_id)
    return pages.show_signed_in(
        request,
        "confirm",
        status=status,
        verb=_verb(request),
        row=row,
        server=row.server,
        obstacle=_obstacles(row, recent, backend)[_verb(request)],
        open=[r.operation for r in recent if r.operation.state in OPEN_STATES],
        seen=_seen(row, recent),
        moved=moved,
        errors=errors or {},
        kind=request.POST.get("kind", "SOFT"),
    )


def _seen(row: ServerRow, recent: Sequence[OperationRow]) -> str:
    """What a confirm page was made of: it moves with the server and with what was asked of it."""
    newest = recent[0].operation.id if recent else 0
    text = f"{row.server.id}:{row.server.version}:{newest}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@view_config(
    route_name="admin.vm.shutdown", request_method="POST", permission=Permission.SERVER_ACT
)
def shutdown(request: Request) -> Response:
    """POST /admin/vms/{id}/shutdown."""
    return _act(request)


@view_config(route_name="admin.vm.reboot", request_method="POST", permission=Permission.SERVER_ACT)
def reboot(request: Request) -> Response:
    """POST /admin/vms/{id}/reboot."""
    return _act(request)


@view_config(
    route_name="admin.vm.destroy", request_method="POST", permission=Permission.SERVER_DESTROY
)
def destroy(request: Request) -> Response:
    """POST /admin/vms/{id}/destroy."""
    return _act(request)


def _act(request: Request) -> Response:
    verb, server_id = _verb(request), _id(request)
    row = servers.get_row(request.db, server_id)
    recent = operations.list_recent(request.db, server_id=server_id, limit=_RECENT)
    if request.POST.get("seen") != _seen(row, recent):
        if _is_repeat(request, recent, _OPCODES[verb]):
            return _done(request, verb)
        raise pages.Refused(_confirm(request, status=409, moved=True))
    try:
        _ask(request, verb, server_id)
    except (faults.BadRequest, faults.BuildInProgress, faults.Conflict) as fault:
        errors = dict(fault.fields) or {"": fault.message}
        refused = _confirm(request, status=fault.code, errors=errors)
        raise pages.Refused(refused) from None
    return _done(request, verb)


def _is_repeat(request: Request, recent: Sequence[OperationRow], opcode: str) -> bool:
    """Whether the newest thing asked is just what this person asks again."""
    newest = recent[0].operation if recent else None
    return (
        newest is not None
        and newest.state in OPEN_STATES
        and newest.opcode == opcode
        and newest.user_id == request.identity.user_id
    )


def _ask(request: Request, verb: str, server_id: int) -> None:
    actor = (request.db, request.identity, server_id)
    if verb == "shutdown":
        servers.shutdown(*actor)
    elif verb == "reboot":
        kind = request.POST.get("kind")
        if kind not in ("SOFT", "HARD"):
            raise faults.BadRequest("Choose how.", details={"kind": "Choose soft or hard."})
        servers.reboot(*actor, kind=kind)
    else:
        phrase = f"destroy {server_id}"
        if request.POST.get("phrase", "").strip() != phrase:
            raise faults.BadRequest("The phrase is missing.", details={"phrase": f"Type: {phrase}"})
        servers.delete(*actor)
