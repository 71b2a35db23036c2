"""The tree of the compute API: ``/api`` and ``/api/v1.1``."""

from typing import Any, ClassVar

from pyramid.request import Request

from cloudweb.resources import Branch, Collection, Item, Resource
from cloudweb.security import API_ACL


class _Api(Resource):
    __acl__: ClassVar[list[Any]] = API_ACL


class DetailResource(_Api):
    """The detailed list of the collection above."""


class ServerActionResource(_Api):
    """``/servers/{id}/action``."""


class ServerResource(_Api, Item):
    """``/servers/{id}``."""

    children: ClassVar[dict[str, type[Resource]]] = {"action": ServerActionResource}


class ServerCollection(_Api, Collection):
    """``/servers``."""

    children: ClassVar[dict[str, type[Resource]]] = {"detail": DetailResource}
    item = ServerResource


class FlavorResource(_Api, Item):
    """``/flavors/{id}``."""


class FlavorCollection(_Api, Collection):
    """``/flavors``."""

    children: ClassVar[dict[str, type[Resource]]] = {"detail": DetailResource}
    item = FlavorResource


class VersionResource(_Api, Branch):
    """``/api/v1.1``."""

    children: ClassVar[dict[str, type[Resource]]] = {
        "servers": ServerCollection,
        "flavors": FlavorCollection,
    }


class ComputeRoot(_Api, Branch):
    """``/api``: the versions there are."""

    children: ClassVar[dict[str, type[Resource]]] = {"v1.1": VersionResource}


def root(request: Request) -> ComputeRoot:
    """The root of the compute API."""
    return ComputeRoot(request)
