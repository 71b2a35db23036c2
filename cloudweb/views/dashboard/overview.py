"""The page an operator sees first: what needs a person, then the clusters, then what happened.

It is made of tiles. One that fails says so in its place; the others are there all the same.
"""

import dataclasses
import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED
from pyramid.view import view_config

from cloudweb.domain import attention, capacity, flavors, fleet, operation_lists, saved_views
from cloudweb.domain.capacity import Promised, Span
from cloudweb.models import Backend, OperState
from cloudweb.security import Permission
from cloudweb.views.dashboard import charts, concerns, pages
from cloudweb.views.dashboard.backends import stale_after_s

_log = logging.getLogger(__name__)
_RECENT = 10
_VIEWS = 20


class _Seen:
    """What more than one tile is made of, read once; it fails in each that asks."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.stale_after_s = stale_after_s(request.conf)

    @functools.cached_property
    def backends(self) -> Sequence[Backend]:
        return fleet.list_all(self.request.db)

    @functools.cached_property
    def promised(self) -> Mapping[int, Promised]:
        return capacity.promises(self.request.db)

    @functools.cached_property
    def servers(self) -> Mapping[int, Mapping[OperState, int]]:
        return {backend_id: each.servers for backend_id, each in self.promised.items()}

    @functools.cached_property
    def open_operations(self) -> Mapping[int, int]:
        return operation_lists.count_open_by_backend(self.request.db)


def _attention(seen: _Seen) -> dict[str, Any]:
    request = seen.request
    found = attention.list_concerns(
        *(request.db, seen.backends, flavors.list_active(request.db), seen.servers),
        stale_after_s=seen.stale_after_s,
    )
    return {"concerns": [(each, concerns.way_of(request, each)) for each in found]}


def _backends(seen: _Seen) -> dict[str, Any]:
    return {
        "backends": [
            (backend, attention.condition(backend, stale_after_s=seen.stale_after_s))
            for backend in seen.backends
        ],
        "charts": {
            id_: charts.draw("Memory", "memory_percent", points, Span.WEEK)
            for id_, points in capacity.points_of(seen.request.db, seen.backends, Span.WEEK).items()
        },
        "promised": {
            backend.id: seen.promised.get(backend.id, capacity.NOTHING) for backend in seen.backends
        },
        "open_operations": seen.open_operations,
    }


def _views(seen: _Seen) -> dict[str, Any]:
    request = seen.request
    return {"views": saved_views.list_own(request.db, request.identity, limit=_VIEWS)}


def _recent(seen: _Seen) -> dict[str, Any]:
    return {"recent": operation_lists.list_recent(seen.request.db, limit=_RECENT)}


@dataclasses.dataclass(frozen=True, slots=True)
class _Tile:
    """A part of the page: its heading, its template, and what that is given."""

    title: str
    template: str
    values: Callable[[_Seen], dict[str, Any]]

    def draw(self, seen: _Seen) -> Markup:
        """The tile, or that it failed."""
        request = seen.request
        try:
            return pages.part(request, self.template, title=self.title, **self.values(seen))
        except Exception:  # noqa: BLE001  (whatever it is, the other tiles are to be seen)
            _log.exception("tile failed", extra={"tile": self.template})
            # What the others have read stays as it is; what failed is not in their way.
            request.db.expunge_all()
            request.db.rollback()
            return pages.part(request, "tile_failed", title=self.title)


_TILES = (
    _Tile("Needs attention", "tile_attention", _attention),
    _Tile("Backends", "tile_backends", _backends),
    _Tile("My views", "tile_views", _views),
    _Tile("Last operations", "tile_operations", _recent),
)


@view_config(route_name="front", request_method="GET", permission=NO_PERMISSION_REQUIRED)
@view_config(route_name="admin.root", request_method="GET", permission=NO_PERMISSION_REQUIRED)
def enter(request: Request) -> Response:
    """GET /, /admin: to the first page; of a plain user that is their account."""
    plain = request.identity is not None and not request.identity.is_staff
    return HTTPSeeOther(request.route_path("account.home" if plain else "admin.overview"))


@view_config(
    route_name="admin.overview", request_method="GET", permission=Permission.DASHBOARD_VIEW
)
def show(request: Request) -> Response:
    """GET /admin/."""
    seen = _Seen(request)
    tiles = [tile.draw(seen) for tile in _TILES]
    busy = any(vars(seen).get("open_operations", {}).values())
    return pages.show_live(request, "overview", busy=busy, tiles=tiles)
