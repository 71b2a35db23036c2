"""Changing what goes to a backend: draining it, whether it is public, taking it offline."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb.domain import accounts, attention, drains, flavors, fleet, notices, operation_lists
from cloudweb.domain.drains import Change
from cloudweb.domain.notices import Notice
from cloudweb.models import Backend, SentForm, Server
from cloudweb.security import Permission
from cloudweb.views.dashboard import acts, figures, noticing
from cloudweb.views.dashboard.acts import Field, Kind, Preview


def _preview(request: Request, verb: str) -> tuple[Preview, Backend]:
    backend = fleet.get(request.db, int(request.matchdict["id"]))
    facts = {
        "Backend": backend.name,
        "State": ", ".join(attention.flags(backend)),
        "VMs": str(sum(fleet.count_servers(request.db).get(backend.id, {}).values())),
    }
    if backend.state_since is not None:
        by = accounts.email_of(request.db, backend.state_by_id)
        facts["Set"] = f"{backend.state_since:%Y-%m-%d %H:%M:%S} UTC by {by}"
    if backend.state_reason:
        facts["Reason then"] = backend.state_reason
    preview = Preview(
        title=f"{verb} {backend.name}",
        verb=verb,
        section="backends",
        up=(("Backends", request.route_path("admin.backends")), (backend.name, _back(request))),
        facts=facts,
        versions=drains.token(backend),
    )
    return preview, backend


def _back(request: Request, **query: str) -> str:
    path: str = request.route_path("admin.backend", id=int(request.matchdict["id"]), _query=query)
    return path


@view_config(
    route_name="admin.backend.drain",
    request_method=("GET", "POST"),
    permission=Permission.BACKEND_DRAIN,
)
def drain(request: Request) -> Response:
    """GET, POST /admin/backends/{id}/drain: dangerous where flavors could be placed nowhere."""
    return _change(request, Change.DRAIN)


@view_config(
    route_name="admin.backend.undrain",
    request_method=("GET", "POST"),
    permission=Permission.BACKEND_DRAIN,
)
def undrain(request: Request) -> Response:
    """GET, POST /admin/backends/{id}/undrain."""
    return _change(request, Change.UNDRAIN)


@view_config(
    route_name="admin.backend.restrict",
    request_method=("GET", "POST"),
    permission=Permission.BACKEND_DRAIN,
)
def restrict(request: Request) -> Response:
    """GET, POST /admin/backends/{id}/restrict: for users who are pinned to it only."""
    return _change(request, Change.RESTRICT)


@view_config(
    route_name="admin.backend.publish",
    request_method=("GET", "POST"),
    permission=Permission.BACKEND_DRAIN,
)
def publish(request: Request) -> Response:
    """GET, POST /admin/backends/{id}/publish: for everybody again."""
    return _change(request, Change.PUBLISH)


ALREADY: Mapping[Change, str] = {
    Change.DRAIN: "It is drained already.",
    Change.UNDRAIN: "It is not drained.",
    Change.RESTRICT: "It is not public.",
    Change.PUBLISH: "It is public already.",
}
"""Why one is not changed that is so already."""
_TITLES = {Change.RESTRICT: "Make {} not public", Change.PUBLISH: "Make {} public"}


def _change(request: Request, change: Change) -> Response:
    def make() -> Preview:
        preview, backend = _preview(request, change.capitalize())
        known, wanted = fleet.list_all(request.db), flavors.list_active(request.db)
        would = drains.preview(known, wanted, [backend], change)
        around = drains.around(request.db, [backend], would)
        obstacle = ALREADY[change] if change.holds(backend) else ""
        mails = change is Change.DRAIN and not obstacle
        notice = notices.drained(noticing.until(request))
        told = _told(request, backend, notice) if mails else {}
        title = _TITLES.get(change, preview.verb + " {}").format(backend.name)
        blocked = would.verdict is drains.Verdict.LOSS
        return dataclasses.replace(
            preview,
            title=title,
            verb=title.replace(f" {backend.name}", ""),
            follows=_FOLLOWS[change](backend),
            obstacle=obstacle,
            part="draining",
            below=told.get("below", ""),
            also=told.get("also", ()),
            values={
                "preview": would,
                "around": around,
                "change": change,
                **told.get("values", {}),
            },
            fields=(*((UNTIL,) if change is Change.DRAIN else ()), *told.get("fields", ())),
            danger=change.closes and blocked,
            phrase=f"{change} {backend.name}" if change.closes and blocked else "",
            reason="required" if change.closes else "optional",
            command=f"cloudweb backend {change} {backend.name}"
            + (" --reason …" if change.closes else ""),
        )

    def do(preview: Preview, reason: str, _form: SentForm) -> str:
        backend_id = int(request.matchdict["id"])
        until = acts.time(request, "until") if change is Change.DRAIN else None
        drains.apply(
            *(request.db, request.identity, backend_id, change),
            reason=reason,
            seen=str(preview.versions),
            accept_loss=preview.danger,
            until=until,
        )
        if change is Change.DRAIN:
            to = notices.owners(request.db, Server.backend_id == backend_id)
            noticing.send(request, notices.drained(until), to, reason)
        return _back(request, done=change)

    return acts.respond(request, make, do)


UNTIL = Field(
    "until",
    "Until (optional, UTC)",
    Kind.TIME,
    hint="Nothing happens by itself then: it shows among what needs attention.",
)


def _told(request: Request, backend: Backend, notice: Notice) -> dict[str, Any]:
    """What a preview has for telling the owners of the servers there."""
    to = notices.owners(request.db, Server.backend_id == backend.id)
    return noticing.shown(request, notice, to, reason="required")


def _after_draining(_backend: Backend) -> list[str]:
    return [
        "No new servers go to this backend.",
        "What is here stays, and can be started, stopped and destroyed as before.",
        "To empty it, evacuate its nodes one by one.",
    ]


def _after_undraining(backend: Backend) -> list[str]:
    whose = "New servers" if backend.public else "New servers of users pinned to it"
    again = f"{whose} may go to this backend again"
    later = ", once it is no longer offline" if backend.offline else ""
    return [f"{again}{later}.", "Nothing that runs is touched."]


def _after_restricting(_backend: Backend) -> list[str]:
    return [
        "Of new servers only those of users who are pinned to this backend go here.",
        "What is here stays, and can be started, stopped and destroyed as before.",
        "Networks on it are not touched.",
    ]


def _after_publishing(backend: Backend) -> list[str]:
    still = "drained" if backend.drained else "offline" if backend.offline else ""
    later = f", once it is no longer {still}" if still else ""
    return [f"New servers of everybody may go to this backend{later}.", "Pins stay as they are."]


_FOLLOWS: Mapping[Change, Callable[[Backend], list[str]]] = {
    Change.DRAIN: _after_draining,
    Change.UNDRAIN: _after_undraining,
    Change.RESTRICT: _after_restricting,
    Change.PUBLISH: _after_publishing,
}


@view_config(
    route_name="admin.backend.offline",
    request_method=("GET", "POST"),
    permission=Permission.BACKEND_DRAIN,
)
def go_offline(request: Request) -> Response:
    """GET, POST /admin/backends/{id}/offline: the cluster is not asked anything any more."""

    def make() -> Preview:
        preview, backend = _preview(request, "Take offline")
        waiting = operation_lists.count_open(request.db, backend.id)
        return dataclasses.replace(
            preview,
            title=f"Take {backend.name} offline",
            follows=(
                "The cluster is asked nothing until it is back: nothing starts or stops there.",
                "No new servers go to it.",
                f"{preview.facts['VMs']} VMs run on as they are. Their owners still see them.",
                "Whoever starts, stops or changes one, or opens its console, is refused at once.",
                f"{figures.plural(waiting, 'operation')} of it stay where they are.",
                "What its agents say is heard all the same.",
            ),
            obstacle="It is offline already." if backend.offline else "",
            reason="required",
            harsh=True,
            **(_told(request, backend, notices.OFFLINE) if not backend.offline else {}),
            command=f"cloudweb backend offline {backend.name} --reason …",
        )

    def do(_preview: Preview, reason: str, _form: SentForm) -> str:
        backend = fleet.get(request.db, int(request.matchdict["id"]))
        fleet.set_offline(request.db, request.identity, backend, offline=True, reason=reason)
        to = notices.owners(request.db, Server.backend_id == backend.id)
        noticing.send(request, notices.OFFLINE, to, reason)
        return _back(request, done="offline")

    return acts.respond(request, make, do)


@view_config(
    route_name="admin.backend.online",
    request_method=("GET", "POST"),
    permission=Permission.BACKEND_DRAIN,
)
def go_online(request: Request) -> Response:
    """GET, POST /admin/backends/{id}/online: the cluster is asked again."""

    def make() -> Preview:
        preview, backend = _preview(request, "Take back")
        still = "" if not backend.drained else " New servers go elsewhere: it is still drained."
        return dataclasses.replace(
            preview,
            title=f"Take {backend.name} back",
            follows=(
                f"The cluster is asked again, and does what waits for it.{still}",
                "Its VMs can be acted on again.",
            ),
            obstacle="" if backend.offline else "It is not offline.",
            reason="optional",
            command=f"cloudweb backend online {backend.name}",
        )

    def do(_preview: Preview, reason: str, _form: SentForm) -> str:
        backend = fleet.get(request.db, int(request.matchdict["id"]))
        fleet.set_offline(request.db, request.identity, backend, offline=False, reason=reason)
        return _back(request, done="online")

    return acts.respond(request, make, do)


@view_config(
    route_name="admin.backend.refresh",
    request_method="POST",
    permission=Permission.BACKEND_DRAIN,
)
def refresh(request: Request) -> Response:
    """POST /admin/backends/{id}/refresh: the worker asks the cluster, as soon as it can."""

    def do() -> str:
        backend = fleet.get(request.db, int(request.matchdict["id"]))
        fleet.ask_refresh(request.db, request.identity, backend)
        return _back(request)

    return acts.at_once(request, do)
