"""Pools of bridges, MAC prefixes and addresses: lists of them, and one with its map and values."""

from collections.abc import Mapping

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import audit, pool_care, pool_lists, pool_maps, pools, reconcile
from cloudweb.domain.pool_lists import PoolRow
from cloudweb.models import Pool, PoolKind, PoolUse, PoolValue
from cloudweb.security import Permission
from cloudweb.views.dashboard import lists, pages
from cloudweb.views.dashboard.exports import page_and_files
from cloudweb.views.dashboard.figures import share
from cloudweb.views.dashboard.lists import Column, Listing

KINDS = {
    PoolKind.BRIDGE: "Bridges",
    PoolKind.MAC_PREFIX: "MAC prefixes",
    PoolKind.IPV4: "Addresses",
}
_USES = {"free": "Free", "held": "Used", "reserved": "Reserved"}
_RANGES = 60
_FINDINGS = 100


def _percent(row: PoolRow) -> float:
    usable = row.pool.size - row.reserved
    return round(100 * row.held / usable, 1) if usable else 0.0


POOLS = Listing(
    name="pools",
    title="Pools",
    one="pool",
    many="pools",
    fields=pool_lists.FIELDS,
    rows=pool_lists.rows,
    row=PoolRow,
    key=lambda row: row.pool.id,
    search=(Pool.base,),
    hint="base or id",
    choices={"kind": ("Kind", {kind.value: words for kind, words in KINDS.items()})},
    columns=(
        Column("base", "Pool", lambda row: row.pool.base),
        Column("id", "Id", lambda row: row.pool.id),
        Column("kind", "Kind", lambda row: row.pool.kind.value),
        Column("network", "Network", lambda row: row.pool.network_id),
        Column("size", "Size", lambda row: row.pool.size, "n"),
        Column("held", "Used", lambda row: row.held, "n"),
        Column("reserved", "Reserved", lambda row: row.reserved, "n"),
        Column("free", "Free", lambda row: row.free, "n"),
        Column("share", "In use", _percent),
        Column("wrong", "Wrong", lambda row: row.wrong),
        Column("full", "Full on", lambda row: row.full_on),
        Column("created", "Created", lambda row: row.pool.created),
    ),
    nothing="There is no pool yet. Users' networks need one of MAC prefixes or bridges: cloudweb"
    " pool create --type=mac-prefix --base=aa:00:0 --size=4096. The base is unicast and locally"
    " administered; addresses come with their network.",
)

VALUES = Listing(
    name="pool.values",
    title="Values",
    one="value",
    many="values",
    fields=pool_maps.VALUE_FIELDS,
    rows=pool_maps.values,
    row=lambda value: value,
    key=lambda value: value.number,
    sort="number",
    most=200,
    section="pools",
    choices={"use": ("Use", _USES)},
    columns=(
        Column("number", "Value", lambda value: value.number),
        Column("use", "Use", lambda value: value.use.value),
        Column("holder", "Held by", lambda value: value.holder_kind, "name"),
        Column("holder_id", "Id", lambda value: value.holder_id),
        Column("reason", "Why reserved", lambda value: value.reason, "prose"),
    ),
)


@page_and_files("admin.pools")
def index(request: Request) -> Response:
    """GET /admin/pools, .csv, .json."""
    return lists.respond(request, POOLS, share=share, kinds=KINDS)


@page_and_files("admin.pool.values")
def list_values(request: Request) -> Response:
    """GET /admin/pools/{id}/values, .csv, .json."""
    pool = pools.get(request.db, int(request.matchdict["id"]))
    return lists.respond(
        request,
        VALUES,
        within=(PoolValue.pool_id == pool.id,),
        title=f"Values of {name(pool)}",
        up=(("Pools", "admin.pools"), (name(pool), "admin.pool")),
        pool=pool,
        value_of=pools.value,
    )


def name(pool: Pool) -> str:
    """A pool in words: its first and last value."""
    last = pools.value(pool, pool.size - 1)
    return f"{pools.value(pool, 0)}–{last}"  # noqa: RUF001


@view_config(route_name="admin.pool", request_method="GET", permission=Permission.DASHBOARD_VIEW)
def show(request: Request) -> Response:
    """GET /admin/pools/{id}?holder=VALUE&check=yes: its map, its ranges, who holds one."""
    return _show(request)


def refuse(request: Request, verb: str, words: str) -> Response:
    """The page of a pool again, with what is wrong at the field that something was asked with."""
    return _show(request, errors={verb: words})


def _show(request: Request, *, errors: Mapping[str, str] | None = None) -> Response:
    pool = pools.get(request.db, int(request.matchdict["id"]))
    found, missed = None, ""
    wanted = request.GET.get("holder", "").strip()[:100]
    if wanted:
        try:
            value = pool_maps.find(request.db, pool, wanted)
            holder = pools.holder_name(request.db, value.holder_kind, value.holder_id)
            found = (wanted, value, holder if value.holder_id else "")
        except faults.BadRequest as fault:
            missed = fault.message
    checked = request.GET.get("check") == "yes"
    blocks = pool_maps.blocks(request.db, pool)
    ranges = pool_maps.ranges(request.db, pool, blocks, limit=_RANGES + 1)
    row = pool_lists.get_row(request.db, pool.id)
    findings = pool_care.check(request.db, pool_id=pool.id) if checked else []
    return pages.show_signed_in(
        request,
        "pool",
        status=400 if missed or errors else 200,
        pool=pool,
        name=name(pool),
        kind=KINDS[pool.kind],
        row=row,
        meter=share("In use", row.held, pool.size - row.reserved),
        blocks=blocks,
        ranges=ranges[:_RANGES],
        more_ranges=len(ranges) > _RANGES,
        uses=_USES,
        wanted=wanted,
        found=found,
        missed=missed,
        held=PoolUse.HELD,
        compared=reconcile.pools_compared(request.db),
        checked=checked,
        findings=findings[:_FINDINGS],
        more_findings=len(findings[_FINDINGS:]),
        errors=errors or {},
        history=audit.list_for(request.db, "pool", pool.id),
        error="",
    )
