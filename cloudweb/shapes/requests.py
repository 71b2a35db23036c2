"""What clients may send: strict nodes for colander, and one error for all they find."""

import unicodedata
from collections.abc import Mapping
from typing import Any

import colander

from cloudweb import faults

_NOT_IN_XML = frozenset("\ufffe\uffff")


def readable(text: str) -> bool:
    """Whether a text can be shown on one line and written in XML: no control characters."""
    return not any(unicodedata.category(c) in ("Cc", "Cs") or c in _NOT_IN_XML for c in text)


class Text(colander.SchemaType):
    """A JSON string and nothing that merely looks like one."""

    def deserialize(self, node: colander.SchemaNode, cstruct: Any) -> Any:
        if cstruct is colander.null:
            return colander.null
        if not isinstance(cstruct, str):
            raise colander.Invalid(node, "This must be a string.")
        return cstruct


class ReferenceType(colander.SchemaType):
    """An id: a string, or a whole number; digits only where the ids are numbers."""

    def __init__(self, *, digits: bool) -> None:
        self.digits = digits

    def deserialize(self, node: colander.SchemaNode, cstruct: Any) -> Any:
        if cstruct is colander.null:
            return colander.null
        if isinstance(cstruct, int) and not isinstance(cstruct, bool):
            cstruct = str(cstruct)
        if not isinstance(cstruct, str) or not cstruct:
            raise colander.Invalid(node, "This must be an id.")
        if not self.digits:
            return cstruct if len(cstruct) <= 256 and readable(cstruct) else ""
        # An id that cannot be one is an id nothing has.
        return int(cstruct[:30]) if cstruct.isascii() and cstruct.isdigit() else 0


class StringMapType(colander.SchemaType):
    """An object whose values are strings."""

    def __init__(self, *, key_max: int, value_max: int, max_items: int) -> None:
        self.key_max, self.value_max, self.max_items = key_max, value_max, max_items

    def deserialize(self, node: colander.SchemaNode, cstruct: Any) -> Any:
        if cstruct is colander.null:
            return colander.null
        if not isinstance(cstruct, Mapping):
            raise colander.Invalid(node, "This must be an object.")
        if len(cstruct) > self.max_items:
            raise colander.Invalid(node, f"There can be no more than {self.max_items} items.")
        for key, value in cstruct.items():
            if not isinstance(value, str):
                raise colander.Invalid(node, f"The value of {key[:50]!r} must be a string.")
            if not key or len(key) > self.key_max or not readable(key):
                raise colander.Invalid(
                    node, f"A key has 1 to {self.key_max} characters, none of them control ones."
                )
            if len(value) > self.value_max or not readable(value.translate(_LINES)):
                raise colander.Invalid(
                    node, f"A value has at most {self.value_max} characters, none control ones."
                )
        return dict(cstruct)


_LINES = {ord("\n"): " ", ord("\t"): " "}


def Name(*, maximum: int = 255) -> colander.SchemaNode:  # noqa: N802  (a kind of node)
    """A name people read: one line, not blank."""

    def check(node: colander.SchemaNode, value: str) -> None:
        if not value.strip() or len(value) > maximum:
            raise colander.Invalid(node, f"A name has 1 to {maximum} characters.")
        if not readable(value):
            raise colander.Invalid(node, "A name has no control characters.")

    return colander.SchemaNode(Text(), validator=check)


def Reference(*, digits: bool = False) -> colander.SchemaNode:  # noqa: N802
    """The id of something."""
    return colander.SchemaNode(ReferenceType(digits=digits))


def StringMap(  # noqa: N802
    *, key_max: int, value_max: int, max_items: int, missing: Any = colander.required
) -> colander.SchemaNode:
    """Keys and values, both strings."""
    kind = StringMapType(key_max=key_max, value_max=value_max, max_items=max_items)
    return colander.SchemaNode(kind, missing=missing)


class Strict(colander.MappingSchema):
    """An object with these keys and no others."""

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, unknown="raise", **kw)

    def schema_type(self) -> colander.SchemaType:
        return _Object(unknown="raise")


class _Object(colander.Mapping):
    def _validate(self, node: colander.SchemaNode, value: Any) -> Any:
        if not isinstance(value, dict):
            raise colander.Invalid(node, "This must be an object.")
        return value


def only(name: str, node: colander.SchemaNode) -> colander.SchemaNode:
    """An object with the one key ``name``."""
    outer = Strict()
    node.name = name
    outer.add(node)
    return outer


def read(schema: colander.SchemaNode, value: Any) -> Any:
    """The value as the schema has it. Raises BadRequest, with a sentence for each field."""
    try:
        return schema.deserialize(value)
    except colander.UnsupportedFields as error:
        names = ", ".join(sorted(str(field)[:50] for field in error.fields))
        raise faults.BadRequest("Malformed request", details=f"Unknown: {names}") from None
    except colander.Invalid as error:
        found = {name: str(text)[:200] for name, text in error.asdict().items()}
        raise faults.BadRequest("Malformed request", details=found) from None
