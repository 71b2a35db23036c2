"""The pages of help: one a screen, and which screen each route belongs to."""

import dataclasses
import functools
from importlib import resources

from markupsafe import Markup
from pyramid.request import Request

from cloudweb import faults
from cloudweb.models import TermsFormat
from cloudweb.views.markup import render


@dataclasses.dataclass(frozen=True, slots=True)
class Topic:
    """A page of help. ``routes`` are those it is about, with all that begin like them."""

    page: str
    title: str
    routes: tuple[str, ...] = ()


_ERRORS = Topic("errors", "When a page is refused")
TOPICS = (
    Topic("overview", "Overview", ("admin.overview", "admin.root")),
    Topic("search", "Search", ("admin.search",)),
    Topic("lists", "Lists and filters"),
    Topic("saved-views", "Saved views", ("admin.views", "admin.view")),
    Topic("undo", "Undo", ("admin.undos", "admin.undo")),
    Topic("backends", "Backends", ("admin.backends", "admin.backend")),
    Topic("nodes", "Nodes", ("admin.nodes", "admin.node")),
    Topic("adoption", "Adopting a cluster", ("admin.backend.adopt", "admin.adoption")),
    Topic("vms", "VMs", ("admin.vms", "admin.vm")),
    Topic("images", "Images", ("admin.images", "admin.image")),
    Topic("networks", "Networks", ("admin.networks", "admin.network")),
    Topic("addresses", "Addresses", ("admin.ips", "admin.ip")),
    Topic("pools", "Pools", ("admin.pools", "admin.pool")),
    Topic("flavors", "Flavors", ("admin.flavors", "admin.flavor", "admin.install")),
    Topic("compute-flavors", "Compute flavors", ("admin.flavors.compute",)),
    Topic("regions", "Regions", ("admin.regions", "admin.region")),
    Topic("users", "Users", ("admin.users", "admin.user")),
    Topic("terms", "Terms of use", ("admin.terms",)),
    Topic(
        "operations",
        "Operations",
        ("admin.operations", "admin.operation", "admin.acts", "admin.act"),
    ),
    Topic("jobs", "Jobs", ("admin.jobs", "admin.job")),
    Topic("reconcile", "Reconcile", ("admin.reconcile",)),
    Topic("queues", "Queues", ("admin.queues", "admin.letters", "admin.letter")),
    Topic("audit", "Audit", ("admin.audit",)),
    Topic("account", "Your account", ("account", "terms")),
    Topic(
        "signing-in",
        "Signing in",
        (
            *("admin.login", "admin.code", "admin.enrol", "admin.prove", "admin.logout"),
            *("account.sign_up", "account.forgotten", "account.sent", "account.link"),
            "account.done",
        ),
    ),
    Topic("roles", "Who may do what"),
    Topic("keys", "Keys", ("admin.help",)),
    _ERRORS,
)
_BY_ROUTE = {route: topic for topic in TOPICS for route in topic.routes}
_BY_PAGE = {topic.page: topic for topic in TOPICS}


def of_route(name: str) -> Topic:
    """The help for a route's page: of the longest name it begins with."""
    while name:
        if name in _BY_ROUTE:
            return _BY_ROUTE[name]
        name = name.rpartition(".")[0]
    return _ERRORS


def get(page: str) -> Topic:
    """The page of help. Raises ItemNotFound."""
    if page not in _BY_PAGE:
        raise faults.ItemNotFound("There is no such page of help.")
    return _BY_PAGE[page]


def path_of(request: Request) -> str:
    """Where the help for the page that is asked for is."""
    route = getattr(request, "matched_route", None)
    if route is not None and route.name == "admin.help.page":
        return str(request.route_path("admin.help"))
    topic = of_route(route.name if route is not None else "")
    return str(request.route_path("admin.help.page", page=topic.page))


@functools.cache
def text_of(topic: Topic) -> Markup:
    """What a page of help says; nothing for one that is made of tables alone."""
    file = resources.files("cloudweb") / "help" / f"{topic.page}.md"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    return render(text, TermsFormat.MARKDOWN, captions=True)
