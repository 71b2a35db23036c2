"""``cloudweb server create|start|...``: what changes servers."""

from collections.abc import Callable
from typing import Any

import click
from sqlalchemy.orm import Session

from cloudweb.cli import printing, waiting
from cloudweb.cli.door import (
    Door,
    dry_run,
    pass_door,
    read_secret,
    reason_option,
    required_reason,
)
from cloudweb.cli.servers import COLUMNS, server_row
from cloudweb.domain import (
    accounts,
    fleet,
    handovers,
    letters,
    locks,
    notices,
    server_lists,
    server_metadata,
    servers,
    suspensions,
    transfers,
)
from cloudweb.domain.identity import Identity
from cloudweb.domain.notices import NOTICES, Notice
from cloudweb.domain.servers import Site
from cloudweb.models import Server

_ids = click.argument("server_ids", type=click.IntRange(min=1), metavar="ID...", nargs=-1)
_mailed = click.option("--mail", "mailed", is_flag=True, help="Tell their owners by mail.")
_metadata = click.option(
    "--metadata", "pairs", multiple=True, metavar="KEY=VALUE", help="Again for more."
)


def _site(door: Door) -> Site:
    from cloudweb.app import site_of

    return site_of(door.settings)


@click.command()
@click.option("--user", "email", required=True, metavar="EMAIL", help="Whose it is to be.")
@click.option("--name", required=True, help="What its owner calls it.")
@click.option("--flavor", "flavor_id", type=int, required=True, metavar="ID", help="How large.")
@click.option("--image", "image_ref", required=True, metavar="ID", help="What its disk begins as.")
@click.option("--backend", "key", metavar="BACKEND", help="Where. Default: where it fits best.")
@click.option("--password-stdin", is_flag=True, help="Read its password from standard input.")
@_metadata
@waiting.option
@reason_option
@dry_run
@printing.as_json
@pass_door
def create(
    door: Door,
    email: str,
    name: str,
    flavor_id: int,
    image_ref: str,
    key: str | None,
    password_stdin: bool,
    pairs: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make a server for a user; it counts against their quota.

    A password that is not given is made up, and shown only now.
    """
    made = None if password_stdin else handovers.new_password()
    password = made or read_secret("Password", from_stdin=True)
    with door.changing() as session:
        user = accounts.get(session, email)
        new = servers.create(
            session,
            door.identity,
            _site(door),
            owner=Identity(user.id, user.email, user.role, door.identity.door),
            backend=fleet.by_key(session, key) if key is not None else None,
            name=name,
            flavor_id=flavor_id,
            image_ref=image_ref,
            metadata=dict(map(_pair, pairs)),
            password=password,
        )
        session.flush()  # as it is now, in this transaction
        row = server_row(server_lists.get_row(session, new.id))
    row |= {"password": made} if made else {}
    said = f"Server {new.id} is built on {row['backend']}."
    printing.done(f"{said} Password: {made}" if made else said, row, as_json=as_json)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not 0 < len(key) <= 255 or len(value) > 255:
        raise click.BadParameter(f"{text!r} is not KEY=VALUE.", param_hint="--metadata")
    return key, value


def _each(
    door: Door,
    server_ids: tuple[int, ...],
    act: Callable[[Session, int], object],
    said: str,
    *,
    as_json: bool,
    mail: str = "",
) -> None:
    """Do it to all of the servers, or to none if one cannot be; and print them.

    ``mail`` is what their owners are told of, if they are.
    """
    if not server_ids:
        raise click.UsageError("Name servers by their ids.")
    wanted = sorted(set(server_ids))
    with door.changing() as session:
        to = notices.owners(session, Server.id.in_(wanted)) if mail else ()
        for server_id in wanted:
            act(session, server_id)
        if mail:
            who = door.identity
            notices.send(session, who, door.sealer, NOTICES[mail], to, reason=who.reason)
        session.flush()  # as they are now, in this transaction
        rows = [server_row(server_lists.get_row(session, each)) for each in wanted]
    if len(rows) == 1:
        printing.done(f"Server {wanted[0]} {said}.", rows[0], as_json=as_json)
        return
    printing.listing(rows, COLUMNS, as_json=as_json)
    if not as_json:
        printing.done(f"Each of {len(rows)} servers {said}.", {}, as_json=False)


@click.command()
@_ids
@_mailed
@waiting.option
@reason_option
@dry_run
@printing.as_json
@pass_door
def start(door: Door, server_ids: tuple[int, ...], mailed: bool, as_json: bool) -> None:
    """Have servers started: all of them, or none if one cannot be."""

    def act(session: Session, server_id: int) -> object:
        return servers.start(session, door.identity, server_id)

    mail = "start" if mailed else ""
    _each(door, server_ids, act, "is to be started", as_json=as_json, mail=mail)


@click.command()
@_ids
@_mailed
@waiting.option
@reason_option
@dry_run
@printing.as_json
@pass_door
def shutdown(door: Door, server_ids: tuple[int, ...], mailed: bool, as_json: bool) -> None:
    """Have servers shut down: all of them, or none if one cannot be."""

    def act(session: Session, server_id: int) -> object:
        return servers.shutdown(session, door.identity, server_id)

    mail = "shutdown" if mailed else ""
    _each(door, server_ids, act, "is to be shut down", as_json=as_json, mail=mail)


@click.command()
@_ids
@_mailed
@waiting.option
@required_reason
@dry_run
@printing.as_json
@pass_door
def suspend(
    door: Door, server_ids: tuple[int, ...], reason: str, mailed: bool, as_json: bool
) -> None:
    """Keep owners from their servers and shut these down, until "unsuspend"."""

    def act(session: Session, server_id: int) -> object:
        return suspensions.suspend(session, door.identity, server_id, reason=reason)

    mail = "suspend" if mailed else ""
    _each(door, server_ids, act, "is suspended", as_json=as_json, mail=mail)


@click.command()
@_ids
@_mailed
@reason_option
@dry_run
@printing.as_json
@pass_door
def unsuspend(door: Door, server_ids: tuple[int, ...], mailed: bool, as_json: bool) -> None:
    """Let owners use suspended servers again; these stay shut down until somebody starts them."""

    def act(session: Session, server_id: int) -> None:
        suspensions.unsuspend(session, door.identity, server_id)

    mail = "unsuspend" if mailed else ""
    _each(door, server_ids, act, "is not suspended", as_json=as_json, mail=mail)


@click.command()
@_ids
@reason_option
@dry_run
@printing.as_json
@pass_door
def lock(door: Door, server_ids: tuple[int, ...], as_json: bool) -> None:
    """Lock servers: nobody shuts one down, reboots, suspends or destroys it until "unlock"."""

    def act(session: Session, server_id: int) -> None:
        locks.lock(session, door.identity, server_id)

    _each(door, server_ids, act, "is locked", as_json=as_json)


@click.command()
@_ids
@reason_option
@dry_run
@printing.as_json
@pass_door
def unlock(door: Door, server_ids: tuple[int, ...], as_json: bool) -> None:
    """Let locked servers be shut down and destroyed again."""

    def act(session: Session, server_id: int) -> None:
        locks.unlock(session, door.identity, server_id)

    _each(door, server_ids, act, "is not locked", as_json=as_json)


@click.command()
@_ids
@click.option("--subject", required=True, help="One line.")
@click.option(
    "--text", required=True, help="What is written; the servers' names follow, and yours."
)
@reason_option
@dry_run
@printing.as_json
@pass_door
def mail(door: Door, server_ids: tuple[int, ...], subject: str, text: str, as_json: bool) -> None:
    """Write to the owners of servers: one mail each, that names theirs."""
    if not server_ids:
        raise click.UsageError("Name servers by their ids.")
    notice = Notice(*letters.checked(subject, text), writer=door.identity.email)
    with door.changing() as session:
        for server_id in sorted(set(server_ids)):
            servers.lock(session, door.identity, server_id)
        to = notices.owners(session, Server.id.in_(server_ids))
        sent = notices.send(session, door.identity, door.sealer, notice, to, reason="")
    owners = [{"owner": each.email, "servers": list(each.servers)} for each in to]
    printing.done(f"{sent} mails are to be sent.", {"mails": sent, "to": owners}, as_json=as_json)


@click.command()
@_ids
@click.option("--hard", is_flag=True, help="Without asking the system in it.")
@_mailed
@waiting.option
@reason_option
@dry_run
@printing.as_json
@pass_door
def reboot(
    door: Door, server_ids: tuple[int, ...], hard: bool, mailed: bool, as_json: bool
) -> None:
    """Have servers rebooted: all of them, or none if one cannot be."""
    kind = "HARD" if hard else "SOFT"

    def act(session: Session, server_id: int) -> object:
        return servers.reboot(session, door.identity, server_id, kind=kind)

    mail = "reboot" if mailed else ""
    _each(door, server_ids, act, "is to be rebooted", as_json=as_json, mail=mail)


@click.command()
@_ids
@click.option("--yes", is_flag=True, help="Do not ask.")
@_mailed
@waiting.option
@reason_option
@dry_run
@printing.as_json
@pass_door
def remove(door: Door, server_ids: tuple[int, ...], yes: bool, mailed: bool, as_json: bool) -> None:
    """Have servers removed with their disks: all of them, or none if one cannot be."""
    if server_ids and not yes and not printing.is_rehearsal():
        click.confirm(f"Remove {len(set(server_ids))} servers and their disks?", abort=True)

    def act(session: Session, server_id: int) -> object:
        return servers.delete(session, door.identity, server_id)

    mail = "destroy" if mailed else ""
    _each(door, server_ids, act, "is removed", as_json=as_json, mail=mail)


@click.command()
@click.argument("server_id", type=click.IntRange(min=1), metavar="ID")
@click.option("--name", help="What its owner calls it.")
@click.option("--owner", "email", metavar="EMAIL", help="Whose it is; they must have room for it.")
@_metadata
@click.option("--unset", "keys", multiple=True, metavar="KEY", help="Metadata to take off.")
@reason_option
@dry_run
@printing.as_json
@pass_door
def modify(
    door: Door,
    server_id: int,
    name: str | None,
    email: str | None,
    pairs: tuple[str, ...],
    keys: tuple[str, ...],
    as_json: bool,
) -> None:
    """Change what is known of a server; what is not named stays, and its instance as well.

    What state it is in is never said by hand: "reconcile servers" takes it from the cluster.
    """
    if not (name or email or pairs or keys):
        raise click.UsageError("Nothing to change: name what is to be different.")
    site, who = _site(door), door.identity
    metadata: dict[str, Any] = dict(map(_pair, pairs))
    with door.changing() as session:
        if email:
            user = accounts.get(session, email)
            transfers.give(session, who, site.limits, server_id, user)
        if name:
            servers.rename(session, who, server_id, name=name)
        if metadata:
            server_metadata.update(session, who, server_id, metadata, at_most=site.metadata_max)
        for key in keys:
            server_metadata.delete(session, who, server_id, key)
        session.flush()  # as it is now, in this transaction
        row = server_row(server_lists.get_row(session, server_id))
    printing.done(f"Changed server {server_id}.", row, as_json=as_json)
