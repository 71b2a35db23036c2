"""What comparing a cluster with our servers found, kept until somebody decides or looks again."""

import datetime as dt
import enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from cloudweb.models.meta import Base, created, pk, reference, str255, table_args


class Drift(enum.StrEnum):
    """How our rows and a cluster can differ; the first seven are about servers."""

    STALE = "stale"
    """The instance is gone."""
    ORPHAN = "orphan"
    """An instance named like ours has no server."""
    STATE = "state"
    """One runs, the other does not."""
    BUILD = "build"
    """Building with nothing under way, or in error with an instance that runs."""
    NICS = "nics"
    FLAVOR = "flavor"
    DISKS = "disks"
    """The size of all disks together, or their template."""

    NETWORK_PARTED = "network-parted"
    """Nothing is written of a network where it should be."""
    NETWORK_STALE = "network-stale"
    """Being deleted, and gone from the cluster."""
    NETWORK_MISSING = "network-missing"
    """Wanted, and not in the cluster."""
    NETWORK_GROUPS = "network-groups"
    """Not connected to all node groups."""
    NETWORK_STATE = "network-state"
    """There, and not written down as such."""
    NETWORK_ORPHAN = "network-orphan"
    """In the cluster, and wanted by nobody."""

    POOL_SYNC = "pool-sync"
    """Kept or used by the cluster, and free for us; or kept by us for a cluster that does not."""
    POOL_UNHELD = "pool-unheld"
    """Used by a server or network, and free to be given to another."""
    POOL_LEAKED = "pool-leaked"
    """Held for something that does not use it, or is gone."""
    POOL_DOUBLED = "pool-doubled"
    """Used by two."""
    POOL_ROWS = "pool-rows"
    """More or fewer rows than the pool has values."""


class FindingState(enum.StrEnum):
    OPEN = "open"
    APPLIED = "applied"


class ReconcileRun(Base):
    """One comparison of a cluster, or of the pools with what uses them (no ``backend_id``).

    One without ``taken`` or ``error`` is still to be made.
    """

    __tablename__ = "reconcile_runs"
    __table_args__ = table_args(sa.Index(None, "backend_id", "id"))

    id: Mapped[pk]
    backend_id: Mapped[int | None] = reference("backends.id", nullable=True)
    user_id: Mapped[int | None] = reference("users.id", nullable=True)
    created: Mapped[created]
    taken: Mapped[dt.datetime | None]
    """When the cluster was asked."""
    compared: Mapped[int] = mapped_column(default=0)
    """How many servers were."""
    took_ms: Mapped[int | None]
    """From asking the cluster until all was compared."""
    error: Mapped[str] = mapped_column(sa.String(500), default="")


class Finding(Base):
    """One difference; ``version`` is that of the server when it was found, ``fix`` what to store.

    What moves afterwards is not changed by it. A ``fix`` with ``decide`` is left to a person.
    """

    __tablename__ = "reconcile_findings"
    __table_args__ = table_args(sa.Index(None, "run_id", "id"), sa.Index(None, "state", "kind"))

    id: Mapped[pk]
    run_id: Mapped[int] = reference("reconcile_runs.id")
    kind: Mapped[Drift]
    server_id: Mapped[int | None] = reference("servers.id", nullable=True)
    network_id: Mapped[int | None] = reference("networks.id", nullable=True)
    version: Mapped[int | None] = mapped_column(sa.BigInteger())
    target: Mapped[str255]
    """Ganeti's name of the instance or network, or the value of a pool."""
    ours: Mapped[str255]
    theirs: Mapped[str255]
    remedy: Mapped[str255]
    """What applying it does, in a sentence."""
    fix: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[FindingState] = mapped_column(default=FindingState.OPEN)
    settled: Mapped[dt.datetime | None]


class ComparisonRecord(Base):
    """What a comparison found, kept when its findings are gone; of the pools without a backend."""

    __tablename__ = "comparisons"
    __table_args__ = table_args(sa.Index(None, "at"), sa.Index(None, "backend_id", "id"))

    id: Mapped[pk]
    backend_id: Mapped[int | None] = reference("backends.id", nullable=True)
    user_id: Mapped[int | None] = reference("users.id", nullable=True)
    """Who asked for it, if anybody did."""
    at: Mapped[dt.datetime]
    compared: Mapped[int]
    took_ms: Mapped[int | None]
    found: Mapped[int]
    appeared: Mapped[list[str]]
    """What the comparison before had not found, by name and kind; some of it, if it was much."""
    gone: Mapped[list[str]]
    differences: Mapped[list[list[str]] | None] = mapped_column(sa.JSON(none_as_null=True))
    """All that it found, or the first of it: of what, the kind, ours and theirs."""
    error: Mapped[str] = mapped_column(sa.String(500), default="")
