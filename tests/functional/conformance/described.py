"""Holds an answer against what the OpenAPI document says of it, in JSON and in XML."""

import json
from typing import Any
from xml.etree import ElementTree

from openapi_schema_validator import OAS31Validator, oas31_format_checker

from cloudweb.wire import Notation

Json = dict[str, Any]


class Described:
    """One operation of the document."""

    def __init__(self, document: Json, path: str, method: str) -> None:
        self.document, self.method = document, method
        self.responses: Json = document["paths"][path][method.lower()]["responses"]

    @property
    def statuses(self) -> set[int]:
        return {int(status) for status in self.responses}

    def check(self, answer: Any) -> None:
        """Fails unless status, content type and body are as described."""
        assert answer.status_code in self.statuses, (answer.status_code, answer.text)
        content = self.responses[str(answer.status_code)].get("content")
        if content is None:
            assert answer.body == b""
            # The answer to a HEAD says what the answer to a GET would say.
            assert "Content-Type" not in answer.headers or self.method == "HEAD"
            return
        media = answer.headers["Content-Type"]
        # What is said in XML may name its charset, which the document does not.
        schema = content.get(media, content.get(media.partition(";")[0]))["schema"]
        if media.startswith("text/"):
            assert schema == {"type": "string"}
            return
        if media == Notation.JSON.value:
            value = json.loads(answer.body)
        else:
            value = self._read(schema, ElementTree.fromstring(answer.body))
        root = schema | {"components": self.document["components"]}
        OAS31Validator(root, format_checker=oas31_format_checker).validate(value)

    def _resolved(self, schema: Json) -> Json:
        while "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return schema

    def _read(self, schema: Json, element: ElementTree.Element) -> Any:
        """The element as the value that the schema describes."""
        schema = self._resolved(schema)
        for choice in schema.get("anyOf", ()):
            if _is(self._resolved(choice), element):
                schema = self._resolved(choice)
        assert _is(schema, element), (schema, element.tag)
        if schema["type"] == "array":
            return self._items(schema, element)
        if schema["type"] != "object":
            return _value(schema, element.text or "")
        known: Json = schema["properties"]
        value: Json = {}
        for name, text in element.items():
            assert known[name]["xml"]["attribute"], name
            value[name] = _value(known[name], text)
        for name, part in known.items():
            notes = part.get("xml", {})
            if notes.get("x-text"):
                value[name] = element.text or ""
            elif not notes.get("attribute"):
                self._child(value, name, part, element)
        taken = sum(len(v) if isinstance(v, list) else 1 for v in self._children(value, known))
        assert taken >= len(element), f"children of {element.tag} that nothing describes"
        return value

    def _children(self, value: Json, known: Json) -> list[Any]:
        found = []
        for name, part in value.items():
            notes = known[name].get("xml", {})
            if not notes.get("attribute") and not notes.get("x-text"):
                found.append(1 if notes.get("wrapped") else part)
        return found

    def _child(self, value: Json, name: str, part: Json, element: ElementTree.Element) -> None:
        schema = self._resolved(part)
        if schema["type"] == "array" and not schema.get("xml", {}).get("wrapped"):
            value[name] = self._items(schema, element)
            return
        child = element.find(f"{{*}}{schema.get('xml', {}).get('name', name)}")
        if child is None:
            return
        if schema["type"] == "array":
            value[name] = self._items(schema, child)
        elif schema["type"] == "object":
            value[name] = self._read(schema, child)
        else:
            value[name] = _value(schema, child.text or "")

    def _items(self, schema: Json, element: ElementTree.Element) -> list[Any]:
        items = self._resolved(schema["items"])
        return [
            self._read(items, child) for child in element.findall(f"{{*}}{items['xml']['name']}")
        ]


def _is(schema: Json, element: ElementTree.Element) -> bool:
    notes = schema["xml"]
    space = f"{{{notes['namespace']}}}" if "namespace" in notes else ""
    tag = element.tag if space else element.tag.rpartition("}")[2]
    return bool(tag == space + notes["name"])


def _value(schema: Json, text: str) -> Any:
    kind = schema["type"]
    if kind == "integer":
        return int(text)
    if kind == "number":
        return float(text)
    if kind == "boolean":
        return {"true": True, "false": False}[text]
    return text
