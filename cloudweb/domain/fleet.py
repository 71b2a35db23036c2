"""The clusters: adding, draining and refreshing them, and how full they are."""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit, nodes, operations
from cloudweb.domain.identity import Identity
from cloudweb.domain.nodes import NodeReport
from cloudweb.models import (
    MAX_BACKENDS,
    Backend,
    EventSource,
    OperState,
    Server,
    utc_now,
)


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
    node_groups: tuple[str, ...] = ()
    nodes: tuple[NodeReport, ...] = ()
    certificate_ends: dt.datetime | None = None


def list_all(session: Session) -> Sequence[Backend]:
    """Every backend that is not removed, by id."""
    query = sa.select(Backend).where(Backend.removed.is_(None)).order_by(Backend.id)
    return session.scalars(query).all()


def get(session: Session, backend_id: int) -> Backend:
    """The backend. Raises ItemNotFound."""
    backend = session.get(Backend, backend_id)
    if backend is None or backend.removed is not None:
        raise faults.ItemNotFound(f"No backend {backend_id}.")
    return backend


def by_key(session: Session, key: str) -> Backend:
    """The backend with this id or name. Raises ItemNotFound."""
    for backend in list_all(session):
        if key in (str(backend.id), backend.name):
            return backend
    raise faults.ItemNotFound(f"No backend {key}.")


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
    public: bool = True,
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
        public=public,
    )
    session.add(backend)
    session.flush()  # the audit entry names its id
    if report is not None:
        refresh(session, backend, report)
    else:
        backend.refresh_asked = utc_now()
    audit.record(
        *(session, identity, "backend:add", "backend", backend.id),
        name=name,
        url=url,
        public=public,
        after={"drained": backend.drained, "public": public},
    )
    return backend


def modify(session: Session, identity: Identity, backend: Backend, **changes: Any) -> None:
    """Change the address, credentials, TLS or event source; secrets stay out of the audit."""
    session.flush()  # a refresh would undo what was changed before
    session.refresh(backend, with_for_update=True)
    shown = [key for key in changes if key != "password_sealed"]
    before = {key: str(getattr(backend, key)) for key in shown}
    for key, value in changes.items():
        setattr(backend, key, value)
    if not backend.offline:
        # What it said before is of how it was reached then.
        backend.refresh_asked, backend.last_error = utc_now(), ""
    audit.record(
        session,
        identity,
        "backend:modify",
        "backend",
        backend.id,
        password_changed="password_sealed" in changes,
        before=before,
        after={key: str(changes[key]) for key in shown},
    )


def set_drained(
    session: Session,
    identity: Identity,
    backend: Backend,
    *,
    drained: bool,
    reason: str,
    until: dt.datetime | None = None,
) -> bool:
    """Stop or let new servers go there; whether that changed anything. Raises BadRequest.

    ``until`` is by when it is meant to be over: who looks is told once that has passed.
    """
    if until is not None and until <= utc_now():
        raise faults.BadRequest(
            "That time has passed.", details={"until": "Write a time to come, in UTC."}
        )
    said = {"until": until.isoformat(timespec="minutes")} if until is not None else {}
    changed = _set(session, identity, backend, "drained", drained, reason, **said)
    if changed:
        backend.drained_until = until
    return changed


def set_offline(
    session: Session, identity: Identity, backend: Backend, *, offline: bool, reason: str
) -> bool:
    """Never contact the cluster, or do again; whether that changed anything. Raises BadRequest."""
    return _set(session, identity, backend, "offline", offline, reason)


def set_public(
    session: Session, identity: Identity, backend: Backend, *, public: bool, reason: str
) -> bool:
    """Let anybody's new servers go there, or only those of users pinned to it; whether that
    changed anything. Raises BadRequest.
    """
    return _set(session, identity, backend, "public", public, reason)


_VERBS = {
    ("drained", True): "drain",
    ("drained", False): "undrain",
    ("offline", True): "offline",
    ("offline", False): "online",
    ("public", True): "publish",
    ("public", False): "restrict",
}
_EXPLAINED = ("drain", "offline", "restrict")


def _set(
    session: Session,
    identity: Identity,
    backend: Backend,
    flag: str,
    value: bool,
    reason: str,
    **said: str,
) -> bool:
    verb, reason = _VERBS[flag, value], one_line(reason)
    if verb in _EXPLAINED and not reason:
        raise faults.BadRequest("A reason is required.", details={"reason": "Say why."})
    session.flush()  # a refresh would undo what was changed before
    session.refresh(backend, with_for_update=True)
    before = getattr(backend, flag)
    if before == value:
        return False
    setattr(backend, flag, value)
    backend.state_reason, backend.state_by_id = reason, identity.user_id
    backend.state_since = utc_now()
    audit.record(
        *(session, identity, f"backend:{verb}", "backend", backend.id),
        reason=reason,
        before={flag: before},
        after={flag: value, **said},
    )
    return True


def one_line(reason: str) -> str:
    """A reason as it is kept. Raises BadRequest."""
    reason = reason.strip()
    if len(reason) > 255 or any(ord(c) < 32 for c in reason):
        raise faults.BadRequest(
            "The reason is one line of at most 255 characters.",
            details={"reason": "One line of at most 255 characters."},
        )
    return reason


def ask_refresh(session: Session, identity: Identity, backend: Backend) -> bool:
    """Have the worker ask the cluster how it is, at once; False if it is about to anyway.

    Raises Conflict for one that is offline.
    """
    session.flush()  # a refresh would undo what was changed before
    session.refresh(backend, with_for_update=True)
    if backend.offline:
        raise faults.Conflict(f"{backend.name} is offline: it is not to be contacted.")
    if backend.refresh_asked is not None and backend.unreachable_since is None:
        return False
    backend.refresh_asked = utc_now()
    audit.record(session, identity, "backend:refresh", "backend", backend.id, name=backend.name)
    operations.announce(session, backend.id, refresh=True)
    return True


def refresh(session: Session, backend: Backend, report: ClusterReport) -> None:
    """Keep what a cluster said of itself, and that it answered.

    Of one that has never answered it must be the one that is meant.
    """
    if backend.removed is not None:
        return
    if backend.refreshed is None and report.name != backend.name:
        note_unreachable(backend, f"The cluster that answers is {report.name}, not {backend.name}.")
        return
    backend.hypervisor = report.hypervisor[:20]
    backend.disk_templates = list(report.disk_templates)
    backend.node_groups = list(report.node_groups)
    backend.ganeti_version = report.version[:20]
    backend.memory_total_mb = report.memory_total_mb
    backend.memory_free_mb = report.memory_free_mb
    backend.disk_total_mb = report.disk_total_mb
    backend.disk_free_mb = report.disk_free_mb
    backend.cpu_total = report.cpu_total
    backend.instances = report.instances
    backend.nodes_total = report.nodes_total
    backend.nodes_up = report.nodes_up
    backend.certificate_ends = report.certificate_ends
    backend.refreshed, backend.refresh_asked = utc_now(), None
    nodes.keep(session, backend, report.nodes)
    note_answered(backend)


def note_answered(backend: Backend) -> None:
    """The cluster answers."""
    if backend.unreachable_since is not None:
        backend.unreachable_since, backend.last_error = None, ""


def note_unreachable(backend: Backend, message: str) -> None:
    """The cluster did not answer; since when is kept until it does."""
    backend.unreachable_since = backend.unreachable_since or utc_now()
    backend.last_error = message[:500]


def note_heard(session: Session, name: str, tag: str | None) -> bool:
    """An agent spoke of the cluster itself; whether it is one of ours.

    With a tag it answered a heartbeat's question. Without, the cluster was changed: the worker
    looks at it anew, at once where the database can tell it.
    """
    backend = session.scalar(sa.select(Backend).where(Backend.name == name).with_for_update())
    if backend is None:
        return False
    if tag is not None:
        backend.heartbeat, backend.heartbeat_at = tag, utc_now()
    else:
        operations.announce(session, backend.id, refresh=True)
    return True
