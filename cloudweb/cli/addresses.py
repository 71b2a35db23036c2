"""``cloudweb address``: who has and had the addresses of the networks."""

import datetime as dt
from typing import Any

import click

from cloudweb.cli import printing
from cloudweb.cli.door import Door, pass_door
from cloudweb.domain import address_history
from cloudweb.domain.address_history import UseRow

_COLUMNS = {
    "address": "ADDRESS",
    "since": "SINCE",
    "until": "UNTIL",
    "server_id": "SERVER",
    "server": "NAME",
    "owner": "OWNER",
    "network": "NETWORK",
}


@click.group()
def address() -> None:
    """Who has and had the addresses of the networks."""


@address.command()
@click.argument("address")
@click.option("--network", "network_id", type=int, metavar="ID", help="Only of this network.")
@click.option(
    "--at",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d"]),
    metavar="TIME",
    help="Who had it then, in UTC, such as 2026-11-21T10:00:00Z.",
)
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@printing.as_json
@pass_door
def history(
    door: Door,
    address: str,
    network_id: int | None,
    at: dt.datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show which servers had an address, newest first; private networks may share it."""
    when = at.replace(tzinfo=dt.UTC) if at is not None else None
    with door.reading() as session:
        found = address_history.list_for(
            session, address=address, network_id=network_id, at=when, limit=limit
        )
    printing.listing([row(each) for each in found], _COLUMNS, as_json=as_json)


def row(each: UseRow) -> dict[str, Any]:
    """A use as commands print it."""
    return {
        "address": each.use.address,
        "since": each.use.since,
        "until": each.use.until,
        "server_id": each.server.id,
        "server": each.server.name,
        "owner": each.owner,
        "network": each.network.name,
        "network_id": each.network.id,
    }
