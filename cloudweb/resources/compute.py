"""The tree of the compute API: ``/api`` and ``/api/v1.1``."""

import re
from typing import Any, ClassVar

from pyramid.request import Request

from cloudweb.models import PUBLIC
from cloudweb.resources import Branch, Collection, Item, KeyItem, Resource
from cloudweb.security import API_ACL

IMAGE_ID = re.compile(r"[A-Za-z0-9_-]+")


class ApiResource(Resource):
    """A place of a token API."""

    __acl__: ClassVar[list[Any]] = API_ACL


class NetworkKeys(Collection):
    """A place whose items are networks, or have networks' ids: numbers, and ``public``."""

    key_schema: ClassVar[dict[str, Any]] = {"anyOf": [Collection.key_schema, {"const": PUBLIC}]}

    def item_key(self, key: str) -> int | str:
        """The number, or ``public``. Raises KeyError for what cannot be one."""
        return PUBLIC if key == PUBLIC else int(super().item_key(key))


class ServerActionResource(ApiResource):
    """``/servers/{id}/action``."""


class ServerMetadataItemResource(ApiResource, KeyItem):
    """``/servers/{id}/meta/{key}``."""


class ServerMetadataCollection(ApiResource, Collection):
    """``/servers/{id}/meta``."""

    item = ServerMetadataItemResource
    key_name = "key"

    def item_key(self, key: str) -> Any:
        return key


class ServerStatsResource(ApiResource):
    """``/servers/{id}/stats``."""


class AddressResource(ApiResource, Item):
    """``/servers/{id}/ips/{network}``."""


class AddressCollection(ApiResource, NetworkKeys):
    """``/servers/{id}/ips``."""

    item = AddressResource
    key_name = "network_id"


class ServerDiagnosticsResource(ApiResource):
    """``/servers/{id}/diagnostics``."""


class ServerResource(ApiResource, Item):
    """``/servers/{id}``."""

    children: ClassVar[dict[str, type[Resource]]] = {
        "action": ServerActionResource,
        "meta": ServerMetadataCollection,
        "stats": ServerStatsResource,
        "ips": AddressCollection,
        "diagnostics": ServerDiagnosticsResource,
    }


class ServerDetailResource(ApiResource):
    """``/servers/detail``."""


class ServerCollection(ApiResource, Collection):
    """``/servers``."""

    children: ClassVar[dict[str, type[Resource]]] = {"detail": ServerDetailResource}
    item = ServerResource


class FlavorResource(ApiResource, Item):
    """``/flavors/{id}``."""


class FlavorDetailResource(ApiResource):
    """``/flavors/detail``."""


class FlavorCollection(ApiResource, Collection):
    """``/flavors``."""

    children: ClassVar[dict[str, type[Resource]]] = {"detail": FlavorDetailResource}
    item = FlavorResource


class ImageKeyResource(ApiResource, KeyItem):
    """``/images/{id}/meta/{key}``."""

    @property
    def image_id(self) -> str:
        """The image whose metadata this is of."""
        assert isinstance(self.__parent__, ImageMetaCollection)
        return self.__parent__.image_id


class ImageMetaCollection(ApiResource, Collection):
    """``/images/{id}/meta``."""

    item = ImageKeyResource
    key_name = "key"

    def item_key(self, key: str) -> Any:
        return key

    @property
    def image_id(self) -> str:
        """The image whose metadata this is."""
        assert isinstance(self.__parent__, ImageResource)
        return str(self.__parent__.id)


class ImageResource(ApiResource, Item):
    """``/images/{id}``."""

    children: ClassVar[dict[str, type[Resource]]] = {"meta": ImageMetaCollection}


class ImageDetailResource(ApiResource):
    """``/images/detail``."""


class ImagesByKey(ApiResource, Collection):
    """Images by what they are known by, in any tree."""

    key_schema: ClassVar[dict[str, Any]] = {"type": "string", "pattern": f"^{IMAGE_ID.pattern}$"}

    def item_key(self, key: str) -> Any:
        if not IMAGE_ID.fullmatch(key):
            raise KeyError(key)
        return key


class ImageCollection(ImagesByKey):
    """``/images``."""

    children: ClassVar[dict[str, type[Resource]]] = {"detail": ImageDetailResource}
    item = ImageResource


class NetworkActionResource(ApiResource):
    """``/networks/{id}/action``."""


class NetworkResource(ApiResource, Item):
    """``/networks/{id}``."""

    children: ClassVar[dict[str, type[Resource]]] = {"action": NetworkActionResource}


class NetworkDetailResource(ApiResource):
    """``/networks/detail``."""


class NetworkCollection(ApiResource, NetworkKeys):
    """``/networks``."""

    children: ClassVar[dict[str, type[Resource]]] = {"detail": NetworkDetailResource}
    item = NetworkResource


class VersionResource(ApiResource, Branch):
    """``/api/v1.1``."""

    children: ClassVar[dict[str, type[Resource]]] = {
        "servers": ServerCollection,
        "flavors": FlavorCollection,
        "images": ImageCollection,
        "networks": NetworkCollection,
    }


class ComputeRoot(ApiResource, Branch):
    """``/api``: the versions there are."""

    children: ClassVar[dict[str, type[Resource]]] = {"v1.1": VersionResource}


def root(request: Request) -> ComputeRoot:
    """The root of the compute API."""
    return ComputeRoot(request)
