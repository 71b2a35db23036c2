"""Where something is done about what needs somebody."""

import dataclasses
from collections.abc import Mapping, Sequence

from pyramid.request import Request

from cloudweb.domain.attention import Concern, Kind
from cloudweb.security import Permission, allows


@dataclasses.dataclass(frozen=True, slots=True)
class Way:
    """A page that leads on: what its link says, and who may open it.

    What is about one backend or pool goes to the page of that one.
    """

    words: str
    route: str
    query: Mapping[str, str] = dataclasses.field(default_factory=dict)
    permission: Permission = Permission.DASHBOARD_VIEW


_BACKEND = Way("See backend", "admin.backend")
_REACH = Way("Change…", "admin.backend.edit", permission=Permission.BACKEND_MANAGE)
_QUEUES = Way("See queues", "admin.queues", permission=Permission.QUEUE_VIEW)
_WAYS: Mapping[Kind, Sequence[Way]] = {
    Kind.UNREACHABLE: (_BACKEND,),
    Kind.NO_BACKEND: (Way("See backends", "admin.backends"),),
    Kind.NO_ROOM: (_BACKEND,),
    Kind.UNVERIFIED: (_REACH, _BACKEND),
    Kind.CERTIFICATE: (_REACH, _BACKEND),
    Kind.STALE: (_BACKEND,),
    Kind.OVERDUE: (
        Way("Undrain…", "admin.backend.undrain", permission=Permission.BACKEND_DRAIN),
        _BACKEND,
    ),
    Kind.FAILED: (Way("See operations", "admin.operations", {"state": "error"}),),
    Kind.WAITING: (Way("See operations", "admin.operations", {"state": "pending"}),),
    Kind.STUCK: (
        Way("See operations", "admin.operations", {"open": "yes", "filter": "submitted<1h"}),
    ),
    Kind.BROKEN: (Way("See VMs", "admin.vms", {"state": "ERROR"}),),
    Kind.DRIFT: (Way("Reconcile", "admin.reconcile"),),
    Kind.DEAD_LETTERS: (
        Way("See messages", "admin.letters", {"state": "waiting"}, Permission.QUEUE_VIEW),
    ),
    Kind.NO_CONSUMER: (_QUEUES,),
    Kind.PAUSED: (
        Way("Resume…", "admin.queues.resume", permission=Permission.QUEUE_MANAGE),
        _QUEUES,
    ),
    Kind.AUDIT: (Way("See audit", "admin.audit"),),
    Kind.POOL: (Way("See pool", "admin.pool"),),
    Kind.TERMS: (
        Way(
            "See users",
            "admin.users",
            {"owes": "yes", "state": "active", "filter": "created<30d"},
        ),
    ),
    Kind.REGIONS: (Way("See flavors", "admin.flavors"),),
}
_FIRST_BACKEND = Way("Add one…", "admin.backend.new", permission=Permission.BACKEND_MANAGE)


def way_of(request: Request, concern: Concern) -> tuple[str, str, str] | None:
    """What the link says, what it is about where others say the same, and where it leads; None
    where there is no page for who asks.
    """
    ways = _WAYS[concern.kind]
    if concern.kind is Kind.NO_BACKEND and not concern.count:
        ways = (_FIRST_BACKEND, *ways)
    for way in ways:
        if allows(request.identity.role, way.permission):
            about, place = "", {}
            if concern.backend is not None:
                about, place = concern.backend.name, {"id": concern.backend.id}
            elif concern.pool is not None:
                about, place = concern.pool.pool.base, {"id": concern.pool.pool.id}
            return way.words, about, request.route_path(way.route, _query=way.query, **place)
    return None
