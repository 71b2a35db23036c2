"""``cloudweb server place`` and pinned users: which cluster a new server would go to."""

from typing import Any

import click

from cloudweb.cli import lists, printing
from cloudweb.cli.door import Door, dry_run, pass_door, reason_option
from cloudweb.cli.lists import Wanted
from cloudweb.domain import accounts, flavors, fleet, placement
from cloudweb.domain.placement import Candidate, Standing

_COLUMNS = {
    "backend": "BACKEND",
    "chosen": "CHOSEN",
    "score": "SCORE",
    "standing": "STANDING",
    "why": "WHY",
}


@click.command()
@click.option("--flavor", "flavor_id", type=int, required=True, help="The id of a flavor.")
@click.option("--user", "email", metavar="EMAIL", help="Whose server it would be.")
@printing.as_json
@pass_door
def place(door: Door, flavor_id: int, email: str | None, as_json: bool) -> None:
    """Show where a new server would go, and why not to the other clusters; nothing is made."""
    with door.reading() as session:
        flavor = flavors.get(session, flavor_id)
        user_id = accounts.get(session, email).id if email is not None else None
        candidates = placement.explain(session, flavor, user_id)
    rows = [_row(each, first=each is candidates[0]) for each in candidates]
    printing.listing(rows, _COLUMNS, as_json=as_json)


def _row(each: Candidate, *, first: bool) -> dict[str, Any]:
    return {
        "backend": each.backend.name,
        "chosen": first and each.standing is not Standing.OUT,
        "score": round(each.score, 4),
        "standing": each.standing.name.lower(),
        "why": each.why,
    }


@click.command()
@click.argument("key", metavar="BACKEND")
@click.option("--user", "email", metavar="EMAIL", required=True, help="Whose new servers.")
@reason_option
@dry_run
@printing.as_json
@pass_door
def pin(door: Door, key: str, email: str, as_json: bool) -> None:
    """Have a user's new servers go to one cluster only, even when it is drained."""
    with door.changing() as session:
        row = fleet.by_key(session, key)
        placement.pin(session, door.identity, accounts.get(session, email), row)
    shown = {"user": email, "backend": row.name}
    printing.done(f"New servers of {email} go to {row.name} only.", shown, as_json=as_json)


@click.command()
@click.option("--user", "email", metavar="EMAIL", required=True, help="Whose new servers.")
@reason_option
@dry_run
@printing.as_json
@pass_door
def unpin(door: Door, email: str, as_json: bool) -> None:
    """Let a user's new servers go to any cluster again."""
    with door.changing() as session:
        user = accounts.get(session, email)
        was = placement.unpin(session, door.identity, user)
    said = f"New servers of {email} go anywhere." if was else f"{email} was not pinned."
    printing.done(said, {"user": email, "changed": was}, as_json=as_json)


@click.command()
@lists.options(placement.PIN_FIELDS)
@pass_door
def pins(door: Door, wanted: Wanted) -> None:
    """Show the users whose new servers go to one cluster only."""
    with door.reading() as session:
        found = wanted.select(session, placement.pin_rows(), "user")
    rows = [{"user": user, "backend": name} for user, name in found]
    wanted.show(rows, {"user": "USER", "backend": "BACKEND"})
