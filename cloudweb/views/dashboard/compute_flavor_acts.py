"""Making compute flavors, and offering them no longer or again."""

import dataclasses
import itertools
import re
from collections.abc import Sequence

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from cloudweb import faults
from cloudweb.domain import flavors, fleet
from cloudweb.domain.flavors import Size
from cloudweb.models import Flavor, SentForm
from cloudweb.security import Permission
from cloudweb.views.dashboard import acts
from cloudweb.views.dashboard.acts import Field, Preview

MOST = 100
"""How many flavors are made by one form."""

_NUMBERS = {"cpu": "CPUs", "ram": "Memory, MiB", "disk": "Disk, GiB"}


def _up(request: Request) -> tuple[tuple[str, str], ...]:
    return (("Compute flavors", request.route_path("admin.flavors.compute")),)


# --- making -------------------------------------------------------------------------------------


@view_config(
    route_name="admin.flavors.compute.new",
    request_method=("GET", "POST"),
    permission=Permission.CATALOGUE_MANAGE,
)
def new(request: Request) -> Response:
    """GET, POST /admin/flavors/compute/new: one of each combination of sizes."""

    def make() -> Preview:
        known = sorted({t for b in fleet.list_all(request.db) for t in b.disk_templates})
        some = f"Backends have {', '.join(known)}" if known else "Such as drbd, plain"
        return Preview(
            title="Make compute flavors",
            verb="Make them",
            section="flavors",
            up=_up(request),
            facts={},
            follows=(
                "One flavor is made of each combination; those that there are stay as they are.",
                "Everybody may make servers with them at once.",
            ),
            fields=(
                *(
                    Field(name, label, hint=_hint(name), required=True, longest=200)
                    for name, label in _NUMBERS.items()
                ),
                Field(
                    "template",
                    "Disk template",
                    hint=f"{some}; of ext with its provider: ext_rbd.",
                    required=True,
                    longest=200,
                ),
            ),
            also=(("what", "Show which these are"),),
            below="flavors_wanted",
            values=_wanted(request),
            command="cloudweb flavor create --cpu 1,2 --ram 1024,2048 --disk 20"
            " --disk-template drbd",
        )

    def do(_preview: Preview, _reason: str, _form: SentForm) -> str:
        made = flavors.ensure(request.db, request.identity, _sizes(request))
        path: str
        if len(made) == 1:
            path = request.route_path("admin.flavors.compute.flavor", id=made[0][0].id)
        else:
            path = request.route_path("admin.flavors.compute", _query={"sort": "-id"})
        return path

    return acts.respond(request, make, do)


def _hint(name: str) -> str:
    some = {"cpu": "1, 2, 4", "ram": "1024, 2048, 4096", "disk": "20, 40"}[name]
    return f"One, or several with commas: {some}" + (". 0 is none." if name == "disk" else "")


def _wanted(request: Request) -> dict[str, object]:
    """What the form as filled in would make, or what is wrong with it."""
    if not acts.text(request, "show"):
        return {"wanted": None, "wrong": {}}
    try:
        sizes = _sizes(request)
    except faults.BadRequest as fault:
        return {"wanted": None, "wrong": dict(fault.fields)}
    known = flavors.find_sizes(request.db, sizes)
    rows = [(flavors.name_of(size), known.get(size)) for size in sizes]
    return {"wanted": rows, "wrong": {}}


def _sizes(request: Request) -> Sequence[Size]:
    """Each combination of what is filled in. Raises BadRequest."""
    wrong, numbers = {}, []
    for name in _NUMBERS:
        parts = _parts(request, name)
        if not parts or not all(re.fullmatch("[0-9]{1,10}", part) for part in parts):
            wrong[name] = "A whole number, or several with commas between."
        elif int(min(parts, key=int)) < (0 if name == "disk" else 1):
            wrong[name] = "At least 1."
        elif int(max(parts, key=int)) > flavors.LARGEST:
            wrong[name] = f"At most {flavors.LARGEST}."
        else:
            numbers.append([int(part) for part in parts])
    templates = _parts(request, "template")
    if not templates or not all(map(flavors.is_template, templates)):
        wrong["template"] = "A word such as drbd, or several with commas between."
    if wrong:
        raise faults.BadRequest("", details=wrong)
    cpus, rams, disks = numbers
    many = len(cpus) * len(rams) * len(disks) * len(templates)
    if many > MOST:
        raise faults.BadRequest(
            "", details={"cpu": f"These are {many} flavors; at most {MOST} at a time."}
        )
    return list(dict.fromkeys(itertools.product(cpus, rams, disks, templates)))


def _parts(request: Request, name: str) -> list[str]:
    return [part.strip() for part in acts.text(request, name).split(",") if part.strip()]


# --- offering -----------------------------------------------------------------------------------


def _preview(request: Request, flavor: Flavor, *, title: str, verb: str) -> Preview:
    return Preview(
        title=f"{title} {flavor.name}",
        verb=verb,
        section="flavors",
        up=(
            *_up(request),
            (flavor.name, request.route_path("admin.flavors.compute.flavor", id=flavor.id)),
        ),
        facts={
            "Flavor": flavor.name,
            "State": "not offered" if flavor.deleted else "offered",
            "VMs that have it": str(flavors.count_servers(request.db, flavor)),
        },
    )


def _back(request: Request) -> str:
    path: str = request.route_path("admin.flavors.compute.flavor", id=request.matchdict["id"])
    return path


@view_config(
    route_name="admin.flavors.compute.delete",
    request_method=("GET", "POST"),
    permission=Permission.CATALOGUE_MANAGE,
)
def delete(request: Request) -> Response:
    """GET, POST /admin/flavors/compute/{id}/delete: offer it no longer."""

    def make() -> Preview:
        flavor = flavors.get(request.db, int(request.matchdict["id"]))
        return dataclasses.replace(
            _preview(request, flavor, title="Delete", verb="Delete flavor"),
            follows=(
                "No new VM can be made with it, and the API lists it no more.",
                "VMs that have it keep it and run on; while one has, it is shown here.",
                "It can be offered again.",
            ),
            danger=True,
            reason="required",
            phrase=f"delete {flavor.name}",
            obstacle="It is not offered as it is." if flavor.deleted else "",
            command=f"cloudweb flavor modify {flavor.id} --set-deleted --reason '…'",
        )

    def do(_preview: Preview, _reason: str, _form: SentForm) -> str:
        flavors.delete(request.db, request.identity, int(request.matchdict["id"]))
        return _back(request)

    return acts.respond(request, make, do)


@view_config(
    route_name="admin.flavors.compute.restore",
    request_method=("GET", "POST"),
    permission=Permission.CATALOGUE_MANAGE,
)
def restore(request: Request) -> Response:
    """GET, POST /admin/flavors/compute/{id}/restore: offer it again."""

    def make() -> Preview:
        flavor = flavors.get(request.db, int(request.matchdict["id"]))
        return dataclasses.replace(
            _preview(request, flavor, title="Offer", verb="Offer again"),
            follows=("Everybody may make VMs with it.",),
            reason="optional",
            obstacle="" if flavor.deleted else "It is offered already.",
            command=f"cloudweb flavor modify {flavor.id} --set-undeleted",
        )

    def do(_preview: Preview, _reason: str, _form: SentForm) -> str:
        flavor = flavors.get(request.db, int(request.matchdict["id"]))
        flavors.restore(request.db, request.identity, flavor)
        return _back(request)

    return acts.respond(request, make, do)
