"""``cloudweb token``: the API tokens of users."""

import click

from cloudweb.cli import lists, printing
from cloudweb.cli.door import Door, days_from_now, dry_run, pass_door, reason_option
from cloudweb.cli.lists import Wanted
from cloudweb.domain import accounts, token_lists
from cloudweb.faults import ItemNotFound
from cloudweb.models import Token

_COLUMNS = {
    "id": "ID",
    "user": "USER",
    "name": "NAME",
    "scope": "SCOPE",
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
@click.option(
    "--scope",
    type=click.Choice(["read", "write"]),
    default="write",
    show_default=True,
    help="Whether it may change anything.",
)
@reason_option
@dry_run
@printing.as_json
@pass_door
def add(
    door: Door, email: str, name: str, expires_days: int | None, scope: str, as_json: bool
) -> None:
    """Make a token; it is shown only now, and kept as a hash."""
    expires = days_from_now(expires_days)
    with door.changing() as session:
        owner = accounts.get(session, email)
        text = accounts.add_token(
            *(session, door.identity, owner),
            name=name,
            expires=expires,
            read_only=scope == "read",
        )
    shown = {"user": owner.email, "name": name, "scope": scope, "expires": expires, "token": text}
    printing.record(shown, as_json=as_json)


@token.command()
@_user
@_name
@reason_option
@dry_run
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
@click.option("--user", "email", metavar="EMAIL", help="Only this user's.")
@lists.options(token_lists.FIELDS)
@pass_door
def list_(door: Door, email: str | None, wanted: Wanted) -> None:
    """Show tokens, without what makes them tokens."""
    query = token_lists.rows()
    with door.reading() as session:
        if email is not None:
            query = query.where(Token.user_id == accounts.get(session, email).id)
        rows = [_row(*each) for each in wanted.select(session, query)]
    wanted.show(rows, _COLUMNS)


def _row(each: Token, user: str, scope: str, state: str) -> dict[str, object]:
    keys = ("id", "name", "created", "expires", "revoked")
    facts = {key: getattr(each, key) for key in keys}
    return facts | {"user": user, "scope": scope, "state": state}
