"""``cloudweb flavor``: the sizes a server can have."""

from typing import Any

import click

from cloudweb.cli import printing
from cloudweb.cli.door import Door, pass_door
from cloudweb.domain import flavors
from cloudweb.models import Flavor

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


@flavor.command()
@click.option("--cpu", type=int, required=True, help="Virtual processors.")
@click.option("--ram", "ram_mb", type=int, required=True, metavar="MiB", help="Memory.")
@click.option("--disk", "disk_gb", type=int, required=True, metavar="GiB", help="Disk; may be 0.")
@click.option(
    "--disk-template",
    required=True,
    help="How the cluster makes the disk: drbd, plain, file, ext_PROVIDER...",
)
@printing.as_json
@pass_door
def create(
    door: Door, cpu: int, ram_mb: int, disk_gb: int, disk_template: str, as_json: bool
) -> None:
    """Make a flavor."""
    with door.changing() as session:
        new = flavors.create(
            session,
            door.identity,
            cpu=cpu,
            ram_mb=ram_mb,
            disk_gb=disk_gb,
            disk_template=disk_template,
        )
    printing.done(f"Flavor {new.name} has id {new.id}.", _row(new), as_json=as_json)


@flavor.command("list")
@printing.as_json
@pass_door
def list_(door: Door, as_json: bool) -> None:
    """Show the flavors a server can be made with."""
    with door.reading() as session:
        rows = [_row(each) for each in flavors.list_active(session)]
    printing.listing(rows, _COLUMNS, as_json=as_json)


def _row(each: Flavor) -> dict[str, Any]:
    return {key: getattr(each, key) for key in _COLUMNS}
