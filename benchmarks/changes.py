"""Asking again for a list of 50,000 servers in which nothing, or hardly anything, has changed."""

import datetime as dt
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.orm import Session

from benchmarks import processes
from benchmarks.measures import Line, compared, rounds
from benchmarks.world import Owner, World
from cloudweb.models import unit_of_work, utc_now

SERVERS = 50_000
LIST = "/api/v1.1/servers/detail"
FLOOR = "/api/v1.1/flavors/{}"
"""A small GET with a token, over a connection that is kept; waitress closes it after each 304."""

_CROWD = """
INSERT INTO servers (version, user_id, backend_id, instance_name, name, flavor_id, image_ref, state,
    deleted, build_percentage, created, updated, state_job_id, job_id, job_opcode, job_status,
    job_log)
SELECT 1, :owner, :backend, 'crowd-' || n, 'web-' || n, :flavor, :image, 'STARTED',
    false, 0, :then, :then, 0, 0, '', '', ''
FROM generate_series(1, :count) AS n
"""


def changes(world: World, web: processes.Web, seconds: float, count: int) -> list[Line]:
    """Nothing changed since, one of 50,000 changed since, and an ETag that still holds."""
    owner = world.newcomer
    _crowd(world, owner)
    since = quote((utc_now() - dt.timedelta(minutes=5)).isoformat())
    lines = [
        _line(world, web, "nothing changed since", f"{LIST}?changes-since={since}", seconds, count)
    ]
    tag = _tag(web, f"{LIST}?limit=1", owner)
    held = ("If-None-Match", tag)
    lines.append(_line(world, web, "If-None-Match holds", f"{LIST}?limit=1", seconds, count, held))
    with unit_of_work(world.sessions) as session:
        one = "(SELECT max(id) FROM servers WHERE user_id = :owner)"
        session.execute(
            sa.text(f"UPDATE servers SET updated = :now WHERE id = {one}"),
            {"now": utc_now(), "owner": owner.identity.user_id},
        )
        _list_changed(session, owner, utc_now())
    lines.append(
        _line(world, web, "one changed since", f"{LIST}?changes-since={since}", seconds, count)
    )
    return lines


def _crowd(world: World, owner: Owner) -> None:
    then = utc_now() - dt.timedelta(minutes=30)
    with unit_of_work(world.sessions) as session:
        given = {
            "owner": owner.identity.user_id,
            "backend": world.backends[0].id,
            "flavor": world.flavor.id,
            "image": world.image_id,
            "then": then,
            "count": SERVERS,
        }
        session.execute(sa.text(_CROWD), given)
        _list_changed(session, owner, then)
    with world.sessions.engine.connect() as connection:
        vacuum = connection.execution_options(isolation_level="AUTOCOMMIT")
        vacuum.exec_driver_sql("VACUUM (ANALYZE) servers")


def _list_changed(session: Session, owner: Owner, when: dt.datetime) -> None:
    session.execute(
        sa.text("UPDATE list_versions SET version = version + 1, changed = :at WHERE user_id = :u"),
        {"at": when, "u": owner.identity.user_id},
    )


def _tag(web: processes.Web, path: str, owner: Owner) -> str:
    return web.headers(path, {"X-Auth-Token": owner.token})["ETag"]


def _line(
    world: World,
    web: processes.Web,
    name: str,
    path: str,
    seconds: float,
    count: int,
    *headers: tuple[str, str],
) -> Line:
    def took_ms(path: str, *headers: tuple[str, str]) -> float:
        request = processes.request_text("GET", path, world.newcomer.token, headers=headers)
        took = processes.load(web.port, request, clients=1, seconds=seconds)
        return sum(took) / len(took)

    floor = FLOOR.format(world.flavor.id)
    pairs = rounds(count, lambda: took_ms(floor), lambda: took_ms(path, *headers))
    # Where something changed, the changed servers are read and written: no goal for that.
    limit = None if name.startswith("one") else 1.5
    return compared(f"{SERVERS:,} servers, {name}", pairs, "ms", at_most=limit)
