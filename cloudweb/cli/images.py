"""``cloudweb image``: what a server's disk starts from."""

from typing import Any

import click
import sqlalchemy as sa

from cloudweb.cli import lists, printing
from cloudweb.cli.door import Door, dry_run, pass_door, reason_option
from cloudweb.cli.lists import Wanted
from cloudweb.domain import accounts, image_lists, image_members, images
from cloudweb.domain.identity import Identity
from cloudweb.domain.images import Rules
from cloudweb.models import Image, Role
from cloudweb.shapes import registry as shapes
from cloudweb.shapes import requests as incoming

_KEYS = ("id", "name", "location", "disk_format", "is_public", "properties", "created")
_MORE = ("container_format", "size", "checksum", "status", "updated", "deleted", "deleted_at")
_COLUMNS = {
    "id": "ID",
    "name": "NAME",
    "location": "LOCATION",
    "disk_format": "FORMAT",
    "is_public": "PUBLIC",
    "owner": "OWNER",
    "properties": "PROPERTIES",
}

_image_id = click.argument("image_id", metavar="ID")
_properties = click.option(
    "--property",
    "properties",
    multiple=True,
    metavar="KEY=VALUE",
    help="Shown to clients and told to instances, such as os=debian; again for more.",
)


@click.group()
def image() -> None:
    """What a server's disk starts from."""


@image.command()
@click.argument("name")
@click.argument("location")
@click.option("--owner", metavar="EMAIL", help="Whose it is. Default: nobody's.")
@click.option("--private", is_flag=True, help="Only for its owner, and whom it is shared with.")
@click.option("--disk-format", help="How its bytes lie. Default: the first of the settings.")
@click.option("--container-format", help="What they are wrapped in. Default: likewise.")
@click.option("--size", metavar="BYTES", help="How many there are.")
@click.option("--checksum", help="What they add up to; it is not looked at.")
@_properties
@reason_option
@dry_run
@printing.as_json
@pass_door
def register(
    door: Door,
    /,
    name: str,
    location: str,
    owner: str | None,
    private: bool,
    properties: tuple[str, ...],
    as_json: bool,
    **others: str | None,
) -> None:
    """Register an image, a public one unless told otherwise.

    LOCATION is what the OS definition gets as img_id: pithos://ACCOUNT/CONTAINER/OBJECT, http://,
    https:// or file:// with a path, or a name that it knows.
    """
    given = {field: value for field, value in others.items() if value is not None}
    wanted = {"name": name, "location": location, "properties": dict(map(_pair, properties))}
    values = incoming.read(shapes.REGISTER, given | wanted)
    with door.changing() as session:
        new = images.register(
            session,
            door.identity,
            **values,
            is_public=not private,
            owner_id=None if owner is None else accounts.get(session, owner).id,
            rules=_rules(door),
        )
    printing.done(f"Image {new.name} has id {new.id}.", _row(new), as_json=as_json)


image.add_command(register, "add")


@image.command("list")
@click.option("--user", "email", metavar="EMAIL", help="Only those that this user can use.")
@click.option("--deleted", is_flag=True, help="Those that were deleted.")
@lists.options(image_lists.FIELDS)
@pass_door
def list_(door: Door, email: str | None, deleted: bool, wanted: Wanted) -> None:
    """Show images, by name; the deleted ones only when they are asked for."""
    query = image_lists.rows()
    if deleted or not wanted.selection.names("deleted"):
        query = query.where(Image.deleted == sa.literal(deleted))
    with door.reading() as session:
        if email is not None:
            user = accounts.get(session, email)
            query = query.where(images.may_see(Identity(user.id, user.email, Role.USER, "cli")))
        found = wanted.select(session, query)
    wanted.show([_row(each) | {"owner": owner} for each, owner in found], _COLUMNS)


@image.command()
@_image_id
@printing.as_json
@pass_door
def show(door: Door, image_id: str, as_json: bool) -> None:
    """Show one image, deleted or not, and whom it is shared with."""
    with door.reading() as session:
        found = images.get_any(session, door.identity, image_id)
        owner = accounts.email_of(session, found.owner_id)
        members = image_members.list_emails(session, found)
    more = {key: getattr(found, key) for key in _MORE}
    printing.record(_row(found) | {"owner": owner} | more | {"members": members}, as_json=as_json)


@image.command()
@_image_id
@click.option("--name", help="What people call it.")
@click.option("--disk-format", help="How its bytes lie.")
@click.option("--container-format", help="What they are wrapped in.")
@click.option("--status", type=click.Choice(images.STATUSES), help="Whether servers may be made.")
@click.option("--public/--private", "is_public", default=None, help="Whether everybody may use it.")
@_properties
@click.option("--purge", is_flag=True, help="Take away the properties that are not named.")
@reason_option
@dry_run
@printing.as_json
@pass_door
def update(
    door: Door,
    /,
    image_id: str,
    properties: tuple[str, ...],
    purge: bool,
    is_public: bool | None,
    as_json: bool,
    **others: str | None,
) -> None:
    """Change an image; what is not named stays."""
    given: dict[str, Any] = {field: value for field, value in others.items() if value is not None}
    if is_public is not None:
        given["is_public"] = is_public
    values = incoming.read(shapes.UPDATE, given | {"properties": dict(map(_pair, properties))})
    named = values.pop("properties")
    with door.changing() as session:
        changed = images.update(
            session,
            door.identity,
            image_id,
            values,
            properties=named,
            purge=purge,
            rules=_rules(door),
        )
    printing.done(f"Changed image {changed.name}.", _row(changed), as_json=as_json)


@image.command()
@_image_id
@reason_option
@dry_run
@printing.as_json
@pass_door
def remove(door: Door, image_id: str, as_json: bool) -> None:
    """Delete an image; servers made of it stay."""
    with door.changing() as session:
        images.delete(session, door.identity, image_id)
    printing.done(f"Image {image_id} is deleted.", {"id": image_id}, as_json=as_json)


@image.command()
@_image_id
@click.argument("emails", nargs=-1, required=True, metavar="EMAIL...")
@click.option("--stop", is_flag=True, help="Share it with them no longer.")
@reason_option
@dry_run
@printing.as_json
@pass_door
def share(door: Door, image_id: str, emails: tuple[str, ...], stop: bool, as_json: bool) -> None:
    """Let users see and use an image that is not public."""
    change = image_members.remove if stop else image_members.add
    with door.changing() as session:
        for email in emails:
            user = accounts.get(session, email)
            change(session, door.identity, image_id, user.id)
        members = image_members.list_emails(session, images.get(session, door.identity, image_id))
    done = f"Image {image_id} is shared with: {', '.join(members) or 'nobody'}."
    printing.done(done, {"id": image_id, "members": members}, as_json=as_json)


def _rules(door: Door) -> Rules:
    """The formats of the settings, and every kind of location: operators know their nodes."""
    conf = door.settings
    return Rules(
        disk_formats=conf.image_disk_formats, container_formats=conf.image_container_formats
    )


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise click.BadParameter(f"{text!r} is not KEY=VALUE.", param_hint="--property")
    return key, value


def _row(each: Image) -> dict[str, Any]:
    return {key: getattr(each, key) for key in _KEYS}
