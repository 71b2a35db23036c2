"""``cloudweb user``: the people and programs that use cloudweb."""

import secrets

import click

from cloudweb.cli import printing
from cloudweb.cli.door import Door, pass_door, read_secret
from cloudweb.domain import accounts
from cloudweb.models import Role

_COLUMNS = {
    "id": "ID",
    "email": "EMAIL",
    "name": "NAME",
    "role": "ROLE",
    "state": "STATE",
    "created": "CREATED",
}


@click.group()
def user() -> None:
    """The people and programs that use cloudweb."""


@user.command()
@click.argument("email")
@click.option("--name", default="", help="What to call them. Default: the e-mail's first part.")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=Role.USER.value,
    show_default=True,
    help="What they may do; a plain user owns servers and sees no dashboard.",
)
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--no-password", is_flag=True, help="For a program that only has tokens.")
@printing.as_json
@pass_door
def add(
    door: Door,
    email: str,
    name: str,
    role: str,
    password_stdin: bool,
    no_password: bool,
    as_json: bool,
) -> None:
    """Add an active user; a password that is not given is made up, and shown only now."""
    if password_stdin and no_password:
        raise click.UsageError("--password-stdin and --no-password exclude each other.")
    given = read_secret("Password", from_stdin=True) if password_stdin else None
    made = None if password_stdin or no_password else secrets.token_urlsafe(12)
    with door.changing() as session:
        new = accounts.create(
            session,
            door.identity,
            email=email,
            name=name,
            role=Role(role),
            password=made if given is None else given,
        )
    shown = {"id": new.id, "email": new.email, "name": new.name, "role": new.role.value}
    printing.record(shown | ({"password": made} if made else {}), as_json=as_json)


@user.command("list")
@printing.as_json
@pass_door
def list_(door: Door, as_json: bool) -> None:
    """Show every user, by e-mail address."""
    with door.reading() as session:
        rows = [
            {
                "id": each.id,
                "email": each.email,
                "name": each.name,
                "role": each.role.value,
                "state": each.state.value,
                "created": each.created,
            }
            for each in accounts.list_users(session)
        ]
    printing.listing(rows, _COLUMNS, as_json=as_json)
