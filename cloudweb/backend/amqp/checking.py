"""Follows a heartbeat through the whole path: Ganeti, its agent, the broker, a consumer, us."""

import dataclasses
import secrets
import time
from collections.abc import Callable, Sequence

from cloudweb.backend.agents.messages import HEARTBEAT_TAG
from cloudweb.backend.ganeti.errors import RapiError
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.domain import fleet
from cloudweb.models import Backend, EventSource, SessionFactory, unit_of_work

_EVERY_S = 0.1


@dataclasses.dataclass(frozen=True, slots=True)
class Heartbeat:
    """How a cluster's heartbeat fared: after how many seconds it was heard, or what went wrong."""

    backend: str
    heard_after_s: float | None
    problem: str = ""


def check(
    sessions: SessionFactory, connect: Callable[[Backend], RapiClient], *, timeout_s: float
) -> list[Heartbeat]:
    """Ask every cluster with agents, all at once, and wait until each was heard or it is too late.

    The question is a dry run of a tag: it becomes a job that does nothing, which the agent sees.
    """
    with unit_of_work(sessions, write=False) as session:
        backends = [
            backend
            for backend in fleet.list_all(session)
            if backend.event_source is EventSource.AGENTS and not backend.offline
        ]
    asked: dict[int, tuple[str, float]] = {}
    found: dict[int, Heartbeat] = {}
    for backend in backends:
        tag = f"{HEARTBEAT_TAG}{secrets.token_hex(8)}"
        asked[backend.id] = (tag, time.monotonic())
        try:
            with connect(backend) as client:
                client.rehearse_tag(tag, "cloudweb: do messages come through?")
        except (RapiError, ValueError) as error:
            found[backend.id] = Heartbeat(backend.name, None, f"It was not asked: {error}")
    ends = time.monotonic() + timeout_s
    while len(found) < len(backends) and time.monotonic() < ends:
        time.sleep(_EVERY_S)
        found |= _heard(sessions, [b for b in backends if b.id not in found], asked)
    silent = f"Nothing was heard for {timeout_s:g} s."
    return [found.get(b.id) or Heartbeat(b.name, None, silent) for b in backends]


def _heard(
    sessions: SessionFactory, backends: Sequence[Backend], asked: dict[int, tuple[str, float]]
) -> dict[int, Heartbeat]:
    with unit_of_work(sessions, write=False) as session:
        now = {backend.id: backend.heartbeat for backend in fleet.list_all(session)}
    return {
        backend.id: Heartbeat(backend.name, time.monotonic() - asked[backend.id][1])
        for backend in backends
        if now.get(backend.id) == asked[backend.id][0]
    }
