"""Reconcile: how our rows and clusters differ, and mending what is chosen."""

import dataclasses
from collections.abc import Iterable, Sequence

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import fleet, forms, mending, reconcile
from cloudweb.domain.reconcile import Comparison, FindingRow
from cloudweb.models import Backend, Drift, SentForm
from cloudweb.security import Permission
from cloudweb.views.dashboard import acts, figures, mending_commands, pages
from cloudweb.views.dashboard.acts import Preview

_AT_ONCE = 150
_COUNTED = 10_000_000
"""As many findings as one form holds."""
KINDS = {
    Drift.STALE: "Servers whose instance is gone",
    Drift.ORPHAN: "Instances without a server",
    Drift.STATE: "Running or not",
    Drift.BUILD: "Builds that nothing goes on with",
    Drift.NICS: "Network cards",
    Drift.FLAVOR: "CPUs and memory",
    Drift.DISKS: "Disks",
    Drift.NETWORK_PARTED: "Networks that are not written down where they are used",
    Drift.NETWORK_STALE: "Networks being deleted that are gone",
    Drift.NETWORK_MISSING: "Networks that a cluster lacks",
    Drift.NETWORK_GROUPS: "Networks not connected to all node groups",
    Drift.NETWORK_STATE: "Networks that are there and not known to be",
    Drift.NETWORK_ORPHAN: "Networks in Ganeti that nobody wants",
    Drift.POOL_SYNC: "Addresses kept from use by one side only",
    Drift.POOL_UNHELD: "Values in use that could be taken by another",
    Drift.POOL_LEAKED: "Values held for nobody",
    Drift.POOL_DOUBLED: "Values that two use",
    Drift.POOL_ROWS: "Pools with too many or too few values",
}


_LEFT = (
    "Each is looked at again: what has moved since it was found is left as it is, and you are told."
)
_ASKS = {Drift.NETWORK_PARTED, Drift.NETWORK_MISSING, Drift.NETWORK_GROUPS}


def risk_of(kind: Drift) -> str:
    """What mending one of this kind touches at most."""
    if kind in mending.DESTROYS:
        return "destroys"
    return "asks" if kind in _ASKS else "ours"


@view_config(
    route_name="admin.reconcile", request_method="GET", permission=Permission.DASHBOARD_VIEW
)
def index(request: Request) -> Response:
    """GET /admin/reconcile: what the newest comparison of each cluster found, by kind."""
    found = reconcile.list_open(request.db, limit=_AT_ONCE + 1)
    rows = found[:_AT_ONCE]
    comparisons = reconcile.list_newest(request.db, fleet.list_all(request.db))
    return pages.show_live(
        request,
        "reconcile",
        busy=any(each.is_due for each in comparisons),
        comparisons=comparisons,
        held={each.backend.id for each in comparisons if each.holds},
        groups=_by_kind(row for row in rows if row.finding.kind not in mending.DESTROYS),
        unwanted=_by_backend(row for row in rows if row.finding.kind in mending.DESTROYS),
        more=len(found) > _AT_ONCE,
        key=forms.new_key(),
        sent=forms.find(request.db, request.identity, request.GET.get("form", "")),
        risk_of=risk_of,
        summary=_summary(comparisons, any_found=bool(found)),
        took=figures.took,
        every=figures.every(request.conf.reconcile_every_s),
    )


def _summary(comparisons: Sequence[Comparison], *, any_found: bool) -> str:
    """What was compared and how long it took, in a sentence; nothing before the first time."""
    made = [each.run for each in comparisons if each.run is not None]
    if not made:
        return ""
    instances = figures.plural(sum(run.compared for run in made), "instance", at_most=_COUNTED)
    of = figures.plural(len(made), "backend")
    if len(made) < len(comparisons):
        of = f"{len(made)} of {figures.plural(len(comparisons), 'backend')}"
    took = [run.took_ms for run in made if run.took_ms is not None]
    long = f" in {figures.took(max(took))}" if took else ""
    slowest = ", the slowest" if took and len(made) > 1 else ""
    good = "" if any_found else "No differences. "
    return f"{good}Compared {instances} of {of}{slowest}{long}."


def _by_backend(rows: Iterable[FindingRow]) -> list[tuple[Backend, list[FindingRow]]]:
    found: dict[int, tuple[Backend, list[FindingRow]]] = {}
    for row in rows:
        if row.backend is not None:
            found.setdefault(row.backend.id, (row.backend, []))[1].append(row)
    return [found[id_] for id_ in sorted(found)]


def _by_kind(rows: Iterable[FindingRow]) -> list[tuple[Drift, str, list[FindingRow]]]:
    rows = list(rows)
    groups = [
        (kind, words, [r for r in rows if r.finding.kind is kind]) for kind, words in KINDS.items()
    ]
    return [group for group in groups if group[2]]


@view_config(
    route_name="admin.reconcile.compare",
    request_method="POST",
    permission=Permission.RECONCILE_COMPARE,
)
def compare(request: Request) -> Response:
    """POST /admin/reconcile/compare: the worker does, as soon as it can."""

    wanted = acts.text(request, "backend")

    def do() -> str:
        backends = [backend for backend in fleet.list_all(request.db) if not backend.offline]
        if wanted:
            backends = [backend for backend in backends if str(backend.id) == wanted]
        reconcile.want(request.db, request.identity, backends)
        path: str = request.route_path("admin.reconcile")
        return path

    return acts.at_once(request, do)


def _chosen(request: Request) -> set[int]:
    texts = request.params.getall("finding")[:_AT_ONCE]
    return {int(text) for text in texts if text.isascii() and text.isdigit() and len(text) < 19}


@view_config(
    route_name="admin.reconcile.mend",
    request_method=("GET", "POST"),
    permission=Permission.RECONCILE,
)
def mend(request: Request) -> Response:
    """GET, POST /admin/reconcile/mend?finding=…: all that were chosen, or none if one has moved."""

    return acts.respond(request, lambda: _preview_mending(request), lambda *act: _do(request, *act))


@view_config(
    route_name="admin.reconcile.remove",
    request_method=("GET", "POST"),
    permission=Permission.RECONCILE_REMOVE,
)
def remove(request: Request) -> Response:
    """GET, POST /admin/reconcile/remove/{id}?finding=…: what nobody has here, from one cluster."""
    backend = fleet.get(request.db, int(request.matchdict["id"]))
    return acts.respond(
        request,
        lambda: _preview_removing(request, backend),
        lambda *act: _do(request, *act),
    )


def _do(request: Request, preview: Preview, reason: str, form: SentForm) -> str:
    ids = [int(text) for text in preview.kept["finding"]]
    mended = mending.apply(request.db, request.identity, ids, reason=reason)
    form.items = [{"name": each.target, "why": ""} for each in mended.done]
    form.items += [{"name": name, "why": why} for name, why in mended.left.items()]
    path: str = request.route_path("admin.reconcile", _query={"form": form.key})
    return path


def _preview_mending(request: Request) -> Preview:
    """Raises Forbidden or BadRequest for what is removed from Ganeti, which has its own page."""
    rows = _mendable(request)
    mending.check_may(request.identity, rows)
    if any(row.finding.kind in mending.DESTROYS for row in rows):
        raise faults.BadRequest("What is removed from Ganeti is chosen apart, for each backend.")
    return dataclasses.replace(
        _preview(request, rows),
        title="Mend these differences" if len(rows) != 1 else "Mend this difference",
        verb="Mend",
        facts={"Chosen": figures.plural(len(rows), "difference")},
        follows=(_LEFT,),
    )


def _preview_removing(request: Request, backend: Backend) -> Preview:
    rows = [
        row
        for row in _mendable(request)
        if row.finding.kind in mending.DESTROYS and row.backend is backend
    ]
    what = mending.what_is_removed(rows) or "nothing"
    follows = [_LEFT]
    if any(row.finding.kind is Drift.ORPHAN for row in rows):
        sentence = "Instances are removed with all that is on their disks. Nobody can bring them"
        follows.insert(0, f"{sentence} back.")
    if any(row.finding.kind is Drift.NETWORK_ORPHAN for row in rows):
        follows.insert(0, "Networks are disconnected from all node groups and removed.")
    preview = _preview(request, rows)
    [newest] = reconcile.list_newest(request.db, [backend])
    if not newest.holds:
        preview = dataclasses.replace(
            preview, obstacle=f"{backend.name} could not be compared when it was last to be."
        )
    return dataclasses.replace(
        preview,
        title=f"Remove {what} from {backend.name}",
        verb="Remove",
        facts={"Backend": backend.name, "Chosen": what},
        follows=follows,
        danger=True,
        phrase=f"remove {what}",
    )


def _mendable(request: Request) -> list[FindingRow]:
    found = reconcile.list_open(request.db, ids=_chosen(request), limit=_AT_ONCE)
    return [row for row in found if row.is_mendable]


def _preview(request: Request, rows: Sequence[FindingRow]) -> Preview:
    return Preview(
        title="",
        verb="",
        section="operations",
        up=(
            ("Operations", request.route_path("admin.operations")),
            ("Reconcile", request.route_path("admin.reconcile")),
        ),
        facts={},
        part="mending",
        values={"groups": _by_kind(rows)},
        obstacle="" if rows else "None of what was chosen is to be mended any more.",
        reason="required",
        kept={"finding": [str(row.finding.id) for row in rows]},
        command=mending_commands.mending(rows),
        versions=[(row.finding.id, row.finding.version, row.taken) for row in rows],
    )
