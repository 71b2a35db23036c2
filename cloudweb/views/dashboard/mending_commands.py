"""What mends differences of the same kinds in a shell."""

from collections.abc import Sequence

from cloudweb.domain.reconcile import FindingRow
from cloudweb.models import Drift

FLAGS = {
    "servers": {
        Drift.STALE: "--fix-stale",
        Drift.ORPHAN: "--fix-orphans",
        Drift.STATE: "--fix-state",
        Drift.BUILD: "--fix-build-errors",
        Drift.NICS: "--fix-nics",
        Drift.FLAVOR: "--fix-flavor",
        Drift.DISKS: "--fix-disks",
    },
    "networks": {
        Drift.NETWORK_PARTED: "--fix-parted",
        Drift.NETWORK_STALE: "--fix-gone",
        Drift.NETWORK_MISSING: "--fix-missing",
        Drift.NETWORK_GROUPS: "--fix-groups",
        Drift.NETWORK_STATE: "--fix-unsynced",
        Drift.NETWORK_ORPHAN: "--fix-unwanted",
    },
    "pools": {
        Drift.POOL_SYNC: "--fix-sync",
        Drift.POOL_UNHELD: "--fix-unheld",
        Drift.POOL_LEAKED: "--fix-leaked",
    },
}
"""By what is compared: the option of each kind."""


def mending(rows: Sequence[FindingRow]) -> str:
    """A command a line; each mends all that is of these kinds, there."""
    lines = []
    for noun, flags in FLAGS.items():
        these = [row for row in rows if row.finding.kind in flags]
        chosen = [flag for kind, flag in flags.items() if kind in {r.finding.kind for r in these}]
        backends = {row.backend.name for row in these if row.backend is not None}
        if len(backends) == 1 and all(row.backend is not None for row in these):
            chosen += ["--backend", *backends]
        if these:
            lines.append(f"cloudweb reconcile {noun} {' '.join(chosen)} --reason …")
    return "\n".join(lines)
