"""The URL space as trees of small lazy objects: spelling of keys here, rows in the views."""

from typing import Any, ClassVar

from pyramid.authorization import DENY_ALL
from pyramid.request import Request


class Resource:
    """A place in the URL space; ``__acl__`` says what kind of caller may do what kind of thing."""

    __acl__: ClassVar[list[Any]] = [DENY_ALL]

    def __init__(self, request: Request, name: str = "", parent: "Resource | None" = None) -> None:
        self.request = request
        self.__name__ = name
        self.__parent__ = parent


class Branch(Resource):
    """A place with fixed children."""

    children: ClassVar[dict[str, type[Resource]]] = {}

    def __getitem__(self, key: str) -> Resource:
        return self.children[key](self.request, key, self)


class Collection(Branch):
    """A place whose other children are its items; ``item_key`` checks their spelling only."""

    item: ClassVar[type[Resource]]

    def item_key(self, key: str) -> Any:
        """The key's value. Raises KeyError for what cannot be one."""
        if not (key.isascii() and key.isdigit()):
            raise KeyError(key)
        return int(key[:30])

    def __getitem__(self, key: str) -> Resource:
        if key in self.children:
            return super().__getitem__(key)
        self.item_key(key)
        return self.item(self.request, key, self)


class Item(Branch):
    """One of a collection, known by ``id`` and not yet read."""

    @property
    def id(self) -> Any:
        parent = self.__parent__
        assert isinstance(parent, Collection)
        return parent.item_key(self.__name__)
