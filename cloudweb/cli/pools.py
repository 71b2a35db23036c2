"""``cloudweb pool``: bridges, MAC prefixes and addresses that networks take."""

from collections.abc import Sequence
from typing import Any

import click

from cloudweb.cli import lists, printing
from cloudweb.cli.door import Door, dry_run, given_reason, pass_door, reason_option
from cloudweb.cli.lists import Wanted
from cloudweb.cli.refusals import Refused
from cloudweb.domain import pool_care, pool_lists, pools
from cloudweb.domain.pool_care import Finding
from cloudweb.domain.pool_lists import PoolRow
from cloudweb.models import Pool, PoolKind, PoolUse

_COLUMNS = {
    "id": "ID",
    "kind": "KIND",
    "first": "FIRST",
    "last": "LAST",
    "size": "SIZE",
    "free": "FREE",
    "held": "HELD",
    "reserved": "RESERVED",
    "network": "NETWORK",
}
_FINDINGS = {"pool": "POOL", "kind": "KIND", "wrong": "WRONG", "value": "VALUE", "who": "WHO"}
_VALUES = {"value": "VALUE", "use": "USE", "holder": "HOLDER", "reason": "REASON"}


@click.group()
def pool() -> None:
    """Bridges, MAC prefixes and addresses that networks take."""


@pool.command()
@click.argument("kind", type=click.Choice([PoolKind.BRIDGE.value, PoolKind.MAC_PREFIX.value]))
@click.option("--base", required=True, help="What values begin with (prv), or the first (aa:00:0).")
@click.option("--size", type=click.IntRange(1, pools.MAX_SIZE), required=True, help="How many.")
@reason_option
@dry_run
@printing.as_json
@pass_door
def create(door: Door, kind: str, base: str, size: int, as_json: bool) -> None:
    """Make a pool of bridges or of MAC prefixes; those of addresses come with their network."""
    with door.changing() as session:
        new = pools.create(session, door.identity, kind=PoolKind(kind), base=base, size=size)
        row = _row(pool_lists.get_row(session, new.id))
    said = f"Pool {new.id} has {row['first']} to {row['last']}, {row['free']} of them free."
    printing.done(said, row, as_json=as_json)


@pool.command("list")
@lists.options(pool_lists.FIELDS)
@pass_door
def list_(door: Door, wanted: Wanted) -> None:
    """Show every pool, and how many of its values are used."""
    with door.reading() as session:
        rows = [_row(PoolRow(*each)) for each in wanted.select(session, pool_lists.rows())]
    wanted.show(rows, _COLUMNS)


@pool.command()
@click.argument("pool_id", type=int, metavar="ID")
@click.option("--map", "as_map", is_flag=True, help="As a map: . free, X held, R reserved.")
@printing.as_json
@pass_door
def show(door: Door, pool_id: int, as_map: bool, as_json: bool) -> None:
    """Show a pool and which of its values are held, by what; no more than 1000."""
    with door.reading() as session:
        row = pool_lists.get_row(session, pool_id)
        if as_map:
            uses = pool_lists.list_uses(session, row.pool)
            printing.listing(_map(row.pool, uses), _MAP, as_json=as_json)
            return
        held = pool_lists.list_held(session, row.pool)
    values = [
        {
            "value": each.value,
            "use": each.use.value,
            "holder": f"{each.holder_kind} {each.holder_id}" if each.holder_kind else None,
            "reason": each.reason,
        }
        for each in held
    ]
    if as_json:
        printing.record(_row(row) | {"values": values}, as_json=True)
        return
    printing.record(_row(row), as_json=False)
    click.echo()
    printing.listing(values, _VALUES, as_json=False)


@pool.command()
@click.argument("pool_id", type=int, metavar="ID")
@click.option("--size", type=click.IntRange(1, pools.MAX_SIZE), help="How many.")
@click.option("--reserve", default="", metavar="A,B", help="Values to keep from use.")
@click.option("--release", default="", metavar="A,B", help="Values that can be taken again.")
@given_reason
@dry_run
@printing.as_json
@pass_door
def modify(
    door: Door,
    pool_id: int,
    size: int | None,
    reserve: str,
    release: str,
    reason: str,
    as_json: bool,
) -> None:
    """Give a pool more values, or fewer if those to go are free, and keep values from use.

    All of it or nothing; who holds a value that is in the way is named.
    """
    if size is None and not reserve and not release:
        raise click.UsageError("Nothing to change: name what is to be different.")
    if reserve and not reason:
        raise click.UsageError("Say why values are kept from use: --reason.")
    with door.changing() as session:
        changed = pools.get(session, pool_id)
        if size is not None:
            pools.resize(session, door.identity, changed, size=size)
        if reserve:
            pool_care.reserve(session, door.identity, changed, split_values(reserve), reason=reason)
        if release:
            pool_care.release(session, door.identity, changed, split_values(release))
        row = _row(pool_lists.get_row(session, pool_id))
    said = f"Pool {pool_id} has {row['first']} to {row['last']}, {row['free']} of them free."
    printing.done(said, row, as_json=as_json)


@pool.command()
@click.argument("pool_id", type=int, metavar="ID")
@reason_option
@dry_run
@printing.as_json
@pass_door
def remove(door: Door, pool_id: int, as_json: bool) -> None:
    """Do away with a pool that nobody holds a value of."""
    with door.changing() as session:
        row = _row(pool_lists.get_row(session, pool_id))
        pool_care.remove(session, door.identity, pools.get(session, pool_id))
    printing.done(f"Pool {pool_id} is removed.", row, as_json=as_json)


@pool.command()
@click.argument("pool_id", metavar="[ID]", type=int, required=False)
@click.option("--fix", is_flag=True, help="Free what leaked, and hold what is used.")
@given_reason
@printing.as_json
@pass_door
def check(door: Door, pool_id: int | None, fix: bool, reason: str, as_json: bool) -> None:
    """Look for values that leaked, are used without being held, or twice; status 1 if any stays.

    No cluster is asked: pools are compared with servers' cards and networks.
    """
    with door.changing() if fix else door.reading() as session:
        found = pool_care.check(session, pool_id=pool_id)
        if fix:
            pool_care.mend(session, door.identity, found, reason=reason)
            found = pool_care.check(session, pool_id=pool_id)
    printing.listing([_finding(each) for each in found], _FINDINGS, as_json=as_json)
    if found:
        raise Refused(f"{len(found)} values are not as they should be.")


_MAP = {"first": "FIRST", "map": "MAP", "last": "LAST"}
_SIGNS = {PoolUse.FREE: ".", PoolUse.HELD: "X", PoolUse.RESERVED: "R"}
_PER_LINE = 64


def _map(pool: Pool, uses: Sequence[PoolUse]) -> list[dict[str, Any]]:
    lines = []
    for start in range(0, len(uses), _PER_LINE):
        part = uses[start : start + _PER_LINE]
        signs = "".join(_SIGNS[use] for use in part)
        ends = (pools.value(pool, start), pools.value(pool, start + len(part) - 1))
        lines.append({"first": ends[0], "map": signs, "last": ends[1]})
    return lines


def split_values(text: str) -> list[str]:
    """Values with commas between."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _finding(each: Finding) -> dict[str, Any]:
    return {
        "pool": each.pool.id,
        "kind": each.pool.kind.value,
        "wrong": each.wrong.value,
        "value": each.value,
        "who": each.who,
    }


def _row(each: PoolRow) -> dict[str, Any]:
    found: Pool = each.pool
    return {
        "id": found.id,
        "kind": found.kind.value,
        "base": found.base,
        "first": pools.value(found, 0),
        "last": pools.value(found, found.size - 1),
        "size": found.size,
        "free": each.free,
        "held": each.held,
        "reserved": each.reserved,
        "network": found.network_id,
        "full_on": str(each.full_on) if each.full_on else None,
    }
