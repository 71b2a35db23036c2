"""Lists: over HTTP against ready-made bytes, cold against a bare driver, and their statements."""

import contextlib
import gc
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

from benchmarks import processes
from benchmarks.measures import Line, compared, counted, percentile, rounds
from benchmarks.world import Owner, World
from cloudweb.domain import server_views
from cloudweb.models import unit_of_work
from cloudweb.shapes.servers import SERVER
from cloudweb.wire import FragmentCache, Notation
from tests.ports import free_port

PATH = "/api/v1.1/servers/detail"


def warm(place: Path, world: World, web: processes.Web, seconds: float, count: int) -> list[Line]:
    """A thousand servers: ours, and the same bytes from a file by the same server."""
    lines: list[Line] = []
    for notation in (Notation.JSON, Notation.XML):
        headers = {"X-Auth-Token": world.many.token, "Accept": notation.value}
        body = web.get(PATH, headers)
        request = processes.request_text("GET", PATH, world.many.token, accept=notation.value)
        with _ready(place, body, notation) as floor:
            lines += _warm_lines(notation.name, floor.port, web.port, request, seconds, count)
    return [*lines, _xml_by_json(world, web, seconds, count)]


def _xml_by_json(world: World, web: processes.Web, seconds: float, count: int) -> Line:
    def took_ms(notation: Notation) -> float:
        request = processes.request_text("GET", PATH, world.many.token, accept=notation.value)
        return _mean(processes.load(web.port, request, clients=1, seconds=seconds))

    pairs = rounds(count, lambda: took_ms(Notation.JSON), lambda: took_ms(Notation.XML))
    return compared("the same list, warm, XML by JSON", pairs, "ms", at_most=1.5)


@contextlib.contextmanager
def _ready(place: Path, body: bytes, notation: Notation) -> Iterator[processes.Web]:
    file = place / f"ready.{notation.name}"
    file.write_bytes(body)
    app = "\n".join(
        [
            "paste.app_factory = benchmarks.ready:main",
            f"body_file = {file}",
            f"content_type = {notation.value}",
        ]
    )
    port = free_port()
    with processes.web(place, processes.write_ini(place, f"ready{port}", app, port), port) as web:
        yield web


def _warm_lines(
    name: str, floor: int, ours: int, request: str, seconds: float, count: int
) -> list[Line]:
    def rate(port: int) -> float:
        return 1000 / _mean(processes.load(port, request, clients=1, seconds=seconds))

    def p99(port: int) -> float:
        return percentile(processes.load(port, request, clients=8, seconds=seconds), 0.99)

    what = f"GET /servers/detail, 1,000, {name}"
    lines = [
        compared(
            f"{what}, 1 client",
            rounds(count, lambda: rate(floor), lambda: rate(ours)),
            "req/s",
            at_least=1 / 3,
        )
    ]
    if name == "JSON":
        pairs = rounds(count, lambda: p99(floor), lambda: p99(ours))
        lines.append(compared(f"{what}, 8 clients, p99", pairs, "ms"))
    return lines


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def cold(world: World, repeat: int, count: int) -> list[Line]:
    """Everything read and rendered anew, against the driver fetching the rows; no HTTP in either.

    Under the collector settings of the web process.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    url = sa.make_url(world.url).set(drivername="postgresql")
    lines = []
    with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
        for notation in (Notation.JSON, Notation.XML):

            def ours(notation: Notation = notation) -> None:
                document(world, world.many, FragmentCache(50_000), notation)

            def floor() -> None:
                fetch(connection, world.many)

            pairs = rounds(
                count, lambda: timed_ms(floor, repeat), lambda ours=ours: timed_ms(ours, repeat)
            )
            # The goal is for the notation that clients get who do not ask for another.
            limit = 2.5 if notation is Notation.JSON else None
            lines.append(
                compared(f"the same list, cold, {notation.name}", pairs, "ms", at_most=limit)
            )
    gc.unfreeze()
    gc.set_threshold(700, 10, 10)
    return lines


def timed_ms(what: Any, repeat: int) -> float:
    """The median of several runs."""
    took = []
    for _ in range(repeat):
        started = time.perf_counter()
        what()
        took.append((time.perf_counter() - started) * 1000)
    return percentile(took, 0.5)


def document(
    world: World, owner: Owner, cache: FragmentCache, notation: Notation = Notation.JSON
) -> bytes:
    """What the view does."""
    with unit_of_work(world.sessions, write=False) as session:
        return cache.document(
            SERVER,
            notation,
            (owner.identity.user_id, 1),  # nothing changes here
            lambda: server_views.list_versions(session, owner.identity),
            lambda ids: server_views.load(session, ids),
        )


def fetch(connection: "psycopg.Connection[Any]", owner: Owner) -> int:
    """The rows of that document, as three results of the driver."""
    rows = connection.execute(
        "SELECT id, version, name, state, deleted, job_opcode, job_status, build_percentage,"
        " flavor_id, image_ref, created, updated FROM servers"
        " WHERE user_id = %s AND NOT deleted ORDER BY id",
        [owner.identity.user_id],
    ).fetchall()
    ids = [row[0] for row in rows]
    nics = connection.execute(
        'SELECT server_id, "index", public, networks.id, networks.name, mac, ipv4, ipv6,'
        " firewall_profile FROM nics JOIN networks ON networks.id = nics.network_id"
        ' WHERE server_id = ANY(%s) ORDER BY server_id, "index"',
        [ids],
    ).fetchall()
    items = connection.execute(
        "SELECT server_id, key, value FROM server_metadata"
        " WHERE server_id = ANY(%s) ORDER BY server_id, key",
        [ids],
    ).fetchall()
    connection.rollback()
    return len(rows) + len(nics) + len(items)


def statements(world: World) -> list[Line]:
    """Statements of one request; the token's look-up, which comes before, counted with it."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    lines = []
    sa.event.listen(world.sessions.engine, "before_cursor_execute", note)
    try:
        for owner, count in ((world.few, 10), (world.many, 1000)):
            cache = FragmentCache(50_000)
            for kind, most in (("cold", 6), ("warm", 3)):
                seen.clear()
                document(world, owner, cache)
                name = f"statements of that list, {count:,} servers, {kind}"
                lines.append(counted(name, len(seen) + 1, "", most))
    finally:
        sa.event.remove(world.sessions.engine, "before_cursor_execute", note)
    return lines
