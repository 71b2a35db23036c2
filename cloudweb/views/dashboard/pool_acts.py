"""Changing pools: reserving and letting go of values, resizing, removing."""

import dataclasses
from collections.abc import Callable, Sequence

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import pool_care, pool_lists, pool_maps, pools
from cloudweb.models import Pool, PoolKind, PoolUse, SentForm
from cloudweb.security import Permission
from cloudweb.views.dashboard import acts, pages, pool_pages
from cloudweb.views.dashboard.acts import Field, Item, Kind, Preview
from cloudweb.views.dashboard.pool_pages import KINDS, name


def _pool(request: Request) -> Pool:
    return pools.get(request.db, int(request.matchdict["id"]))


def _field(request: Request, key: str) -> str:
    text: str = request.params.get(key, "")
    return text.strip()[:20_000]


def _preview(request: Request, pool: Pool, title: str, verb: str) -> Preview:
    row = pool_lists.get_row(request.db, pool.id)
    return Preview(
        title=f"{title} {name(pool)}",
        verb=verb,
        section="pools",
        up=(
            ("Pools", request.route_path("admin.pools")),
            (name(pool), request.route_path("admin.pool", id=pool.id)),
        ),
        facts={
            "Kind": KINDS[pool.kind],
            "Size": str(pool.size),
            "Used": str(row.held),
            "Reserved": str(row.reserved),
            "Free": str(row.free),
        },
    )


def _back(request: Request, pool: Pool) -> str:
    path: str = request.route_path("admin.pool", id=pool.id)
    return path


# --- making one ---------------------------------------------------------------------------------

_MADE = {
    PoolKind.MAC_PREFIX: "For users' networks on shared bridges, each with a prefix of its own",
    PoolKind.BRIDGE: "For users' networks that have a bridge of their own",
}


@view_config(
    route_name="admin.pools.new", request_method=("GET", "POST"), permission=Permission.POOL_MANAGE
)
def new(request: Request) -> Response:
    """GET, POST /admin/pools/new: of bridges or of MAC prefixes; addresses come with networks."""

    def make() -> Preview:
        kinds = [(kind.value, KINDS[kind], more) for kind, more in _MADE.items()]
        base_hint = "Bridges: the beginning of their names, such as prv for prv1, prv2… MAC"
        return Preview(
            title="Make a pool",
            verb="Make the pool",
            section="pools",
            up=(("Pools", request.route_path("admin.pools")),),
            facts={},
            follows=(
                "Values are handed out from now on, the lowest free one first.",
                "MAC prefixes are unicast and locally administered: second digit 2, 6, a or e.",
                "Those that are not, and the first of all, are reserved.",
            ),
            fields=(
                Field("kind", "Of what", Kind.CHOICE, options=kinds, required=True),
                Field(
                    *("base", "Base"),
                    hint=f"{base_hint} prefixes: the first, such as aa:00:0.",
                    required=True,
                    longest=50,
                ),
                Field("size", "How many values", required=True, longest=6),
            ),
            command="cloudweb pool create --type mac-prefix --base aa:00:0 --size 4096",
        )

    def do(_preview: Preview, _reason: str, _form: SentForm) -> str:
        kind = PoolKind(acts.text(request, "kind"))
        base = acts.text(request, "base").strip()
        pool = pools.create(request.db, request.identity, kind=kind, base=base, size=_size(request))
        return _back(request, pool)

    return acts.respond(request, make, do)


def _respond(
    request: Request,
    verb: str,
    make: Callable[[], Preview],
    do: Callable[[Preview, str, SentForm], str],
) -> Response:
    """As acts.respond; what was filled in wrongly on the pool's page is said there."""
    try:
        return acts.respond(request, make, do)
    except faults.BadRequest as fault:
        if request.method == "POST":
            raise
        raise pages.Refused(pool_pages.refuse(request, verb, fault.message)) from None


# --- values -------------------------------------------------------------------------------------


@view_config(
    route_name="admin.pool.reserve",
    request_method=("GET", "POST"),
    permission=Permission.POOL_MANAGE,
)
def reserve(request: Request) -> Response:
    """GET, POST /admin/pools/{id}/reserve?values=…: keep values from use."""

    def do(preview: Preview, reason: str, _form: SentForm) -> str:
        pool = _pool(request)
        values = [item.name for item in preview.doable]
        pool_care.reserve(request.db, request.identity, pool, values, reason=reason)
        return _back(request, pool)

    return _respond(request, "reserve", lambda: _about_values(request, "reserve"), do)


@view_config(
    route_name="admin.pool.release",
    request_method=("GET", "POST"),
    permission=Permission.POOL_MANAGE,
)
def release(request: Request) -> Response:
    """GET, POST /admin/pools/{id}/release?values=…: let reserved values be taken."""

    def do(preview: Preview, _reason: str, _form: SentForm) -> str:
        pool = _pool(request)
        values = [item.name for item in preview.doable]
        pool_care.release(request.db, request.identity, pool, values)
        return _back(request, pool)

    return _respond(request, "release", lambda: _about_values(request, "release"), do)


def _about_values(request: Request, verb: str) -> Preview:
    pool = _pool(request)
    given = _field(request, "values")
    values = pool_maps.parse(pool, given)
    never = pools.never_free(request.db, pool) if verb == "release" else set()
    rows = pool_maps.load(request.db, pool, values)
    held = {(row.holder_kind, row.holder_id) for row in rows if row.use is PoolUse.HELD}
    names = pools.holder_names(request.db, held)
    items = [
        _item(pool, row.number, row.use, verb, never, names.get((row.holder_kind, row.holder_id)))
        for row in rows
    ]
    doable = [item for item in items if not item.why_not]
    reserving = verb == "reserve"
    many = f"{len(doable)} value{'s' if len(doable) != 1 else ''}"
    return dataclasses.replace(
        _preview(request, pool, f"{verb.capitalize()} {many} of", verb.capitalize()),
        items=items,
        follows=(
            "Nobody gets them until they are released; who has one keeps it."
            if reserving
            else "They can be handed out at once.",
        ),
        obstacle="" if doable else "None of these can be.",
        reason="optional" if reserving else "",
        kept={"values": [given]},
        command=f"cloudweb pool modify {pool.id} --{verb} {','.join(i.name for i in doable[:20])}",
    )


def _item(
    pool: Pool, number: int, use: PoolUse, verb: str, never: set[int], holder: str | None
) -> Item:
    why = ""
    if holder:
        why = f"It is held by {holder}."
    elif verb == "reserve" and use is PoolUse.RESERVED:
        why = "It is reserved already."
    elif verb == "release" and use is PoolUse.FREE:
        why = "It is free."
    elif number in never:
        why = "It can never be taken."
    return Item(number, pools.value(pool, number), why, use.value)


# --- the pool -----------------------------------------------------------------------------------


@view_config(
    route_name="admin.pool.resize",
    request_method=("GET", "POST"),
    permission=Permission.POOL_MANAGE,
)
def resize(request: Request) -> Response:
    """GET, POST /admin/pools/{id}/resize?size=…: more values, or, for administrators, fewer."""

    def do(_preview: Preview, _reason: str, _form: SentForm) -> str:
        pool = _pool(request)
        pools.resize(request.db, request.identity, pool, size=_size(request))
        return _back(request, pool)

    return _respond(request, "resize", lambda: _resize(request), do)


def _size(request: Request) -> int:
    text = _field(request, "size")
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= pools.MAX_SIZE):
        raise faults.BadRequest(f"A pool has 1 to {pools.MAX_SIZE} values, as digits.")
    return int(text)


def _check_way(pool: Pool, size: int, way: str) -> None:
    """Raises BadRequest for a size on the other side of what was pressed."""
    if way == "extend" and size < pool.size:
        raise faults.BadRequest(f"To extend it, more than {pool.size}.")
    if way == "shrink" and size > pool.size:
        raise faults.BadRequest(f"To shrink it, less than {pool.size}.")


def _resize(request: Request) -> Preview:
    pool, size = _pool(request), _size(request)
    _check_way(pool, size, request.GET.get("to", ""))
    obstacle = ""
    if pool.network_id is not None:
        obstacle = "Addresses go with their network."
    elif size == pool.size:
        obstacle = "It has that size already."
    elif size < pool.size and not request.has_permission(Permission.POOL_REMOVE):
        obstacle = "Only an administrator makes a pool smaller."
    in_the_way = _held_from(request, pool, size) if size < pool.size and not obstacle else ()
    if in_the_way:
        obstacle = "Values that would go are held; free them first."
    verb = "Shrink" if size < pool.size else "Extend"
    last = pools.value(pool, size - 1)
    change = f"{abs(size - pool.size)} values {'fewer' if size < pool.size else 'more'}"
    return dataclasses.replace(
        _preview(request, pool, verb, verb),
        items=in_the_way,
        follows=(f"It then has {size} values, the last of them {last}: {change}.",),
        obstacle=obstacle,
        danger=size < pool.size,
        reason="required" if size < pool.size else "",
        phrase=f"shrink to {size}" if size < pool.size else "",
        kept={"size": [str(size)]},
        command=f"cloudweb pool modify {pool.id} --size={size}",
    )


def _held_from(request: Request, pool: Pool, number: int, *, limit: int = 20) -> Sequence[Item]:
    rows = pool_maps.held_from(request.db, pool, number, limit=limit)
    names = pools.holder_names(request.db, [(row.holder_kind, row.holder_id) for row in rows])
    return [
        Item(
            row.number,
            pools.value(pool, row.number),
            f"It is held by {names[row.holder_kind, row.holder_id]}.",
        )
        for row in rows
    ]


@view_config(
    route_name="admin.pool.remove",
    request_method=("GET", "POST"),
    permission=Permission.POOL_REMOVE,
)
def remove(request: Request) -> Response:
    """GET, POST /admin/pools/{id}/remove: only where nobody holds a value."""

    def make() -> Preview:
        pool = _pool(request)
        held = _held_from(request, pool, 0)
        network = pool.network_id is not None
        return dataclasses.replace(
            _preview(request, pool, "Remove", "Remove"),
            items=held,
            follows=("Its values are nobody's any more; reservations in it are forgotten.",),
            obstacle="Addresses go with their network."
            if network
            else "Values of it are held; free them first."
            if held
            else "",
            danger=True,
            reason="required",
            phrase=f"remove pool {pool.id}",
            command=f"cloudweb pool remove {pool.id}",
        )

    def do(_preview: Preview, _reason: str, _form: SentForm) -> str:
        pool_care.remove(request.db, request.identity, _pool(request))
        path: str = request.route_path("admin.pools")
        return path

    return acts.respond(request, make, do)
