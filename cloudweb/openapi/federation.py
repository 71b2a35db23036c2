"""How the federation's API is described where it differs: its refusals, and XML that it takes."""

import colander

from cloudweb.faults import Fault
from cloudweb.openapi.schemas import Json, request_schema
from cloudweb.shapes.federation_faults import PLAIN
from cloudweb.wire import Notation

DIALECT = "federation"

_SENTENCE: Json = {
    "type": "object",
    "properties": {"message": {"type": "string"}},
    "required": ["message"],
    "additionalProperties": False,
}


def refusal(refused: list[type[Fault]]) -> Json:
    """Faults of one code: sentences as plain text, or errors in the caller's notation."""
    content: Json = {}
    if any(issubclass(fault, PLAIN) for fault in refused):
        content["text/plain; charset=utf-8"] = {"schema": {"type": "string"}}
    if not all(issubclass(fault, PLAIN) for fault in refused):
        error = {"type": "object", "properties": {"error": _SENTENCE}, "required": ["error"]}
        content[Notation.JSON.value] = {"schema": error}
        content[Notation.XML.value] = {"schema": _SENTENCE | {"xml": {"name": "error"}}}
    sentences = dict.fromkeys(fault.sentence for fault in refused)
    return {"description": " Or: ".join(sentences), "content": content}


def request_xml_schema(node: colander.SchemaNode) -> Json:
    """A request body in XML: everything is an element, and what is a list in JSON repeats one."""
    [child] = node.children
    schema = request_schema(child)
    schema["properties"] = {
        part.name: _part(part) for part in child.children if part.name in _IN_XML
    }
    return schema | {"xml": {"name": child.name}}


_IN_XML = frozenset(
    [
        "name",
        "vcpus",
        "ram",
        "disk",
        "swap",
        "nodes",
        "promoted",
        "public",
        "nova_url",
        "keystone_url",
        "username",
        "password",
        "tenant",
        "region",
    ]
)


def _part(node: colander.SchemaNode) -> Json:
    schema = request_schema(node)
    if isinstance(node.typ, colander.Sequence):
        schema["items"] = schema["items"] | {"xml": {"name": node.children[0].name}}
    return schema
