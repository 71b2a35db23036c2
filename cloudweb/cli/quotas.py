"""``cloudweb quota``: how much a user has, and may have."""

from typing import TextIO

import click

from cloudweb.cli import lists, printing
from cloudweb.cli.door import Door, dry_run, pass_door, reason_option
from cloudweb.cli.lists import Wanted
from cloudweb.domain import accounts, quotas
from cloudweb.models import MAX_ID, UNLIMITED, Resource

_COLUMNS = {"resource": "RESOURCE", "used": "USED", "limit": "LIMIT", "own": "OWN"}
_LIST_COLUMNS = {"user": "USER", "resource": "RESOURCE", "limit": "LIMIT"}

_email = click.argument("email")
_resource = click.argument("resource", type=click.Choice([each.value for each in Resource]))


def _limit(text: str) -> int:
    """A number that is not negative, or UNLIMITED for the word."""
    if text.lower() == "unlimited":
        return UNLIMITED
    if not (text.isascii() and text.isdigit()) or int(text[:30]) > MAX_ID:
        raise click.BadParameter("This must be a number, or unlimited.")
    return int(text)


@click.group()
def quota() -> None:
    """How much a user has, and may have."""


@quota.command()
@_email
@printing.as_json
@pass_door
def show(door: Door, email: str, as_json: bool) -> None:
    """Show what the user has and may have; OWN limits go before those of the settings."""
    with door.reading() as session:
        found = quotas.show(session, accounts.get(session, email), door.settings.quotas)
    rows = [
        {
            "resource": each.resource.value,
            "used": each.used,
            "limit": _spelt(each.limit),
            "own": each.own,
        }
        for each in found
    ]
    printing.listing(rows, _COLUMNS, as_json=as_json)


@quota.command("set")
@_email
@_resource
@click.argument("limit", type=_limit, metavar="LIMIT")
@reason_option
@dry_run
@printing.as_json
@pass_door
def set_(door: Door, email: str, resource: str, limit: int, as_json: bool) -> None:
    """Let the user have so much of a resource, or "unlimited", whatever the settings say.

    ram_mb is in MiB, disk_gb in GiB. Who already has more keeps it.
    """
    value = None if limit == UNLIMITED else limit
    with door.changing() as session:
        owner = accounts.get(session, email)
        quotas.set_own(session, door.identity, owner, Resource(resource), value)
    shown = {"user": owner.email, "resource": resource, "limit": _spelt(value)}
    sentence = f"{owner.email} may have {resource} {_spelt(value)}."
    printing.done(sentence, shown, as_json=as_json)


@quota.command()
@_email
@_resource
@reason_option
@dry_run
@printing.as_json
@pass_door
def unset(door: Door, email: str, resource: str, as_json: bool) -> None:
    """Let the settings say again how much of a resource the user may have."""
    with door.changing() as session:
        owner = accounts.get(session, email)
        changed = quotas.unset_own(session, door.identity, owner, Resource(resource))
    limit = _spelt(door.settings.quotas[resource])
    sentence = f"{owner.email} may have {resource} {limit}, as the settings say."
    shown = {"user": owner.email, "resource": resource, "limit": limit, "changed": changed}
    printing.done(sentence, shown, as_json=as_json)


@quota.command()
@click.argument("file", type=click.File())
@reason_option
@dry_run
@printing.as_json
@pass_door
def load(door: Door, file: TextIO, as_json: bool) -> None:
    """Set the limits in a file: EMAIL RESOURCE LIMIT on each line; all of them, or none.

    A limit of "default" lets the settings say it again; "-" is standard input.
    """
    wanted = [_line(number, text) for number, text in enumerate(file, 1) if text.strip()]
    rows = []
    with door.changing() as session:
        found = [(accounts.get(session, email), resource, n) for email, resource, n in wanted]
        for owner, resource, limit in sorted(found, key=lambda each: each[0].id):
            if limit == "default":
                quotas.unset_own(session, door.identity, owner, resource)
            else:
                value = None if limit == UNLIMITED else int(limit)
                quotas.set_own(session, door.identity, owner, resource, value)
            spelt = "unlimited" if limit == UNLIMITED else limit
            rows.append({"user": owner.email, "resource": resource.value, "limit": spelt})
    printing.listing(rows, _LIST_COLUMNS, as_json=as_json)
    if not as_json:
        printing.done(f"Set {len(rows)} limits.", {}, as_json=False)


def _line(number: int, text: str) -> tuple[str, Resource, int | str]:
    try:
        email, resource, limit = text.split()
        return email, Resource(resource), limit if limit == "default" else _limit(limit)
    except (ValueError, click.BadParameter):
        known = ", ".join(each.value for each in Resource)
        raise click.UsageError(
            f"Line {number} is not EMAIL RESOURCE LIMIT; resources are: {known}."
        ) from None


@quota.command("list")
@lists.options(quotas.FIELDS)
@pass_door
def list_(door: Door, wanted: Wanted) -> None:
    """Show every limit that users have of their own."""
    with door.reading() as session:
        found = wanted.select(session, quotas.rows(), "user")
    rows = [
        {
            "user": email,
            "resource": resource.value,
            "limit": _spelt(None if limit == UNLIMITED else limit),
        }
        for email, resource, limit in found
    ]
    wanted.show(rows, _LIST_COLUMNS)


def _spelt(limit: int | None) -> int | str:
    return "unlimited" if limit is None else limit
