"""A server as we have it and as its cluster last had it, side by side; the cluster is not asked."""

import dataclasses
import datetime as dt
from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain.differences import Standing
from cloudweb.models import Drift, Finding, FindingState, Flavor, OperState, ReconcileRun, Server

_ASPECTS: Mapping[str, tuple[Drift, ...]] = {
    "Instance": (Drift.STALE,),
    "State": (Drift.STATE, Drift.BUILD),
    "Network cards": (Drift.NICS,),
    "CPUs and memory": (Drift.FLAVOR,),
    "Disks": (Drift.DISKS,),
    "Node": (),
}
_STATES = {
    OperState.BUILD: "being built",
    OperState.STARTED: "running",
    OperState.STOPPED: "not running",
    OperState.ERROR: "in error",
    OperState.DESTROYED: "destroyed",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Side:
    """One thing about a server: how we have it, how the cluster had it, and whether that agrees."""

    aspect: str
    ours: str
    theirs: str
    standing: Standing


@dataclasses.dataclass(frozen=True, slots=True)
class Sides:
    """All of it, and when the cluster was compared; never, if there is no time."""

    taken: dt.datetime | None
    rows: tuple[Side, ...]

    @property
    def agree(self) -> bool:
        """Whether nothing is known to differ."""
        return all(row.standing in (Standing.SAME, Standing.UNKNOWN) for row in self.rows)


def differs() -> sa.ColumnElement[bool]:
    """Whether the newest comparison found a server otherwise than we have it."""
    found = sa.select(Finding.server_id).where(
        Finding.state == FindingState.OPEN, Finding.server_id.is_not(None)
    )
    return Server.id.in_(found)


def of(session: Session, server: Server, flavor: Flavor, cards: int) -> Sides:
    """Both sides of a server, as of the newest comparison of its cluster; two statements."""
    taken = session.scalar(
        sa.select(ReconcileRun.taken)
        .where(ReconcileRun.backend_id == server.backend_id, ReconcileRun.taken.is_not(None))
        .order_by(ReconcileRun.id.desc())
        .limit(1)
    )
    found = session.scalars(
        sa.select(Finding)
        .where(Finding.server_id == server.id, Finding.state == FindingState.OPEN)
        .order_by(Finding.id)
    ).all()
    by_kind = {finding.kind: finding for finding in found}
    ours = {
        "Instance": server.instance_name or "none",
        "State": _STATES[server.state],
        "Network cards": str(cards),
        "CPUs and memory": f"{flavor.cpu} CPU{'s' if flavor.cpu != 1 else ''}, {flavor.ram_mb} MiB",
        "Disks": f"{flavor.disk_gb} GiB, {flavor.disk_template}",
        "Node": server.node or "not known",
    }
    # What has moved since was not compared as it is now.
    known = taken is not None and (server.updated <= taken or bool(found))
    return Sides(taken, tuple(_side(name, ours[name], by_kind, known=known) for name in _ASPECTS))


def _side(aspect: str, ours: str, found: dict[Drift, Finding], *, known: bool) -> Side:
    for kind in _ASPECTS[aspect]:
        if kind in found:
            standing = Standing.MISSING if kind is Drift.STALE else Standing.DIFFERENT
            return Side(aspect, ours, found[kind].theirs, standing)
    if not known or Drift.STALE in found:
        return Side(aspect, ours, "", Standing.UNKNOWN)
    return Side(aspect, ours, ours, Standing.SAME)
