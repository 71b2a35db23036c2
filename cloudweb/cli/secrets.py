"""``cloudweb secret``: the key that seals what must be read back."""

import dataclasses

import click
from cryptography.fernet import Fernet

from cloudweb.cli import printing
from cloudweb.cli.door import Door, pass_door
from cloudweb.cli.refusals import Refused
from cloudweb.domain import sealed

_COLUMNS = {"column": "WHAT", "newest": "NEWEST KEY", "old": "OLD KEY", "lost": "UNKNOWN KEY"}


@click.group()
def secret() -> None:
    """The key of the settings that seals passwords of clusters, regions and new servers."""


@secret.command()
def new() -> None:
    """Print a new key, for the setting secret_key."""
    click.echo(Fernet.generate_key().decode())


@secret.command()
@click.option("--dry-run", is_flag=True, help="Only count what which key sealed.")
@printing.as_json
@pass_door
def rotate(door: Door, dry_run: bool, as_json: bool) -> None:
    """Seal with secret_key all that keys of secret_keys_old sealed.

    Afterwards the old keys can go from the settings. What no key opens is counted and kept; the
    status is 1 then.
    """
    with door.changing() as session:
        counts = sealed.rotate(session, door.identity, door.sealer, dry_run=dry_run)
    printing.listing([dataclasses.asdict(count) for count in counts], _COLUMNS, as_json=as_json)
    lost = sum(count.lost for count in counts)
    if lost:
        raise Refused(f"{lost} can be opened with no key of the settings.")
