"""Help: what each screen is for, what its words mean, what its filters name, who may do what."""

from typing import Any

from pyramid.registry import Registry
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb.security import GRANTS, MEANINGS, Permission
from cloudweb.views.dashboard import lists, pages, topics
from cloudweb.views.dashboard.saved_views import LISTINGS
from cloudweb.views.dashboard.topics import TOPICS, Topic

_PERMISSIONS = "cloudweb.help.permissions"


@view_config(route_name="admin.help", request_method="GET", permission=Permission.DASHBOARD_VIEW)
def index(request: Request) -> Response:
    """GET /admin/help: every page of help."""
    return pages.show_signed_in(request, "help", topic=None, topics=TOPICS)


@view_config(
    route_name="admin.help.page", request_method="GET", permission=Permission.DASHBOARD_VIEW
)
def show(request: Request) -> Response:
    """GET /admin/help/{page}."""
    topic = topics.get(request.matchdict["page"])
    return pages.show_signed_in(
        request,
        "help",
        topic=topic,
        topics=TOPICS,
        body=topics.text_of(topic),
        listings=[
            (listing, lists.hints_of(listing))
            for listing in LISTINGS.values()
            if topics.of_route(listing.route) is topic
        ],
        grants=[
            (MEANINGS[permission], ", ".join(role.value for role in GRANTS[permission]))
            for permission in _about(request.registry, topic)
        ],
    )


def _about(registry: Registry, topic: Topic) -> list[Permission]:
    """What has to be allowed for what is done on this screen; for the page of roles, all."""
    if _PERMISSIONS not in registry:
        registry[_PERMISSIONS] = _by_topic(registry)
    wanted = set(GRANTS) if topic.page == "roles" else registry[_PERMISSIONS].get(topic.page, set())
    few = {Permission.ACCOUNT_OWN} | (
        set() if topic.page == "roles" else {Permission.DASHBOARD_VIEW}
    )
    return [each for each in GRANTS if each in wanted - few]


def _by_topic(registry: Registry) -> dict[str, set[Permission]]:
    """The permissions of each topic's routes, as the views declare them."""
    found: dict[str, set[Permission]] = {}
    known: dict[str, Permission] = {each.value: each for each in GRANTS}
    for view in registry.introspector.get_category("views"):
        name = view["introspectable"].get("route_name") or ""
        if name.startswith("admin."):
            for permission in _permissions(view):
                if permission in known:
                    found.setdefault(topics.of_route(name).page, set()).add(known[permission])
    return found


def _permissions(view: dict[str, Any]) -> list[str]:
    return [
        str(related["value"])
        for related in view["related"]
        if related.category_name == "permissions"
    ]
