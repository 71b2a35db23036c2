"""What nodes are to their clusters: ``cloudweb node drain`` and its like."""

from collections.abc import Callable
from typing import Any

import click

from cloudweb.cli import moving, printing, waiting
from cloudweb.cli.door import Door, dry_run, pass_door, required_reason
from cloudweb.domain import fleet, moves, node_roles
from cloudweb.domain.node_roles import Change

_OPTIONS = (
    click.argument("name"),
    click.option(
        "--backend", "key", metavar="BACKEND", required=True, help="Its cluster, by id or name."
    ),
    required_reason,
    dry_run,
    click.option("--wait", is_flag=True, help="Until it has ended; status 1 if it failed."),
    waiting.timeout_option,
    printing.as_json,
    pass_door,
)


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def _change(
    door: Door,
    name: str,
    key: str,
    to: Change,
    *,
    reason: str,
    wait: bool,
    timeout_s: int,
    as_json: bool,
) -> None:
    with door.changing() as session:
        backend = fleet.by_key(session, key)
        node = moves.get_node(session, backend, name)
        made = node_roles.change(session, door.identity, backend, node, to=to, reason=reason)
    moving.told(door, [made], wait=wait, timeout_s=timeout_s, as_json=as_json)


@click.command()
@_options
def drain(door: Door, /, name: str, key: str, **asked: Any) -> None:
    """Have no instance placed on a node any more; what is there stays."""
    _change(door, name, key, Change.DRAIN, **asked)


@click.command()
@_options
def undrain(door: Door, /, name: str, key: str, **asked: Any) -> None:
    """Let instances be placed on a node again."""
    _change(door, name, key, Change.UNDRAIN, **asked)


@click.command()
@_options
def offline(door: Door, /, name: str, key: str, **asked: Any) -> None:
    """Say that a node is off: Ganeti asks it nothing any more.

    Instances that are there can then only be failed over: `node evacuate`.
    """
    _change(door, name, key, Change.OFFLINE, **asked)


@click.command()
@_options
def online(door: Door, /, name: str, key: str, **asked: Any) -> None:
    """Have a node that was offline asked again; that fails if it does not answer."""
    _change(door, name, key, Change.ONLINE, **asked)


@click.command()
@_options
def promote(door: Door, /, name: str, key: str, **asked: Any) -> None:
    """Make a regular node a master candidate."""
    _change(door, name, key, Change.PROMOTE, **asked)


@click.command()
@_options
def demote(door: Door, /, name: str, key: str, **asked: Any) -> None:
    """Make a master candidate a regular node; Ganeti may make another one instead."""
    _change(door, name, key, Change.DEMOTE, **asked)
