"""The same in the API or in a shell: declared for each page, drawn at its foot."""

import dataclasses
import re
import shlex
from collections.abc import Callable
from urllib.parse import quote

from jinja2 import Undefined, pass_context
from jinja2.runtime import Context

_PLACE = re.compile(r"\{(\w+)(?:\.(\w+))?\}")
_OWNERS = "Owners have the same of theirs in the API"
_OWNER = "Its owner has the same in the API"


@dataclasses.dataclass(frozen=True, slots=True)
class Twin:
    """What gives the same as a page. In braces is what the address or the page has."""

    shell: str = ""
    api: str = ""
    words: str = "Same in the API"
    said: str = "Same in a shell"
    """What a shell gives, where there is no call."""


_DONE = "audit list --filter actor={identity.email},door=dashboard"
TWINS = {
    "admin.overview": Twin("backend list", said="Its backends in a shell"),
    "admin.search": Twin("server list --text {text}", said="VMs that have it, in a shell"),
    "admin.undos": Twin(_DONE, said="What you did, in a shell"),
    "admin.undo": Twin(_DONE, said="What you did, in a shell"),
    "admin.install": Twin(
        "promoted list --filter name={flavor.name}",
        "/v1/promotedflavors/{flavor.flavor_id}",
        "Everybody has in the API where it is",
    ),
    "admin.vms": Twin("server list", "/api/v1.1/servers/detail", _OWNERS),
    "admin.vm": Twin("server show {id}", "/api/v1.1/servers/{id}", _OWNER),
    "admin.vm.history": Twin("audit list --filter kind=server --filter target={id}"),
    "admin.images": Twin("image list", "/api/v1.1/images/detail", _OWNERS),
    "admin.image": Twin(
        "image show {id}", "/api/v1.1/images/{id}", "Who sees it has it in the API"
    ),
    "admin.networks": Twin("network list", "/api/v1.1/networks/detail", _OWNERS),
    "admin.network": Twin(
        "network show {id}", "/api/v1.1/networks/{network.api_id}", "Its users have it in the API"
    ),
    "admin.flavors": Twin(
        "promoted diff", "/v1/promotedflavors", "Everybody has the promoted ones in the API"
    ),
    "admin.flavors.compare": Twin("promoted diff"),
    "admin.flavor": Twin(
        "promoted list --filter name={flavor.name}",
        "/v1/promotedflavors/{flavor.id}",
        "Everybody has it in the API",
    ),
    "admin.flavors.compute": Twin(
        "flavor list", "/api/v1.1/flavors/detail", "Everybody has those on offer in the API"
    ),
    "admin.flavors.compute.flavor": Twin(
        "flavor list --filter id={id},deleted={flavor.deleted}",
        "/api/v1.1/flavors/{id}",
        "Everybody has it in the API",
    ),
    "admin.regions": Twin("region list", "/v1/regions"),
    "admin.region": Twin(
        "promoted diff --region {region.name}",
        "/v1/regions/{region.name}/flavors",
        "Its managers have the same in the API",
    ),
    "admin.backends": Twin("backend list"),
    "admin.backend": Twin("backend show {id}"),
    "admin.backend.nodes": Twin("node list --filter backend={backend.name}"),
    "admin.backend.vms": Twin("server list --filter backend={backend.name}"),
    "admin.backend.jobs": Twin("job list --filter backend={backend.name}"),
    "admin.backend.history": Twin("audit list --filter kind=backend --filter target={id}"),
    "admin.nodes": Twin("node list"),
    "admin.node": Twin("node show {node} --backend {id}"),
    "admin.ip": Twin("address history {address}"),
    "admin.pools": Twin("pool list"),
    "admin.pool": Twin("pool show {id}"),
    "admin.pool.values": Twin("pool show {id} --map"),
    "admin.operations": Twin("operation list"),
    "admin.operation": Twin("operation show {id}"),
    "admin.jobs": Twin("job list"),
    "admin.job": Twin("job show {id} --backend {backend}"),
    "admin.reconcile": Twin("reconcile all"),
    "admin.queues": Twin("queue list"),
    "admin.letters": Twin("queue letters --all"),
    "admin.letter": Twin("queue inspect {id}"),
    "admin.audit": Twin("audit list"),
    "admin.audit.entry": Twin("audit list --filter id={id}"),
    "admin.terms": Twin("term list"),
    "admin.terms.version": Twin("term show {id}"),
    "admin.terms.diff": Twin("term diff {a} {b}"),
    "admin.terms.acceptances": Twin("term acceptances {id}"),
    "admin.users": Twin("user list"),
    "admin.user": Twin("user show {user.email}"),
}
"""By route."""


@dataclasses.dataclass(frozen=True, slots=True)
class Calls:
    """What gives the same as the page that is shown."""

    shell: str
    api: str
    words: str
    said: str


@pass_context
def twin_of(context: Context) -> Calls | None:
    """What gives the same as this page, filled in; None where nothing does."""
    route = getattr(context["request"], "matched_route", None)
    twin = TWINS.get(route.name) if route is not None else None
    if twin is None:
        return None
    shell = f"cloudweb {_fill(context, twin.shell, shlex.quote)} --json"
    api = _fill(context, twin.api, lambda text: quote(text, safe=""))
    return Calls(shell, api, twin.words, twin.said)


def _fill(context: Context, text: str, spelt: Callable[[str], str]) -> str:
    """The text with what its braces name: of the address, else of what the page is about."""
    given = context["request"].matchdict

    def value(match: re.Match[str]) -> str:
        name, attribute = match.groups()
        found = given[name] if name in given and not attribute else context.resolve(name)
        if isinstance(found, Undefined):
            raise LookupError(f"the page has no {name}")
        return spelt(str(getattr(found, attribute) if attribute else found))

    return _PLACE.sub(value, text)
