"""Adding a backend, changing how it is reached, and removing one."""

import dataclasses
from typing import Any

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.backend.target import Target
from cloudweb.domain import fleet, operator_networks, removals
from cloudweb.domain.removals import Holding, InTheWay
from cloudweb.models import MAX_BACKENDS, Backend, EventSource, SentForm
from cloudweb.security import Permission
from cloudweb.views.dashboard import acts, figures, states
from cloudweb.views.dashboard.acts import Field, Kind, Preview

_EVENTS = (
    (EventSource.AGENTLESS.value, "The worker asks for them", ""),
    (EventSource.AGENTS.value, "Agents on its master tell of them", ""),
)


def _fields(backend: Backend | None = None) -> tuple[Field, ...]:
    """How a cluster is reached; of one that is known, as it is now."""
    new = backend is None
    return (
        Field(
            "url",
            "Address of its remote API",
            value="" if backend is None else backend.url,
            hint="Such as https://cluster.example.org:5080",
            required=True,
        ),
        Field("username", "User there", value=_of(backend, "username"), required=True, longest=64),
        Field(
            "password",
            "Password" if new else "New password (optional)",
            Kind.PASSWORD,
            hint="It is kept sealed and never shown." if new else "Empty: the one it has is kept.",
            required=new,
        ),
        Field(
            "fingerprint",
            "Fingerprint of its certificate (optional)",
            value=_of(backend, "fingerprint"),
            hint="SHA-256, of one that no authority has signed. Without it the authorities that"
            " this system knows are asked.",
            longest=95,
        ),
        Field(
            "unchecked",
            "Do not check its certificate (only to try something out)",
            Kind.TICK,
            value="" if backend is None or backend.verify_tls else "yes",
        ),
        Field(
            "events",
            "How its events are heard",
            Kind.MENU,
            value=(backend.event_source if backend else EventSource.AGENTLESS).value,
            options=_EVENTS,
        ),
    )


_RESTRICTED = Field(
    "restricted", "Not public: new servers only of users who are pinned to it", Kind.TICK
)


def _of(backend: Backend | None, name: str) -> str:
    return "" if backend is None else str(getattr(backend, name))


def _reached(request: Request, backend: Backend | None = None) -> dict[str, Any]:
    """How the form says that a cluster is reached. Raises BadRequest."""
    values: dict[str, Any] = {
        "url": acts.text(request, "url").strip().rstrip("/"),
        "username": acts.text(request, "username").strip(),
        "fingerprint": acts.text(request, "fingerprint").strip(),
        "verify_tls": acts.text(request, "unchecked") != "yes",
        "event_source": EventSource(acts.text(request, "events") or EventSource.AGENTLESS),
        # What names a file is told on the command line, where that file is.
        "ca_file": backend.ca_file if backend is not None else None,
    }
    if values["fingerprint"]:
        values["ca_file"] = None
    wanted = Target(id=0, name="", password="", **values)
    try:
        wanted.connect(request.conf).close()  # nothing is sent
    except ValueError as error:
        field = "fingerprint" if "fingerprint" in str(error).lower() else "url"
        said = str(error)
        raise faults.BadRequest("", details={field: f"{said[:1].upper()}{said[1:]}."}) from None
    return values


@view_config(
    route_name="admin.backend.new",
    request_method=("GET", "POST"),
    permission=Permission.BACKEND_MANAGE,
)
def add(request: Request) -> Response:
    """GET, POST /admin/backends/new: a new one, drained; the worker asks it at once."""

    def make() -> Preview:
        known = fleet.list_all(request.db)
        public = [each.name for each in operator_networks.list_public(request.db)]
        follows = [
            "It starts drained: no server goes there before you undrain it.",
            "The worker asks it within seconds: its page says whether it answers, or why not.",
        ]
        if public:
            follows.append(
                f"Public networks are not on it yet: {', '.join(public)}. Make each on every"
                " cluster from its page, once this one answers."
            )
        full = len(known) >= MAX_BACKENDS
        return Preview(
            title="Add a backend",
            verb="Add backend",
            section="backends",
            up=(("Backends", request.route_path("admin.backends")),),
            facts={"Backends": f"{len(known)} of at most {MAX_BACKENDS}"},
            follows=follows,
            obstacle=f"There can be no more than {MAX_BACKENDS}: the last digit of the prefix of"
            " their MAC addresses tells them apart."
            if full
            else "",
            fields=(
                Field(
                    "name",
                    "Name of the cluster",
                    hint="As gnt-cluster info shows it.",
                    required=True,
                    longest=128,
                ),
                *_fields(),
                _RESTRICTED,
            ),
            command="cloudweb backend add URL --username USER",
            leave="Back",
        )

    def do(_preview: Preview, _reason: str, _form: SentForm) -> str:
        sealed = request.account_rules.sealer.seal(acts.text(request, "password"))
        name = acts.text(request, "name").strip()
        try:
            made = fleet.add(
                *(request.db, request.identity),
                name=name,
                password_sealed=sealed,
                public=acts.text(request, "restricted") != "yes",
                **_reached(request),
            )
        except faults.Conflict as conflict:
            raise faults.BadRequest("", details={"name": conflict.message}) from None
        path: str = request.route_path("admin.backend", id=made.id, _query={"done": "added"})
        return path

    return acts.respond(request, make, do)


def _one(request: Request, verb: str) -> tuple[Preview, Backend]:
    backend = fleet.get(request.db, int(request.matchdict["id"]))
    page = request.route_path("admin.backend", id=backend.id)
    preview = Preview(
        title=f"{verb} {backend.name}",
        verb=verb,
        section="backends",
        up=(("Backends", request.route_path("admin.backends")), (backend.name, page)),
        facts={"Backend": backend.name, "State": states.all_of(backend)},
    )
    return preview, backend


@view_config(
    route_name="admin.backend.edit",
    request_method=("GET", "POST"),
    permission=Permission.BACKEND_MANAGE,
)
def edit(request: Request) -> Response:
    """GET, POST /admin/backends/{id}/edit: how it is reached."""

    def make() -> Preview:
        preview, backend = _one(request, "Change")
        keys = ("url", "username", "fingerprint", "verify_tls", "ca_file", "password_sealed")
        return dataclasses.replace(
            preview,
            title=f"Change how {backend.name} is reached",
            follows=(
                "The worker asks it anew within seconds; its page says whether it answers.",
                "What it still has to do waits for it, and is not lost if this is wrong.",
            ),
            fields=_fields(backend),
            reason="optional",
            versions=[str(getattr(backend, key)) for key in keys],
            command=f"cloudweb backend modify {backend.name}",
        )

    def do(_preview: Preview, _reason: str, _form: SentForm) -> str:
        backend = fleet.get(request.db, int(request.matchdict["id"]))
        changes = _reached(request, backend)
        if password := acts.text(request, "password"):
            changes["password_sealed"] = request.account_rules.sealer.seal(password)
        fleet.modify(request.db, request.identity, backend, **changes)
        path: str = request.route_path("admin.backend", id=backend.id, _query={"done": "changed"})
        return path

    return acts.respond(request, make, do)


def _where(request: Request, backend: Backend, each: InTheWay) -> str:
    """Where what is in the way is looked at, or done away with."""
    here: dict[str, str] = {"backend": backend.name}
    path: str = {
        Holding.SERVERS: request.route_path("admin.backend.vms", id=backend.id),
        Holding.OPERATIONS: request.route_path("admin.operations", _query={**here, "open": "yes"}),
        Holding.NETWORKS: request.route_path(
            "admin.networks", _query={"filter": f"backend={backend.name}"}
        ),
        Holding.PINNED: request.route_path("admin.backend", id=backend.id, _anchor="pinned"),
        Holding.OPEN: request.route_path("admin.backend.drain", id=backend.id),
    }[each.what]
    return path


@view_config(
    route_name="admin.backend.remove",
    request_method=("GET", "POST"),
    permission=Permission.BACKEND_REMOVE,
)
def remove(request: Request) -> Response:
    """GET, POST /admin/backends/{id}/remove: one that nothing of ours is on."""

    def make() -> Preview:
        preview, backend = _one(request, "Remove")
        in_the_way = removals.list_in_the_way(request.db, backend)
        left = removals.list_networks(request.db, backend)
        follows = [
            "It is forgotten here, and not contacted for it. Its history stays in the audit.",
            "Its name and number can be given to another.",
        ]
        if left:
            follows.append(
                f"What Ganeti has of {figures.plural(len(left), 'network')} of ours stays there, as"
                " it is not contacted: they are named above. Who goes on with that cluster removes"
                " them with gnt-network disconnect and gnt-network remove."
            )
        return dataclasses.replace(
            preview,
            follows=follows,
            obstacle=f"In the way: {removals.words(in_the_way)}." if in_the_way else "",
            part="removing",
            values={
                "in_the_way": [(each, _where(request, backend, each)) for each in in_the_way],
                "networks": left,
            },
            danger=True,
            phrase=f"remove {backend.name}",
            reason="required",
            versions=[network.name for network in left],
            command=f"cloudweb backend remove {backend.name} --reason …",
        )

    def do(_preview: Preview, reason: str, _form: SentForm) -> str:
        backend = fleet.get(request.db, int(request.matchdict["id"]))
        removals.remove(request.db, request.identity, backend, reason=reason)
        path: str = request.route_path("admin.backends")
        return path

    return acts.respond(request, make, do)
