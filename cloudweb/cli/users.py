"""``cloudweb user``: the people and programs that use cloudweb."""

import secrets
from typing import TextIO

import click

from cloudweb import faults
from cloudweb.cli import lists, printing
from cloudweb.cli.door import (
    Door,
    dry_run,
    given_reason,
    pass_door,
    read_secret,
    reason_option,
    required_reason,
)
from cloudweb.cli.lists import Wanted
from cloudweb.domain import (
    accounts,
    email_addresses,
    letters,
    registration,
    second_factor,
    user_acts,
    user_lists,
    web_sessions,
)
from cloudweb.models import Role, User

_COLUMNS = {
    "id": "ID",
    "email": "EMAIL",
    "name": "NAME",
    "role": "ROLE",
    "state": "STATE",
    "created": "CREATED",
}
_SESSION_COLUMNS = {
    "id": "ID",
    "agent": "BROWSER",
    "address": "ADDRESS",
    "created": "SINCE",
    "last_seen": "LAST USED",
    "expires": "EXPIRES",
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
@reason_option
@dry_run
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
@lists.options(user_lists.FIELDS)
@pass_door
def list_(door: Door, wanted: Wanted) -> None:
    """Show users, by e-mail address."""
    query = user_lists.rows().order_by(User.email)
    with door.reading() as session:
        rows = [_row(each) for each, *_ in wanted.select(session, query)]
    wanted.show(rows, _COLUMNS)


@user.command()
@click.argument("email")
@printing.as_json
@pass_door
def show(door: Door, email: str, as_json: bool) -> None:
    """Show all of one user."""
    with door.reading() as session:
        found = accounts.get(session, email)
    printing.record(
        _row(found) | {"verified": found.verified, "second_factor": found.totp_sealed is not None},
        as_json=as_json,
    )


@user.command()
@click.argument("email")
@click.option("--name", help="What to call them.")
@click.option("--role", type=click.Choice([role.value for role in Role]), help="What they may do.")
@given_reason
@dry_run
@printing.as_json
@pass_door
def modify(
    door: Door, email: str, name: str | None, role: str | None, reason: str, as_json: bool
) -> None:
    """Change a user; what is not named stays. With another role they have to sign in again."""
    if name is None and role is None:
        raise click.UsageError("Nothing to change: name what is to be different.")
    with door.changing() as session:
        found = accounts.get(session, email)
        if name is not None:
            accounts.rename(session, door.identity, found, name=name)
        if role is not None:
            registration.set_role(session, door.identity, found.id, Role(role), reason=reason)
        row = _row(found)
    printing.done(f"Changed {found.email}.", row, as_json=as_json)


@user.command()
@click.argument("email")
@click.option("--name", default="", help="What to call them. Default: the e-mail's first part.")
@reason_option
@dry_run
@printing.as_json
@pass_door
def invite(door: Door, email: str, name: str, as_json: bool) -> None:
    """Mail somebody a link by which they choose a password and become a user."""
    rules = registration.Rules.of(door.settings)
    with door.changing() as session:
        invited = registration.invite(session, door.identity, rules, email=email, name=name)
        row = _row(invited)
    printing.done(f"An invitation to {invited.email} is on its way.", row, as_json=as_json)


@user.command()
@click.argument("email")
@given_reason
@dry_run
@printing.as_json
@pass_door
def activate(door: Door, email: str, reason: str, as_json: bool) -> None:
    """Make a user active, also one who waits to be accepted; they get a mail."""
    with door.changing() as session:
        found = accounts.get(session, email)
        rules = registration.Rules.of(door.settings)
        found = registration.activate(session, door.identity, rules, found.id, reason=reason)
    printing.done(f"{found.email} is active.", _row(found), as_json=as_json)


@user.command()
@click.argument("email")
@required_reason
@dry_run
@printing.as_json
@pass_door
def reject(door: Door, email: str, reason: str, as_json: bool) -> None:
    """Refuse somebody who waits; the reason is mailed."""
    with door.changing() as session:
        found = accounts.get(session, email)
        rules = registration.Rules.of(door.settings)
        found = registration.reject(session, door.identity, rules, found.id, reason=reason)
    printing.done(f"{found.email} is rejected.", _row(found), as_json=as_json)


@user.command()
@click.argument("email")
@required_reason
@dry_run
@printing.as_json
@pass_door
def deactivate(door: Door, email: str, reason: str, as_json: bool) -> None:
    """Shut a user out: no sign-in, and tokens are refused. Their servers stay as they are."""
    with door.changing() as session:
        found = accounts.get(session, email)
        found = registration.deactivate(session, door.identity, found.id, reason=reason)
    printing.done(f"{found.email} is deactivated.", _row(found), as_json=as_json)


@user.command()
@click.argument("email")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@reason_option
@dry_run
@printing.as_json
@pass_door
def password(door: Door, email: str, password_stdin: bool, as_json: bool) -> None:
    """Set a user's password, and end their sessions; one that is not given is made up."""
    made = "" if password_stdin else secrets.token_urlsafe(12)
    hashed = accounts.hashed(made or read_secret("Password", from_stdin=True))
    with door.changing() as session:
        found = accounts.get(session, email)
        rules = registration.Rules.of(door.settings)
        registration.change_password(session, door.identity, rules, found.id, password_hash=hashed)
    row = {"email": found.email} | ({"password": made} if made else {})
    printing.record(row, as_json=as_json)


@user.command()
@click.argument("email")
@click.argument("role", type=click.Choice([role.value for role in Role]))
@given_reason
@dry_run
@printing.as_json
@pass_door
def role(door: Door, email: str, role: str, reason: str, as_json: bool) -> None:
    """Give a user another role; they have to sign in again."""
    with door.changing() as session:
        found = accounts.get(session, email)
        found = registration.set_role(session, door.identity, found.id, Role(role), reason=reason)
    printing.done(f"{found.email} is {role} now.", _row(found), as_json=as_json)


@user.command("activation-send")
@click.argument("email")
@reason_option
@dry_run
@printing.as_json
@pass_door
def activation_send(door: Door, email: str, as_json: bool) -> None:
    """Mail a link by which a user chooses a password and becomes active."""
    with door.changing() as session:
        found = accounts.get(session, email)
        rules = registration.Rules.of(door.settings)
        registration.send_activation(session, door.identity, rules, found)
    printing.done(f"A link to {found.email} is on its way.", _row(found), as_json=as_json)


@user.command()
@click.argument("email")
@click.argument("new")
@required_reason
@dry_run
@printing.as_json
@pass_door
def email(door: Door, email: str, new: str, reason: str, as_json: bool) -> None:
    """Mail a link to another address, which is the user's once they follow it."""
    with door.changing() as session:
        found = accounts.get(session, email)
        rules = registration.Rules.of(door.settings)
        email_addresses.ask_change(
            session, door.identity, rules, found.id, email=new, reason=reason
        )
        row = _row(found)
    printing.done(f"A link to {new} is on its way.", row, as_json=as_json)


@user.command()
@click.argument("email")
@required_reason
@dry_run
@printing.as_json
@pass_door
def verify(door: Door, email: str, reason: str, as_json: bool) -> None:
    """Vouch for it that the address is the user's; who waited for just that goes on."""
    with door.changing() as session:
        found = accounts.get(session, email)
        rules = registration.Rules.of(door.settings)
        found = email_addresses.mark_verified(
            session, door.identity, rules, found.id, reason=reason
        )
        row = _row(found)
    printing.done(f"{found.email} counts as verified.", row, as_json=as_json)


@user.command()
@click.argument("email")
@click.argument("file", type=click.File(encoding="utf-8"), default="-")
@click.option("--subject", required=True, help="In a line.")
@reason_option
@dry_run
@printing.as_json
@pass_door
def mail(door: Door, email: str, file: TextIO, subject: str, as_json: bool) -> None:
    """Write to a user: the text in FILE, or on standard input."""
    try:
        text = file.read(4 * letters.MAX_TEXT)
    except UnicodeDecodeError:
        raise faults.BadRequest("The text is not UTF-8.") from None
    rules = registration.Rules.of(door.settings)
    with door.changing() as session:
        found = accounts.get(session, email)
        user_acts.write(session, door.identity, rules.sealer, found, subject=subject, text=text)
    printing.done(
        f"A mail to {found.email} is on its way.", {"email": found.email}, as_json=as_json
    )


@user.command()
@click.argument("email")
@printing.as_json
@pass_door
def sessions(door: Door, email: str, as_json: bool) -> None:
    """Show where a user is signed in, the session used last first."""
    with door.reading() as session:
        found = accounts.get(session, email)
        there = web_sessions.list_own(session, found.id)
        rows = [{key: getattr(each, key) for key in _SESSION_COLUMNS} for each in there]
    printing.listing(rows, _SESSION_COLUMNS, as_json=as_json)


@user.command("sign-out")
@click.argument("email")
@click.option(
    "--session",
    "only",
    type=click.IntRange(min=1),
    metavar="ID",
    help="End this one only, of user sessions.",
)
@click.option("--tokens", is_flag=True, help="Revoke their API tokens, too, for good.")
@required_reason
@dry_run
@printing.as_json
@pass_door
def sign_out(
    door: Door, email: str, only: int | None, tokens: bool, reason: str, as_json: bool
) -> None:
    """End a user's sessions everywhere, or one. They can sign in again."""
    with door.changing() as session:
        found = registration.lock(session, accounts.get(session, email).id)
        ended = user_acts.end_sessions(
            session, door.identity, found, only=only, tokens=tokens, reason=reason
        )
    ends = f"{ended} session{'' if ended == 1 else 's'}"
    printing.done(
        f"Ended {ends} of {found.email}.",
        {"email": found.email, "sessions": ended},
        as_json=as_json,
    )


@user.command("totp-reset")
@click.argument("email")
@required_reason
@dry_run
@printing.as_json
@pass_door
def totp_reset(door: Door, email: str, reason: str, as_json: bool) -> None:
    """Take a lost second factor away and end the user's sessions."""
    with door.changing() as session:
        found = accounts.get(session, email)
        second_factor.remove(session, door.identity, found.id, reason=reason)
    printing.done(f"{found.email} has no second factor now.", _row(found), as_json=as_json)


def _row(found: User) -> dict[str, object]:
    return {
        "id": found.id,
        "email": found.email,
        "name": found.name,
        "role": found.role.value,
        "state": found.state.value,
        "created": found.created,
    }
