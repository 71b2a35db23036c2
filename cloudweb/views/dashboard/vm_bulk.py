"""Acting on many VMs at once: what will be done to each, and what became of each."""

from collections.abc import Mapping, Sequence

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import fleet, locks, notices, operation_lists, servers, suspensions
from cloudweb.domain.identity import Identity
from cloudweb.domain.notices import NOTICES
from cloudweb.domain.server_lists import ServerRow
from cloudweb.models import Backend, OperState, SentForm, Server
from cloudweb.security import Permission, allows
from cloudweb.views.dashboard import acts, bulk, noticing, silence
from cloudweb.views.dashboard.acts import Item, Preview
from cloudweb.views.dashboard.figures import plural
from cloudweb.views.dashboard.states import look
from cloudweb.views.dashboard.states import verb as word_of
from cloudweb.views.dashboard.vm_choice import chosen_ids, gone, rows_of
from cloudweb.views.dashboard.vm_lists import ACTS, AT_ONCE


def _lock(session: Session, identity: Identity, server_id: int) -> None:
    locks.lock(session, identity, server_id)


def _unlock(session: Session, identity: Identity, server_id: int) -> None:
    locks.unlock(session, identity, server_id)


def _unsuspend(session: Session, identity: Identity, server_id: int) -> None:
    suspensions.unsuspend(session, identity, server_id)


_ACTS: Mapping[str, tuple[str, bulk.Run]] = {
    "start": ("They are started.", servers.start),
    "shutdown": (
        "Each system is asked to shut down; what does not answer in time is switched off.",
        servers.shutdown,
    ),
    "reboot": (
        "Each system restarts itself (a soft reboot).",
        lambda session, identity, id_: servers.reboot(session, identity, id_, kind="SOFT"),
    ),
    "suspend": (
        "They are shut down, and their owners can do nothing with them until they are unsuspended.",
        lambda session, identity, id_: suspensions.suspend(
            session, identity, id_, reason=identity.reason
        ),
    ),
    "unsuspend": ("Their owners can start and use them again.", _unsuspend),
    "lock": ("Nobody can shut down, reboot, suspend or destroy them by accident.", _lock),
    "unlock": ("They can be shut down and destroyed again.", _unlock),
    "destroy": (
        "Their disks are destroyed with all that is on them. Nobody can bring them back.",
        servers.delete,
    ),
}


_REASONS = {"destroy": "required", "suspend": "required", "start": "", "lock": ""}


def _verb(request: Request) -> str:
    verb: str = request.params.get("verb", "")
    if verb not in _ACTS:
        raise faults.BadRequest("Choose what to do: " + ", ".join(_ACTS) + ".")
    if not allows(request.identity.role, ACTS[verb][1]):
        raise faults.Forbidden("Your role may not do this.")
    return verb


def _preview(request: Request) -> Preview:
    verb = _verb(request)
    word, sentence = ACTS[verb][0], _ACTS[verb][0]
    ids = chosen_ids(request)
    rows = rows_of(request, ids)
    backends = {backend.id: backend for backend in fleet.list_all(request.db)}
    items = [*_items(request, rows, verb, backends), *gone(ids, rows)]
    on = {row.server.backend_id for row in rows}
    doable = [item for item in items if not item.why_not]
    many = f"{len(doable)} VM{'s' if len(doable) != 1 else ''}"
    owners = {row.owner for row in rows}
    to = noticing.owners(request, [item.id for item in doable])
    reason = _REASONS.get(verb, "optional")
    return Preview(
        **noticing.shown(request, NOTICES[verb], to, reason=reason) if verb in NOTICES else {},
        title=f"{word} {many}",
        verb=f"{word} {many}",
        section="vms",
        up=(("VMs", request.route_path("admin.vms")),),
        facts={
            "Chosen": str(len(ids)),
            "Owners": ", ".join(sorted(owners)) if len(owners) <= 5 else f"{len(owners)} people",
            "Backends": ", ".join(sorted({row.backend_name for row in rows})),
            **silence.fact(*(b for id_, b in backends.items() if id_ in on)),
        },
        follows=(sentence,),
        items=items,
        obstacle="" if doable else "None of these can be.",
        danger=verb == "destroy",
        reason=reason,
        phrase=f"destroy {plural(len(doable), 'vm')}" if verb == "destroy" else "",
        kept={"verb": [verb], "id": [str(id_) for id_ in ids]},
        command=_command(verb, [str(item.id) for item in doable]),
    )


def _command(verb: str, ids: Sequence[str]) -> str:
    word = "remove" if verb == "destroy" else verb
    why = " --reason …" if _REASONS.get(verb) == "required" else ""
    return f"cloudweb server {word} {' '.join(ids[:5])}{' …' if len(ids) > 5 else ''}{why}"


def _items(
    request: Request, rows: Sequence[ServerRow], verb: str, backends: Mapping[int, Backend]
) -> list[Item]:
    ids = [row.server.id for row in rows]
    offline = {backend.id for backend in backends.values() if backend.offline}
    going = operation_lists.list_removing(request.db, ids)
    return [
        Item(
            row.server.id,
            f"{row.server.name} ({row.server.id})",
            _why_not(
                row, verb, offline=row.server.backend_id in offline, going=row.server.id in going
            ),
            row.server.version,
            request.route_path("admin.vm", id=row.server.id),
            _now(row),
        )
        for row in rows
    ]


def _now(row: ServerRow) -> str:
    """How one is, and what is still to be done on it."""
    word = look(row.status).word + (", suspended" if row.server.suspended else "")
    return f"{word}, {word_of(row.open_operation).lower()}" if row.open_operation else word


_FLAGS: Mapping[str, tuple[str, bool, str]] = {
    "lock": ("locked", True, "It is locked already."),
    "unlock": ("locked", False, "It is not locked."),
    "unsuspend": ("suspended", False, "It is not suspended."),
}
"""What only sets something down: what, to what, and why not where it is so already."""


def _why_not(row: ServerRow, verb: str, *, offline: bool, going: bool) -> str:
    """Why one is skipped, in words; the domain refuses by its own rules."""
    if row.server.deleted:
        return "It has been deleted."
    if going:
        return "It is being destroyed."
    if verb in _FLAGS:
        flag, wanted, already = _FLAGS[verb]
        return already if getattr(row.server, flag) is wanted else ""
    if row.server.locked and verb != "start":
        return "It is locked. Unlock it first."
    if verb == "suspend":
        return _why_not_suspended(row.server)
    if offline:
        return "Its cluster is offline."
    return "" if verb == "destroy" else _why_not_run(row.server, verb)


def _why_not_suspended(server: Server) -> str:
    if server.suspended:
        return "It is suspended already."
    return "It is still being built." if server.state is OperState.BUILD else ""


def _why_not_run(server: Server, verb: str) -> str:
    """Why one cannot be started, shut down or rebooted."""
    state = server.state
    if state is OperState.BUILD:
        return "It is still being built."
    if state is OperState.ERROR:
        return "It was never built; it can only be destroyed."
    if verb != "start":
        return "" if state is OperState.STARTED else "It is not running."
    if server.suspended:
        return "It is suspended."
    return "It is running." if state is OperState.STARTED else ""


@view_config(
    route_name="admin.vms.bulk", request_method=("GET", "POST"), permission=Permission.SERVER_ACT
)
def act(request: Request) -> Response:
    """GET, POST /admin/vms/bulk?verb=…&id=…: a preview for each, then all that can be."""

    def do(preview: Preview, reason: str, form: SentForm) -> str:
        verb = _verb(request)
        run = _ACTS[verb][1]
        to = noticing.owners(request, [item.id for item in preview.doable])
        items = [bulk.carry_out(request, item, run, of="vms", verb=verb) for item in preview.items]
        refused = {each["name"] for each in items if each["result"] == "refused"}
        left = [notices.without(owner, refused) for owner in to]
        if verb in NOTICES:
            told = [owner for owner in left if owner.servers]
            noticing.send(request, NOTICES[verb], told, reason)
        return bulk.keep(request, form, preview.title, items)

    if request.params.get("verb") == "mail":
        ids = [("id", str(id_)) for id_ in chosen_ids(request)]
        return HTTPSeeOther(request.route_path("admin.vms.mail", _query=ids))
    return acts.respond(request, lambda: _preview(request), do)


@view_config(route_name="admin.vms.choose", request_method="POST", permission=Permission.SERVER_ACT)
def choose(request: Request) -> Response:
    """POST /admin/vms/choose: what hurts nobody is done at once, the rest is shown before."""
    ids, verb = chosen_ids(request), acts.text(request, "verb")
    if verb not in AT_ONCE:
        query = [("verb", verb), *(("id", str(id_)) for id_ in ids)]
        return HTTPSeeOther(request.route_path("admin.vms.bulk", _query=query))
    form, again = acts.claim(request)
    if not again:
        preview, run = _preview(request), _ACTS[_verb(request)][1]
        items = [bulk.carry_out(request, item, run, of="vms", verb=verb) for item in preview.items]
        page = bulk.keep(request, form, preview.title, items)
        form.location = acts.undoable(request, preview.title, page)
    return HTTPSeeOther(form.location)
