"""Moving servers to other nodes, as ``cloudweb server`` and ``cloudweb node`` do it."""

from collections.abc import Callable
from typing import Any

import click

from cloudweb.cli import printing, waiting
from cloudweb.cli.door import Door, pass_door
from cloudweb.cli.nodes import node_row
from cloudweb.cli.refusals import Refused
from cloudweb.domain import fleet, moves, nodes, operation_lists, servers
from cloudweb.domain.moves import Part, Step, Verb
from cloudweb.models import Backend, Operation, Server

STEPS = {"server": "SERVER", "name": "NAME", "node": "NODE", "way": "WAY", "why": "WHY"}
MOVES = {
    "operation": "OPERATION",
    "opcode": "OPCODE",
    "target": "INSTANCE",
    "state": "STATE",
    "error": "ERROR",
}

_OPTIONS = (
    click.option("--dry-run", is_flag=True, help="Say what would become of each; change nothing."),
    click.option("--reason", default="", help="Why; kept in the audit. Required."),
    click.option("--wait", is_flag=True, help="Until all have ended; status 1 if one failed."),
    waiting.timeout_option,
    printing.as_json,
)


def options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of all that move."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def step_row(step: Step) -> dict[str, Any]:
    """What would become of a server, as commands print it."""
    return {
        "server": step.server.id,
        "name": step.server.name,
        "node": step.server.node,
        "way": step.way.value,
        "why": step.why,
        "done": step.done,
    }


def move_row(operation: Operation) -> dict[str, Any]:
    """A move, under way or over, as commands print it."""
    return {
        "operation": operation.id,
        "opcode": operation.opcode,
        "target": operation.target,
        "server": operation.server_id,
        "from": operation.arguments.get("from"),
        "state": operation.state.value,
        "error": operation.error or None,
    }


@click.command()
@click.argument("server_id", type=int, metavar="ID")
@click.option("--to", metavar="NODE", help="To this one. Default: one that Ganeti chooses.")
@options
@pass_door
def migrate(door: Door, /, server_id: int, to: str | None, **asked: Any) -> None:
    """Bring a server to another node while it runs."""
    _move(door, server_id, to, Verb.MIGRATE, **asked)


@click.command()
@click.argument("server_id", type=int, metavar="ID")
@click.option("--to", metavar="NODE", help="To this one. Default: one that Ganeti chooses.")
@options
@pass_door
def failover(door: Door, /, server_id: int, to: str | None, **asked: Any) -> None:
    """Shut a server down and start it on another node; one that does not run is only moved."""
    _move(door, server_id, to, Verb.FAILOVER, **asked)


def _move(
    door: Door,
    server_id: int,
    to: str | None,
    verb: Verb,
    *,
    dry_run: bool,
    reason: str,
    wait: bool,
    timeout_s: int,
    as_json: bool,
) -> None:
    if dry_run:
        with door.reading() as session:
            server = session.get(Server, server_id)
            if server is None or server.deleted:
                raise Refused(f"No server {server_id}.")
            backend = session.get_one(Backend, server.backend_id)
            servers.check_online(session, server)
            node = moves.get_node(session, backend, to).name if to is not None else None
            step = moves.plan_server(session, server, backend, verb=verb, to=node)
        printing.listing([step_row(step)], STEPS, as_json=as_json)
        return
    _check_reason(reason)
    with door.changing() as session:
        operation = moves.move(session, door.identity, server_id, verb=verb, reason=reason, to=to)
    told(door, [operation], wait=wait, timeout_s=timeout_s, as_json=as_json)


def _empty(
    door: Door,
    key: str,
    name: str,
    verb: Verb,
    *,
    dry_run: bool,
    reason: str,
    wait: bool,
    timeout_s: int,
    as_json: bool,
    only: str | None = None,
) -> None:
    """Move the servers of a node, or say what would become of them."""
    part = Part(only or Part.ALL)
    if dry_run:
        with door.reading() as session:
            backend = fleet.by_key(session, key)
            node = moves.get_node(session, backend, name)
            plan = moves.plan_node(session, backend, node, verb=verb, part=part)
        printing.listing([step_row(step) for step in plan.steps], STEPS, as_json=as_json)
        if plan.foreign:
            printing.warn(f"{plan.foreign} instances there are none of our servers, and stay.")
        if plan.mirrors:
            printing.warn(f"Mirrors of {plan.mirrors} instances are made on other nodes.")
        return
    _check_reason(reason)
    with door.changing() as session:
        backend = fleet.by_key(session, key)
        node = moves.get_node(session, backend, name)
        made = moves.empty(
            *(session, door.identity, backend, node), verb=verb, reason=reason, part=part
        )
        left = [
            step
            for step in moves.plan_node(session, backend, node, verb=verb, part=part).steps
            if step.server.id not in {operation.server_id for operation in made}
        ]
    for step in left:
        printing.warn(f"Server {step.server.id} stays: {step.way.value}. {step.why}")
    told(door, made, wait=wait, timeout_s=timeout_s, as_json=as_json)


_backend = click.option(
    "--backend", "key", metavar="BACKEND", required=True, help="Its cluster, by id or name."
)


@click.command()
@click.argument("name")
@_backend
@printing.as_json
@pass_door
def show_node(door: Door, name: str, key: str, as_json: bool) -> None:
    """Show a node, what would become of its servers, and the moves off it."""
    with door.reading() as session:
        backend = fleet.by_key(session, key)
        found = moves.get_node(session, backend, name)
        plan = moves.plan_node(session, backend, found, verb=Verb.EVACUATE)
        under_way = moves.list_moves(session, backend, found)
    row = node_row(nodes.NodeRow(backend, found)) | {"foreign": plan.foreign}
    steps = [step_row(step) for step in plan.steps]
    moved = [move_row(each) for each in under_way]
    if as_json:
        printing.record(row | {"servers": steps, "moves": moved}, as_json=True)
        return
    printing.record(row, as_json=False)
    for rows, columns in ((steps, STEPS), (moved, MOVES)):
        click.echo()
        printing.listing(rows, columns, as_json=False)


@click.command()
@click.argument("name")
@_backend
@options
@pass_door
def migrate_node(door: Door, /, name: str, key: str, **asked: Any) -> None:
    """Move the servers of a node live; those that cannot be stay, and are named."""
    _empty(door, key, name, Verb.MIGRATE, **asked)


@click.command()
@click.argument("name")
@_backend
@click.option(
    "--only",
    type=click.Choice([Part.PRIMARIES.value, Part.SECONDARIES.value]),
    help="The servers there, or the mirrors of others' disks. Default: both.",
)
@options
@pass_door
def evacuate_node(door: Door, /, name: str, key: str, **asked: Any) -> None:
    """Move all servers off a node: live, or where that cannot be, by shutting them down.

    Mirrors of disks that others have there are made elsewhere.
    """
    _empty(door, key, name, Verb.EVACUATE, **asked)


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise click.UsageError("Missing option '--reason': it is kept in the audit.")


def told(door: Door, made: list[Operation], *, wait: bool, timeout_s: int, as_json: bool) -> None:
    """Print what was asked for, having waited for it if that is wanted."""
    refused: Refused | None = None
    if wait:
        ids = [operation.id for operation in made]
        try:
            waiting.follow(door, ids, timeout_s=timeout_s)
        except Refused as error:
            refused = error
        with door.reading() as session:
            made = list(operation_lists.list_by_ids(session, ids))
    printing.listing([move_row(each) for each in made], MOVES, as_json=as_json)
    if refused is not None:
        raise refused
