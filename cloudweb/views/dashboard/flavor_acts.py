"""Promoting flavors, having them installed in regions, and taking the promotion back."""

import dataclasses

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import catalogue, differences, infrastructures, installs, promoted, regions
from cloudweb.domain.differences import Standing
from cloudweb.models import SentForm
from cloudweb.security import Permission
from cloudweb.specifications import MAX_NAME, MAX_VCPUS, Specification
from cloudweb.views.dashboard import acts
from cloudweb.views.dashboard.acts import Item, Preview
from cloudweb.views.dashboard.flavors import number, words


def _up(request: Request) -> tuple[tuple[str, str], ...]:
    return (("Flavors", request.route_path("admin.flavors")),)


def _param(request: Request, name: str) -> str:
    text: str = request.params.get(name, "")
    return text.strip()


def _facts(flavor: Specification) -> dict[str, str]:
    specs = ", ".join(f"{k}={v}" for k, v in sorted((flavor.extra_specs or {}).items()))
    return {
        "Flavor": flavor.name,
        "vCPUs": str(flavor.vcpus),
        "Memory": f"{flavor.ram_mb} MiB",
        "Disk": f"{flavor.disk_gb} GiB",
        "Swap": f"{flavor.swap_mb} MiB",
        "Ephemeral": f"{flavor.ephemeral_gb} GiB",
        "Extra specs": specs or "none",
    }


# --- promoting ----------------------------------------------------------------------------------


@view_config(
    route_name="admin.flavors.promote",
    request_method=("GET", "POST"),
    permission=Permission.CATALOGUE_MANAGE,
)
def promote(request: Request) -> Response:
    """GET, POST /admin/flavors/promote: a region's flavor (region, id), or a new one by sizes."""

    def make() -> Preview:
        flavor, region = _wanted(request)
        known = catalogue.find(request.db, flavor.id) if flavor.id else None
        obstacle = ""
        if known is not None and known.promoted:
            obstacle = "It is promoted already."
        elif known is None and not flavor.is_public:
            obstacle = "Only public flavors are promoted: not every project there may use it."
        kept = ("region", "id", "name", "vcpus", "ram", "disk")
        return Preview(
            title=f"Promote {flavor.name}",
            verb="Promote",
            section="flavors",
            up=_up(request),
            facts=_facts(flavor),
            follows=(
                f"It is recommended everywhere; {region} has it."
                if region
                else "It is recommended everywhere; no region has it yet.",
                "Nothing is installed by this.",
            ),
            obstacle=obstacle,
            kept={key: [_param(request, key)] for key in kept if _param(request, key)},
            command=f"cloudweb promoted create {flavor.name} --vcpus={flavor.vcpus}"
            f" --ram={flavor.ram_mb} --disk={flavor.disk_gb}",
        )

    def do(_preview: Preview, _reason: str, _form: SentForm) -> str:
        flavor, region = _wanted(request)
        row = catalogue.find(request.db, flavor.id, lock=True) if flavor.id else None
        if row is not None:
            catalogue.promote(request.db, request.identity, row)
        else:
            nodes = [region] if region else []
            promoted.create(request.db, request.identity, flavor, nodes)
        path: str = request.route_path("admin.flavors", _query={"show": "all", "q": flavor.name})
        return path

    return acts.respond(request, make, do)


def _wanted(request: Request) -> tuple[Specification, str]:
    """The flavor, and the region it is taken from. Raises BadRequest, ItemNotFound."""
    name = _param(request, "region")
    if name:
        region = infrastructures.get(request.db, name)
        for flavor in regions.list_flavors(request.db, region.id):
            if flavor.id == _param(request, "id"):
                return flavor, region.name
        raise faults.ItemNotFound("The region has no such flavor.")
    wanted = _param(request, "name")
    if not 0 < len(wanted) <= MAX_NAME or not wanted.isprintable():
        raise faults.BadRequest(f"A flavor's name has 1 to {MAX_NAME} characters on one line.")
    vcpus = number(request, "vcpus", least=1)
    if vcpus > MAX_VCPUS:
        raise faults.BadRequest(f"At most {MAX_VCPUS} vCPUs.")
    ram, disk = number(request, "ram", least=1), number(request, "disk", least=0)
    return Specification("", wanted, vcpus, ram, disk), ""


@view_config(
    route_name="admin.flavors.demote",
    request_method=("GET", "POST"),
    permission=Permission.CATALOGUE_MANAGE,
)
def demote(request: Request) -> Response:
    """GET, POST /admin/flavors/demote?flavor=ID: only while no region has it."""

    def make() -> Preview:
        row = promoted.get(request.db, _param(request, "flavor"))
        nodes = [region.name for region, _id in catalogue.nodes_of(request.db, row)]
        return Preview(
            title=f"Demote {row.name}",
            verb="Demote",
            section="flavors",
            up=_up(request),
            facts=_facts(catalogue.specification_of(row)) | {"In": ", ".join(nodes) or "no region"},
            follows=("It is forgotten, with what was ordered of it.",),
            obstacle=f"Regions hold it: {', '.join(nodes)}." if nodes else "",
            harsh=True,
            kept={"flavor": [row.flavor_id]},
            command=f"cloudweb promoted delete {row.name}",
        )

    def do(_preview: Preview, _reason: str, _form: SentForm) -> str:
        promoted.delete(request.db, request.identity, _param(request, "flavor"))
        path: str = request.route_path("admin.flavors")
        return path

    return acts.respond(request, make, do)


# --- installing ---------------------------------------------------------------------------------


@view_config(
    route_name="admin.flavors.install",
    request_method=("GET", "POST"),
    permission=Permission.CATALOGUE_MANAGE,
)
def install(request: Request) -> Response:
    """GET, POST /admin/flavors/install?flavor=ID&region=…&mend=yes: in these regions, or all."""

    def do(preview: Preview, _reason: str, _form: SentForm) -> str:
        row = promoted.get(request.db, _param(request, "flavor"))
        names = [item.name for item in preview.doable]
        mend = _param(request, "mend") == "yes"
        order = installs.start(request.db, request.identity, row, names, mend=mend)
        path: str = request.route_path("admin.install", id=order.id)
        return path

    return acts.respond(request, lambda: _install(request), do)


def _install(request: Request) -> Preview:
    row = promoted.get(request.db, _param(request, "flavor"))
    flavor = catalogue.specification_of(row)
    chosen = [name for name in request.params.getall("region") if name]
    mend = _param(request, "mend") == "yes"
    _promoted, columns = differences.matrix(request.db)
    items = []
    for column in columns:
        if chosen and column.region.name not in chosen:
            continue
        cell = column.cells[flavor.id]
        why = ""
        if cell.standing is Standing.SAME:
            why = "It is there already, as it should be."
        elif cell.standing is Standing.DIFFERENT and not mend:
            why = f"It is there with other values ({words(cell)}); replacing it must be asked for."
        items.append(Item(column.region.id, column.region.name, why, cell.standing.value))
    doable = [item.name for item in items if not item.why_not]
    kept = {"flavor": [row.flavor_id], "region": chosen, "mend": ["yes"] if mend else []}
    options = "".join(f" --region={name}" for name in chosen) + (" --mend" if mend else "")
    follows = ["Each region is asked by itself, by a worker; one that fails stops no other."]
    if mend:
        follows.append("Where it is there with other values, it is taken away and made anew.")
    if not mend and any(item.why_not.startswith("It is there with") for item in items):
        follows.append("What is there with other values stays as it is.")
    return dataclasses.replace(
        Preview(
            title=f"Install {row.name}",
            verb=f"Install in {len(doable)} region{'s' if len(doable) != 1 else ''}",
            section="flavors",
            up=_up(request),
            facts=_facts(flavor),
        ),
        follows=follows,
        items=items,
        obstacle="" if doable else "There is no region to install it in.",
        kept=kept,
        command=f"cloudweb promoted install {row.name}{options}",
    )


@view_config(
    route_name="admin.install.retry", request_method="POST", permission=Permission.CATALOGUE_MANAGE
)
def retry(request: Request) -> Response:
    """POST /admin/flavors/installs/{id}/retry: what failed is tried again; twice is once."""
    install_id = int(request.matchdict["id"])
    installs.retry(request.db, request.identity, install_id)
    return HTTPSeeOther(request.route_path("admin.install", id=install_id))
