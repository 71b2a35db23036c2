"""``cloudweb db``: the tables of the database."""

import click

from cloudweb.cli import printing
from cloudweb.cli.door import Door, pass_door
from cloudweb.cli.refusals import Refused
from cloudweb.models import migrations


@click.group()
def db() -> None:
    """The tables of the database."""


@db.command()
@pass_door
def upgrade(door: Door) -> None:
    """Bring the tables to those of this release; does nothing when they are."""
    url = door.settings.database_url
    before = migrations.upgrade(url)
    newest = migrations.position(url).newest
    was = f"at {before}" if before else "empty"
    changed = "" if before == newest else f"; it was {was}"
    click.echo(f"The database is at {newest}, the newest{changed}.")


@db.command()
@printing.as_json
@pass_door
def current(door: Door, as_json: bool) -> None:
    """Show which migration the database has, and which is the newest."""
    where = migrations.position(door.settings.database_url)
    printing.record({"current": where.current, "newest": where.newest}, as_json=as_json)


@db.command()
@pass_door
def check(door: Door) -> None:
    """Compare the tables with those the program expects; status 1 if they differ."""
    try:
        migrations.check(door.settings.database_url)
    except migrations.SchemaDiffers as error:
        for difference in error.differences:
            click.echo(printing.escape(difference))
        raise Refused(str(error)) from None
    click.echo("The tables are those of this release.")
