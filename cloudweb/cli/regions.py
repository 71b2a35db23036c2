"""``cloudweb region``: the regions of the federation."""

import os
from typing import Any

import click

from cloudweb.addresses import normal_url
from cloudweb.backend.federation import Federation
from cloudweb.cli import lists, printing
from cloudweb.cli.door import Door, dry_run, pass_door, read_secret, reason_option
from cloudweb.cli.lists import Wanted
from cloudweb.cli.refusals import Refused
from cloudweb.domain import infrastructures
from cloudweb.models import Infrastructure, InfrastructureKind

PASSWORD_VARIABLE = "CLOUDWEB_REGION_PASSWORD"  # noqa: S105  (the name of a variable)

_COLUMNS = {
    "name": "NAME",
    "kind": "KIND",
    "state": "STATE",
    "refreshed": "REFRESHED",
    "owner": "OWNER",
    "keystone_url": "KEYSTONE",
    "last_error": "ERROR",
}
_KEYS = (
    *("id", "name", "owner", "keystone_url", "nova_url", "username", "tenant", "region_name"),
    *("disk_template", "created", "refreshed", "unreachable_since", "last_error"),
)


@click.group()
def region() -> None:
    """The regions of the federation: OpenStack ones, and our own clusters as one."""


@region.command("list")
@lists.options(infrastructures.FIELDS)
@pass_door
def list_(door: Door, wanted: Wanted) -> None:
    """Show the regions, and when each last told its flavors."""
    with door.reading() as session:
        rows = [_row(each) for (each,) in wanted.select(session, infrastructures.rows())]
    wanted.show(rows, _COLUMNS)


@region.command()
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in InfrastructureKind]),
    default=InfrastructureKind.OPENSTACK.value,
    help="What answers there; ganeti: the flavors of our own clusters.",
)
@click.option("--keystone-url", default="", help="Where Keystone v3 answers.")
@click.option("--username", default="", help="The account that manages flavors there.")
@click.option("--tenant", default="", help="Its project.")
@click.option("--region-name", default="", help="The region's name in its catalog. Default: NAME.")
@click.option("--disk-template", default="", help="Ganeti only: what new flavors there have.")
@click.option(
    "--password-stdin",
    is_flag=True,
    help=f"Read the password from standard input. Else {PASSWORD_VARIABLE} has it, "
    "or it is asked for.",
)
@reason_option
@dry_run
@printing.as_json
@pass_door
def add(
    door: Door,
    name: str,
    kind: str,
    keystone_url: str,
    username: str,
    tenant: str,
    region_name: str,
    disk_template: str,
    password_stdin: bool,
    as_json: bool,
) -> None:
    """Register a region. Whether it answers: region refresh NAME."""
    if not 0 < len(name) <= 255 or not name.isprintable() or name != name.strip():
        raise click.UsageError("A region's name has 1 to 255 characters on one line.")
    openstack = kind == InfrastructureKind.OPENSTACK.value
    sealed = ""
    if openstack:
        _check(keystone_url, username, tenant)
        sealed = door.sealer.seal(_password(from_stdin=password_stdin))
    elif not disk_template:
        raise click.UsageError("Missing option '--disk-template'.")
    with door.changing() as session:
        new = infrastructures.register(
            session,
            door.identity,
            name=name,
            kind=InfrastructureKind(kind),
            keystone_url=keystone_url,
            username=username,
            password_sealed=sealed,
            tenant=tenant,
            region_name=region_name,
            disk_template=disk_template,
        )
    printing.done(f"{new.name} is registered.", _row(new), as_json=as_json)


def _check(keystone_url: str, username: str, tenant: str) -> None:
    given = {"--keystone-url": keystone_url, "--username": username, "--tenant": tenant}
    for option, value in given.items():
        if not value:
            raise click.UsageError(f"Missing option '{option}'.")
    try:
        normal_url(keystone_url)
    except ValueError as error:
        raise click.UsageError(f"--keystone-url: {error}") from None


def _password(*, from_stdin: bool) -> str:
    known = os.environ.get(PASSWORD_VARIABLE)
    if known is not None and not from_stdin:
        return known
    return read_secret("Password of the region's account", from_stdin=from_stdin)


@region.command()
@click.argument("name")
@reason_option
@dry_run
@printing.as_json
@pass_door
def remove(door: Door, name: str, as_json: bool) -> None:
    """Forget a region that no published flavor is installed in; nothing changes there."""
    with door.changing() as session:
        infrastructures.unregister(session, door.identity, name)
    printing.done(f"{name} is forgotten.", {"name": name, "removed": True}, as_json=as_json)


@region.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@printing.as_json
@pass_door
def refresh(door: Door, names: tuple[str, ...], as_json: bool) -> None:
    """Ask regions for their flavors, all at the same time; every one, if none is named.

    One that does not answer is marked so, and the status is 1.
    """
    with door.reading() as session:
        if names:
            chosen = [infrastructures.get(session, name) for name in dict.fromkeys(names)]
        else:
            chosen = list(infrastructures.list_all(session))
    found = Federation(door.settings, door.sessions).refresh_all(door.identity, chosen)
    rows = [{"name": each.region, "flavors": each.flavors, "error": each.error} for each in found]
    columns = {"name": "NAME", "flavors": "FLAVORS", "error": "ERROR"}
    printing.listing(rows, columns, as_json=as_json)
    failed = [f"{each.region}: {each.error}" for each in found if each.error]
    if failed:
        raise Refused("; ".join(failed))


def _row(each: Infrastructure) -> dict[str, Any]:
    state = "new" if each.refreshed is None else "answers"
    if each.unreachable_since is not None:
        state = "away"
    shown = {"kind": each.kind.value, "state": state}
    return shown | {key: getattr(each, key) for key in _KEYS}
