"""The federation's flavors, regions and infrastructures on the wire, and what clients send."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar
from xml.etree.ElementTree import Element as XmlElement

import colander

from cloudweb import faults, wire
from cloudweb.addresses import normal_url
from cloudweb.domain.texts import readable
from cloudweb.shapes.base import Element, Listing, Scalar, Shape, Texts
from cloudweb.shapes.requests import Name, StringMap, Text
from cloudweb.specifications import MAX_ID, MAX_NAME, MAX_NUMBER, MAX_VCPUS

FLAVOR = Shape(
    "flavor",
    [
        Scalar("id", lambda f: f.id),
        Element("name", lambda f: f.name),
        Element("vcpus", lambda f: f.vcpus, int),
        Element("ram", lambda f: f.ram_mb, int),
        Element("disk", lambda f: f.disk_gb, int),
        Element("swap", lambda f: f.swap_mb, int),
        Element("promoted", lambda f: f.promoted, bool),
        Element("public", lambda f: f.public, bool),
        Texts("nodes", "node", lambda f: f.nodes),
    ],
    namespaces={},
    listing=Listing.PLAIN,
)

REGION = Shape(
    "Infrastructure",
    [Scalar("id", lambda r: r.name), Element("name", lambda r: r.name)],
    namespaces={},
    listing=Listing.PLAIN,
)

INFRASTRUCTURE = Shape(
    "infrastructure", [Element("name", lambda r: r.name)], namespaces={}, listing=Listing.PLAIN
)

MALFORMED_FLAVOR = "The flavor request is not well formed"
MALFORMED_INFRASTRUCTURE = "The infrastructure is not well formed"
_FLAVOR_ID = re.compile(r"[A-Za-z0-9._-]([A-Za-z0-9. _-]*[A-Za-z0-9._-])?")


# --- what clients send: known keys are checked, others are theirs to keep


class WholeType(colander.SchemaType):
    """A JSON number without a fraction; neither a text nor a truth."""

    json_schema: ClassVar[dict[str, Any]] = {"type": "integer"}

    def deserialize(self, node: colander.SchemaNode, cstruct: Any) -> Any:
        if cstruct is colander.null:
            return colander.null
        if isinstance(cstruct, bool) or not isinstance(cstruct, int):
            raise colander.Invalid(node, "This must be a whole number.")
        return cstruct


class FactorType(colander.SchemaType):
    """A JSON number."""

    json_schema: ClassVar[dict[str, Any]] = {"type": "number"}

    def deserialize(self, node: colander.SchemaNode, cstruct: Any) -> Any:
        if cstruct is colander.null:
            return colander.null
        if isinstance(cstruct, bool) or not isinstance(cstruct, (int, float)):
            raise colander.Invalid(node, "This must be a number.")
        return float(cstruct)


class TruthType(colander.SchemaType):
    """true or false."""

    json_schema: ClassVar[dict[str, Any]] = {"type": "boolean"}

    def deserialize(self, node: colander.SchemaNode, cstruct: Any) -> Any:
        if cstruct is colander.null:
            return colander.null
        if not isinstance(cstruct, bool):
            raise colander.Invalid(node, "This must be true or false.")
        return cstruct


class FlavorIdType(colander.SchemaType):
    """An id that Nova takes: a text, or a number that is kept as one; empty for none."""

    json_schema: ClassVar[dict[str, Any]] = {"type": ["string", "integer", "null"]}

    def deserialize(self, node: colander.SchemaNode, cstruct: Any) -> Any:
        if cstruct is colander.null or cstruct is None or cstruct == "":
            return ""
        if isinstance(cstruct, int) and not isinstance(cstruct, bool):
            cstruct = str(cstruct)
        if (
            not isinstance(cstruct, str)
            or len(cstruct) > MAX_ID
            or not _FLAVOR_ID.fullmatch(cstruct)
        ):
            raise colander.Invalid(node, "This cannot be the id of a flavor.")
        return cstruct


class _ObjectType(colander.Mapping):
    def _validate(self, node: colander.SchemaNode, value: Any) -> Any:
        if not isinstance(value, dict):
            raise colander.Invalid(node, "This must be an object.")
        return value


class Known(colander.MappingSchema):
    """An object of which these keys are read, and others left alone."""

    def schema_type(self) -> colander.SchemaType:
        return _ObjectType(unknown="ignore")


def _whole(least: int, most: int = MAX_NUMBER, **options: Any) -> colander.SchemaNode:
    return colander.SchemaNode(WholeType(), validator=colander.Range(least, most), **options)


def _trimmed(node: colander.SchemaNode, value: str) -> None:
    if value != value.strip():
        raise colander.Invalid(node, "It begins or ends with a space.")


_trimmed.json_schema = {}  # type: ignore[attr-defined]


def _name() -> colander.SchemaNode:
    node = Name(maximum=MAX_NAME)
    node.validator = colander.All(node.validator, _trimmed)
    return node


def _text(*, least: int = 1, most: int = 255, **options: Any) -> colander.SchemaNode:
    return colander.SchemaNode(Text(), validator=_OneLine(least, most), **options)


class _OneLine:
    """Validates a text of so many characters, none of them control ones."""

    def __init__(self, least: int, most: int) -> None:
        self.least, self.most = least, most

    @property
    def json_schema(self) -> dict[str, Any]:
        return {"minLength": self.least, "maxLength": self.most}

    def __call__(self, node: colander.SchemaNode, value: str) -> None:
        if not self.least <= len(value) <= self.most or not readable(value):
            raise colander.Invalid(node, f"This has {self.least} to {self.most} characters.")


def _truth() -> colander.SchemaNode:
    return colander.SchemaNode(TruthType(), missing=None)


def _nodes() -> colander.SchemaNode:
    return colander.SchemaNode(
        colander.Sequence(), _text(name="node"), missing=(), validator=_different
    )


def _different(node: colander.SchemaNode, value: list[str]) -> None:
    if len(set(value)) != len(value):
        raise colander.Invalid(node, "A node comes twice.")


_different.json_schema = {"uniqueItems": True}  # type: ignore[attr-defined]


class _Url:
    """Validates an address that may be connected to; or nothing, where that will do."""

    def __init__(self, *, or_nothing: bool = False) -> None:
        self.or_nothing = or_nothing

    @property
    def json_schema(self) -> dict[str, Any]:
        pattern = "https?://[^/?#@]+[^?#]*"
        whole = f"^({pattern})?$" if self.or_nothing else f"^{pattern}$"
        return {"maxLength": 1024, "pattern": whole}

    def __call__(self, node: colander.SchemaNode, value: str) -> None:
        if self.or_nothing and not value:
            return
        if len(value) > 1024:
            raise colander.Invalid(node, "This has at most 1024 characters.")
        try:
            normal_url(value)
        except ValueError as error:
            raise colander.Invalid(node, str(error)) from None


class NewFlavor(Known):
    """A flavor to make. Beyond what is documented, what Nova knows of one may be said."""

    name = _name()
    vcpus = _whole(1, MAX_VCPUS)
    ram = _whole(1)
    disk = _whole(0)
    swap = _whole(0)
    id = colander.SchemaNode(FlavorIdType(), missing="")
    nodes = _nodes()
    public = _truth()
    promoted = _truth()
    ephemeral = _whole(0, missing=None)
    rxtx_factor = colander.SchemaNode(
        FactorType(), validator=colander.Range(0.001, 1e6), missing=None
    )
    extra_specs = StringMap(key_max=255, value_max=255, max_items=100, missing=None)


class FlavorChange(Known):
    """What may become of a flavor."""

    promoted = _truth()
    public = _truth()
    nodes = _nodes()


class NewInfrastructure(Known):
    """A region and the account that is used there."""

    name = _name()
    nova_url = colander.SchemaNode(Text(), validator=_Url(or_nothing=True), missing="")
    keystone_url = colander.SchemaNode(Text(), validator=_Url())
    username = _text()
    password = _text()
    tenant = _text()
    region = _text(missing="")


def _around(name: str, node: colander.SchemaNode) -> colander.SchemaNode:
    outer = Known()
    node.name = name
    outer.add(node)
    return outer


NEW_FLAVOR = _around("flavor", NewFlavor())
FLAVOR_CHANGE = _around("flavor", FlavorChange())
NEW_INFRASTRUCTURE = _around("infrastructure", NewInfrastructure())

# In XML the elements come in this order; "*" is any number of them and "?" at most one.
_SEQUENCES: Mapping[int, str] = {
    id(NEW_FLAVOR): "name vcpus ram disk swap node*",
    id(FLAVOR_CHANGE): "promoted? public? node*",
    id(NEW_INFRASTRUCTURE): "name nova_url? keystone_url username password tenant region?",
}
_NUMBERS = frozenset(("vcpus", "ram", "disk", "swap"))
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


def read(schema: colander.SchemaNode, body: bytes, content_type: str) -> dict[str, Any]:
    """What the body says, as the schema has it. Raises BadRequest, BadMediaType."""
    [child] = schema.children
    message = MALFORMED_FLAVOR if child.name == "flavor" else MALFORMED_INFRASTRUCTURE
    try:
        if wire.Notation.JSON in content_type:
            value = wire.json_value(body)
        elif wire.Notation.XML in content_type:
            root = wire.xml_root(body)
            value = {child.name: _elements(root, child.name, _SEQUENCES[id(schema)])}
        else:
            media = content_type.partition(";")[0].strip()[:100]
            raise faults.BadMediaType(
                f"Unrecognized content type '{media}'. Mustbe 'application/xml or "
                "'application/json'"
            )
        found: dict[str, Any] = schema.deserialize(value)[child.name]
    except (faults.BadRequest, colander.Invalid):
        raise faults.BadRequest(message) from None
    return found


def _elements(root: XmlElement, name: str, sequence: str) -> dict[str, Any]:
    """The children of the root in the one order there is. Raises BadRequest."""
    if root.tag != name or root.attrib or _has_text(root.text):
        raise faults.BadRequest
    children = list(root)
    value: dict[str, Any] = {}
    for word in sequence.split():
        tag, many = word.rstrip("*?"), word[-1] if word[-1] in "*?" else ""
        texts: list[str] = []
        while children and children[0].tag == tag and (many == "*" or not texts):
            texts.append(_text_of(children.pop(0)))
        if not texts and not many:
            raise faults.BadRequest
        if many == "*":
            value["nodes"] = texts
        elif texts:
            value[tag] = _typed(tag, texts[0])
    if children:
        raise faults.BadRequest
    return value


def _text_of(element: XmlElement) -> str:
    if element.attrib or len(element) or _has_text(element.tail):
        raise faults.BadRequest
    return element.text or ""


def _has_text(text: str | None) -> bool:
    return bool(text and text.strip())


def _typed(tag: str, text: str) -> Any:
    if tag in _NUMBERS:
        text = text.strip()
        if not re.fullmatch(r"[+-]?[0-9]{1,15}", text, re.ASCII):
            raise faults.BadRequest
        return int(text)
    if tag in ("promoted", "public"):
        if text.strip() not in _TRUTHS:
            raise faults.BadRequest
        return _TRUTHS[text.strip()]
    return text
