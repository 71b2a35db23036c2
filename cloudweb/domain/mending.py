"""Mends differences between our rows and their clusters, as they were found and chosen."""

import dataclasses
import datetime as dt
from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import (
    audit,
    hearing,
    hearing_sql,
    network_mending,
    operations,
    pool_mending,
    reconcile,
    snapshots,
    states,
    texts,
)
from cloudweb.domain.hearing_sql import SERVERS
from cloudweb.domain.identity import Identity
from cloudweb.domain.reconcile import FindingRow
from cloudweb.domain.states import NicReport, StatusEvent
from cloudweb.models import (
    OPEN_STATES,
    Backend,
    Drift,
    Finding,
    FindingState,
    Flavor,
    Operation,
    OperState,
    Role,
    Server,
    utc_now,
)

DESTROYS = frozenset({Drift.ORPHAN, Drift.NETWORK_ORPHAN})
"""What mending one of these removes from Ganeti cannot be brought back: admins decide on it."""
GOOD_FOR = dt.timedelta(minutes=15)
"""What was found longer ago has to be looked for anew."""


def what_is_removed(rows: Collection[FindingRow]) -> str:
    """What mending these destroys, such as ``2 instances and 1 network``."""
    said = []
    for kind, word in ((Drift.ORPHAN, "instance"), (Drift.NETWORK_ORPHAN, "network")):
        if count := sum(row.finding.kind is kind for row in rows):
            said.append(f"{count:,} {word}{'' if count == 1 else 's'}")
    return " and ".join(said)


def check_may(identity: Identity, rows: Collection[FindingRow]) -> None:
    """Raise Forbidden for whoever may not have mended what these differences take."""
    if identity.role is not Role.ADMIN and any(row.finding.kind in DESTROYS for row in rows):
        raise faults.Forbidden("Only an administrator has things removed from Ganeti.")


class Moved(faults.Conflict):
    """None of it is as it was found any more: nothing was done."""

    sentence = "Nothing was done: it is not as it was found. Compare again."


@dataclasses.dataclass(frozen=True, slots=True)
class Mended:
    """What was mended, and why the rest was left as it is, by what it is about."""

    done: Sequence[Finding]
    left: Mapping[str, str]


def apply(
    session: Session, identity: Identity, finding_ids: Collection[int], *, reason: str
) -> Mended:
    """Mend those of these findings that still hold; what has moved is left as it is.

    Raises BadRequest (no reason, none chosen), Forbidden for whoever may not have one of these
    destroyed, and Moved if none holds: its details say why.
    """
    reason = texts.reason(reason)
    if not finding_ids:
        raise faults.BadRequest("Choose what to mend.", details={"finding": "Choose some."})
    session.scalars(
        sa.select(Finding).where(Finding.id.in_(finding_ids)).order_by(Finding.id).with_for_update()
    ).all()
    chosen = reconcile.list_open(session, ids=finding_ids, limit=len(finding_ids))
    check_may(identity, chosen)
    moved = _moved(session, chosen)
    left = {
        f"finding {id_}": "It is mended already, or was looked for anew."
        for id_ in sorted(set(finding_ids) - {row.finding.id for row in chosen})
    } | {row.finding.target: moved[row.finding.id] for row in chosen if row.finding.id in moved}
    if len(moved) == len(chosen):
        raise Moved(details=left)
    done = [row for row in chosen if row.finding.id not in moved]
    for row in done:
        _mend(session, identity, row, reason)
        row.finding.state, row.finding.settled = FindingState.APPLIED, utc_now()
    return Mended([row.finding for row in done], left)


def _moved(session: Session, chosen: Sequence[FindingRow]) -> dict[int, str]:
    """Which findings no longer hold, and why; what all others are about is locked."""
    moved: dict[int, str] = {}
    versions = {
        row.finding.server_id: row.finding.version
        for row in chosen
        if row.finding.server_id is not None and row.finding.version is not None
    }
    unchanged = {row.id for row in snapshots.lock_unchanged(session, versions)}
    for row in chosen:
        finding = row.finding
        if utc_now() - row.taken > GOOD_FOR:
            moved[finding.id] = "It was found too long ago."
        elif finding.version is not None and finding.server_id not in unchanged:
            moved[finding.id] = "The server has changed since."
        elif finding.kind is Drift.ORPHAN and _is_wanted(session, row):
            moved[finding.id] = "It has a server again, or is being removed."
    for row in sorted(chosen, key=_order):
        if row.finding.id not in moved and (said := _obstacle(session, row)):
            moved[row.finding.id] = said
    return moved


def _order(row: FindingRow) -> tuple[bool, int, str]:
    """Networks by id, as everybody locks them, and then values."""
    finding = row.finding
    return finding.kind in pool_mending.KINDS, finding.network_id or 0, finding.target


def _obstacle(session: Session, row: FindingRow) -> str:
    if not row.is_mendable:
        return row.finding.remedy
    if row.finding.kind in pool_mending.KINDS:
        return pool_mending.obstacle(session, row.finding)
    if row.finding.kind in network_mending.KINDS and row.backend is not None:
        return network_mending.obstacle(session, row.finding, row.backend)
    return ""


def _is_wanted(session: Session, row: FindingRow) -> bool:
    target = row.finding.target
    server = sa.select(Server.id).where(
        Server.backend_id == _cluster(row).id,
        Server.instance_name == target,
        Server.deleted == sa.false(),
    )
    removal = sa.select(Operation.id).where(
        Operation.backend_id == _cluster(row).id,
        Operation.target == target,
        Operation.state.in_(OPEN_STATES),
    )
    return session.scalar(server) is not None or session.scalar(removal.limit(1)) is not None


def _mend(session: Session, identity: Identity, row: FindingRow, reason: str) -> None:
    finding, operation = row.finding, None
    match finding.kind:
        case kind if kind in pool_mending.KINDS:
            pool_mending.mend(session, finding)
        case kind if kind in network_mending.KINDS:
            network_mending.mend(session, identity, finding, _cluster(row))
        case Drift.STALE:
            _end(session, row)
        case Drift.ORPHAN:
            operation = _remove(session, identity, row, reason)
        case Drift.NICS:
            _write_cards(session, row)
        case Drift.FLAVOR | Drift.DISKS:
            _change(session, finding, flavor_id=_flavor(session, finding).id)
        case Drift.STATE | Drift.BUILD:
            _change(session, finding, state=OperState(finding.fix["state"]))
    audit.record(
        session,
        identity,
        f"reconcile:{finding.kind.value}",
        *_about(finding),
        reason=reason,
        operation=operation,
        before=finding.ours,
        after=finding.theirs,
        backend=row.where,
    )


def _about(finding: Finding) -> tuple[str, int | str]:
    """The kind and the id of what a finding is about."""
    if finding.kind in pool_mending.KINDS:
        return "pool", finding.fix["pool"]
    if finding.network_id is not None:
        return "network", finding.network_id
    if finding.kind in network_mending.KINDS:
        return "network", finding.target[:50]
    if finding.server_id is not None:
        return "server", finding.server_id
    return "instance", finding.target


def _cluster(row: FindingRow) -> Backend:
    assert row.backend is not None, "only what is found in pools has no cluster"
    return row.backend


def _end(session: Session, row: FindingRow) -> None:
    """Let the server go as if its removal had been heard of."""
    event = StatusEvent(
        instance=row.finding.target,
        opcode=states.REMOVE,
        status="success",
        job_id=0,
        time=row.taken,
        cluster=_cluster(row).name,
        log="Found without an instance.",
    )
    hearing.apply_statuses(session, [event])


def _remove(session: Session, identity: Identity, row: FindingRow, reason: str) -> Operation:
    operation = Operation(
        backend_id=_cluster(row).id,
        server_id=row.finding.server_id,
        opcode=states.REMOVE,
        target=row.finding.target,
        arguments={},
        reason=reason,
    )
    return operations.write_down(session, identity, operation)


def _write_cards(session: Session, row: FindingRow) -> None:
    server_id = row.finding.server_id
    assert server_id is not None
    nics = tuple(NicReport(**nic) for nic in row.finding.fix["nics"])
    networks = snapshots.networks_of(session, _cluster(row).id)
    if snapshots.write_cards(session, {server_id: nics}, networks):
        hearing_sql.touch(session, [server_id], utc_now())


def _change(session: Session, finding: Finding, **values: object) -> None:
    assert finding.server_id is not None
    by_id = SERVERS.c.id == finding.server_id
    session.execute(sa.update(SERVERS).where(by_id).values(values))
    hearing_sql.touch(session, [finding.server_id], utc_now())


def _flavor(session: Session, finding: Finding) -> Flavor:
    """The flavor of the size found, else a new one that nobody can choose."""
    now = session.scalar(
        sa.select(Flavor)
        .join(Server, Server.flavor_id == Flavor.id)
        .where(Server.id == finding.server_id)
    )
    assert now is not None
    size = ("cpu", "ram_mb", "disk_gb", "disk_template")
    wanted = {key: getattr(now, key) for key in size} | finding.fix
    found = session.scalar(sa.select(Flavor).filter_by(**wanted))
    if found is None:
        found = Flavor(**wanted, deleted=True)
        session.add(found)
        session.flush()  # the server names its id
    return found
