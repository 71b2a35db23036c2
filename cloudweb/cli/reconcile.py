"""``cloudweb reconcile``: how clusters and the database differ, and mending it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from cloudweb.backend import comparing
from cloudweb.backend.ganeti.errors import RapiError
from cloudweb.cli import clusters, printing
from cloudweb.cli.door import Door, pass_door
from cloudweb.cli.refusals import Refused, sentence
from cloudweb.domain import fleet, mending, pool_drift, reconcile
from cloudweb.domain.reconcile import FindingRow
from cloudweb.faults import ItemNotFound
from cloudweb.models import Backend, Drift, utc_now

_COLUMNS = {
    "id": "ID",
    "kind": "KIND",
    "backend": "BACKEND",
    "target": "WHAT",
    "ours": "OURS",
    "theirs": "FOUND",
    "remedy": "REMEDY",
    "fixed": "MENDED",
}
_Fixes = Mapping[Drift, tuple[str, str]]
_SERVERS: _Fixes = {
    Drift.STALE: ("--fix-stale", "Delete servers whose instance is gone."),
    Drift.ORPHAN: ("--fix-orphans", "Remove instances without a server, with their disks."),
    Drift.STATE: ("--fix-state", "Take over whether an instance runs."),
    Drift.BUILD: ("--fix-build-errors", "End builds that nothing goes on with."),
    Drift.NICS: ("--fix-nics", "Take over the network cards."),
    Drift.FLAVOR: ("--fix-flavor", "Take over CPUs and memory."),
    Drift.DISKS: ("--fix-disks", "Take over the size of the disks and how they are kept."),
}
_NETWORKS: _Fixes = {
    Drift.NETWORK_PARTED: ("--fix-parted", "Write down, and make, where nothing is written down."),
    Drift.NETWORK_STALE: ("--fix-gone", "End the deletion of networks that are gone."),
    Drift.NETWORK_MISSING: ("--fix-missing", "Make networks on clusters that lack them."),
    Drift.NETWORK_GROUPS: ("--fix-groups", "Connect networks to all node groups."),
    Drift.NETWORK_STATE: ("--fix-unsynced", "Take over that a network is there."),
    Drift.NETWORK_ORPHAN: ("--fix-unwanted", "Remove networks that nobody wants from Ganeti."),
}
_POOLS: _Fixes = {
    Drift.POOL_SYNC: ("--fix-sync", "Keep from use what the clusters do, and nothing else."),
    Drift.POOL_UNHELD: ("--fix-unheld", "Hold what is used."),
    Drift.POOL_LEAKED: ("--fix-leaked", "Free what nobody uses."),
}
_DECIDED = (Drift.POOL_DOUBLED, Drift.POOL_ROWS)
"""What a person has to decide, of pools; it is shown with these."""


@click.group("reconcile")
def reconcile_() -> None:
    """How clusters and the database differ, and mending it."""


def _comparison(fixes: _Fixes) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options of a command that can mend these."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        options = [
            click.option(
                "--backend", "key", metavar="BACKEND", help="Only this one, by id or name."
            ),
            *(
                click.option(name, f"fix_{kind.name}", is_flag=True, help=words)
                for kind, (name, words) in fixes.items()
            ),
            click.option("--fix-all", is_flag=True, help="All of these."),
            click.option("--dry-run", is_flag=True, help="Change nothing, whatever else is said."),
            click.option(
                "--reason", default="", help="Why; kept in the audit. Required with a --fix."
            ),
            click.option("--yes", is_flag=True, help="Do not ask before removing from Ganeti."),
            printing.as_json,
        ]
        for option in reversed(options):
            command = option(command)
        return pass_door(command)

    return decorate


@reconcile_.command()
@_comparison(_SERVERS)
def servers(door: Door, /, **asked: Any) -> None:
    """Compare servers with the clusters' instances; nothing is changed without a --fix.

    A cluster that does not answer is named and left out, and the status is 1.
    """
    _run(door, set(_SERVERS), **asked)


@reconcile_.command()
@_comparison(_NETWORKS)
def networks(door: Door, /, **asked: Any) -> None:
    """Compare networks with those of the clusters; nothing is changed without a --fix.

    A cluster that does not answer is named and left out, and the status is 1.
    """
    _run(door, set(_NETWORKS), **asked)


@reconcile_.command()
@_comparison(_POOLS)
def pools(door: Door, /, **asked: Any) -> None:
    """Compare pools with what uses their values, here and on the clusters.

    Nothing is changed without a --fix; what two use is never changed. A cluster that does not
    answer is named and left out, and the status is 1.
    """
    _run(door, {*_POOLS, *_DECIDED}, **asked)


@reconcile_.command("all")
@_comparison({**_SERVERS, **_NETWORKS, **_POOLS})
def all_(door: Door, /, **asked: Any) -> None:
    """Compare servers, networks and pools at once; nothing is changed without a --fix.

    A cluster that does not answer is named and left out, and the status is 1.
    """
    _run(door, set(Drift), **asked)


def _run(
    door: Door,
    shown: set[Drift],
    *,
    key: str | None,
    fix_all: bool,
    dry_run: bool,
    reason: str,
    yes: bool,
    as_json: bool,
    **fixes: bool,
) -> None:
    kinds = {kind for kind in shown if fix_all or fixes.get(f"fix_{kind.name}")}
    if dry_run:
        kinds = set()
    if kinds and not reason.strip():
        raise click.UsageError("Missing option '--reason': it is kept in the audit.")
    rows, failures = [], []
    for backend in _backends(door, key):
        try:
            found = _compare(door, backend)
        except RapiError as error:
            failures.append(f"{backend.name}: {sentence(error)}")
            with door.changing() as session:
                row = session.get_one(Backend, backend.id)
                reconcile.keep(session, row, identity=door.identity, error=error.message)
            continue
        chosen = kinds if yes or _may_remove(found, kinds, backend) else kinds - mending.DESTROYS
        rows += _mended(door, found, shown, chosen, reason)
    if key is None and shown.intersection(_POOLS):
        rows += _mended(door, _compare_pools(door), shown, kinds, reason)
    printing.listing(rows, _COLUMNS, as_json=as_json)
    if failures:
        raise Refused("; ".join(failures))


def _backends(door: Door, key: str | None) -> Sequence[Backend]:
    with door.reading() as session:
        known = fleet.list_all(session)
    if key is None:
        return [backend for backend in known if not backend.offline]
    chosen = [backend for backend in known if key in (str(backend.id), backend.name)]
    if not chosen:
        raise ItemNotFound(f"No backend {key}.")
    if chosen[0].offline:
        raise Refused(f"{chosen[0].name} is offline: it is not to be contacted.")
    return chosen


def _compare(door: Door, backend: Backend) -> list[FindingRow]:
    with clusters.connect(door, clusters.target(door, backend)) as client:
        instances = comparing.read_snapshot(client)
        networks = comparing.read_networks(client)
    prefix = door.settings.instance_prefix
    with door.changing() as session:
        row = session.get_one(Backend, backend.id)
        run = reconcile.keep(
            session,
            row,
            identity=door.identity,
            taken=instances.taken,
            found=comparing.detect(session, row, instances, networks, prefix),
            compared=len(instances.instances),
        )
        return reconcile.list_open(session, run_ids=[run.id], limit=100_000)


def _compare_pools(door: Door) -> list[FindingRow]:
    """Compare the pools with our own rows."""
    with door.changing() as session:
        found = pool_drift.detect_own(session)
        run = reconcile.keep(session, None, identity=door.identity, taken=utc_now(), found=found)
        return reconcile.list_open(session, run_ids=[run.id], limit=100_000)


def _may_remove(found: Sequence[FindingRow], kinds: set[Drift], backend: Backend) -> bool:
    """Whether whoever runs this has that removed from the cluster, if anything is to be."""
    what = mending.what_is_removed([row for row in found if row.finding.kind in kinds])
    question = f"Remove {what} from {backend.name}? It cannot be undone."
    return not what or click.confirm(question, err=True)


def _mended(
    door: Door, found: Sequence[FindingRow], shown: set[Drift], kinds: set[Drift], reason: str
) -> list[dict[str, Any]]:
    """What is to be printed of what was found, with those of these kinds mended."""
    ids = {row.finding.id for row in found if row.finding.kind in kinds and row.is_mendable}
    if ids:
        with door.changing() as session:
            mended = mending.apply(session, door.identity, ids, reason=reason)
        ids = {each.id for each in mended.done}
        for name, why in mended.left.items():
            click.echo(f"{name} is left as it is: {why}", err=True)
    wanted = [row for row in found if row.finding.kind in shown]
    return [_row(each, fixed=each.finding.id in ids) for each in wanted]


def _row(each: FindingRow, *, fixed: bool) -> dict[str, Any]:
    keys = ("id", "server_id", "network_id", "target", "ours", "theirs", "remedy")
    shown = {key: getattr(each.finding, key) for key in keys}
    facts = {"kind": each.finding.kind.value, "backend": each.where or None, "fixed": fixed}
    return shown | facts
