"""Every URL of the APIs, found by walking the resource trees that their routes begin."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from pyramid.interfaces import IRoutesMapper

from cloudweb.resources import Branch, Collection, Item, Resource
from cloudweb.views.endpoints import Endpoint, endpoints_of

_TRAVERSE = "*traverse"
_DEEPEST = 12


@dataclasses.dataclass(frozen=True, slots=True)
class Parameter:
    """A part of a path that the caller chooses."""

    name: str
    schema: dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Place:
    """One URL, with its parameters in braces, and the resource found there."""

    route: str
    resource: type[Resource]
    path: str
    parameters: tuple[Parameter, ...]


def places_of(registry: Any, dialect: str = "compute") -> list[Place]:
    """Every place of every route that endpoints are declared on, parents before children."""
    found: list[Place] = []
    for name in dict.fromkeys(e.route for e in endpoints_of(registry, dialect)):
        route = registry.getUtility(IRoutesMapper).get_route(name)
        root = type(route.factory(None))
        if route.pattern.endswith(_TRAVERSE):
            prefix = route.pattern.removesuffix(_TRAVERSE).rstrip("/")
            found.extend(_walk(name, root, prefix, ()))
        else:
            found.append(Place(name, root, route.pattern, ()))
    return found


def endpoints_at(registry: Any, dialect: str = "compute") -> dict[Place, list[Endpoint]]:
    """The endpoints of each place. Raises LookupError for one that is at no place."""
    places = places_of(registry, dialect)
    found: dict[Place, list[Endpoint]] = {place: [] for place in places}
    for endpoint in endpoints_of(registry, dialect):
        there = [p for p in places if (p.route, p.resource) == (endpoint.route, endpoint.context)]
        if not there:
            raise LookupError(f"No URL of {endpoint.route} leads to {endpoint.context.__name__}")
        for place in there:
            found[place].append(endpoint)
    return found


def _walk(
    route: str, resource: type[Resource], path: str, parameters: tuple[Parameter, ...]
) -> Iterator[Place]:
    if path.count("/") > _DEEPEST:
        raise LookupError(f"{path}: the tree has no end")
    yield Place(route, resource, _spelt(resource, path), parameters)
    if issubclass(resource, Branch):
        for key, child in resource.children.items():
            yield from _walk(route, child, f"{path}/{key}", parameters)
    if issubclass(resource, Collection):
        part = Parameter(resource.key_parameter(), resource.key_schema)
        yield from _walk(route, resource.item, f"{path}/{{{part.name}}}", (*parameters, part))


def _spelt(resource: type[Resource], path: str) -> str:
    """Where a tree only branches, its URL is written with the slash that clients know."""
    found = path.endswith("}") or issubclass(resource, (Collection, Item))
    return f"{path}/" if issubclass(resource, Branch) and not found else path
