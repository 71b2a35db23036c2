"""The pages while clusters and the broker are away: nobody who opens one waits for them."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import sqlalchemy as sa

from benchmarks import processes
from benchmarks.measures import Line, counted, percentile
from benchmarks.world import World
from cloudweb.backend.ganeti.simulator.server import Simulator
from cloudweb.models import Backend, ConsumerProcess, unit_of_work
from tests.ports import free_port

PAGE_MS = 500

PAGES = (
    "",
    "backends",
    "backends/{backend}",
    "nodes",
    "vms",
    "vms/{server}",
    "jobs",
    "reconcile",
    "operations",
    "queues",
    "queues/letters",
    "search?q=web-4",
)
"""What shows how clusters and the broker are."""

_NOWHERE = "http://127.0.0.1:1"
_SLOW_S = 10.0


def degraded(
    place: Path, made: World, ids: Mapping[str, object], cookie: str, times: int
) -> list[Line]:
    """A line for each page, with what is away told by a worker and a consumer that look for it.

    Of the clusters one answers after ten seconds, one refuses the password and one refuses all
    connections; there is no broker.
    """
    port = free_port()
    ini = processes.cloudweb_ini(
        place,
        made,
        port,
        session_cookie_secure="false",
        totp_required_roles="",
        rapi_read_timeout_s=5.0,
        amqp_hosts="amqp://nobody:x@127.0.0.1:1/%2f",
    )
    headers = {"Cookie": f"cloudweb={cookie}"}
    with _clusters(made) as away, contextlib.ExitStack() as stack:
        for part in ("cloudweb.backend.worker", "cloudweb.backend.amqp.consumer"):
            stack.enter_context(processes.process(place, "-m", part, str(ini)))
        web = stack.enter_context(processes.web(place, ini, port))
        _wait(made, away)
        return [
            _page(web, path, path.format(**{**ids, "backend": away[0]}), headers, times)
            for path in PAGES
        ]


@contextlib.contextmanager
def _clusters(made: World) -> Iterator[list[int]]:
    """The clusters that are away, by id; the others are offline, so that nothing asks for them."""
    with Simulator(["slow", "locked"], port=0) as simulator:
        simulator.clusters["slow"].faults.update({"delay_s": _SLOW_S})
        simulator.clusters["locked"].faults.update({"unauthorized": True})
        urls = (simulator.url("slow"), simulator.url("locked"), _NOWHERE)
        with unit_of_work(made.sessions) as session:
            rows = session.scalars(sa.select(Backend).order_by(Backend.id)).all()
            for row, url in zip(rows, urls, strict=False):
                row.url = url
            for row in rows[len(urls) :]:
                row.offline = True
            away = [row.id for row in rows[: len(urls)]]
        yield away


def _wait(made: World, away: list[int]) -> None:
    """Until all of it is known to be away."""
    ends = time.monotonic() + 120
    known = sa.select(sa.func.count()).where(
        Backend.id.in_(away), Backend.unreachable_since.is_not(None)
    )
    told = sa.select(sa.func.count()).where(ConsumerProcess.broker == "")
    while True:
        with unit_of_work(made.sessions, write=False) as session:
            if session.scalar(known) == len(away) and session.scalar(told):
                return
        if time.monotonic() > ends:
            raise RuntimeError("What is away was not found to be.")
        time.sleep(0.2)


def _page(web: processes.Web, name: str, path: str, headers: dict[str, str], times: int) -> Line:
    web.get(f"/admin/{path}", headers)
    took = []
    for _ in range(times):
        began = time.perf_counter()
        web.get(f"/admin/{path}", headers)
        took.append(1000 * (time.perf_counter() - began))
    what = f"page /admin/{name} while clusters and broker are away, p95"
    return counted(what, percentile(took, 0.95), "ms", PAGE_MS)
