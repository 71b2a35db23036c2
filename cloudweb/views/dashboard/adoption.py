"""Adopting a cluster: say whose its instances are, see what would follow, confirm, watch."""

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb.domain import adoption_orders, fleet
from cloudweb.models import Adoption, AdoptionState, Backend, SentForm, utc_now
from cloudweb.security import Permission
from cloudweb.views.dashboard import acts, pages
from cloudweb.views.dashboard.acts import Field, Kind, Preview
from cloudweb.views.dashboard.figures import plural

_SHOWN = 500
"""Instances on the page; the command shows them all."""
_BUSY = (AdoptionState.WANTED, AdoptionState.CONFIRMED)
_FIELDS = (
    Field(
        *("owner", "Owner"),
        hint="The e-mail address of whose they are to be, as far as no line below says otherwise.",
    ),
    Field(
        *("rules", "Other owners (optional)", Kind.LINES),
        hint="A pattern of names and an address a line, such as web* ann@example.org."
        " The first that fits counts.",
        longest=20_000,
    ),
    Field(
        *("image", "Image (optional)"),
        hint="What they were made of is not known; this is what they will say.",
        longest=36,
    ),
)


def _up(request: Request, backend: Backend) -> tuple[tuple[str, str], ...]:
    there = request.route_path("admin.backend", id=backend.id)
    return (("Backends", request.route_path("admin.backends")), (backend.name, there))


@view_config(
    route_name="admin.backend.adopt",
    request_method=("GET", "POST"),
    permission=Permission.BACKEND_ADOPT,
)
def ask(request: Request) -> Response:
    """GET, POST /admin/backends/{id}/adopt: whose are they? The worker finds out what follows."""
    backend = fleet.get(request.db, int(request.matchdict["id"]))

    def make() -> Preview:
        offline = f"{backend.name} is offline: it is not to be contacted."
        return Preview(
            title=f"Adopt the instances of {backend.name}",
            verb="Show what would follow",
            section="backends",
            up=_up(request, backend),
            facts={},
            follows=(
                "Instances that were made without cloudweb become servers of its users.",
                "Nothing is restarted, renamed or changed in Ganeti.",
                "First you are shown what would come of each.",
            ),
            obstacle=offline if backend.offline else "",
            fields=_FIELDS,
            below="adoptions",
            values={"earlier": adoption_orders.list_newest(request.db, backend.id)},
            command=f"cloudweb backend adopt {backend.name} --owner … --dry-run",
        )

    def do(_preview: Preview, _reason: str, _form: SentForm) -> str:
        order = adoption_orders.ask(
            *(request.db, request.identity, backend),
            owner=acts.text(request, "owner"),
            rules=acts.text(request, "rules"),
            image_ref=acts.text(request, "image"),
        )
        return _page(request, order)

    return acts.respond(request, make, do)


def _page(request: Request, order: Adoption) -> str:
    path: str = request.route_path("admin.adoption", id=order.id)
    return path


@view_config(
    route_name="admin.adoption", request_method="GET", permission=Permission.DASHBOARD_VIEW
)
def show(request: Request) -> Response:
    """GET /admin/adoptions/{id}: what would follow, how far it is, or what came of it."""
    order = adoption_orders.get(request.db, int(request.matchdict["id"]))
    return pages.show_live(
        request,
        "adoption",
        busy=order.state in _BUSY,
        order=order,
        backend=fleet.get(request.db, order.backend_id),
        shown=adoption_orders.show(request.db, order, limit=_SHOWN),
    )


@view_config(
    route_name="admin.adoption.confirm",
    request_method=("GET", "POST"),
    permission=Permission.BACKEND_ADOPT,
)
def confirm(request: Request) -> Response:
    """GET, POST /admin/adoptions/{id}/confirm: have done what is shown."""
    order = adoption_orders.get(request.db, int(request.matchdict["id"]))

    def make() -> Preview:
        backend = fleet.get(request.db, order.backend_id)
        shown = adoption_orders.show(request.db, order, limit=_SHOWN)
        many = plural(shown.counts.get("adopt", 0), "instance")
        return Preview(
            title=f"Adopt {many} of {backend.name}",
            verb=f"Adopt {many}",
            section="backends",
            up=(*_up(request, backend), (f"Adoption {order.id}", _page(request, order))),
            facts={
                "To be adopted": many,
                "Ours already": plural(shown.counts.get("ours", 0), "instance"),
                "Refused": plural(shown.counts.get("refused", 0), "instance"),
            },
            follows=(
                "Nothing is restarted or renamed.",
                "An instance that changes meanwhile is left as it is.",
            ),
            obstacle=_obstacle(order, shown),
            reason="required",
            versions=(order.state, order.taken),
            below="adoption_steps",
            values={"shown": shown, "backend": backend},
        )

    def do(_preview: Preview, reason: str, _form: SentForm) -> str:
        adoption_orders.confirm(request.db, request.identity, order.id, reason=reason)
        return _page(request, order)

    return acts.respond(request, make, do)


def _obstacle(order: Adoption, shown: adoption_orders.Shown) -> str:
    if order.state is not AdoptionState.PLANNED or order.taken is None:
        return "It is not waiting for an answer."
    if utc_now() - order.taken > adoption_orders.GOOD_FOR:
        return "The cluster was asked too long ago. Ask again."
    return "" if shown.counts.get("adopt") else "There is nothing to adopt."
