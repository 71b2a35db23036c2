"""One of two clusters hangs for 30 s: what the API and the other cluster's users notice."""

from pathlib import Path

import sqlalchemy as sa

from benchmarks import processes
from benchmarks.creates import order
from benchmarks.measures import Line, compared, percentile
from benchmarks.world import World
from cloudweb.backend.ganeti.simulator.server import Simulator
from cloudweb.models import (
    OPEN_STATES,
    Backend,
    Operation,
    OperationState,
    unit_of_work,
    utc_now,
)
from tests.ports import free_port

_HANG_S = 30.0
_PACE_GET_S, _PACE_POST_S = 0.02, 0.1


def hanging(place: Path, world: World, seconds: float, count: int) -> list[Line]:
    """Rounds with and without, in turn; each with a worker of its own and no work left over.

    Servers are asked for all the time, and fall to both clusters; a small GET is asked beside it.
    """
    answers: list[tuple[float, float]] = []
    waits: list[tuple[float, float]] = []
    with Simulator(["alpha", "beta"], port=0, time_factor=0.01) as simulator:
        _join(world, simulator)
        port = free_port()
        ini = processes.cloudweb_ini(place, world, port, worker_refresh_s=3600)
        with processes.web(place, ini, port) as web:
            for _ in range(count):
                normal = _phase(place, ini, world, web, seconds)
                simulator.clusters["alpha"].faults.update({"hang_s": _HANG_S})
                hung = _phase(place, ini, world, web, seconds)
                simulator.clusters["alpha"].faults.update({"hang_s": 0.0})
                answers.append((normal[0], hung[0]))
                waits.append((normal[1], hung[1]))
    return [
        compared("one cluster hangs: GET /flavors, p99", answers, "ms", at_most=1.2),
        compared("one cluster hangs: POST to submitted, the other", waits, "ms", at_most=1.2),
    ]


def _join(world: World, simulator: Simulator) -> None:
    with unit_of_work(world.sessions) as session:
        for backend, name in zip(world.backends, ("alpha", "beta"), strict=True):
            row = session.get_one(Backend, backend.id)
            row.url, row.name = simulator.url(name), simulator.clusters[name].spec.full_name


def _phase(
    place: Path, ini: Path, world: World, web: processes.Web, seconds: float
) -> tuple[float, float]:
    """The p99 of the GET, and the median wait for a submission at the second cluster; in ms."""
    _forget(world)
    get = processes.request_text("GET", "/api/v1.1/flavors", world.few.token)
    post = processes.request_text("POST", "/api/v1.1/servers", world.newcomer.token, order(world))
    with processes.process(place, "-m", "cloudweb.backend.worker", str(ini)):
        # What comes first is not measured: the worker starts, and the lane begins to hang.
        processes.load(web.port, post, clients=1, seconds=3.0, pace_s=_PACE_POST_S)
        _even(world)
        began = utc_now()
        client = processes.begin(web.port, get, clients=1, seconds=seconds, pace_s=_PACE_GET_S)
        processes.load(web.port, post, clients=1, seconds=seconds, pace_s=_PACE_POST_S)
        took_ms = processes.finish(client)
    with unit_of_work(world.sessions, write=False) as session:
        rows = session.execute(
            sa.select(Operation.created, Operation.submitted).where(
                Operation.backend_id == world.backends[1].id,
                Operation.created >= began,
                Operation.submitted.is_not(None),
            )
        ).all()
    waited = [(submitted - created).total_seconds() * 1000 for created, submitted in rows]
    if len(waited) < seconds:
        raise RuntimeError(f"The second cluster took only {len(waited)} operations.")
    return percentile(took_ms, 0.99), percentile(waited, 0.5)


def _forget(world: World) -> None:
    """Leave nothing to be done."""
    with unit_of_work(world.sessions) as session:
        session.execute(
            sa.update(Operation)
            .where(Operation.state.in_(OPEN_STATES))
            .values(state=OperationState.CANCELED)
        )


def _even(world: World) -> None:
    """Give both clusters the same figures: a hanging one tells none, placement needs some."""
    with unit_of_work(world.sessions) as session:
        session.execute(
            sa.update(Backend).values(
                memory_total_mb=100_000_000,
                memory_free_mb=100_000_000,
                disk_total_mb=1_000_000_000,
                disk_free_mb=1_000_000_000,
                cpu_total=1_000_000,
                instances=0,
            )
        )
