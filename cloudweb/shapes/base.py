"""Declares what goes over the wire, once, and compiles it to JSON values and XML text.

A shape is a list of fields. In JSON they are keys of an object; in XML scalars are attributes of
the element, the rest child elements. Nothing here knows HTTP.
"""

import dataclasses
import datetime as dt
import enum
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

COMPUTE_NS = "http://docs.openstack.org/compute/api/v1.1"
ATOM_NS = "http://www.w3.org/2005/Atom"

Getter = Callable[[Any], Any]


class ElementValue(dict[str, Any]):
    """What an XML element had, as JSON would have it in an object."""


class NumberOrName:
    """The ``kind`` of an id that is a number, or a name that stands for several things."""


@dataclasses.dataclass(frozen=True, slots=True)
class Scalar:
    """A text, number, time or truth, as ``kind`` says; absent where ``optional`` and None."""

    name: str
    get: Getter
    kind: type = str
    optional: bool = False
    json: bool = True
    xml: bool = True

    def add_json(self, row: Any, out: dict[str, Any]) -> None:
        if self.json:
            value = self.get(row)
            if value is not None or not self.optional:
                out[self.name] = value

    def attribute(self, row: Any) -> str:
        value = self.get(row) if self.xml else None
        if value is None:
            return "" if self.optional or not self.xml else f' {self.name}=""'
        return f" {self.name}={_quoted(_xml_text(value))}"

    def child(self, row: Any) -> str:
        return ""


@dataclasses.dataclass(frozen=True, slots=True)
class Mapped:
    """A mapping of texts: ``{"values": {...}}``, left out when empty; ``<meta key="…">`` in XML."""

    name: str
    item: str
    get: Getter
    bare: bool = False
    """A plain JSON object, and there even when empty."""

    def add_json(self, row: Any, out: dict[str, Any]) -> None:
        values = self.get(row)
        if values or self.bare:
            out[self.name] = dict(values) if self.bare else {"values": dict(values)}

    def attribute(self, row: Any) -> str:
        return ""

    def child(self, row: Any) -> str:
        values: Mapping[str, str] = self.get(row)
        if not values:
            return ""
        items = "".join(
            f"<{self.item} key={_quoted(k)}>{escape(v)}</{self.item}>" for k, v in values.items()
        )
        return f"<{self.name}>{items}</{self.name}>"


@dataclasses.dataclass(frozen=True, slots=True)
class Listed:
    """A list of shapes: ``{"values": [...]}``; its XML element is there even when empty."""

    name: str
    shape: "Shape"
    get: Getter
    optional: bool = True
    wrap: bool = True
    """Whether the list has an element of its own in XML, and a ``values`` object in JSON."""
    bare: bool = False
    """A plain JSON list, though XML has the element."""

    def add_json(self, row: Any, out: dict[str, Any]) -> None:
        rows = self.get(row)
        if rows or not self.optional:
            values = [self.shape.to_json(item) for item in rows]
            out[self.name] = {"values": values} if self.wrap and not self.bare else values

    def attribute(self, row: Any) -> str:
        return ""

    def child(self, row: Any) -> str:
        items = "".join(self.shape.to_xml(item) for item in self.get(row))
        return f"<{self.name}>{items}</{self.name}>" if self.wrap else items


@dataclasses.dataclass(frozen=True, slots=True)
class Element:
    """A text, number or truth that is always there; in XML an element of its own."""

    name: str
    get: Getter
    kind: type = str

    def add_json(self, row: Any, out: dict[str, Any]) -> None:
        out[self.name] = self.get(row)

    def attribute(self, row: Any) -> str:
        return ""

    def child(self, row: Any) -> str:
        return f"<{self.name}>{escape(_xml_text(self.get(row)))}</{self.name}>"


@dataclasses.dataclass(frozen=True, slots=True)
class Ids:
    """Ids of other things: ``{"values": [1, 2]}``; in XML an element each. Never left out."""

    name: str
    item: str
    get: Getter
    optional: bool = False

    def add_json(self, row: Any, out: dict[str, Any]) -> None:
        out[self.name] = {"values": list(self.get(row))}

    def attribute(self, row: Any) -> str:
        return ""

    def child(self, row: Any) -> str:
        items = "".join(f'<{self.item} id="{key}"/>' for key in self.get(row))
        return f"<{self.name}>{items}</{self.name}>"


@dataclasses.dataclass(frozen=True, slots=True)
class Texts:
    """A plain list of texts; in XML each an element, and nothing around them."""

    name: str
    item: str
    get: Getter

    def add_json(self, row: Any, out: dict[str, Any]) -> None:
        out[self.name] = list(self.get(row))

    def attribute(self, row: Any) -> str:
        return ""

    def child(self, row: Any) -> str:
        return "".join(f"<{self.item}>{escape(text)}</{self.item}>" for text in self.get(row))


Field = Scalar | Mapped | Listed | Ids | Element | Texts


class Listing(enum.Enum):
    """How a document that is a list is written in JSON; in XML it is an element of its plural."""

    VALUES = '{"%s":{"values":[%s]}}'
    PLAIN = '{"%s":[%s]}'
    BARE = "[%s]"


class Shape:
    """One kind of object: ``name`` in JSON and XML, ``plural`` for lists of it.

    One that is not ``enveloped`` is in JSON a document without its name.
    """

    def __init__(
        self,
        name: str,
        fields: Iterable[Field],
        *,
        plural: str = "",
        namespaces: Mapping[str, str] | None = None,
        listing: Listing = Listing.VALUES,
        enveloped: bool = True,
    ) -> None:
        self.name = name
        self.plural = plural or f"{name}s"
        self.listing = listing
        self.enveloped = enveloped
        self._fields = tuple(fields)
        self._attributes = tuple(field for field in self._fields if isinstance(field, Scalar))
        self._children = tuple(field for field in self._fields if not isinstance(field, Scalar))
        # Most of a document are scalars that are always there: those need no call of their own.
        self._always = tuple((f.name, f.get) for f in self._attributes if f.json and not f.optional)
        self._sometimes = tuple(
            f for f in self._fields if not isinstance(f, Scalar) or (f.json and f.optional)
        )
        spaces = namespaces if namespaces is not None else {"xmlns": COMPUTE_NS}
        self.namespaces = dict(spaces)
        self.xmlns = "".join(f" {k}={quoteattr(v)}" for k, v in spaces.items())

    @property
    def fields(self) -> tuple[Field, ...]:
        """The declaration, in order."""
        return self._fields

    def to_json(self, row: Any) -> dict[str, Any]:
        """The row as a JSON object."""
        out = {name: get(row) for name, get in self._always}
        for field in self._sometimes:
            field.add_json(row, out)
        return out

    def to_xml(self, row: Any, *, root: bool = False) -> str:
        """The row as an element; the root of a document names its namespace."""
        opening = self.name + (self.xmlns if root else "")
        for scalar in self._attributes:
            opening += scalar.attribute(row)
        inner = "".join([field.child(row) for field in self._children])
        return f"<{opening}>{inner}</{self.name}>" if inner else f"<{opening}/>"


class Keyed(Shape):
    """A mapping of texts as an object of its own: ``{"values": {…}}``, or plain; its row is one.

    In XML it holds an element ``item`` for each key; without an item it has one key, and is the
    element itself: ``<meta key="…">text</meta>``.
    """

    def __init__(self, name: str, item: str = "", *, bare: bool = False) -> None:
        super().__init__(name, ())
        self.item, self.bare = item, bare

    def to_json(self, row: Mapping[str, str]) -> dict[str, Any]:
        return dict(row) if self.bare else {"values": dict(row)}

    def to_xml(self, row: Mapping[str, str], *, root: bool = False) -> str:
        space = self.xmlns if root else ""
        items = [(self.item or f"{self.name}{space}", key, text) for key, text in row.items()]
        inner = "".join(f"<{n} key={_quoted(k)}>{escape(t)}</{n.split()[0]}>" for n, k, t in items)
        return f"<{self.name}{space}>{inner}</{self.name}>" if self.item else inner


_SPECIAL = re.compile(r"[&<>\"\n\r\t]")


def _quoted(text: str) -> str:
    """An attribute's value; few hold what must be escaped."""
    return quoteattr(text) if _SPECIAL.search(text) else f'"{text}"'


def _xml_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return str(value)
