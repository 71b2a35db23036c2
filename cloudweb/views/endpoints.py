"""Declares what an API does at a place of its tree: the view, and what is documented and tested."""

import dataclasses
from collections.abc import Callable
from typing import Any

import colander
import venusian
from pyramid.config import Configurator
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED

from cloudweb import faults
from cloudweb.faults import Fault
from cloudweb.resources import Resource
from cloudweb.security import Permission
from cloudweb.shapes.base import Shape

View = Callable[..., Response]

REGISTRY_KEY = "cloudweb.endpoints"
_READS = ("GET", "HEAD")
_HELD: dict[int, str | Shape] = {
    304: "The client holds it already: its If-None-Match names the ETag."
}
_ALWAYS = (
    faults.BadRequest,
    faults.OverLimit,
    faults.ComputeFault,
    faults.ServiceUnavailable,
)
"""What any request may meet: it is malformed or too large, we fail, the database is away."""


@dataclasses.dataclass(frozen=True, slots=True)
class Query:
    """A parameter of the query string."""

    name: str
    meaning: str
    schema: dict[str, Any] = dataclasses.field(default_factory=lambda: {"type": "string"})


@dataclasses.dataclass(frozen=True, slots=True)
class Header:
    """A header of a request, or of an answer."""

    name: str
    meaning: str
    schema: dict[str, Any] = dataclasses.field(default_factory=lambda: {"type": "string"})
    required: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Endpoint:
    """One method at one kind of place.

    ``gives`` is the shape of the answer (``many``: a list of it), None for an empty one, and
    ``takes`` the schema of the request's body. ``refuses`` are the faults beyond those any request
    may meet. ``other`` are further statuses: with an empty body, and when they come, or with an
    answer of that shape. ``atom`` says that there is a feed beside JSON and XML. ``headers`` are
    what it reads beyond those every request may have, ``answers_headers`` what it says in them.
    ``text`` is the content type of an answer that is neither JSON nor XML.
    """

    route: str
    context: type[Resource]
    method: str
    view: View
    status: int
    gives: Shape | None
    many: bool
    takes: colander.SchemaNode | None
    refuses: tuple[type[Fault], ...]
    queries: tuple[Query, ...]
    other: dict[int, str | Shape]
    permission: str
    atom: bool
    headers: tuple[Header, ...] = ()
    answers_headers: tuple[Header, ...] = ()
    text: str = ""

    @property
    def needs_token(self) -> bool:
        """Whether nobody is answered without a credential."""
        return self.permission != str(NO_PERMISSION_REQUIRED)

    @property
    def faults(self) -> tuple[type[Fault], ...]:
        """Every fault it may answer, by code."""
        found: set[type[Fault]] = {*_ALWAYS, *self.refuses}
        if self.route == "federation":
            # A key that cannot be one, and any unknown URL.
            found.add(faults.UnknownThere)
        if self.needs_token:
            # The federation's identity manager is asked, and may be away.
            own = {faults.TokenRequired, faults.BadGateway}
            found |= own if self.route == "federation" else {faults.Unauthorized}
            if self.permission != Permission.API_READ:
                # A token may be one that only reads.
                found.add(faults.Forbidden)
        if self.method not in _READS:
            # Whoever writes may lose a race.
            found.add(faults.Conflict)
        return tuple(sorted(found, key=lambda fault: (fault.code, fault.name)))

    @property
    def summary(self) -> str:
        """The first line of the view's docstring."""
        return (self.view.__doc__ or "").strip().partition("\n")[0]


def endpoint(
    route: str,
    context: type[Resource],
    method: str = "GET",
    *,
    status: int = 200,
    gives: Shape | None = None,
    many: bool = False,
    takes: colander.SchemaNode | None = None,
    refuses: tuple[type[Fault], ...] = (),
    queries: tuple[Query, ...] = (),
    other: dict[int, str | Shape] | None = None,
    permission: str | None = None,
    atom: bool = False,
    headers: tuple[Header, ...] = (),
    answers_headers: tuple[Header, ...] = (),
    text: str = "",
) -> Callable[[View], View]:
    """Make the function the view of ``method`` at ``context``, and note what it does.

    Reading needs API_READ and everything else API_WRITE, unless ``permission`` says otherwise.
    """

    def decorate(view: View) -> View:
        default = Permission.API_READ if method in _READS else Permission.API_WRITE
        declared = Endpoint(
            route,
            context,
            method,
            view,
            status,
            gives,
            many,
            takes,
            refuses,
            queries,
            (_HELD if method in _READS and status < 400 else {}) | (other or {}),
            permission or default,
            atom,
            headers,
            answers_headers,
            text,
        )

        def register(scanner: Any, _name: str, _view: View) -> None:
            config: Configurator = scanner.config.with_package(info.module)
            config.add_view(
                view,
                route_name=route,
                context=context,
                request_method=method,
                permission=declared.permission,
                # A GET answers HEAD as well; a HEAD of its own goes first, by one predicate more.
                path_info="" if method == "HEAD" else None,
            )
            config.registry.setdefault(REGISTRY_KEY, []).append(declared)

        info = venusian.attach(view, register, category="pyramid")
        return view

    return decorate


def endpoints_of(registry: Any, dialect: str = "compute") -> list[Endpoint]:
    """Every endpoint of an application that speaks this dialect; the federation has its own."""
    found: list[Endpoint] = registry.get(REGISTRY_KEY, [])
    return [e for e in found if (e.route == "federation") == (dialect == "federation")]
