"""Creating servers over HTTP, against a script that inserts the same rows."""

import sys
from typing import Any

import sqlalchemy as sa

from benchmarks import processes
from benchmarks.measures import Line, compared, rounds
from benchmarks.world import METADATA, World
from cloudweb.domain import cards
from cloudweb.models import Handover, Operation, unit_of_work

PATH = "/api/v1.1/servers"


def creates(world: World, web: processes.Web, seconds: float, count: int) -> list[Line]:
    """The rates with one client and with four: threads of the script, connections to the web."""
    request = processes.request_text("POST", PATH, world.newcomer.token, order(world))
    web_given = _given(world, web, request)

    def rate(took_ms: list[float], clients: int) -> float:
        return clients * 1000 * len(took_ms) / sum(took_ms)

    lines = []
    for clients in (1, 4):

        def floor(clients: int = clients) -> float:
            given = web_given | {"clients": clients, "seconds": seconds}
            client = processes.start_client(given, sys.executable, "-m", "benchmarks.inserting")
            return rate(processes.finish(client), clients)

        def ours(clients: int = clients) -> float:
            took_ms = processes.load(web.port, request, clients=clients, seconds=seconds)
            return rate(took_ms, clients)

        name = f"POST /servers, {clients} client{'s' if clients > 1 else ''}"
        lines.append(compared(name, rounds(count, floor, ours), "/s", at_least=0.5))
    return lines


def order(world: World) -> dict[str, Any]:
    """The body of a create."""
    return {
        "server": {
            "name": "web-1",
            "imageRef": world.image_id,
            "flavorRef": world.flavor.id,
            "metadata": METADATA,
        }
    }


def _given(world: World, web: processes.Web, request: str) -> dict[str, Any]:
    """What the script inserts: what an operation and a handover hold is that of a server made."""
    processes.load(web.port, request, clients=1, seconds=0.05)
    with unit_of_work(world.sessions, write=False) as session:
        arguments = session.scalar(
            sa.select(Operation.arguments).order_by(Operation.id.desc()).limit(1)
        )
        sealed = session.scalar(sa.select(Handover.sealed).limit(1))
        network_id = cards.public_for(session, 0)[0].id
    return {
        "url": world.url,
        "user_id": world.newcomer.identity.user_id,
        "backend_id": world.backends[0].id,
        "flavor_id": world.flavor.id,
        "image_id": world.image_id,
        "network_id": network_id,
        "metadata": METADATA,
        "arguments": arguments,
        "sealed": sealed,
    }
