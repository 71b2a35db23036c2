"""The tree of the image registry: ``/plankton``."""

from typing import Any, ClassVar

from pyramid.request import Request

from cloudweb import faults
from cloudweb.resources import Branch, Collection, Item, Resource
from cloudweb.resources.compute import ApiResource, ImagesByKey


class UserCollection(ApiResource, Collection):
    """What is kept by the numbers of users."""

    key_name = "member_id"
    key_schema = Collection.key_schema

    def item_key(self, key: str) -> Any:
        try:
            return super().item_key(key)
        except KeyError:
            # The same for every e-mail address: nobody is told which of them there are.
            raise faults.BadRequest("A member is known by the number of a user.") from None


class MemberResource(ApiResource, Item):
    """``/images/{id}/members/{user}``."""

    @property
    def image_id(self) -> str:
        """The image this is about."""
        assert isinstance(self.__parent__, MemberCollection)
        return self.__parent__.image_id


class MemberCollection(UserCollection):
    """``/images/{id}/members``."""

    item = MemberResource

    @property
    def image_id(self) -> str:
        """The image whose members these are."""
        assert isinstance(self.__parent__, ImageResource)
        return str(self.__parent__.id)


class ImageResource(ApiResource, Item):
    """``/images/{id}``."""

    children: ClassVar[dict[str, type[Resource]]] = {"members": MemberCollection}


class ImageDetailResource(ApiResource):
    """``/images/detail``."""


class ImageCollection(ImagesByKey):
    """``/images``."""

    children: ClassVar[dict[str, type[Resource]]] = {"detail": ImageDetailResource}
    item = ImageResource


class SharedImagesResource(ApiResource, Item):
    """``/shared-images/{user}``."""


class SharedImagesCollection(UserCollection):
    """``/shared-images``."""

    item = SharedImagesResource


class RegistryRoot(ApiResource, Branch):
    """``/plankton``."""

    children: ClassVar[dict[str, type[Resource]]] = {
        "images": ImageCollection,
        "shared-images": SharedImagesCollection,
    }


def root(request: Request) -> RegistryRoot:
    """The root of the image registry."""
    return RegistryRoot(request)
