"""The OpenAPI 3.1 document of the APIs, made from what the views declare and the trees hold."""

import inspect
import itertools
import sys
from typing import Any

from cloudweb.faults import Fault
from cloudweb.openapi import federation
from cloudweb.openapi.places import Place, endpoints_at
from cloudweb.openapi.schemas import Components, Json, request_schema, request_xml_schema
from cloudweb.shapes.base import Shape
from cloudweb.views.endpoints import Endpoint
from cloudweb.wire import Notation

_ABOUT = """\
Every URL takes the suffixes `.json` and `.xml`, which settle how the answer is written; without one
the Accept header does, and without that it is JSON. Bodies are JSON or XML, as Content-Type says.
A refusal has one key, the name of the fault, with its code, a message and details.
"""


def describe(registry: Any, *, server_url: str) -> Json:
    """The document of an application's endpoints.

    A place with several URLs is described at the first and lists the others. Raises LookupError or
    TypeError for a declaration that cannot be described.
    """
    components = Components()
    return {
        "openapi": "3.1.0",
        "info": {"title": "cloudweb", "version": "1.1", "description": _ABOUT},
        "servers": [{"url": server_url}],
        "tags": _tags(registry),
        "paths": _paths(registry, components),
        "components": {
            "schemas": dict(sorted(components.schemas.items())),
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
            },
        },
    }


def operation_id(endpoint: Endpoint) -> str:
    """``compute.servers.create``: the view's module and name."""
    return f"{tag(endpoint)}.{endpoint.view.__name__}"


def tag(endpoint: Endpoint) -> str:
    """The API and the noun an endpoint is about: ``compute.servers``, as its module is called."""
    return endpoint.view.__module__.removeprefix("cloudweb.views.")


def described(
    registry: Any, dialect: str = "compute"
) -> list[tuple[Place, list[str], list[Endpoint]]]:
    """Each resource with endpoints: its first place, its other paths, its endpoints."""
    found: dict[tuple[str, type], tuple[Place, list[str], list[Endpoint]]] = {}
    for place, endpoints in endpoints_at(registry, dialect).items():
        if not endpoints:
            continue
        key = (place.route, place.resource)
        if key in found:
            found[key][1].append(place.path)
        else:
            found[key] = (place, [], endpoints)
    return list(found.values())


def _all(registry: Any) -> list[tuple[Place, list[str], list[Endpoint]]]:
    return described(registry) + described(registry, federation.DIALECT)


def _tags(registry: Any) -> list[Json]:
    endpoints = [e for _, _, endpoints in _all(registry) for e in endpoints]
    modules = {tag(e): sys.modules[e.view.__module__] for e in endpoints}
    return [{"name": n, "description": inspect.getdoc(m) or n} for n, m in modules.items()]


def _paths(registry: Any, components: Components) -> Json:
    paths: Json = {}
    for place, others, endpoints in _all(registry):
        item: Json = {e.method.lower(): _operation(e, components) for e in endpoints}
        if place.parameters:
            item["parameters"] = [
                {"name": p.name, "in": "path", "required": True, "schema": p.schema}
                for p in place.parameters
            ]
        if others:
            item["description"] = "Also at " + ", ".join(f"`{path}`" for path in others) + "."
        paths[place.path] = item
    return paths


def _operation(endpoint: Endpoint, components: Components) -> Json:
    operation: Json = {
        "operationId": operation_id(endpoint),
        "summary": endpoint.summary,
        "tags": [tag(endpoint)],
        "security": [{"token": []}] if endpoint.needs_token else [],
    }
    if parameters := _parameters(endpoint):
        operation["parameters"] = parameters
    if endpoint.takes is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {
                Notation.JSON.value: {"schema": request_schema(endpoint.takes)},
                Notation.XML.value: {"schema": _xml_request(endpoint)},
            },
        }
    operation["responses"] = _responses(endpoint, components)
    return operation


def _xml_request(endpoint: Endpoint) -> Json:
    assert endpoint.takes is not None
    if endpoint.route == federation.DIALECT:
        return federation.request_xml_schema(endpoint.takes)
    return request_xml_schema(endpoint.takes)


def _parameters(endpoint: Endpoint) -> list[Json]:
    queries = [
        {"name": q.name, "in": "query", "description": q.meaning, "schema": q.schema}
        for q in endpoint.queries
    ]
    headers = [
        {"name": h.name, "in": "header", "description": h.meaning, "schema": h.schema}
        | ({"required": True} if h.required else {})
        for h in endpoint.headers
    ]
    return queries + headers


def _responses(endpoint: Endpoint, components: Components) -> Json:
    made: Json = {str(endpoint.status): _answer(endpoint, components)}
    if endpoint.answers_headers:
        made[str(endpoint.status)]["headers"] = {
            h.name: {"description": h.meaning, "schema": h.schema} for h in endpoint.answers_headers
        }
    for status, other in endpoint.other.items():
        if isinstance(other, Shape):
            description = f"A {other.name}, where that was asked for."
            made[str(status)] = {"description": description, "content": _content(other, components)}
        else:
            made[str(status)] = {"description": other}
    for code, group in itertools.groupby(endpoint.faults, key=lambda fault: fault.code):
        if endpoint.route == federation.DIALECT:
            made[str(code)] = federation.refusal(list(group))
            continue
        made[str(code)] = _refusal(list(group), components)
        if endpoint.method == "HEAD":
            del made[str(code)]["content"]
    return dict(sorted(made.items()))


def _answer(endpoint: Endpoint, components: Components) -> Json:
    if endpoint.text:
        content: Json = {endpoint.text: {"schema": {"type": "string"}}}
        return {"description": endpoint.summary, "content": content}
    if endpoint.gives is None:
        return {"description": "Done; the answer is empty."}
    content = _content(endpoint.gives, components, many=endpoint.many)
    if endpoint.atom:
        content[Notation.ATOM.value] = {"schema": {"type": "string"}}
    return {"description": endpoint.summary, "content": content}


def _content(shape: Shape, components: Components, *, many: bool = False) -> Json:
    write = components.many if many else components.one
    return {
        notation.value: {"schema": write(shape, notation)}
        for notation in (Notation.JSON, Notation.XML)
    }


def _refusal(refused: list[type[Fault]], components: Components) -> Json:
    content: Json = {}
    for notation in (Notation.JSON, Notation.XML):
        found = [components.fault(fault, notation) for fault in refused]
        # Not oneOf: in XML two refusals differ only in the element's name.
        schema = found[0] if len(found) == 1 else {"anyOf": found}
        content[notation.value] = {"schema": schema}
    sentences = dict.fromkeys(fault.sentence for fault in refused)
    return {"description": " Or: ".join(sentences), "content": content}
