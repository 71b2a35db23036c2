"""``cloudweb image``: what a server's disk starts from."""

from typing import Any

import click

from cloudweb.cli import printing
from cloudweb.cli.door import Door, pass_door
from cloudweb.domain import images
from cloudweb.models import Image

_KEYS = ("id", "name", "location", "disk_format", "is_public", "properties", "created")
_COLUMNS = {
    "id": "ID",
    "name": "NAME",
    "location": "LOCATION",
    "disk_format": "FORMAT",
    "is_public": "PUBLIC",
    "properties": "PROPERTIES",
}


@click.group()
def image() -> None:
    """What a server's disk starts from."""


@image.command()
@click.argument("name")
@click.argument("location")
@click.option("--disk-format", default="diskdump", show_default=True, help="How its bytes lie.")
@click.option(
    "--property",
    "properties",
    multiple=True,
    metavar="KEY=VALUE",
    help="Shown to clients, such as os=debian; again for more.",
)
@printing.as_json
@pass_door
def add(
    door: Door,
    name: str,
    location: str,
    disk_format: str,
    properties: tuple[str, ...],
    as_json: bool,
) -> None:
    """Register a public image; LOCATION is what the OS definition gets as img_id."""
    with door.changing() as session:
        new = images.register(
            session,
            door.identity,
            name=name,
            location=location,
            disk_format=disk_format,
            properties=dict(map(_pair, properties)),
        )
    printing.done(f"Image {new.name} has id {new.id}.", _row(new), as_json=as_json)


@image.command("list")
@printing.as_json
@pass_door
def list_(door: Door, as_json: bool) -> None:
    """Show every image, by name."""
    with door.reading() as session:
        rows = [_row(each) for each in images.list_all(session)]
    printing.listing(rows, _COLUMNS, as_json=as_json)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise click.BadParameter(f"{text!r} is not KEY=VALUE.", param_hint="--property")
    return key, value


def _row(each: Image) -> dict[str, Any]:
    return {key: getattr(each, key) for key in _KEYS}
