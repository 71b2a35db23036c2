"""Lists as files: CSV that a spreadsheet opens without running it, and JSON."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import orjson
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb import spreadsheets
from cloudweb.models import utc_now
from cloudweb.security import Permission

_TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


View = Callable[[Request], Response]


def page_and_files(
    route: str, permission: Permission = Permission.DASHBOARD_VIEW
) -> Callable[[View], View]:
    """What answers GET for a list's page, and for its files at the same address."""

    def declare(view: View) -> View:
        for name in (route, f"{route}.export"):
            # One frame up is the module of the view, which is where Pyramid's scan looks.
            options = {"request_method": "GET", "permission": permission, "_depth": 1}
            view_config(route_name=name, **options)(view)
        return view

    return declare


def export(
    notation: str,
    name: str,
    columns: Sequence[str],
    portions: Iterator[Iterable[Mapping[str, object]]],
) -> Response:
    """A file with a row for each mapping, sent as it is made."""
    body = _csv(columns, portions) if notation == "csv" else _json(portions)
    response = Response(app_iter=body)
    response.headers["Content-Type"] = _TYPES[notation]
    stamp = f"{utc_now():%Y%m%d-%H%M%S}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}-{stamp}.{notation}"'
    return response


def _csv(
    columns: Sequence[str], portions: Iterator[Iterable[Mapping[str, object]]]
) -> Iterator[bytes]:
    yield spreadsheets.lines([columns]).encode()
    for rows in portions:
        yield spreadsheets.lines([row[name] for name in columns] for row in rows).encode()


def _json(portions: Iterator[Iterable[Mapping[str, object]]]) -> Iterator[bytes]:
    between = b"["
    for rows in portions:
        for row in rows:
            yield between + b"\n" + orjson.dumps(row, default=str)
            between = b","
    yield b"[]\n" if between == b"[" else b"\n]\n"
