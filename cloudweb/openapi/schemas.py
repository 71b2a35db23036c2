"""What shapes and request schemas say, as JSON Schema with OpenAPI's notes for XML."""

import datetime as dt
import importlib
import pkgutil
from typing import Any

import colander

from cloudweb import shapes
from cloudweb.faults import Fault
from cloudweb.shapes.base import (
    COMPUTE_NS,
    Element,
    Field,
    Ids,
    Keyed,
    Listed,
    Listing,
    Mapped,
    NumberOrName,
    Scalar,
    Shape,
    Texts,
)
from cloudweb.shapes.requests import ChoiceType, StringMapType
from cloudweb.wire import Notation

Json = dict[str, Any]

_KINDS: dict[type, Json] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    float: {"type": "number"},
    NumberOrName: {"type": ["integer", "string"]},
    dt.datetime: {"type": "string", "format": "date-time"},
}
_TEXTS = {"type": "string"}


class Components:
    """The schemas that a document has named so far; a shape is named as its module names it."""

    def __init__(self) -> None:
        self.schemas: Json = {}
        self._names = _names_of_shapes()

    def reference(self, shape: Shape, notation: Notation) -> Json:
        """A reference to the schema of a shape's rows."""
        suffix = "Xml" if notation is Notation.XML else ""
        name = self._names[id(shape)] + suffix
        if name not in self.schemas:
            self.schemas[name] = {}  # Named before it is made: shapes may hold each other.
            make = self._xml if notation is Notation.XML else self._json
            self.schemas[name].update(make(shape))
        return {"$ref": f"#/components/schemas/{name}"}

    def one(self, shape: Shape, notation: Notation) -> Json:
        """The document of one row."""
        row = self.reference(shape, notation)
        if notation is Notation.XML or not shape.enveloped:
            return row
        return _closed({shape.name: row}, [shape.name])

    def many(self, shape: Shape, notation: Notation) -> Json:
        """The document of a list of rows."""
        rows: Json = {"type": "array", "items": self.reference(shape, notation)}
        if notation is Notation.XML:
            return rows | {"xml": _element_name(shape) | {"name": shape.plural, "wrapped": True}}
        if shape.listing is Listing.BARE:
            return rows
        if shape.listing is Listing.VALUES:
            rows = _closed({"values": rows}, ["values"])
        return _closed({shape.plural: rows}, [shape.plural])

    def fault(self, fault: type[Fault], notation: Notation) -> Json:
        """A reference to the schema of a refusal."""
        name = f"{fault.name[0].upper()}{fault.name[1:]}{fault.code}"
        code: Json = {"type": "integer", "const": fault.code}
        if notation is Notation.XML:
            code["xml"] = {"attribute": True}
        parts = {"code": code, "message": _TEXTS, "details": _TEXTS}
        body = _closed(parts, list(parts))
        if notation is Notation.XML:
            name += "Xml"
            body["xml"] = {"name": fault.name, "namespace": COMPUTE_NS}
        else:
            body = _closed({fault.name: body}, [fault.name])
        self.schemas[name] = body
        return {"$ref": f"#/components/schemas/{name}"}

    def _json(self, shape: Shape) -> Json:
        if isinstance(shape, Keyed):
            texts: Json = {"type": "object", "additionalProperties": _TEXTS}
            return texts if shape.bare else _closed({"values": texts}, ["values"])
        fields = [f for f in shape.fields if not isinstance(f, Scalar) or f.json]
        required = [f.name for f in fields if not _may_miss(f)]
        return _closed({f.name: self._field(f) for f in fields}, required)

    def _field(self, field: Field) -> Json:
        if isinstance(field, (Scalar, Element)):
            return dict(_KINDS[field.kind])
        if isinstance(field, Texts):
            return {"type": "array", "items": _TEXTS}
        if isinstance(field, Mapped):
            values: Json = {"type": "object", "additionalProperties": _TEXTS}
            if field.bare:
                return values
            return _closed({"values": values | {"minProperties": 1}}, ["values"])
        if isinstance(field, Ids):
            return _closed({"values": {"type": "array", "items": _KINDS[int]}}, ["values"])
        rows = {"type": "array", "items": self.reference(field.shape, Notation.JSON)}
        return _closed({"values": rows}, ["values"]) if field.wrap and not field.bare else rows

    def _xml(self, shape: Shape) -> Json:
        if isinstance(shape, Keyed):
            made = keyed_elements(shape.item)
            return (made if shape.item else made["items"]) | {"xml": _element_name(shape)}
        fields = [f for f in shape.fields if not isinstance(f, Scalar) or f.xml]
        # A list without an element of its own may be empty; a wrapped one is always there.
        required = [f.name for f in fields if not _may_miss_in_xml(f)]
        made = _closed({f.name: self._xml_field(f) for f in fields}, required)
        return made | {"xml": _element_name(shape)}

    def _xml_field(self, field: Field) -> Json:
        if isinstance(field, Element):
            return dict(_KINDS[field.kind])
        if isinstance(field, Texts):
            return {"type": "array", "items": _TEXTS | {"xml": {"name": field.item}}}
        if isinstance(field, Scalar):
            return _KINDS[field.kind] | {"xml": {"attribute": True}}
        if isinstance(field, Mapped):
            return keyed_elements(field.item)
        if isinstance(field, Ids):
            key = _KINDS[int] | {"xml": {"attribute": True}}
            item = _closed({"id": key}, ["id"]) | {"xml": {"name": field.item}}
            return {"type": "array", "items": item, "xml": {"wrapped": True}}
        items = self.reference(field.shape, Notation.XML)
        wrapped = {"xml": {"wrapped": True}} if field.wrap else {}
        return {"type": "array", "items": items} | wrapped


def _names_of_shapes() -> dict[int, str]:
    """``ServerBrief`` for ``SERVER_BRIEF``; with the module's name where two modules use one."""
    found: list[tuple[str, str, Shape]] = []
    for info in pkgutil.iter_modules(shapes.__path__):
        module = importlib.import_module(f"{shapes.__name__}.{info.name}")
        for constant, value in vars(module).items():
            if isinstance(value, Shape) and value not in [shape for _, _, shape in found]:
                found.append((info.name, _camel(constant), value))
    names = [name for _, name, _ in found]
    return {
        id(shape): name if names.count(name) == 1 else _camel(module) + name
        for module, name, shape in found
    }


def _camel(words: str) -> str:
    return "".join(word.capitalize() for word in words.split("_"))


def _may_miss(field: Field) -> bool:
    if isinstance(field, (Element, Texts)):
        return False
    return not field.bare if isinstance(field, Mapped) else field.optional


def _may_miss_in_xml(field: Field) -> bool:
    if isinstance(field, Listed):
        return not field.wrap
    return isinstance(field, (Mapped, Texts)) or (not isinstance(field, Element) and field.optional)


def _element_name(shape: Shape) -> Json:
    prefix, _, name = shape.name.rpartition(":")
    if prefix:
        space = shape.namespaces[f"xmlns:{prefix}"]
        return {"name": name, "namespace": space, "prefix": prefix}
    found = {"name": name}
    if "xmlns" in shape.namespaces:
        found["namespace"] = shape.namespaces["xmlns"]
    return found


def _closed(properties: Json, required: list[str]) -> Json:
    made: Json = {"type": "object", "properties": properties, "additionalProperties": False}
    return made | ({"required": required} if required else {})


def keyed_elements(item: str) -> Json:
    """``<meta key="…">text</meta>``, as often as there are keys; the text is said in ``x-text``."""
    element = _keyed_element() | {"xml": {"name": item}}
    return {"type": "array", "items": element, "xml": {"wrapped": True}}


def _keyed_element() -> Json:
    return _closed(
        {
            "key": {"type": "string", "xml": {"attribute": True}},
            "value": {"type": "string", "xml": {"x-text": True}},
        },
        ["key"],
    )


# --- what clients send


def request_schema(node: colander.SchemaNode) -> Json:
    """A request body in JSON. Raises TypeError for a node that no rule here describes."""
    kind = node.typ
    if isinstance(kind, ChoiceType):
        choices = kind.choices.items()
        return {"oneOf": [_closed({k: request_schema(v)}, [k]) for k, v in choices]}
    if isinstance(kind, colander.Mapping):
        made = _closed(
            {child.name: request_schema(child) for child in node.children},
            [child.name for child in node.children if child.required],
        )
        if kind.unknown == "ignore":
            del made["additionalProperties"]
        schema = made
    elif isinstance(kind, colander.Sequence):
        schema = {"type": "array", "items": request_schema(node.children[0])}
    else:
        schema = _type_schema(kind)
    return schema | _validator_schema(node.validator) | _said(node)


def _said(node: colander.SchemaNode) -> Json:
    return {"description": node.description} if node.description else {}


def _type_schema(kind: Any) -> Json:
    described = getattr(kind, "json_schema", None)
    if described is not None:
        return dict(described)
    for known, name in (
        (colander.Boolean, "boolean"),
        (colander.Integer, "integer"),
        (colander.Number, "number"),
        (colander.String, "string"),
    ):
        if isinstance(kind, known):
            return {"type": name}
    raise TypeError(f"{type(kind).__name__} has no json_schema for the OpenAPI document")


def _validator_schema(validator: Any) -> Json:
    if validator is None:
        return {}
    described = getattr(validator, "json_schema", None)
    if described is not None:
        return dict(described)
    if isinstance(validator, colander.All):
        return {k: v for part in validator.validators for k, v in _validator_schema(part).items()}
    if isinstance(validator, colander.OneOf):
        return {"enum": list(validator.choices)}
    if isinstance(validator, colander.Length):
        return _limits(minLength=validator.min, maxLength=validator.max)
    if isinstance(validator, colander.Range):
        return _limits(minimum=validator.min, maximum=validator.max)
    if isinstance(validator, colander.Regex):
        return {"pattern": validator.match_object.pattern}
    raise TypeError(f"{validator!r} has no json_schema for the OpenAPI document")


def _limits(**limits: Any) -> Json:
    return {name: limit for name, limit in limits.items() if limit not in (None, -1)}


def request_xml_schema(node: colander.SchemaNode) -> Json:
    """A request body in XML: the only key of the JSON object is the root element."""
    if isinstance(node.typ, ChoiceType):
        return {"anyOf": [_element(name, child) for name, child in node.typ.choices.items()]}
    if isinstance(node.typ, colander.Mapping) and len(node.children) == 1:
        [child] = node.children
        return _element(child.name, child)
    raise TypeError("A request body has one key: in XML, its root element")


def _element(name: str, node: colander.SchemaNode) -> Json:
    if isinstance(node.typ, StringMapType) and node.typ.single:
        return _keyed_element() | {"xml": {"name": name}}
    schema = request_schema(node)
    if isinstance(node.typ, colander.Mapping):
        schema["properties"] = {c.name: _xml_part(c) for c in node.children}
    elif schema.get("type") == "object":
        schema = keyed_elements("meta") | {"maxItems": schema.get("maxProperties", 1000)}
    return schema | {"xml": {"name": name}}


def _xml_part(node: colander.SchemaNode) -> Json:
    if isinstance(node.typ, colander.Sequence):
        items = _element(node.children[0].name or "item", node.children[0])
        return {"type": "array", "items": items, "xml": {"wrapped": True}}
    written = getattr(node.typ, "xml_schema", None)
    if written is not None:
        return dict(written)
    schema = request_schema(node)
    if schema.get("type") == "object":
        element = _element(node.name, node)
        wrapped = {"wrapped": True} if element["type"] == "array" else {}
        return element | {"xml": {"name": node.name} | wrapped}
    return schema | {"xml": {"attribute": True}}
