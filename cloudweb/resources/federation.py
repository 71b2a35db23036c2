"""The tree of the federation's API: ``/v1``, and the same at ``/api/v1``."""

import re
from typing import Any, ClassVar

from pyramid.request import Request

from cloudweb.resources import Branch, Collection, Resource
from cloudweb.security import CATALOGUE_ACL, FEDERATION_ACL


class FederationResource(Resource):
    """A place of the federation's API."""

    __acl__: ClassVar[list[Any]] = FEDERATION_ACL


class Named(Branch):
    """One of a collection, known by its name or its id."""

    @property
    def key(self) -> str:
        return self.__name__


class NamedCollection(Collection):
    """A place whose items have names or ids of any spelling."""

    key_schema: ClassVar[dict[str, Any]] = {
        "type": "string",
        "maxLength": 255,
        "pattern": r"^[^\u0000-\u001f\u007f]+$",
    }

    def item_key(self, key: str) -> str:
        if not key or len(key) > 255 or re.search(r"[\x00-\x1f\x7f]", key):
            raise KeyError(key)
        return key


class PromotedFlavorResource(FederationResource, Named):
    """``/promotedflavors/{id}``."""

    __acl__: ClassVar[list[Any]] = CATALOGUE_ACL


class PromotedFlavorCollection(FederationResource, NamedCollection):
    """``/promotedflavors``."""

    __acl__: ClassVar[list[Any]] = CATALOGUE_ACL
    item = PromotedFlavorResource


class RegionalFlavorResource(FederationResource, Named):
    """``/regions/{region}/flavors/{id}``."""

    @property
    def region(self) -> str:
        assert isinstance(self.__parent__, RegionalFlavorCollection)
        return self.__parent__.region


class RegionalFlavorCollection(FederationResource, NamedCollection):
    """``/regions/{region}/flavors``."""

    item = RegionalFlavorResource

    @property
    def region(self) -> str:
        assert isinstance(self.__parent__, RegionResource)
        return self.__parent__.key


class RegionResource(FederationResource, Named):
    """``/regions/{region}``."""

    children: ClassVar[dict[str, type[Resource]]] = {"flavors": RegionalFlavorCollection}


class RegionCollection(FederationResource, NamedCollection):
    """``/regions``."""

    item = RegionResource


class InfrastructureResource(FederationResource, Named):
    """``/infrastructures/{name}``."""


class InfrastructureCollection(FederationResource, NamedCollection):
    """``/infrastructures``."""

    item = InfrastructureResource


class FlavorResource(FederationResource, Named):
    """``/flavors/{id}``."""


class FlavorCollection(FederationResource, NamedCollection):
    """``/flavors``."""

    item = FlavorResource


class FederationRoot(FederationResource, Branch):
    """``/v1``. ``region`` and ``nodes`` are other words for ``regions``."""

    children: ClassVar[dict[str, type[Resource]]] = {
        "promotedflavors": PromotedFlavorCollection,
        "regions": RegionCollection,
        "infrastructures": InfrastructureCollection,
        "flavors": FlavorCollection,
    }
    other_words: ClassVar[dict[str, str]] = {"region": "regions", "nodes": "regions"}

    def __getitem__(self, key: str) -> Resource:
        return super().__getitem__(self.other_words.get(key, key))


def root(request: Request) -> FederationRoot:
    """The root of the federation's API."""
    return FederationRoot(request)
