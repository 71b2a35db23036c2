"""``X-Image-Meta-*`` headers: text of any alphabet, percent-encoded where it must be."""

import re
import string
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import colander
from pyramid.request import Request
from pyramid.response import Response

from cloudweb import faults
from cloudweb.models import Image
from cloudweb.openapi.schemas import request_schema
from cloudweb.shapes.registry import REGISTERED_IMAGE
from cloudweb.shapes.requests import LINED, NOT_BLANK
from cloudweb.views.endpoints import Header

_PREFIX = "HTTP_X_IMAGE_META_"
_PROPERTY = "property_"
_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation.replace("%", ""), "_"))
_NOT_ENCODED = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_IN_NAMES = "!#$&'*+^`|"
_IN_VALUES = "".join(set(map(chr, range(0x20, 0x7F))) - {"%"})


def declared(schema: colander.SchemaNode) -> tuple[Header, ...]:
    """The headers that say what the schema takes; ``*`` stands for the name of a property."""
    return tuple(
        Header(_header(n.name), _MEANINGS[n.name], _in_a_header(n), required=n.required)
        for n in schema.children
    )


def _in_a_header(node: colander.SchemaNode) -> dict[str, Any]:
    """What a header may be: text is printable ASCII, and whatever else is percent-encoded."""
    schema = request_schema(node)
    if schema["type"] == "object":
        schema = dict(schema["additionalProperties"])
    if schema.get("pattern") in (NOT_BLANK, LINED):
        return {"type": "string", "pattern": "^([!-~]([ -~]*[!-~])?)?$"}
    return schema


def _header(field: str) -> str:
    name = "Property-*" if field == "properties" else field.replace("_", "-").title()
    return f"X-Image-Meta-{name}"


_MEANINGS = {
    "name": "What people call it.",
    "location": "Where it lies: pithos://account/container/object, http(s)://, file:///, or an id "
    "that the clusters know by themselves; the installation says which of them. Without it, 501.",
    "disk_format": "How its bytes lie.",
    "container_format": "What they are wrapped in.",
    "size": "Its bytes; 0 where it is not known.",
    "checksum": "Of its bytes, as whoever registers it says.",
    "is_public": "True or False: whether everybody may use it.",
    "owner": "The number of the user who registered it, or system.",
    "store": "The scheme of the location.",
    "status": "available, or unavailable: no servers are made of it.",
    "properties": "A property; * is its name.",
    "id": "Its id.",
    "created_at": "When it was registered, in UTC.",
    "updated_at": "When it was changed last, in UTC.",
    "deleted_at": "Empty.",
}

ANSWERED = tuple(Header(_header(f.name), _MEANINGS[f.name]) for f in REGISTERED_IMAGE.fields)


def read(request: Request) -> dict[str, Any]:
    """What the headers say of an image, its properties under ``properties``.

    Names are lower case with ``_`` for punctuation, but for what is percent-encoded in them. Raises
    BadRequest.
    """
    fields: dict[str, Any] = {}
    properties: dict[str, str] = {}
    for header, value in request.environ.items():
        if not header.startswith(_PREFIX):
            continue
        name = _decoded(header.removeprefix(_PREFIX).lower().translate(_PUNCTUATION), header)
        key = name.removeprefix(_PROPERTY)
        into = properties if key != name else fields
        if key in into:
            raise faults.BadRequest("Malformed request", details=f"{_spelt(header)} comes twice.")
        into[key] = _decoded(value, header)
    if "properties" in fields:
        raise faults.BadRequest("Malformed request", details="Unknown: properties")
    return fields | ({"properties": properties} if properties else {})


def _decoded(text: str, header: str) -> str:
    # WSGI hands a header's bytes as if they were Latin-1.
    encoded = text.encode("latin-1", "replace")
    try:
        if _NOT_ENCODED.search(encoded):
            raise ValueError
        return unquote_to_bytes(encoded).decode("utf-8")
    except ValueError:
        raise faults.BadRequest(
            "Malformed request",
            details=f"{_spelt(header)} is not percent-encoded UTF-8; a percent sign is %25.",
        ) from None


def _spelt(header: str) -> str:
    name = header.removeprefix("HTTP_").replace("_", "-").title()
    return name.encode("ascii", "replace").decode()[:80]


def write(response: Response, image: Image) -> Response:
    """The response with headers that say all of the image; ``read`` takes them as they are."""
    values = REGISTERED_IMAGE.to_json(image)
    properties = values.pop("properties")
    named = values | {f"Property-{key}": value for key, value in properties.items()}
    for name, value in named.items():
        spelt = quote(name.replace("_", "-"), safe=_IN_NAMES)
        response.headers[f"X-Image-Meta-{spelt.title() if name in values else spelt}"] = _encoded(
            str(value)
        )
    return response


def _encoded(text: str) -> str:
    made = quote(text, safe=_IN_VALUES)
    # What is white at the ends is not part of a header's value.
    if made.startswith(" "):
        made = f"%20{made[1:]}"
    return f"{made[:-1]}%20" if made.endswith(" ") else made
