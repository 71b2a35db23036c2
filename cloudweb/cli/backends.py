"""``cloudweb backend``: the Ganeti clusters."""

import datetime as dt
from collections.abc import Callable
from functools import partial
from typing import Any

import click
from sqlalchemy.orm import Session

from cloudweb.cli import lists, printing
from cloudweb.cli.door import (
    Door,
    dry_run,
    given_reason,
    pass_door,
    required_reason,
)
from cloudweb.cli.late import LateGroup
from cloudweb.cli.lists import Wanted
from cloudweb.domain import fleet, fleet_lists, removals
from cloudweb.models import Backend, Server

COLUMNS = {
    "id": "ID",
    "name": "NAME",
    "state": "STATE",
    "public": "PUBLIC",
    "instances": "INSTANCES",
    "memory_free_mb": "FREE MiB",
    "memory_total_mb": "OF",
    "disk_free_mb": "DISK MiB",
    "disk_total_mb": "OF",
    "cpu_total": "CPUS",
    "nodes_up": "NODES",
    "nodes_total": "OF",
    "refreshed": "REFRESHED",
    "state_reason": "REASON",
}
_LIST_COLUMNS = {
    **{key: COLUMNS[key] for key in COLUMNS if key not in ("refreshed", "state_reason")},
    "free_addresses": "FREE IPS",
    "refreshed": COLUMNS["refreshed"],
    "state_reason": COLUMNS["state_reason"],
}
_KEYS = (
    *("id", "number", "name", "url", "username", "ca_file", "fingerprint", "verify_tls"),
    *(
        "event_source",
        "drained",
        "offline",
        "public",
        "state_reason",
        "state_since",
        "drained_until",
        "refresh_asked",
        "hypervisor",
    ),
    *("disk_templates", "ganeti_version", "memory_total_mb", "memory_free_mb"),
    *("disk_total_mb", "disk_free_mb", "cpu_total", "instances", "nodes_total", "nodes_up"),
    *("refreshed", "unreachable_since", "last_error", "created"),
)

key_argument = click.argument("key", metavar="BACKEND")


_LATE = {
    "add": ("reaching:add", "Add a cluster after trying it out."),
    "adopt": ("adoption:adopt", "Make servers of all instances of a cluster."),
    "modify": ("reaching:modify", "Change how a cluster is reached."),
    "pin": ("placement:pin", "Have a user's new servers go to one cluster only."),
    "pins": ("placement:pins", "Show the users whose new servers go to one cluster only."),
    "refresh": ("reaching:refresh", "Ask clusters how they are."),
    "unpin": ("placement:unpin", "Let a user's new servers go to any cluster again."),
}


@click.group(cls=LateGroup, late=_LATE)
def backend() -> None:
    """The Ganeti clusters. BACKEND is the id or the name of one."""


@backend.command("list")
@lists.options(fleet_lists.FIELDS)
@pass_door
def list_(door: Door, wanted: Wanted) -> None:
    """Show the clusters and their room, as it was when they were last asked."""
    query = fleet_lists.rows().order_by(Backend.id)
    with door.reading() as session:
        found = wanted.select(session, query)
    rows = [
        backend_row(each) | {"servers": servers, "jobs": jobs, "free_addresses": free}
        for each, servers, jobs, free in found
    ]
    wanted.show(rows, _LIST_COLUMNS)


@backend.command()
@key_argument
@printing.as_json
@pass_door
def show(door: Door, key: str, as_json: bool) -> None:
    """Show all of one cluster but its password."""
    with door.reading() as session:
        row = fleet.by_key(session, key)
    printing.record(backend_row(row), as_json=as_json)


_mailed = click.option("--mail", "mailed", is_flag=True, help="Tell owners of servers by mail.")


@backend.command()
@key_argument
@required_reason
@click.option(
    "--until",
    type=click.DateTime(("%Y-%m-%dT%H:%M", "%Y-%m-%d")),
    help="By when it is meant to be over, in UTC; who looks is told once that has passed.",
)
@_mailed
@dry_run
@printing.as_json
@pass_door
def drain(
    door: Door, key: str, reason: str, until: dt.datetime | None, mailed: bool, as_json: bool
) -> None:
    """Let no new server go to a cluster; those it has are not touched."""
    from cloudweb.domain import notices

    until = until.replace(tzinfo=dt.UTC) if until is not None else None
    change = partial(fleet.set_drained, drained=True, reason=reason, until=until)
    notice = notices.drained(until) if mailed else None
    _switch(door, key, change, "is drained", as_json=as_json, notice=notice)


@backend.command()
@key_argument
@given_reason
@dry_run
@printing.as_json
@pass_door
def undrain(door: Door, key: str, reason: str, as_json: bool) -> None:
    """Let new servers go to a cluster."""
    change = partial(fleet.set_drained, drained=False, reason=reason)
    _switch(door, key, change, "takes new servers", as_json=as_json)


@backend.command()
@key_argument
@required_reason
@_mailed
@dry_run
@printing.as_json
@pass_door
def offline(door: Door, key: str, reason: str, mailed: bool, as_json: bool) -> None:
    """Contact a cluster no more; what it is to do waits."""
    from cloudweb.domain import notices

    change = partial(fleet.set_offline, offline=True, reason=reason)
    notice = notices.OFFLINE if mailed else None
    _switch(door, key, change, "is not contacted any more", as_json=as_json, notice=notice)


@backend.command()
@key_argument
@given_reason
@dry_run
@printing.as_json
@pass_door
def online(door: Door, key: str, reason: str, as_json: bool) -> None:
    """Contact a cluster again; what waited for it is done."""
    change = partial(fleet.set_offline, offline=False, reason=reason)
    _switch(door, key, change, "is contacted", as_json=as_json)


@backend.command()
@key_argument
@required_reason
@dry_run
@printing.as_json
@pass_door
def restrict(door: Door, key: str, reason: str, as_json: bool) -> None:
    """Let only new servers of users who are pinned to a cluster go to it: it is not public."""
    change = partial(fleet.set_public, public=False, reason=reason)
    _switch(door, key, change, "is not public", as_json=as_json)


@backend.command()
@key_argument
@given_reason
@dry_run
@printing.as_json
@pass_door
def publish(door: Door, key: str, reason: str, as_json: bool) -> None:
    """Let new servers of everybody go to a cluster: it is public."""
    change = partial(fleet.set_public, public=True, reason=reason)
    _switch(door, key, change, "is public", as_json=as_json)


def _switch(
    door: Door,
    key: str,
    change: Callable[..., bool],
    is_now: str,
    *,
    as_json: bool,
    notice: Any = None,
) -> None:
    with door.changing() as session:
        row = fleet.by_key(session, key)
        changed = change(session, door.identity, row)
        if notice is not None and changed:
            _tell(door, session, row, notice)
    said = f"{row.name} {is_now}{'' if changed else ' already; nothing was changed'}."
    printing.done(said, backend_row(row) | {"changed": changed}, as_json=as_json)


def _tell(door: Door, session: Session, row: Backend, notice: Any) -> None:
    """Mail the owners of the servers there."""
    from cloudweb.domain import notices

    to = notices.owners(session, Server.backend_id == row.id)
    who = door.identity
    notices.send(session, who, door.sealer, notice, to, reason=row.state_reason)


@backend.command()
@key_argument
@given_reason
@click.option("--dry-run", is_flag=True, help="Only say what is in the way.")
@printing.as_json
@pass_door
def remove(door: Door, key: str, reason: str, dry_run: bool, as_json: bool) -> None:
    """Forget a cluster that nothing of ours is on; it is not contacted.

    It must be drained, without servers and open operations. Networks of ours that are
    still there are named; they have to be removed with gnt-network.
    """
    if dry_run:
        with door.reading() as session:
            row = fleet.by_key(session, key)
            in_the_way = removals.list_in_the_way(session, row)
        said = (
            f"In the way: {removals.words(in_the_way)}." if in_the_way else "Nothing is in the way."
        )
        printing.done(
            said,
            {"name": row.name, "in_the_way": [str(each) for each in in_the_way]},
            as_json=as_json,
        )
        return
    with door.changing() as session:
        row = fleet.by_key(session, key)
        name = row.name
        left = removals.remove(session, door.identity, row, reason=reason)
    said = f"{name} is removed." + (f" Networks left there: {', '.join(left)}." if left else "")
    printing.done(said, {"id": row.id, "name": name, "networks_left": left}, as_json=as_json)


def backend_row(each: Backend) -> dict[str, Any]:
    """A cluster as it is printed, without its password."""
    return {"state": _state(each)} | {key: getattr(each, key) for key in _KEYS}


def _state(each: Backend) -> str:
    if each.offline:
        return "offline"
    if each.unreachable_since is not None:
        return "unreachable"
    if each.drained:
        return "drained"
    return "open" if each.public else "not public"
