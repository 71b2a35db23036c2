"""Writes a request that is given as JSON in XML, by the schema of what an endpoint takes."""

from typing import Any
from xml.sax.saxutils import escape, quoteattr

import colander

from cloudweb.shapes.base import COMPUTE_NS
from cloudweb.shapes.personality import PersonalityType
from cloudweb.shapes.requests import ChoiceType, StringMapType


def write(node: colander.SchemaNode, body: Any) -> str:
    """The body's only key is the root element."""
    [(name, value)] = body.items()
    if isinstance(node.typ, ChoiceType):
        return _element(name, node.typ.choices[name], value, f' xmlns="{COMPUTE_NS}"')
    return _element(name, node[name], value, f' xmlns="{COMPUTE_NS}"')


def _element(name: str, node: colander.SchemaNode, value: Any, opening: str = "") -> str:
    inner = ""
    if isinstance(node.typ, StringMapType) and node.typ.single:
        [(key, inner)] = value.items()
        opening, inner = f"{opening} key={quoteattr(key)}", escape(inner)
    elif isinstance(node.typ, StringMapType):
        for key, text in value.items():
            inner += f"<meta key={quoteattr(key)}>{escape(text)}</meta>"
    elif isinstance(node.typ, PersonalityType):
        for file in value:
            attributes = {key: part for key, part in file.items() if key != "contents"}
            opened = "".join(f" {key}={quoteattr(part)}" for key, part in attributes.items())
            inner += f"<file{opened}>{escape(file['contents'])}</file>"
    elif isinstance(node.typ, colander.Sequence):
        child = node.children[0]
        inner = "".join(_element(child.name or "item", child, item) for item in value)
    elif isinstance(node.typ, colander.Mapping):
        for key, part in value.items():
            if isinstance(part, (dict, list)):
                inner += _element(key, node[key], part)
            else:
                opening += f" {key}={quoteattr(_text(part))}"
    else:
        inner = escape(_text(value))
    return f"<{name}{opening}>{inner}</{name}>"


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def write_elements(node: colander.SchemaNode, body: Any) -> str:
    """The same where everything is an element, and a list is one element as often as needed."""
    [(name, value)] = body.items()
    inner = ""
    for key, part in value.items():
        many = isinstance(part, list)
        tag = node[name][key].children[0].name if many else key
        for each in part if many else [part]:
            inner += f"<{tag}>{escape(_text(each))}</{tag}>"
    return f"<{name}>{inner}</{name}>"
