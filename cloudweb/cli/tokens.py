"""``cloudweb token``: the API tokens of users."""

import click
import sqlalchemy as sa

from cloudweb.cli import printing
from cloudweb.cli.door import Door, days_from_now, pass_door
from cloudweb.domain import accounts
from cloudweb.faults import ItemNotFound
from cloudweb.models import Token, utc_now

_COLUMNS = {
    "id": "ID",
    "name": "NAME",
    "state": "STATE",
    "created": "CREATED",
    "expires": "EXPIRES",
    "revoked": "REVOKED",
}

_user = click.option("--user", "email", required=True, metavar="EMAIL", help="Whose.")
_name = click.option("--name", required=True, help="What the token is for; not a secret.")


@click.group()
def token() -> None:
    """The API tokens of users."""


@token.command()
@_user
@_name
@click.option(
    "--expires-days",
    type=click.IntRange(1, 36_500),
    help="How long it is good for. Default: until it is revoked.",
)
@printing.as_json
@pass_door
def add(door: Door, email: str, name: str, expires_days: int | None, as_json: bool) -> None:
    """Make a token; it is shown only now, and kept as a hash."""
    expires = days_from_now(expires_days)
    with door.changing() as session:
        owner = accounts.get(session, email)
        text = accounts.add_token(session, door.identity, owner, name=name, expires=expires)
    shown = {"user": owner.email, "name": name, "expires": expires, "token": text}
    printing.record(shown, as_json=as_json)


@token.command()
@_user
@_name
@printing.as_json
@pass_door
def revoke(door: Door, email: str, name: str, as_json: bool) -> None:
    """Revoke the user's tokens of this name, at once and for good."""
    with door.changing() as session:
        owner = accounts.get(session, email)
        count = accounts.revoke_tokens(session, door.identity, owner, name=name)
        if not count:
            raise ItemNotFound(f"{owner.email} has no token {name} that could be revoked.")
    done = f"Revoked {count} token{'s' if count > 1 else ''} {name} of {owner.email}."
    printing.done(done, {"user": owner.email, "name": name, "revoked": count}, as_json=as_json)


@token.command("list")
@_user
@printing.as_json
@pass_door
def list_(door: Door, email: str, as_json: bool) -> None:
    """Show the user's tokens, without what makes them tokens."""
    with door.reading() as session:
        owner = accounts.get(session, email)
        tokens = session.scalars(
            sa.select(Token).where(Token.user_id == owner.id).order_by(Token.id)
        ).all()
    rows = [
        {
            "id": each.id,
            "name": each.name,
            "state": _state(each),
            "created": each.created,
            "expires": each.expires,
            "revoked": each.revoked,
        }
        for each in tokens
    ]
    printing.listing(rows, _COLUMNS, as_json=as_json)


def _state(each: Token) -> str:
    if each.revoked is not None:
        return "revoked"
    return "expired" if each.expires is not None and each.expires <= utc_now() else "valid"
