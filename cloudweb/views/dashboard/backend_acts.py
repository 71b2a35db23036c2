"""Changing what goes to a backend: draining it, whether it is public, taking it offline."""

from collections.abc import Callable, Mapping
from typing import Any

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb.domain import accounts, drains, fleet, notices, operation_lists
from cloudweb.domain.drains import Change, Verdict
from cloudweb.domain.notices import Notice
from cloudweb.models import Backend, EventSource, SentForm, Server
from cloudweb.security import Permission
from cloudweb.views.dashboard import acts, draining, figures, noticing, states
from cloudweb.views.dashboard.acts import Preview


def _back(request: Request, **query: str) -> str:
    path: str = request.route_path("admin.backend", id=int(request.matchdict["id"]), _query=query)
    return path


def view(change: Change) -> view_config:
    """The view of a change: what follows, and doing it."""
    return view_config(
        route_name=f"admin.backend.{change.value}",
        request_method=("GET", "POST"),
        permission=Permission.BACKEND_DRAIN,
    )


@view(Change.DRAIN)
@view(Change.UNDRAIN)
@view(Change.RESTRICT)
@view(Change.PUBLISH)
@view(Change.OFFLINE)
@view(Change.ONLINE)
def change_one(request: Request) -> Response:
    """GET, POST /admin/backends/{id}/{change}: dangerous where flavors could be placed nowhere."""
    return _change(request, Change(request.matched_route.name.rpartition(".")[2]))


def _change(request: Request, change: Change) -> Response:
    backend_id = int(request.matchdict["id"])

    def do(preview: Preview, reason: str, _form: SentForm) -> str:
        until = acts.time(request, "until") if change is Change.DRAIN else None
        drains.apply(
            *(request.db, request.identity, backend_id, change),
            reason=reason,
            seen=str(preview.versions),
            accept_loss=preview.danger,
            until=until,
        )
        if (notice := draining.notice(change, until)) is not None:
            to = notices.owners(request.db, Server.backend_id == backend_id)
            noticing.send(request, notice, to, reason)
        return _back(request, done=change)

    return acts.respond(request, lambda: _preview(request, backend_id, change), do)


def _preview(request: Request, backend_id: int, change: Change) -> Preview:
    backend = fleet.get(request.db, backend_id)
    prospect = drains.look(request.db, [backend], change)
    obstacle = draining.ALREADY[change] if change.holds(backend) else ""
    notice = draining.notice(change, noticing.until(request))
    told = _told(request, backend, notice) if notice is not None and not obstacle else {}
    blocked = change.closes and prospect.verdict is Verdict.BLOCKED
    return Preview(
        title=draining.TITLES[change].format(backend.name),
        verb=draining.verb(change),
        section="backends",
        up=(("Backends", request.route_path("admin.backends")), (backend.name, _back(request))),
        facts=_facts(request, backend) | ({} if obstacle else draining.facts(prospect)),
        follows=_follows(request, backend, change),
        obstacle=obstacle,
        part="" if obstacle else "draining",
        below=told.get("below", ""),
        also=told.get("also", ()),
        values={
            "prospect": prospect,
            "sentence": draining.sentence(prospect),
            **told.get("values", {}),
        },
        fields=(*((draining.UNTIL,) if change is Change.DRAIN else ()), *told.get("fields", ())),
        danger=blocked,
        harsh=change is Change.OFFLINE,
        phrase=f"{change} {backend.name}" if blocked else "",
        reason="required" if change.closes else "optional",
        command=f"cloudweb backend {change} {backend.name}"
        + (" --reason …" if change.closes else ""),
        versions=prospect.token,
    )


def _facts(request: Request, backend: Backend) -> dict[str, str]:
    """How the backend is now."""
    facts = {
        "Backend": backend.name,
        "State": states.all_of(backend),
        "VMs": str(sum(fleet.count_servers(request.db).get(backend.id, {}).values())),
    }
    if backend.state_since is not None:
        by = accounts.email_of(request.db, backend.state_by_id)
        facts["Set"] = f"{backend.state_since:%Y-%m-%d %H:%M:%S} UTC by {by}"
    if backend.state_reason:
        facts["Reason then"] = backend.state_reason
    return facts


def _told(request: Request, backend: Backend, notice: Notice) -> dict[str, Any]:
    """What a preview has for telling the owners of the servers there."""
    to = notices.owners(request.db, Server.backend_id == backend.id)
    return noticing.shown(request, notice, to, reason="required")


def _follows(request: Request, backend: Backend, change: Change) -> list[str]:
    if change is Change.OFFLINE:
        waiting = operation_lists.count_open(request.db, backend.id)
        return _after_offline(backend, waiting)
    return _FOLLOWS[change](backend)


def _after_offline(backend: Backend, waiting: int) -> list[str]:
    heard = "is heard all the same"
    stay = "stays where it is" if waiting == 1 else "stay where they are"
    agents = backend.event_source is EventSource.AGENTS
    return [
        "The cluster is asked nothing until it is back: nothing starts or stops there.",
        "No new servers go to it, not even of users who are pinned to it.",
        "Its VMs run on as they are. Their owners still see them, as they were last known.",
        "Whoever starts, stops or changes one, or opens its console, is refused at once.",
        f"{figures.plural(waiting, 'operation')} of it {stay}.",
        f"What its agents say {heard}." if agents else f"Were there agents, what they say {heard}.",
    ]


def _after_online(backend: Backend) -> list[str]:
    still = "" if not backend.drained else " New servers go elsewhere: it is still drained."
    return [
        f"The cluster is asked again, and does what waits for it.{still}",
        "Its VMs can be acted on again.",
    ]


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
    Change.ONLINE: _after_online,
}


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
