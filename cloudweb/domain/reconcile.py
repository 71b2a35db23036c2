"""Finds how a cluster and our servers differ, and keeps what is found of them and of all else.

Finding changes nothing. What is chosen is mended (``domain.mending``) only if it is still as it
was found. Networks are compared in ``network_drift``, pools in ``pool_drift``.
"""

import dataclasses
import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import audit, comparisons, operations, snapshots
from cloudweb.domain.hearing_sql import SERVERS
from cloudweb.domain.identity import Identity
from cloudweb.domain.snapshots import InstanceReport, Snapshot
from cloudweb.models import (
    OPEN_STATES,
    Backend,
    Drift,
    Finding,
    FindingState,
    Flavor,
    Operation,
    OperState,
    ReconcileRun,
    utc_now,
)

_KEPT = dt.timedelta(days=7)
_RUNS = {True: "running", False: "not running", None: "unknown"}


# --- finding ------------------------------------------------------------------------------------


def detect(session: Session, backend: Backend, snapshot: Snapshot, prefix: str) -> list[Finding]:
    """How a cluster's servers differ from its instances; a constant number of statements.

    Left out are servers on which something is to be done or that changed since the snapshot.
    """
    rows = snapshots.settled(session, backend.id, snapshot)
    cards = snapshots.cards_of(session, backend.id)
    networks = snapshots.networks_of(session, backend.id)
    flavors = _flavors(session, backend.id)
    found: list[Finding] = []
    for row in rows:
        report = snapshot.instances.get(row.instance_name)
        if report is None:
            found += _without_instance(row)
            continue
        found += _state(row, report)
        if row.state in (OperState.BUILD, OperState.ERROR):
            continue
        wrong = snapshots.differing_cards(cards.get(row.id, ()), report.nics, networks)
        if wrong:
            fix = {"nics": [dataclasses.asdict(nic) for nic in report.nics]}
            many = len(cards.get(row.id, ()))
            said = ("1 card" if many == 1 else f"{many} cards", "; ".join(wrong))
            found.append(_finding(Drift.NICS, row, *said, "Make our cards what Ganeti has.", fix))
        found += _flavor(row, report, flavors[row.id])
        found += _disks(row, report, flavors[row.id])
    return [*found, *_orphans(session, backend, snapshot, prefix)]


def _finding(
    kind: Drift, row: sa.Row[Any], ours: str, theirs: str, remedy: str, fix: dict[str, Any]
) -> Finding:
    return Finding(
        kind=kind,
        server_id=row.id,
        version=row.version,
        target=row.instance_name,
        ours=ours[:255],
        theirs=theirs[:255],
        remedy=remedy,
        fix=fix,
    )


def _without_instance(row: sa.Row[Any]) -> Iterator[Finding]:
    if row.state is OperState.BUILD:
        fix = {"state": OperState.ERROR.value}
        yield _finding(Drift.BUILD, row, "BUILD", "no instance", "Our server is in ERROR.", fix)
    elif row.state is not OperState.ERROR:
        said = (row.state.value, "no instance", "Our server is deleted.")
        yield _finding(Drift.STALE, row, *said, {"state": OperState.DESTROYED.value})


def _state(row: sa.Row[Any], report: InstanceReport) -> Iterator[Finding]:
    runs = _RUNS[report.running]
    target = snapshots.target_state(row.state, report)
    if target is not None:
        remedy = f"Our server is {target.value}."
        fix = {"state": target.value}
        yield _finding(Drift.STATE, row, row.state.value, runs, remedy, fix)
    elif row.state in (OperState.BUILD, OperState.ERROR):
        built = OperState.STARTED if report.running else OperState.ERROR
        if row.state is not built:
            remedy = f"Our server is {built.value}."
            fix = {"state": built.value}
            yield _finding(Drift.BUILD, row, row.state.value, runs, remedy, fix)


def _flavor(row: sa.Row[Any], report: InstanceReport, flavor: Flavor) -> Iterator[Finding]:
    ours, theirs = (flavor.cpu, flavor.ram_mb), (report.vcpus, report.memory_mb)
    if ours != theirs and report.vcpus > 0 and report.memory_mb > 0:
        said = [f"{cpu} CPUs, {ram} MiB" for cpu, ram in (ours, theirs)]
        fix = {"cpu": report.vcpus, "ram_mb": report.memory_mb}
        remedy = "Our server has a flavor of this size, made if there is none."
        yield _finding(Drift.FLAVOR, row, said[0], said[1], remedy, fix)


def _disks(row: sa.Row[Any], report: InstanceReport, flavor: Flavor) -> Iterator[Finding]:
    """All disks together, in whole GiB as a server has them, and how they are kept."""
    if report.disk_mb is None or report.disk_template == flavor.disk_template == "diskless":
        return
    disk_gb, external = -(-report.disk_mb // 1024), flavor.disk_template.startswith("ext_")
    ours = "ext" if external else flavor.disk_template
    if (disk_gb, report.disk_template) == (flavor.disk_gb, ours):
        return
    said = f"{flavor.disk_gb} GiB, {ours}", f"{disk_gb} GiB, {report.disk_template}"
    remedy = "Our server has a flavor with such disks, made if there is none."
    fix: dict[str, Any] = {"disk_gb": disk_gb, "disk_template": report.disk_template}
    if external and report.disk_template == "ext":
        fix["disk_template"] = flavor.disk_template
    elif report.disk_template == "ext":
        fix["decide"] = True
        remedy = "A person has to say which provider of external disks it is."
    yield _finding(Drift.DISKS, row, *said, remedy, fix)


def _flavors(session: Session, backend_id: int) -> dict[int, Flavor]:
    rows = session.execute(
        sa.select(SERVERS.c.id, Flavor)
        .join(Flavor, Flavor.id == SERVERS.c.flavor_id)
        .where(SERVERS.c.backend_id == backend_id, SERVERS.c.deleted == sa.false())
    )
    return {row[0]: row[1] for row in rows}


def _orphans(
    session: Session, backend: Backend, snapshot: Snapshot, prefix: str
) -> Iterator[Finding]:
    """Instances named like ours that no server has, and nobody is removing."""
    here = SERVERS.c.backend_id == backend.id
    rows = session.execute(
        sa.select(
            SERVERS.c.instance_name, SERVERS.c.id, SERVERS.c.deleted, SERVERS.c.updated
        ).where(
            here,
            sa.or_(
                SERVERS.c.deleted == sa.false(),
                SERVERS.c.instance_name.in_(
                    [name for name in snapshot.instances if name.startswith(prefix)]
                ),
            ),
        )
    )
    known = {row.instance_name: row for row in rows}
    busy = set(
        session.scalars(
            sa.select(Operation.target).where(
                Operation.backend_id == backend.id, Operation.state.in_(OPEN_STATES)
            )
        )
    )
    for name, report in sorted(snapshot.instances.items()):
        row = known.get(name)
        ours = row is not None and (not row.deleted or row.updated >= snapshot.taken)
        if not name.startswith(prefix) or ours or name in busy:
            continue
        yield Finding(
            kind=Drift.ORPHAN,
            server_id=row.id if row is not None else None,
            version=None,
            target=name,
            ours="deleted" if row is not None else "no server",
            theirs=_RUNS[report.running],
            remedy="The instance is removed from Ganeti, with its disks.",
            fix={},
        )


# --- keeping what was found ---------------------------------------------------------------------


def want(session: Session, identity: Identity, backends: Collection[Backend]) -> None:
    """Have the worker compare these clusters, and the pools, as soon as it can."""
    waiting = set(session.scalars(sa.select(ReconcileRun.backend_id).where(*_TO_BE_MADE)))
    for backend in backends:
        if backend.id not in waiting:
            session.add(ReconcileRun(backend_id=backend.id, user_id=identity.user_id))
        operations.announce(session, backend.id, refresh=True)
    if None not in waiting:
        session.add(ReconcileRun(backend_id=None, user_id=identity.user_id))
    names = sorted(backend.name for backend in backends)
    audit.record(session, identity, "reconcile:compare", "reconcile", "all", backends=names)


_TO_BE_MADE = (ReconcileRun.taken.is_(None), ReconcileRun.error == "")


def find_due(session: Session, backend_id: int | None, *, every_s: float) -> bool:
    """Whether a cluster is to be compared: somebody wants it, or the last time is long ago.

    None stands for the pools.
    """
    newest = session.scalar(_newest().where(ReconcileRun.backend_id == backend_id).limit(1))
    if newest is None or (newest.taken is None and not newest.error):
        return True
    return utc_now() - (newest.taken or newest.created) > dt.timedelta(seconds=every_s)


def _newest() -> sa.Select[ReconcileRun]:
    return sa.select(ReconcileRun).order_by(ReconcileRun.id.desc())


def keep(
    session: Session,
    backend: Backend | None,
    *,
    identity: Identity | None = None,
    taken: dt.datetime | None = None,
    found: Sequence[Finding] = (),
    compared: int = 0,
    error: str = "",
) -> ReconcileRun:
    """Keep what a comparison found, or why there was none; earlier ones' open findings go.

    Without a ``backend`` it was one of the pools with our own rows.
    """
    backend_id = backend.id if backend is not None else None
    run = session.scalar(
        _newest().where(ReconcileRun.backend_id == backend_id, *_TO_BE_MADE).with_for_update()
    )
    if run is None or identity is not None:
        run = ReconcileRun(
            backend_id=backend_id, user_id=identity.user_id if identity is not None else None
        )
        session.add(run)
    run.taken, run.error, run.compared = taken, error[:500], compared
    if taken is not None:
        run.took_ms = max(0, round((utc_now() - taken) / dt.timedelta(milliseconds=1)))
    session.flush()  # the findings name its id
    comparisons.note(session, run, found)
    if taken is not None:
        _forget(session, backend_id, run.id)
    for finding in found:
        finding.run_id = run.id
    session.add_all(found)
    session.flush()
    return run


def give_up(session: Session, backend: Backend, message: str) -> None:
    """The cluster does not answer: those who want it compared are told so."""
    for run in session.scalars(
        sa.select(ReconcileRun).where(ReconcileRun.backend_id == backend.id, *_TO_BE_MADE)
    ):
        run.error = message[:500]


def _forget(session: Session, backend_id: int | None, newest_id: int) -> None:
    """Drop what earlier comparisons of a cluster found and nobody chose, and old runs whole."""
    older = sa.select(ReconcileRun.id).where(
        ReconcileRun.backend_id == backend_id, ReconcileRun.id < newest_id
    )
    ids = session.scalars(older).all()
    if not ids:
        return
    stale = sa.or_(Finding.state == FindingState.OPEN, Finding.settled < utc_now() - _KEPT)
    session.execute(sa.delete(Finding).where(Finding.run_id.in_(ids), stale))
    used = set(session.scalars(sa.select(Finding.run_id).where(Finding.run_id.in_(ids))))
    session.execute(sa.delete(ReconcileRun).where(ReconcileRun.id.in_(set(ids) - used)))


# --- reading ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """The newest comparison of a cluster that there is, and whether another is to be made."""

    backend: Backend
    run: ReconcileRun | None
    is_due: bool
    error: str = ""

    @property
    def holds(self) -> bool:
        """Whether what it found is of the last time the cluster was to be compared."""
        return self.run is not None and not self.error and not self.backend.offline


def list_newest(session: Session, backends: Sequence[Backend]) -> list[Comparison]:
    """The newest comparison of each cluster; one statement."""
    runs: dict[int | None, list[ReconcileRun]] = {}
    for run in session.scalars(_newest()):
        runs.setdefault(run.backend_id, []).append(run)
    found = []
    for backend in backends:
        mine = runs.get(backend.id, [])
        made = next((run for run in mine if run.taken is not None), None)
        due = any(run.taken is None and not run.error for run in mine)
        error = mine[0].error if mine else ""
        found.append(Comparison(backend, made, due, error))
    return found


def pools_compared(session: Session) -> dt.datetime | None:
    """When pools were last compared with what uses them; one statement."""
    return session.scalar(
        sa.select(sa.func.max(ReconcileRun.taken)).where(ReconcileRun.backend_id.is_(None))
    )


@dataclasses.dataclass(frozen=True, slots=True)
class FindingRow:
    """A finding as lists show it."""

    finding: Finding
    backend: Backend | None
    """None for what was found without a cluster."""
    taken: dt.datetime

    @property
    def where(self) -> str:
        """The cluster's name; empty without one."""
        return self.backend.name if self.backend is not None else ""

    @property
    def is_mendable(self) -> bool:
        """Whether it can be chosen, and is not for a person to decide."""
        return "decide" not in self.finding.fix


def list_open(
    session: Session,
    *,
    ids: Collection[int] | None = None,
    run_ids: Collection[int] | None = None,
    limit: int = 1000,
) -> list[FindingRow]:
    """What was found and nobody has chosen, by kind; one statement."""
    query = (
        sa.select(Finding, Backend, ReconcileRun.taken)
        .join(ReconcileRun, ReconcileRun.id == Finding.run_id)
        .outerjoin(Backend, Backend.id == ReconcileRun.backend_id)
        .where(Finding.state == FindingState.OPEN, ReconcileRun.taken.is_not(None))
        .order_by(Finding.kind, Finding.id)
        .limit(limit)
    )
    if ids is not None:
        query = query.where(Finding.id.in_(ids))
    if run_ids is not None:
        query = query.where(Finding.run_id.in_(run_ids))
    rows = session.execute(query)
    return [FindingRow(row[0], row[1], taken) for row in rows if (taken := row[2]) is not None]


def open_findings() -> tuple[sa.ScalarSelect[int], sa.ScalarSelect[dt.datetime | None]]:
    """SQL for how many findings there are, and when the oldest comparison of theirs was made."""
    these = Finding.state == FindingState.OPEN
    taken = sa.select(sa.func.min(ReconcileRun.taken)).join_from(Finding, ReconcileRun).where(these)
    count = sa.select(sa.func.count()).select_from(Finding).where(these)
    return count.scalar_subquery(), taken.scalar_subquery()


def count_open(session: Session) -> Mapping[tuple[str, Drift], int]:
    """How many findings there are, by cluster (empty without one) and kind; one statement."""
    rows = session.execute(
        sa.select(Backend.name, Finding.kind, sa.func.count())
        .join(ReconcileRun, ReconcileRun.id == Finding.run_id)
        .outerjoin(Backend, Backend.id == ReconcileRun.backend_id)
        .where(Finding.state == FindingState.OPEN)
        .group_by(Backend.name, Finding.kind)
    )
    return {(row[0] or "", row[1]): row[2] for row in rows}
