"""One VM: what it is, and acting on it."""

import dataclasses
from collections.abc import Sequence

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import (
    audit,
    fleet,
    forms,
    locks,
    operation_lists,
    server_cards,
    server_lists,
    server_views,
    servers,
    sides,
    states,
    suspensions,
)
from cloudweb.domain.notices import NOTICES
from cloudweb.domain.operation_lists import OperationRow
from cloudweb.domain.server_lists import ServerRow
from cloudweb.models import OPEN_STATES, Backend, OperState, SentForm
from cloudweb.security import Permission
from cloudweb.views.dashboard import acts, noticing, pages, silence
from cloudweb.views.dashboard.acts import Field, Kind, Preview
from cloudweb.views.dashboard.histories import VM_TABS
from cloudweb.views.dashboard.states import look
from cloudweb.views.dashboard.states import verb as word_of

_RECENT = 20
_FEW = 5


@view_config(route_name="admin.vm", request_method="GET", permission=Permission.DASHBOARD_VIEW)
def show(request: Request) -> Response:
    """GET /admin/vms/{id}."""
    return _show(request)


def _show(request: Request, *, status: int = 200, error: str = "") -> Response:
    row = server_lists.get_row(request.db, _id(request))
    recent = operation_lists.list_recent(request.db, server_id=row.server.id, limit=_RECENT)
    [view] = server_views.load(request.db, [row.server.id])
    cards = server_cards.list_cards(request.db, [row.server.id])[row.server.id]
    backend = fleet.get(request.db, row.server.backend_id)
    return pages.show_live(
        request,
        "vm",
        status=status,
        busy=_has_open(recent) or row.server.state is OperState.BUILD,
        row=row,
        server=row.server,
        backend=backend,
        tabs=VM_TABS,
        shown=_FEW,
        view=view,
        cards=cards,
        recent=recent,
        obstacles=_obstacles(row, recent, backend),
        sides=sides.of(request.db, row.server, row.flavor, len(cards)),
        history=audit.list_for(request.db, "server", row.server.id, limit=_FEW),
        error=error,
        # It stays while the VM does: what refreshes itself is the same until something moves.
        key=forms.token(
            request.identity.user_id, row.server.id, row.server.version, _newest(recent)
        ),
        asked=_asked(recent, request.GET.get("done", "")),
    )


def _newest(recent: Sequence[OperationRow]) -> int:
    return recent[0].operation.id if recent else 0


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
    all_but_destroy, reboot, start, shutdown, destroy, suspend = "", "", "", "", "", ""
    if backend.offline:
        all_but_destroy = destroy = "Its cluster is offline."
    elif _has_open(recent, states.REMOVE):
        all_but_destroy = destroy = "It is being destroyed."
    elif state is OperState.BUILD:
        all_but_destroy = suspend = "It is still being built."
    elif state is OperState.ERROR:
        all_but_destroy = "It was never built; it can only be destroyed."
    elif state is OperState.STARTED:
        start = "It is running."
    else:
        reboot = shutdown = "It is not running."
    if row.server.suspended:
        start, suspend = start or "It is suspended.", "It is suspended already."
    if row.server.locked:
        locked = "It is locked. Unlock it first."
        shutdown, reboot = shutdown or locked, reboot or locked
        suspend, destroy = suspend or locked, destroy or locked
    return {
        "unlock": "" if row.server.locked else "It is not locked.",
        "suspend": suspend,
        "unsuspend": "" if row.server.suspended else "It is not suspended.",
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
    "migrate": states.MIGRATE,
    "failover": states.FAILOVER,
}


@view_config(route_name="admin.vm.start", request_method="POST", permission=Permission.SERVER_ACT)
def start(request: Request) -> Response:
    """POST /admin/vms/{id}/start: at once; a second click changes nothing."""

    def do() -> str:
        recent = operation_lists.list_recent(request.db, server_id=_id(request), limit=_RECENT)
        if not _has_open(recent, states.STARTUP):
            servers.start(request.db, request.identity, _id(request))
        return _done(request, "start")

    try:
        name = server_lists.get_row(request.db, _id(request)).server.name
        return acts.at_once(request, do, title=f"Start {name}")
    except (faults.BuildInProgress, faults.Conflict) as fault:
        request.db.rollback()
        refused = _show(request, status=fault.code, error=fault.message)
        raise pages.Refused(refused) from None


def _done(request: Request, verb: str) -> str:
    path: str = request.route_path("admin.vm", id=_id(request), _query={"done": verb})
    return path


def _preview(request: Request, verb: str, *fields: Field) -> Preview:
    """What shutting down, rebooting, suspending and destroying have in common."""
    row = server_lists.get_row(request.db, _id(request))
    server = row.server
    recent = operation_lists.list_recent(request.db, server_id=server.id, limit=_RECENT)
    backend = fleet.get(request.db, server.backend_id)
    open_ones = [r.operation for r in recent if r.operation.state in OPEN_STATES]
    words = ", ".join(word_of(operation.opcode) for operation in open_ones)
    noticed = {}
    if notice := NOTICES.get(_verb(request)):
        reason = "required" if _verb(request) in ("suspend", "destroy") else "optional"
        to = noticing.owners(request, [server.id])
        noticed = noticing.shown(request, notice, to, reason=reason)
    return Preview(
        fields=(*fields, *noticed.pop("fields", ())),
        reason="optional",
        **noticed,
        title=f"{verb} {server.name}",
        verb=verb,
        section="vms",
        up=(
            ("VMs", request.route_path("admin.vms")),
            (server.name, request.route_path("admin.vm", id=server.id)),
        ),
        facts={
            "VM": f"{server.name} (id {server.id}, {server.instance_name or 'not named yet'})",
            "State": look(row.status).word + (", suspended" if server.suspended else ""),
            "Owner": row.owner,
            "Backend": row.backend_name,
            **silence.fact(backend),
        }
        | ({"Still to be done": f"{words}; this comes after"} if words else {}),
        obstacle="It has been deleted."
        if server.deleted
        else _obstacles(row, recent, backend)[_verb(request)],
        versions=(server.version, _newest(recent)),
        command=f"cloudweb server {_verb(request)} {server.id}",
    )


def _verb(request: Request) -> str:
    name: str = request.matched_route.name
    return name.rpartition(".")[2]


@view_config(
    route_name="admin.vm.shutdown",
    request_method=("GET", "POST"),
    permission=Permission.SERVER_ACT,
)
def shutdown(request: Request) -> Response:
    """GET, POST /admin/vms/{id}/shutdown."""

    def make() -> Preview:
        return dataclasses.replace(
            _preview(request, "Shut down"),
            follows=(
                "Its system is asked to shut down; what does not answer in time is switched off.",
                "Its disk and addresses stay.",
            ),
        )

    def do(_preview: Preview, reason: str, _form: SentForm) -> str:
        servers.shutdown(request.db, request.identity, _id(request))
        _tell(request, reason)
        return _done(request, "shutdown")

    return acts.respond(request, make, do)


def _tell(request: Request, reason: str) -> None:
    to = noticing.owners(request, [_id(request)])
    noticing.send(request, NOTICES[_verb(request)], to, reason)


@view_config(
    route_name="admin.vm.suspend", request_method=("GET", "POST"), permission=Permission.SERVER_ACT
)
def suspend(request: Request) -> Response:
    """GET, POST /admin/vms/{id}/suspend."""

    def make() -> Preview:
        return dataclasses.replace(
            _preview(request, "Suspend"),
            follows=SUSPENDING,
            reason="required",
        )

    def do(_preview: Preview, reason: str, _form: SentForm) -> str:
        suspensions.suspend(request.db, request.identity, _id(request), reason=reason)
        _tell(request, reason)
        return _done(request, "suspend")

    return acts.respond(request, make, do)


@view_config(
    route_name="admin.vm.unsuspend", request_method="POST", permission=Permission.SERVER_ACT
)
def unsuspend(request: Request) -> Response:
    """POST /admin/vms/{id}/unsuspend: at once."""

    def do() -> str:
        suspensions.unsuspend(request.db, request.identity, _id(request))
        return _done(request, "unsuspend")

    name = server_lists.get_row(request.db, _id(request)).server.name
    return acts.at_once(request, do, title=f"Unsuspend {name}")


@view_config(route_name="admin.vm.lock", request_method="POST", permission=Permission.SERVER_ACT)
def lock(request: Request) -> Response:
    """POST /admin/vms/{id}/lock: at once."""

    def do() -> str:
        locks.lock(request.db, request.identity, _id(request))
        return _done(request, "lock")

    name = server_lists.get_row(request.db, _id(request)).server.name
    return acts.at_once(request, do, title=f"Lock {name}")


@view_config(
    route_name="admin.vm.unlock", request_method=("GET", "POST"), permission=Permission.SERVER_ACT
)
def unlock(request: Request) -> Response:
    """GET, POST /admin/vms/{id}/unlock."""

    def make() -> Preview:
        return dataclasses.replace(
            _preview(request, "Unlock"),
            follows=("It can be shut down, rebooted, suspended and destroyed again.",),
        )

    def do(_preview: Preview, _reason: str, _form: SentForm) -> str:
        locks.unlock(request.db, request.identity, _id(request))
        return _done(request, "unlock")

    return acts.respond(request, make, do)


SUSPENDING = (
    "Its owner can look at it, and do nothing with it until it is unsuspended.",
    "If it runs it is shut down; where its cluster is offline it runs on.",
    "Its disk and addresses stay.",
    "Operators can still shut it down, move and destroy it.",
)
_KINDS = (
    ("SOFT", "Soft: the system restarts itself", ""),
    ("HARD", "Hard: switched off and on again; what was not written is lost", ""),
)


@view_config(
    route_name="admin.vm.reboot", request_method=("GET", "POST"), permission=Permission.SERVER_ACT
)
def reboot(request: Request) -> Response:
    """GET, POST /admin/vms/{id}/reboot: soft or hard."""

    def make() -> Preview:
        how = Field("kind", "How", Kind.CHOICE, value="SOFT", options=_KINDS, required=True)
        return _preview(request, "Reboot", how)

    def do(_preview: Preview, reason: str, _form: SentForm) -> str:
        kind = acts.text(request, "kind")
        servers.reboot(request.db, request.identity, _id(request), kind=kind)
        _tell(request, reason)
        return _done(request, "reboot")

    return acts.respond(request, make, do)


@view_config(
    route_name="admin.vm.destroy",
    request_method=("GET", "POST"),
    permission=Permission.SERVER_DESTROY,
)
def destroy(request: Request) -> Response:
    """GET, POST /admin/vms/{id}/destroy."""

    def make() -> Preview:
        return dataclasses.replace(
            _preview(request, "Destroy"),
            follows=("Its disk is destroyed with all that is on it. Nobody can bring it back.",),
            danger=True,
            reason="required",
            phrase=f"destroy {_id(request)}",
        )

    def do(_preview: Preview, reason: str, _form: SentForm) -> str:
        _tell(request, reason)
        servers.delete(request.db, request.identity, _id(request))
        return _done(request, "destroy")

    return acts.respond(request, make, do)
