"""The federation's API: promoted flavors, regions, infrastructures and flavors.

No view here uses the request's own unit of work: what is read is read before a region is asked, and
what came of it is kept afterwards, each in a unit of work of its own (docs/adr/0012).
"""

import contextlib
import datetime as dt
import logging
from collections.abc import Iterable, Iterator
from typing import Any

import colander
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED
from sqlalchemy.orm import Session

from cloudweb import faults, wire
from cloudweb.backend.openstack import errors
from cloudweb.domain import catalogue
from cloudweb.models import Infrastructure, unit_of_work
from cloudweb.resources import Resource
from cloudweb.resources import federation as tree
from cloudweb.security import Permission
from cloudweb.shapes.base import Shape
from cloudweb.shapes.federation import MALFORMED_FLAVOR, read
from cloudweb.specifications import Specification
from cloudweb.views.endpoints import endpoints_of

_log = logging.getLogger(__name__)

ROUTE = "federation"
AS_OF = "X-Cloudweb-As-Of"
REGION_TOKEN = "X-Auth-Token-KeyStone"  # noqa: S105  (the name of a header)


def answer(
    request: Request, body: bytes, status: int = 200, *, as_of: dt.datetime | None = None
) -> Response:
    """Bytes in the caller's notation."""
    response = Response(body, status=status)
    response.headers["Content-Type"] = _MEDIA[request.notation]
    response.headers["Vary"] = REGION_TOKEN
    if as_of is not None:
        response.headers[AS_OF] = as_of.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return response


_MEDIA = {
    wire.Notation.JSON: "application/json",
    wire.Notation.XML: "application/xml; charset=utf-8",
}


def answer_one(request: Request, shape: Shape, row: Any, status: int = 200) -> Response:
    """One object."""
    return answer(request, wire.render(shape, row, request.notation), status)


def answer_rows(
    request: Request, shape: Shape, rows: Iterable[Any], *, as_of: dt.datetime | None = None
) -> Response:
    """A list of objects, and how old what it says is."""
    return answer(request, wire.render_rows(shape, rows, request.notation), as_of=as_of)


def empty() -> Response:
    """Done, and nothing to say."""
    response = Response(status=204)
    response.headers.pop("Content-Type", None)
    return response


def body_of(request: Request, schema: colander.SchemaNode) -> dict[str, Any]:
    """What the body says. Raises BadRequest, BadMediaType, OverLimit."""
    limit = request.conf.max_body_bytes
    body = request.body_file.read(limit + 1)
    if len(body) > limit:
        raise faults.OverLimit("The request is too large.")
    return read(schema, body, request.headers.get("Content-Type", "").lower())


@contextlib.contextmanager
def reading(request: Request) -> Iterator[Session]:
    """A unit of work that only reads, and has ended before a region is asked."""
    with unit_of_work(request.sessions, write=False) as session:
        yield session


@contextlib.contextmanager
def changing(request: Request) -> Iterator[Session]:
    """A unit of work that may write."""
    with unit_of_work(request.sessions) as session:
        yield session


def wanted(body: dict[str, Any]) -> Specification:
    """The flavor that a body asks for."""
    return Specification(
        id=body["id"],
        name=body["name"],
        vcpus=body["vcpus"],
        ram_mb=body["ram"],
        disk_gb=body["disk"],
        swap_mb=body["swap"],
        ephemeral_gb=body["ephemeral"] or 0,
        rxtx_factor=body["rxtx_factor"] or 1.0,
        extra_specs=body["extra_specs"] or {},
        access=(),
    )


@contextlib.contextmanager
def acting_in(
    region: Infrastructure, *, name: str = "", not_found: faults.Fault, own_account: bool = False
) -> Iterator[None]:
    """Spells what a region refuses as documented; ``name`` is the flavor's.

    Where the region's own account is used, its credentials are no business of the caller's.
    """
    try:
        yield
    except errors.RegionError as error:
        _log.warning("region refused", extra={"region": region.name, "error": error.message})
        raise _fault_of(error, region, name, not_found, own_account=own_account) from None


def _fault_of(
    error: errors.RegionError,
    region: Infrastructure,
    name: str,
    not_found: faults.Fault,
    *,
    own_account: bool,
) -> faults.Fault:
    match error:
        case errors.NotFound():
            return not_found
        case errors.Conflict():
            return faults.Conflict(catalogue.name_taken(name))
        case errors.Refused():
            return faults.BadRequest(MALFORMED_FLAVOR)
        case errors.NoEndpoint():
            return faults.BadGateway(f"Error {error.message}")
        case errors.Unauthorized() if not own_account:
            return faults.RegionCredentialsRefused()
        case errors.Forbidden():
            return faults.Forbidden(
                f"Error when managing flavors in the region {region.name}. "
                "Your credentials don't give you access to this resource."
            )
        case _:
            return faults.BadGateway()


def missing(flavor_id: str) -> faults.Fault:
    """No flavor of this id."""
    return faults.ItemNotFound(f"The flavor {flavor_id} does not exist")


def wrong_method(context: Resource, request: Request) -> Response:
    """Every method a place does not know; OPTIONS says which it does."""
    known = {e.method for e in endpoints_of(request.registry, ROUTE) if e.context is type(context)}
    if not known:
        raise faults.UnknownThere("The requested resource does not exist")
    allowed = sorted(known | {"OPTIONS"} | ({"HEAD"} if "GET" in known else set()))
    response = Response(status=200, allow=allowed)
    if request.method != "OPTIONS":
        response.status_code = 405
        response.text = faults.NotAllowed.sentence
    response.headers["Content-Type"] = "text/plain; charset=utf-8"
    return response


def includeme(config: Configurator) -> None:
    """Mount the tree at ``/v1`` and register its views."""
    config.add_route(ROUTE, "/v1/*traverse", factory=tree.root)
    config.add_view(
        wrong_method, route_name=ROUTE, context=Resource, permission=Permission.API_READ
    )
    config.add_view(
        wrong_method,
        route_name=ROUTE,
        context=Resource,
        request_method="OPTIONS",
        permission=NO_PERMISSION_REQUIRED,
    )
    config.scan("cloudweb.views.federation")
