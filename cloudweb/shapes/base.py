"""Declares what goes over the wire, once, and compiles it to JSON values and XML text.

A shape is a list of fields. In JSON they are keys of an object; in XML scalars are attributes of
the element, the rest child elements. Nothing here knows HTTP.
"""

import dataclasses
import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

COMPUTE_NS = "http://docs.openstack.org/compute/api/v1.1"
ATOM_NS = "http://www.w3.org/2005/Atom"

Getter = Callable[[Any], Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Scalar:
    """A text, number, time or truth; absent where ``optional`` and None."""

    name: str
    get: Getter
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

    def add_json(self, row: Any, out: dict[str, Any]) -> None:
        values = self.get(row)
        if values:
            out[self.name] = {"values": dict(values)}

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


Field = Scalar | Mapped | Listed


class Shape:
    """One kind of object: ``name`` in JSON and XML, ``plural`` for lists of it."""

    def __init__(
        self,
        name: str,
        fields: Iterable[Field],
        *,
        plural: str = "",
        namespaces: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.plural = plural or f"{name}s"
        self._fields = tuple(fields)
        self._attributes = tuple(field for field in self._fields if isinstance(field, Scalar))
        self._children = tuple(field for field in self._fields if not isinstance(field, Scalar))
        # Most of a document are scalars that are always there: those need no call of their own.
        self._always = tuple((f.name, f.get) for f in self._attributes if f.json and not f.optional)
        self._sometimes = tuple(
            f for f in self._fields if not isinstance(f, Scalar) or (f.json and f.optional)
        )
        spaces = namespaces if namespaces is not None else {"xmlns": COMPUTE_NS}
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
