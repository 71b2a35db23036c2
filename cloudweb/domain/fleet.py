"""The clusters: adding, draining and refreshing them, and choosing one for a new server."""

import dataclasses
from collections.abc import Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit
from cloudweb.domain.identity import Identity
from cloudweb.models import MAX_BACKENDS, Backend, EventSource, Flavor, OperState, Server, utc_now

_SERVERS_PER_CPU = 3
_CPUS_PER_SERVER = 4


@dataclasses.dataclass(frozen=True, slots=True)
class ClusterReport:
    """What a cluster says of itself; sizes in MiB, summed over the nodes that can take servers."""

    name: str
    version: str
    hypervisor: str
    disk_templates: tuple[str, ...]
    memory_total_mb: int
    memory_free_mb: int
    disk_total_mb: int
    disk_free_mb: int
    cpu_total: int
    instances: int
    nodes_total: int
    nodes_up: int


def list_all(session: Session) -> Sequence[Backend]:
    """Every backend, by id."""
    return session.scalars(sa.select(Backend).order_by(Backend.id)).all()


def get(session: Session, backend_id: int) -> Backend:
    """The backend. Raises ItemNotFound."""
    backend = session.get(Backend, backend_id)
    if backend is None:
        raise faults.ItemNotFound(f"No backend {backend_id}.")
    return backend


def count_servers(session: Session) -> dict[int, dict[OperState, int]]:
    """How many servers each backend has, by state; one statement."""
    rows = session.execute(
        sa.select(Server.backend_id, Server.state, sa.func.count())
        .where(Server.deleted == sa.false())
        .group_by(Server.backend_id, Server.state)
    )
    counts: dict[int, dict[OperState, int]] = {}
    for backend_id, state, count in rows:
        counts.setdefault(backend_id, {})[state] = count
    return counts


def add(
    session: Session,
    identity: Identity,
    *,
    name: str,
    url: str,
    username: str,
    password_sealed: str,
    ca_file: str | None = None,
    fingerprint: str = "",
    verify_tls: bool = True,
    event_source: EventSource = EventSource.AGENTLESS,
    report: ClusterReport | None = None,
) -> Backend:
    """A new backend, drained. ``report`` is what the cluster answered when it was tried.

    Raises:
        Conflict: the name is taken. OverLimit: there are 16. BadRequest: another cluster answers.
    """
    known = list_all(session)
    if any(backend.name == name for backend in known):
        raise faults.Conflict(f"Backend {name} exists.")
    free = sorted(set(range(MAX_BACKENDS)) - {backend.number for backend in known})
    if not free:
        raise faults.OverLimit(f"There can be no more than {MAX_BACKENDS} backends.")
    if report is not None and report.name != name:
        raise faults.BadRequest(f"The cluster that answers is {report.name}, not {name}.")
    backend = Backend(
        number=free[0],
        name=name,
        url=url.rstrip("/"),
        username=username,
        password_sealed=password_sealed,
        ca_file=ca_file,
        fingerprint=fingerprint,
        verify_tls=verify_tls,
        event_source=event_source,
    )
    session.add(backend)
    session.flush()  # the audit entry names its id
    if report is not None:
        refresh(session, backend, report)
    audit.record(session, identity, "backend:add", "backend", backend.id, name=name, url=url)
    return backend


def modify(session: Session, identity: Identity, backend: Backend, **changes: Any) -> None:
    """Change the address, credentials, TLS or event source; secrets stay out of the audit."""
    session.flush()  # a refresh would undo what was changed before
    session.refresh(backend, with_for_update=True)
    for key, value in changes.items():
        setattr(backend, key, value)
    shown = {k: v for k, v in changes.items() if k != "password_sealed"}
    audit.record(
        session,
        identity,
        "backend:modify",
        "backend",
        backend.id,
        password_changed="password_sealed" in changes,
        changes={key: str(value) for key, value in shown.items()},
    )


def set_drained(
    session: Session, identity: Identity, backend: Backend, *, drained: bool, reason: str
) -> bool:
    """Stop or let new servers go there; whether that changed anything. Raises BadRequest."""
    return _set(session, identity, backend, "drained", drained, reason)


def set_offline(
    session: Session, identity: Identity, backend: Backend, *, offline: bool, reason: str
) -> bool:
    """Never contact the cluster, or do again; whether that changed anything. Raises BadRequest."""
    return _set(session, identity, backend, "offline", offline, reason)


def _set(
    session: Session, identity: Identity, backend: Backend, flag: str, value: bool, reason: str
) -> bool:
    reason = reason.strip()
    if value and not reason:
        raise faults.BadRequest("A reason is required.", details={"reason": "Say why."})
    if len(reason) > 255 or any(ord(c) < 32 for c in reason):
        raise faults.BadRequest(
            "The reason is one line of at most 255 characters.",
            details={"reason": "One line of at most 255 characters."},
        )
    session.flush()  # a refresh would undo what was changed before
    session.refresh(backend, with_for_update=True)
    before = getattr(backend, flag)
    if before == value:
        return False
    setattr(backend, flag, value)
    backend.state_reason, backend.state_by_id = reason, identity.user_id
    backend.state_since = utc_now()
    verb = flag if value else f"not {flag}"
    audit.record(
        session, identity, f"backend:{verb}", "backend", backend.id, reason=reason, before=before
    )
    return True


def refresh(session: Session, backend: Backend, report: ClusterReport) -> None:
    """Keep what a cluster said of itself, and that it answered."""
    backend.hypervisor = report.hypervisor[:20]
    backend.disk_templates = list(report.disk_templates)
    backend.ganeti_version = report.version[:20]
    backend.memory_total_mb = report.memory_total_mb
    backend.memory_free_mb = report.memory_free_mb
    backend.disk_total_mb = report.disk_total_mb
    backend.disk_free_mb = report.disk_free_mb
    backend.cpu_total = report.cpu_total
    backend.instances = report.instances
    backend.nodes_total = report.nodes_total
    backend.nodes_up = report.nodes_up
    backend.refreshed = utc_now()
    note_answered(backend)


def note_answered(backend: Backend) -> None:
    """The cluster answers."""
    if backend.unreachable_since is not None:
        backend.unreachable_since, backend.last_error = None, ""


def note_unreachable(backend: Backend, message: str) -> None:
    """The cluster did not answer; since when is kept until it does."""
    backend.unreachable_since = backend.unreachable_since or utc_now()
    backend.last_error = message[:500]


def choose(session: Session, flavor: Flavor) -> Backend:
    """The cluster for a new server of this flavor: the one with the lowest score that fits.

    The chosen row's free memory and disk shrink at once, so that a burst spreads; the next
    refresh sets them right. A cluster that does not answer looks as empty as when it last did,
    so it is only chosen when none answers. Raises ServiceUnavailable when no cluster takes it.
    """
    candidates = [backend for backend in list_all(session) if takes(backend, flavor)]
    if not candidates:
        raise faults.ServiceUnavailable("No available backends")
    answering = [backend for backend in candidates if backend.unreachable_since is None]
    fitting = [backend for backend in answering if fits(backend, flavor)]
    chosen = min(
        fitting or answering or candidates, key=lambda backend: (score(backend), backend.id)
    )
    _take(session, chosen, flavor)
    return chosen


def takes(backend: Backend, flavor: Flavor) -> bool:
    """Whether the cluster may be asked for this flavor at all, full or not."""
    template = "ext" if flavor.disk_template.startswith("ext_") else flavor.disk_template
    return not backend.drained and not backend.offline and template in backend.disk_templates


def _disk_mb(flavor: Flavor) -> int:
    return flavor.disk_gb * 1024 * (2 if flavor.disk_template == "drbd" else 1)


def fits(backend: Backend, flavor: Flavor) -> bool:
    """Whether the cluster, by its last known figures, has room for one more of this flavor."""
    return (
        backend.memory_free_mb > flavor.ram_mb
        and backend.disk_free_mb >= _disk_mb(flavor)
        and backend.cpu_total > 0
        and (backend.instances + 1) * _CPUS_PER_SERVER / backend.cpu_total < _SERVERS_PER_CPU
    )


def score(backend: Backend) -> float:
    """How loaded a cluster is; the lowest wins. Unknown totals count as full.

    0.5 * cpu + 0.5 * (memory + disk), each the share in use, as Synnefo's allocator has it.
    """
    cpu = _ratio((backend.instances + 1) * _CPUS_PER_SERVER, backend.cpu_total * _SERVERS_PER_CPU)
    memory = _ratio(backend.memory_total_mb - backend.memory_free_mb, backend.memory_total_mb)
    disk = _ratio(backend.disk_total_mb - backend.disk_free_mb, backend.disk_total_mb)
    return 0.5 * cpu + 0.5 * (memory + disk)


def _ratio(used: int, total: int) -> float:
    return used / total if total > 0 else 1.0


def _take(session: Session, backend: Backend, flavor: Flavor) -> None:
    table = cast("sa.Table", Backend.__table__)
    memory = table.c.memory_free_mb - flavor.ram_mb
    disk = table.c.disk_free_mb - _disk_mb(flavor)
    session.connection().execute(
        sa.update(table)
        .where(table.c.id == backend.id)
        .values(
            memory_free_mb=sa.case((memory > 0, memory), else_=0),
            disk_free_mb=sa.case((disk > 0, disk), else_=0),
            instances=table.c.instances + 1,
        )
    )
