"""``cloudweb flavor``: the sizes a server can have."""

import itertools
import re
from typing import Any

import click
import sqlalchemy as sa

from cloudweb.cli import lists, printing
from cloudweb.cli.door import Door, dry_run, pass_door, reason_option
from cloudweb.cli.lists import Wanted
from cloudweb.domain import flavor_lists, flavors
from cloudweb.models import Flavor

MOST = 1000
"""How many flavors are made by one command."""

_COLUMNS = {
    "id": "ID",
    "name": "NAME",
    "cpu": "CPU",
    "ram_mb": "RAM MiB",
    "disk_gb": "DISK GiB",
    "disk_template": "DISK TEMPLATE",
}


@click.group()
def flavor() -> None:
    """The sizes a server can have."""


class _Numbers(click.ParamType[list[int]]):
    """Numbers with commas between."""

    name = "numbers"

    def convert(self, value: Any, param: Any, ctx: Any) -> list[int]:
        if isinstance(value, list):
            return value
        parts = [part.strip() for part in str(value).split(",")]
        if not all(re.fullmatch("[0-9]{1,10}", part) for part in parts):
            self.fail(f"{value!r} is not a number, or several with commas between.", param, ctx)
        return [int(part) for part in parts]


@flavor.command()
@click.option("--cpu", type=_Numbers(), required=True, metavar="N,...", help="Processors.")
@click.option("--ram", type=_Numbers(), required=True, metavar="MiB,...", help="Memory.")
@click.option("--disk", type=_Numbers(), required=True, metavar="GiB,...", help="May be 0.")
@click.option(
    "--disk-template",
    required=True,
    metavar="TEMPLATE,...",
    help="How the cluster makes the disk: drbd, plain, file, ext_PROVIDER...",
)
@reason_option
@dry_run
@printing.as_json
@pass_door
def create(
    door: Door,
    cpu: list[int],
    ram: list[int],
    disk: list[int],
    disk_template: str,
    as_json: bool,
) -> None:
    """Make a flavor, or one of each combination of several sizes.

    Of several, those that there are already stay as they are.
    """
    templates = [part.strip() for part in disk_template.split(",") if part.strip()]
    wanted = list(dict.fromkeys(itertools.product(cpu, ram, disk, templates)))
    if len(wanted) > MOST:
        raise click.UsageError(f"These are {len(wanted)} flavors; at most {MOST} at a time.")
    if not wanted:
        raise click.UsageError("A disk template is missing.")
    with door.changing() as session:
        made = flavors.ensure(session, door.identity, wanted)
        rows = [_row(each) | {"new": new} for each, new in made]
    if len(rows) == 1:
        printing.done(f"Flavor {rows[0]['name']} has id {rows[0]['id']}.", rows[0], as_json=as_json)
        return
    printing.listing(rows, {"id": "ID", "name": "NAME", "new": "NEW"}, as_json=as_json)
    if not as_json:
        new = sum(row["new"] for row in rows)
        printing.done(f"{new} made, {len(rows) - new} there already.", {}, as_json=False)


@flavor.command("list")
@click.option("--deleted", is_flag=True, help="Those that no server can be made with any more.")
@lists.options(flavor_lists.FIELDS)
@pass_door
def list_(door: Door, deleted: bool, wanted: Wanted) -> None:
    """Show the flavors a server can be made with, or the deleted ones."""
    query = flavor_lists.rows()
    if deleted or not wanted.selection.names("deleted"):
        query = query.where(Flavor.deleted == sa.literal(deleted))
    with door.reading() as session:
        rows = [_row(each) | {"servers": n} for each, n in wanted.select(session, query)]
    wanted.show(rows, _COLUMNS | {"servers": "SERVERS"})


@flavor.command()
@click.argument("flavor_id", type=int, metavar="ID")
@click.option(
    "--set-deleted/--set-undeleted", "deleted", default=None, help="Whether it is offered no more."
)
@reason_option
@dry_run
@printing.as_json
@pass_door
def modify(door: Door, flavor_id: int, deleted: bool | None, as_json: bool) -> None:
    """Let no new server have a flavor, or let them have it again; those that have it keep it."""
    if deleted is None:
        raise click.UsageError("Nothing to change: name what is to be different.")
    with door.changing() as session:
        found = flavors.get(session, flavor_id)
        changed = found.deleted != deleted
        if changed and deleted:
            flavors.delete(session, door.identity, flavor_id)
        elif changed:
            flavors.restore(session, door.identity, found)
        row = _row(found) | {"changed": changed}
    said = "is not offered any more" if deleted else "is offered"
    already = "" if changed else " already; nothing was changed"
    printing.done(f"Flavor {row['name']} {said}{already}.", row, as_json=as_json)


def _row(each: Flavor) -> dict[str, Any]:
    return {key: getattr(each, key) for key in (*_COLUMNS, "deleted")}
