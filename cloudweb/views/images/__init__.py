"""The image registry: what each method does at each place of its tree."""

from pyramid.config import Configurator

from cloudweb.domain.images import Rules
from cloudweb.resources import Resource
from cloudweb.resources import registry as tree
from cloudweb.security import Permission
from cloudweb.settings import Settings
from cloudweb.views.compute import wrong_method

ROUTE = "registry"


def rules_of(settings: Settings) -> Rules:
    """What this installation lets its users register."""
    return Rules(
        settings.image_schemes, settings.image_disk_formats, settings.image_container_formats
    )


def includeme(config: Configurator) -> None:
    """Mount the tree at ``/plankton`` and register its views."""
    config.add_route(ROUTE, "/plankton/*traverse", factory=tree.root)
    config.add_view(
        wrong_method, route_name=ROUTE, context=Resource, permission=Permission.API_READ
    )
    config.scan("cloudweb.views.images")
