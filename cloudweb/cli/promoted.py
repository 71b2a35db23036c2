"""``cloudweb promoted``: the recommended flavors, and which region lacks which."""

from typing import Any

import click

from cloudweb.backend.federation import Federation
from cloudweb.backend.openstack.errors import RegionError
from cloudweb.cli import lists, printing
from cloudweb.cli.door import Door, dry_run, pass_door, reason_option
from cloudweb.cli.lists import Wanted
from cloudweb.cli.refusals import Refused
from cloudweb.domain import catalogue, differences, infrastructures, installs, promoted
from cloudweb.domain.catalogue import Offer
from cloudweb.domain.differences import Column, Standing
from cloudweb.models import ResultState
from cloudweb.specifications import MAX_NAME, MAX_NUMBER, MAX_VCPUS, Specification

_COLUMNS = {
    "id": "ID",
    "name": "NAME",
    "vcpus": "VCPUS",
    "ram_mb": "RAM MB",
    "disk_gb": "DISK GB",
    "swap_mb": "SWAP MB",
    "nodes": "REGIONS",
}
_size = click.IntRange(0, MAX_NUMBER)
_flavor = click.argument("flavor")


@click.group("promoted")
def promoted_() -> None:
    """The recommended flavors of the federation. FLAVOR is the name or the id of one."""


@promoted_.command("list")
@lists.options(catalogue.FIELDS)
@pass_door
def list_(door: Door, wanted: Wanted) -> None:
    """Show the promoted flavors and the regions that have them."""
    with door.reading() as session:
        rows = [_row(each) for each in promoted.list_all(session, wanted.more)]
    wanted.show(rows, _COLUMNS)


@promoted_.command()
@click.argument("name")
@click.option("--vcpus", type=click.IntRange(1, MAX_VCPUS), required=True)
@click.option("--ram", type=click.IntRange(1, MAX_NUMBER), required=True, metavar="MB")
@click.option("--disk", type=_size, required=True, metavar="GB")
@click.option("--swap", type=_size, default=0, metavar="MB")
@click.option("--ephemeral", type=_size, default=0, metavar="GB")
@click.option("--extra-spec", "specs", multiple=True, metavar="KEY=VALUE")
@click.option("--id", "id_", default="", help="The id it is to have everywhere. Default: random.")
@reason_option
@dry_run
@printing.as_json
@pass_door
def create(
    door: Door,
    name: str,
    vcpus: int,
    ram: int,
    disk: int,
    swap: int,
    ephemeral: int,
    specs: tuple[str, ...],
    id_: str,
    as_json: bool,
) -> None:
    """Recommend a flavor; no region has it before "install"."""
    if not 0 < len(name) <= MAX_NAME or not name.isprintable() or name != name.strip():
        raise click.UsageError(f"A flavor's name has 1 to {MAX_NAME} characters on one line.")
    flavor = Specification(id_, name, vcpus, ram, disk, swap, ephemeral, extra_specs=_specs(specs))
    with door.changing() as session:
        row = promoted.create(session, door.identity, flavor)
        new = _row(catalogue.offer(session, row))
    printing.done(f"{name} is promoted, with id {new['id']}.", new, as_json=as_json)


def _specs(texts: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise click.UsageError(f"--extra-spec {text}: this is not KEY=VALUE.")
        found[key] = value
    return found


@promoted_.command()
@_flavor
@click.option("--from-regions", is_flag=True, help="Take it from every region that has it first.")
@reason_option
@dry_run
@printing.as_json
@pass_door
def delete(door: Door, flavor: str, from_regions: bool, as_json: bool) -> None:
    """Forget a promoted flavor that no region has."""
    with door.reading() as session:
        row = promoted.find(session, flavor)
        nodes = catalogue.nodes_of(session, row) if from_regions else []
    if nodes and printing.is_rehearsal():
        said = f"{row.name} is taken from {', '.join(region.name for region, _id in nodes)}."
        printing.done(said, {"id": row.flavor_id}, as_json=as_json)
        return
    federation = Federation(door.settings, door.sessions)
    failed = []
    for region, flavor_id in nodes:
        try:
            federation.withdraw(door.identity, region, row.flavor_id, flavor_id)
        except RegionError as error:
            failed.append(f"{region.name}: {error.message}")
    if failed:
        raise Refused("; ".join(failed))
    with door.changing() as session:
        promoted.delete(session, door.identity, row.flavor_id)
    printing.done(f"{row.name} is forgotten.", {"id": row.flavor_id}, as_json=as_json)


@promoted_.command()
@_flavor
@click.option("--region", "names", multiple=True, help="Where; several times for several.")
@click.option("--mend", is_flag=True, help="Replace a flavor that is there with other values.")
@reason_option
@dry_run
@printing.as_json
@pass_door
def install(door: Door, flavor: str, names: tuple[str, ...], mend: bool, as_json: bool) -> None:
    """Have a promoted flavor in regions, or in all of them; each by itself.

    Doing it again changes nothing where it is there, and tries again where it failed. The status
    is 1 when it failed anywhere.
    """
    with door.changing() as session:
        row = promoted.find(session, flavor)
        order = installs.start(session, door.identity, row, names, mend=mend)
        found = installs.results(session, order.id)
    if not printing.is_rehearsal():
        Federation(door.settings, door.sessions).work(door.identity, order.id)
        with door.reading() as session:
            found = installs.results(session, order.id)
    rows = [
        {"region": each.region, "result": each.state.value, "message": each.message}
        for each in found
    ]
    columns = {"region": "REGION", "result": "RESULT", "message": "MESSAGE"}
    printing.listing(rows, columns, as_json=as_json)
    failed = [each.region for each in found if each.state is ResultState.FAILED]
    if failed:
        raise Refused(f"Not in {', '.join(failed)}")


@promoted_.command()
@click.option("--region", "name", help="Only this one.")
@printing.as_json
@pass_door
def diff(door: Door, name: str | None, as_json: bool) -> None:
    """Show what regions lack, have otherwise, or have beside the promoted flavors."""
    with door.reading() as session:
        if name is not None:
            infrastructures.get(session, name)
        flavors, columns = differences.matrix(session)
    chosen = [column for column in columns if name in (None, column.region.name)]
    rows = [row for column in chosen for row in _differences(column, flavors)]
    shown = {"region": "REGION", "flavor": "FLAVOR", "standing": "DIFFERENCE", "as_of": "AS OF"}
    printing.listing(rows, shown, as_json=as_json)


def _differences(column: Column, flavors: list[Specification]) -> list[dict[str, Any]]:
    """What is not as it should be in one region."""
    rows = []
    for flavor in flavors:
        cell = column.cells[flavor.id]
        if cell.standing is not Standing.SAME:
            rows.append((flavor.name, differences.sentence(cell)))
    rows += [(flavor.name, "extra") for flavor in column.extra]
    name, as_of = column.region.name, column.as_of
    return [
        {"region": name, "flavor": flavor, "standing": text, "as_of": as_of}
        for flavor, text in rows
    ]


def _row(each: Offer) -> dict[str, Any]:
    return {key: getattr(each, key) for key in _COLUMNS} | {"nodes": list(each.nodes)}
