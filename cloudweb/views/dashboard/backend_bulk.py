"""Acting on many backends at once: what follows for all of them, and what became of each."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import drains, fleet, notices
from cloudweb.domain.drains import Change, Verdict
from cloudweb.domain.identity import Identity
from cloudweb.domain.notices import Notice
from cloudweb.models import Backend, SentForm, Server
from cloudweb.security import Permission
from cloudweb.views.dashboard import acts, bulk, draining, figures, noticing, states
from cloudweb.views.dashboard.acts import Item, Preview
from cloudweb.views.dashboard.vm_choice import nothing_ticked

_REFRESH = "Refresh {}"
ACTS = {"refresh": "Refresh", **{change.value: draining.verb(change) for change in Change}}
_FOLLOWS: Mapping[str, Sequence[str]] = {
    "refresh": ("The worker asks each cluster how it is, within seconds.",),
    "drain": (
        "No new servers go to these backends.",
        "What is there stays, and can be started, stopped and destroyed as before.",
    ),
    "undrain": (
        "New servers may go to them again: of those that are not public, of pinned users only.",
        "Nothing that runs is touched.",
    ),
    "restrict": (
        "Of new servers only those of users who are pinned to one of these go there.",
        "What is there stays, and networks on them are not touched.",
    ),
    "publish": (
        "New servers of everybody may go to them, unless they are drained or offline.",
        "Pins stay as they are.",
    ),
    "offline": (
        "The clusters are asked nothing until they are back: nothing starts or stops there.",
        "No new servers go to them. Their VMs run on as they are.",
        "Whoever starts, stops or changes one, or opens its console, is refused at once.",
    ),
    "online": (
        "The clusters are asked again, and do what waits for them.",
        "Their VMs can be acted on again.",
    ),
}


def _verb(request: Request) -> str:
    verb: str = request.params.get("verb", "")
    if verb not in ACTS:
        raise faults.BadRequest("Choose what to do: " + ", ".join(ACTS) + ".")
    return verb


def _change(verb: str) -> Change | None:
    return Change(verb) if verb in list(Change) else None


def _is_explained(verb: str) -> bool:
    change = _change(verb)
    return change is not None and change.closes


def _why_not(backend: Backend, verb: str) -> str:
    """Why one is skipped, in words; the domain refuses by its own rules."""
    if change := _change(verb):
        return draining.ALREADY[change] if change.holds(backend) else ""
    return "It is offline: nothing asks it." if backend.offline else ""


def _notice(request: Request, verb: str) -> Notice | None:
    change = _change(verb)
    return draining.notice(change, noticing.until(request)) if change else None


def _preview(request: Request) -> Preview:
    verb, ids = _verb(request), set(request.params.getall("id"))
    known = fleet.list_all(request.db)
    chosen = [backend for backend in known if str(backend.id) in ids]
    if not ids:
        nothing_ticked(request, "admin.backends")
    servers = fleet.count_servers(request.db)
    items = [
        Item(
            backend.id,
            backend.name,
            _why_not(backend, verb),
            drains.token(backend),
            request.route_path("admin.backend", id=backend.id),
            states.all_of(backend),
        )
        for backend in chosen
    ]
    there = {str(backend.id) for backend in chosen}
    items += [
        Item(int(text), f"Backend {text}", "There is no such backend.")
        for text in sorted(ids - there)
        if text.isascii() and text.isdigit() and len(text) < 19
    ]
    free = {item.id for item in items if not item.why_not}
    doable = [backend for backend in chosen if backend.id in free]
    change, many = _change(verb), figures.plural(len(doable), "backend")
    preview = Preview(
        title=(draining.TITLES[change] if change else _REFRESH).format(many),
        verb=ACTS[verb],
        section="backends",
        up=(("Backends", request.route_path("admin.backends")),),
        facts={
            "Chosen": str(len(items)),
            "VMs there": str(sum(sum(servers.get(b.id, {}).values()) for b in chosen)),
        },
        follows=_FOLLOWS[verb],
        items=items,
        obstacle="" if doable else "None of these can be.",
        harsh=verb == "offline",
        reason="required" if _is_explained(verb) else "optional" if change else "",
        kept={"verb": [verb], "id": [str(item.id) for item in items]},
        command=_command(verb, [backend.name for backend in doable]),
    )
    return _with_more(request, preview, verb, doable) if doable else preview


def _command(verb: str, names: Sequence[str]) -> str:
    if verb == "refresh":
        return f"cloudweb backend refresh {' '.join(names)} --later"
    why = " --reason …" if _is_explained(verb) else ""
    return "\n".join(f"cloudweb backend {verb} {name}{why}" for name in names)


def _with_more(
    request: Request,
    preview: Preview,
    verb: str,
    doable: Sequence[Backend],
) -> Preview:
    """What all of them together leave for new servers, and what their owners would be told."""
    more: dict[str, Any] = {"values": {}}
    if notice := _notice(request, verb):
        to = notices.owners(request.db, Server.backend_id.in_([b.id for b in doable]))
        more |= noticing.shown(request, notice, to, reason="required")
    if verb == "drain":
        more["fields"] = (draining.UNTIL, *more.get("fields", ()))
    if change := _change(verb):
        seen = drains.look(request.db, doable, change)
        more["part"] = "draining"
        more["values"] |= {"prospect": seen, "sentence": draining.sentence(seen)}
        more |= {"facts": {**preview.facts, **draining.facts(seen)}, "versions": seen.token}
        if change.closes and seen.verdict is Verdict.BLOCKED:
            many = figures.plural(len(doable), "backend")
            more |= {"danger": True, "phrase": f"{verb} {many}"}
    return dataclasses.replace(preview, **more)


@view_config(
    route_name="admin.backends.bulk",
    request_method=("GET", "POST"),
    permission=Permission.BACKEND_DRAIN,
)
def act(request: Request) -> Response:
    """GET, POST /admin/backends/bulk?verb=…&id=…: a preview for all, then each that can be."""

    def do(preview: Preview, reason: str, form: SentForm) -> str:
        verb = _verb(request)
        run = _runner(request, preview, verb, reason)
        items = [
            bulk.carry_out(request, item, run, of="backends", verb=verb) for item in preview.items
        ]
        done = [each["id"] for each in items if each["result"] == "asked"]
        if notice := _notice(request, verb):
            to = notices.owners(request.db, Server.backend_id.in_(done))
            noticing.send(request, notice, to, reason)
        return bulk.keep(request, form, preview.title, items)

    return acts.respond(request, lambda: _preview(request), do)


def _runner(request: Request, preview: Preview, verb: str, reason: str) -> bulk.Run:
    """What does it to one of them."""
    change = _change(verb)
    until = acts.time(request, "until") if verb == "drain" else None
    seen = {item.id: str(item.version) for item in preview.items}

    def run(session: Session, identity: Identity, backend_id: int) -> None:
        backend = fleet.get(session, backend_id)
        if change is None:
            fleet.ask_refresh(session, identity, backend)
            return
        if drains.token(backend) != seen[backend_id]:
            raise drains.Moved
        # What was seen of all of them together has just been compared.
        drains.apply(
            *(session, identity, backend_id, change),
            reason=reason,
            seen=drains.look(session, [backend], change).token,
            accept_loss=preview.danger,
            until=until,
        )

    return run
