"""The URL space as trees of small lazy objects: spelling of keys here, rows in the views."""

import re
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
    key_name: ClassVar[str] = ""
    """What the documentation calls an item's key; by default ``server_id`` of a ServerResource."""
    key_schema: ClassVar[dict[str, Any]] = {"type": "integer", "minimum": 0}
    """The spelling that ``item_key`` checks, as a JSON Schema; any text where it is not said."""

    def __init_subclass__(cls) -> None:
        if "item_key" in vars(cls) and "key_schema" not in vars(cls):
            # A URL with a line end leads nowhere.
            cls.key_schema = {"type": "string", "pattern": r"^[^\u0000-\u001f\u007f]+$"}
        super().__init_subclass__()

    @classmethod
    def key_parameter(cls) -> str:
        """The name of an item's key in documented paths."""
        words = re.sub("(?<!^)(?=[A-Z])", "_", cls.item.__name__.removesuffix("Resource"))
        return cls.key_name or f"{words.lower()}_id"

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


class KeyItem(Item):
    """One of a collection whose keys are texts of any kind: all that follows in the URL."""

    @property
    def id(self) -> str:
        """The key as it was sent, slashes and all; traversal would split it."""
        parent = self.__parent__
        assert parent is not None
        path: str = self.request.path_info
        return path.partition(f"/{parent.__name__}/")[2]

    def __getitem__(self, key: str) -> Resource:
        return self
