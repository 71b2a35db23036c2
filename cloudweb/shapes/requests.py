"""What clients may send: strict nodes for colander, and one error for all they find.

Types and validators of ours say in ``json_schema`` what the OpenAPI document says of them.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import colander

from cloudweb import faults
from cloudweb.domain.texts import readable
from cloudweb.shapes.base import ElementValue

# The same as ``readable``, for JSON Schema.
CONTROL = r"\u0000-\u001f\u007f-\u009f\ufffe\uffff"
ONE_LINE = f"^[^{CONTROL}]*$"
# A key is part of a URL: what clients and proxies change in one cannot be in it.
_KEY = rf"^(?!(.*/)?\.\.?(/.*)?$)[^{CONTROL}\s]([^{CONTROL}]*[^{CONTROL}\s])?$"
NOT_BLANK = rf"^[^{CONTROL}]*[^{CONTROL}\s][^{CONTROL}]*$"
LINED = rf"^([^{CONTROL}]|[\n\t])*$"


class Text(colander.SchemaType):
    """A JSON string and nothing that merely looks like one."""

    json_schema: ClassVar[dict[str, Any]] = {"type": "string"}

    def deserialize(self, node: colander.SchemaNode, cstruct: Any) -> Any:
        if cstruct is colander.null:
            return colander.null
        if not isinstance(cstruct, str):
            raise colander.Invalid(node, "This must be a string.")
        return cstruct


class TextOrNull(Text):
    """A JSON string; null is the same as nothing."""

    json_schema: ClassVar[dict[str, Any]] = {"anyOf": [{"type": "string"}, {"type": "null"}]}

    def deserialize(self, node: colander.SchemaNode, cstruct: Any) -> Any:
        return super().deserialize(node, colander.null if cstruct is None else cstruct)


class Truth(colander.SchemaType):
    """A JSON true or false, or these words, as XML has them."""

    json_schema: ClassVar[dict[str, Any]] = {"type": "boolean"}

    def deserialize(self, node: colander.SchemaNode, cstruct: Any) -> Any:
        if cstruct is colander.null or isinstance(cstruct, bool):
            return cstruct
        if cstruct not in ("true", "false"):
            raise colander.Invalid(node, "This must be true or false.")
        return cstruct == "true"


class ReferenceType(colander.SchemaType):
    """An id: a string, or a whole number; digits only where the ids are numbers."""

    def __init__(self, *, digits: bool) -> None:
        self.digits = digits

    @property
    def json_schema(self) -> dict[str, Any]:
        text = {"type": "string", "pattern": "^[0-9]+$"} if self.digits else {"type": "string"}
        return {"anyOf": [{"type": "integer", "minimum": 0}, text | {"minLength": 1}]}

    def deserialize(self, node: colander.SchemaNode, cstruct: Any) -> Any:
        if cstruct is colander.null:
            return colander.null
        if isinstance(cstruct, float) and cstruct.is_integer():
            cstruct = int(cstruct)  # JSON has one kind of number: 7.0 is 7.
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

    def __init__(
        self, *, key_max: int, value_max: int, min_items: int, max_items: int | None
    ) -> None:
        self.key_max, self.value_max = key_max, value_max
        self.min_items, self.max_items = min_items, max_items

    @property
    def single(self) -> bool:
        """Whether there is exactly one key, which in XML is the element itself."""
        return self.min_items == self.max_items == 1

    @property
    def json_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "minProperties": self.min_items,
            **({"maxProperties": self.max_items} if self.max_items is not None else {}),
            "propertyNames": {"minLength": 1, "maxLength": self.key_max, "pattern": _KEY},
            "additionalProperties": {
                "type": "string",
                "maxLength": self.value_max,
                "pattern": LINED,
            },
        }

    def deserialize(self, node: colander.SchemaNode, cstruct: Any) -> Any:
        if cstruct is colander.null:
            return colander.null
        if not isinstance(cstruct, Mapping):
            raise colander.Invalid(node, "This must be an object.")
        if len(cstruct) < self.min_items:
            raise colander.Invalid(node, "There must be a key.")
        if self.max_items is not None and len(cstruct) > self.max_items:
            raise colander.Invalid(node, f"There can be no more than {self.max_items} keys.")
        for key, value in cstruct.items():
            if not isinstance(value, str):
                raise colander.Invalid(node, f"The value of {key[:50]!r} must be a string.")
            if not key or len(key) > self.key_max or not readable(key):
                raise colander.Invalid(
                    node, f"A key has 1 to {self.key_max} characters, none of them control ones."
                )
            if key != key.strip() or not {".", ".."}.isdisjoint(key.split("/")):
                raise colander.Invalid(
                    node,
                    "A key has no space at its ends, and is no . or .., nor has a / beside one.",
                )
            if len(value) > self.value_max or not readable(value.translate(_LINES)):
                raise colander.Invalid(
                    node, f"A value has at most {self.value_max} characters, none control ones."
                )
        return dict(cstruct)


class ChoiceType(colander.SchemaType):
    """An object with exactly one key, which says what its value must be; read as (key, value)."""

    def __init__(self, choices: Mapping[str, colander.SchemaNode]) -> None:
        self.choices = choices

    def deserialize(self, node: colander.SchemaNode, cstruct: Any) -> Any:
        if not isinstance(cstruct, Mapping) or len(cstruct) != 1:
            raise colander.Invalid(node, "This must be an object with one key.")
        [(key, value)] = cstruct.items()
        if key not in self.choices:
            raise colander.Invalid(node, f"{str(key)[:50]!r} is not known here.")
        return key, self.choices[key].deserialize(value)


class ElementsType(colander.Sequence):
    """A JSON list, or XML elements of one name, which the parser gives under that name."""

    def deserialize(self, node: colander.SchemaNode, cstruct: Any, **options: Any) -> Any:
        if isinstance(cstruct, ElementValue) and set(cstruct) <= {node.children[0].name}:
            found: Any = next(iter(cstruct.values()), [])
            cstruct = found if isinstance(found, list) else [found]
        if cstruct is not colander.null and not isinstance(cstruct, list):
            raise colander.Invalid(node, "This must be a list.")
        return super().deserialize(node, cstruct, **options)


_LINES = {ord("\n"): " ", ord("\t"): " "}


class OneLine:
    """Validates a text people read: one line, not blank."""

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum

    @property
    def json_schema(self) -> dict[str, Any]:
        return {"minLength": 1, "maxLength": self.maximum, "pattern": NOT_BLANK}

    def __call__(self, node: colander.SchemaNode, value: str) -> None:
        if not value.strip() or len(value) > self.maximum:
            raise colander.Invalid(node, f"A name has 1 to {self.maximum} characters.")
        if not readable(value):
            raise colander.Invalid(node, "A name has no control characters.")


def Name(*, maximum: int = 255) -> colander.SchemaNode:  # noqa: N802  (a kind of node)
    """A name people read: one line, not blank."""
    return colander.SchemaNode(Text(), validator=OneLine(maximum))


def Reference(*, digits: bool = False) -> colander.SchemaNode:  # noqa: N802
    """The id of something."""
    return colander.SchemaNode(ReferenceType(digits=digits))


def StringMap(  # noqa: N802
    *,
    key_max: int,
    value_max: int,
    min_items: int = 0,
    max_items: int | None = None,
    missing: Any = colander.required,
) -> colander.SchemaNode:
    """Keys and values, both strings."""
    kind = StringMapType(
        key_max=key_max, value_max=value_max, min_items=min_items, max_items=max_items
    )
    return colander.SchemaNode(kind, missing=missing)


def Elements(name: str, item: colander.SchemaNode) -> colander.SchemaNode:  # noqa: N802
    """A list of items; in XML each is an element ``name``."""
    item.name = name
    return colander.SchemaNode(ElementsType(), item)


class Strict(colander.MappingSchema):
    """An object with these keys and no others."""

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, unknown="raise", **kw)

    def schema_type(self) -> colander.SchemaType:
        return _Object(unknown="raise")


class _Object(colander.Mapping):
    def deserialize(self, node: colander.SchemaNode, cstruct: Any) -> Any:
        try:
            return super().deserialize(node, cstruct)
        except colander.UnsupportedFields as error:
            # Names only: what came under them may be a secret.
            names = ", ".join(sorted(str(field)[:50] for field in error.fields))
            raise colander.Invalid(node, f"Unknown: {names}") from None

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


def choice(choices: Mapping[str, colander.SchemaNode]) -> colander.SchemaNode:
    """An object with exactly one of these keys, and what is said of its value."""
    return colander.SchemaNode(ChoiceType(choices))


def read(schema: colander.SchemaNode, value: Any) -> Any:
    """The value as the schema has it. Raises BadRequest, with a sentence for each field."""
    try:
        return schema.deserialize(value)
    except colander.Invalid as error:
        found = {name: str(text)[:200] for name, text in error.asdict().items()}
        # What is wrong with the whole has no name.
        whole = found.get("") if len(found) == 1 else None
        raise faults.BadRequest("Malformed request", details=whole or found) from None
