"""Pools of bridges, MAC prefixes and addresses: making them, taking values and giving them back.

Every value is a row from the start. Taking one locks a free row and passes over those that others
are just taking, so it neither waits nor takes longer the fuller the pool is. No lock is waited for
here: a value that somebody is about to take counts as taken.
"""

import ipaddress
import re
from collections.abc import Collection, Mapping
from typing import cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit
from cloudweb.domain.identity import Identity
from cloudweb.models import MAX_ID, Network, Pool, PoolKind, PoolUse, PoolValue, Server

MAX_SIZE = 65_536
SERVER, NETWORK = "server", "network"
"""What holds a value: the ``holder_kind``."""

_VALUES = cast("sa.Table", PoolValue.__table__)
_BRIDGE_BASE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,8}[A-Za-z_.-]|[A-Za-z]")
_NAMED = 5
"""How many holders a refusal names."""
_MAC_BASE = re.compile(r"[0-9a-f]{2}:[0-9a-f]{2}:[0-9a-f]")
_MAC_END = 1 << 20
# The two lowest bits of a MAC's first octet, in a prefix of five digits: unicast is 0 in the
# lower, locally administered is 1 in the higher.
_MAC_BITS, _MAC_LOCAL_UNICAST = 0x3000, 0x2000


# --- values -------------------------------------------------------------------------------------


def value(pool: Pool, number: int) -> str:
    """The value at a place: ``prv1`` is at 0 of ``prv``, a prefix or address is base + number."""
    if pool.kind is PoolKind.BRIDGE:
        return f"{pool.base}{number + 1}"
    if pool.kind is PoolKind.IPV4:
        return str(ipaddress.IPv4Address(pool.base) + number)
    digits = f"{_mac_number(pool.base) + number:05x}"
    return f"{digits[:2]}:{digits[2:4]}:{digits[4]}"


def number_of(pool: Pool, text: str) -> int | None:
    """The place of a value in the pool; None when it is not one of the pool's."""
    try:
        if pool.kind is PoolKind.BRIDGE:
            number = int(text.removeprefix(pool.base)) - 1
        elif pool.kind is PoolKind.IPV4:
            number = int(ipaddress.IPv4Address(text)) - int(ipaddress.IPv4Address(pool.base))
        else:
            number = _mac_number(text) - _mac_number(pool.base)
    except ValueError:
        return None
    return number if 0 <= number < pool.size and value(pool, number) == text else None


def _mac_number(prefix: str) -> int:
    return int(prefix.replace(":", ""), 16)


# --- making them --------------------------------------------------------------------------------


def create(session: Session, identity: Identity, *, kind: PoolKind, base: str, size: int) -> Pool:
    """A pool of bridges ``base1``, ``base2``… or of MAC prefixes from ``base`` on.

    Of MAC prefixes the first, and all that are not locally administered unicast, are reserved.
    Raises BadRequest for what cannot be one, Conflict where it would overlap with another.
    """
    _check(kind, base, size)
    _check_overlap(session, kind, base, size)
    pool = Pool(kind=kind, base=base, size=size)
    session.add(pool)
    session.flush()  # the values name its id
    _fill(session, pool)
    audit.record(
        *(session, identity, "pool:create", "pool", pool.id),
        kind=kind.value,
        base=base,
        size=size,
        after=f"{size} values",
    )
    return pool


def create_addresses(session: Session, network: Network) -> Pool:
    """The addresses of a network's ``cidr``; its first, its last and the gateway are reserved."""
    assert network.cidr is not None
    subnet = ipaddress.IPv4Network(network.cidr)
    if subnet.num_addresses > MAX_SIZE:
        raise faults.OverLimit("Unsupported network size")
    pool = Pool(
        kind=PoolKind.IPV4,
        base=str(subnet.network_address),
        size=subnet.num_addresses,
        network_id=network.id,
    )
    session.add(pool)
    session.flush()  # the values name its id
    _fill(session, pool, _ends_and_gateway(pool, network))
    return pool


def _ends_and_gateway(pool: Pool, network: Network) -> set[int]:
    gateway = number_of(pool, network.gateway) if network.gateway is not None else None
    return {0, pool.size - 1} | ({gateway} if gateway is not None else set())


def never_free(session: Session, pool: Pool) -> set[int]:
    """The places of the values that the kind of pool keeps from use."""
    if pool.network_id is not None:
        return _ends_and_gateway(pool, session.get_one(Network, pool.network_id))
    if pool.kind is not PoolKind.MAC_PREFIX:
        return set()
    base = _mac_number(pool.base)
    wrong = (n for n in range(pool.size) if (n + base) & _MAC_BITS != _MAC_LOCAL_UNICAST)
    return {0, *wrong}


def _check(kind: PoolKind, base: str, size: int) -> None:
    if not 1 <= size <= MAX_SIZE:
        raise faults.BadRequest(f"A pool has 1 to {MAX_SIZE} values.")
    if kind is PoolKind.BRIDGE:
        # A base that ends in a digit could make the bridges of another.
        if not _BRIDGE_BASE.fullmatch(base) or len(f"{base}{size}") > 15:
            raise faults.BadRequest(
                "The base of a bridge pool is a name such as prv: no digit at its end, and no "
                "bridge longer than 15 characters."
            )
    elif kind is PoolKind.MAC_PREFIX:
        if not _MAC_BASE.fullmatch(base):
            raise faults.BadRequest("The base of a MAC prefix pool is like aa:00:0.")
        if _mac_number(base) + size > _MAC_END:
            raise faults.BadRequest(f"There are not {size} MAC prefixes from {base} on.")
    else:
        raise faults.BadRequest("Addresses come with their network.")


def _check_overlap(
    session: Session, kind: PoolKind, base: str, size: int, *, but: int | None = None
) -> None:
    for other in session.scalars(sa.select(Pool).where(Pool.kind == kind, Pool.id != (but or 0))):
        if kind is PoolKind.BRIDGE:
            overlaps = other.base == base
        else:
            first, others = _mac_number(base), _mac_number(other.base)
            overlaps = first < others + other.size and others < first + size
        if overlaps:
            raise faults.Conflict(f"Pool {other.id} has values of this one.")


def _fill(session: Session, pool: Pool, reserved: Collection[int] = (), *, since: int = 0) -> None:
    """Make the rows of the values from ``since`` on; one statement, run by the database."""
    # Two digits of base 256, as MariaDB ends a recursion after a thousand rounds.
    first = sa.select(sa.literal(0).label("n")).cte("digits", recursive=True)
    digits = first.union_all(sa.select(first.c.n + 1).where(first.c.n < 255))
    high, low = digits.alias("high"), digits.alias("low")
    number = high.c.n * 256 + low.c.n
    use = sa.case((_is_reserved(pool, number, reserved), PoolUse.RESERVED.value), else_="free")
    rows = (
        sa.select(sa.literal(pool.id), number, use, sa.literal(""))
        .select_from(high.join(low, sa.true()))
        .where(number >= since, number < pool.size)
    )
    columns = [_VALUES.c[name] for name in ("pool_id", "number", "use", "reason")]
    session.connection().execute(sa.insert(_VALUES).from_select(columns, rows))


def _is_reserved(
    pool: Pool, number: sa.ColumnElement[int], reserved: Collection[int]
) -> sa.ColumnElement[bool]:
    if pool.kind is PoolKind.MAC_PREFIX:
        bits = (number + _mac_number(pool.base)).bitwise_and(_MAC_BITS)
        return sa.or_(number == 0, bits != _MAC_LOCAL_UNICAST)
    return number.in_(sorted(reserved)) if reserved else sa.false()


def resize(session: Session, identity: Identity, pool: Pool, *, size: int) -> None:
    """Give a pool of bridges or MAC prefixes more values, or fewer.

    Raises Conflict, which names the holders, while some of those to go are held.
    """
    session.flush()  # a refresh would undo what was changed before
    session.refresh(pool, with_for_update=True)
    _check(pool.kind, pool.base, size)
    _check_overlap(session, pool.kind, pool.base, size, but=pool.id)
    before, pool.size = pool.size, size
    if size > before:
        _fill(session, pool, since=before)
    elif size < before:
        _drop_from(session, pool, size)
    audit.record(session, identity, "pool:resize", "pool", pool.id, before=before, after=size)


def _drop_from(session: Session, pool: Pool, number: int) -> None:
    beyond = sa.and_(_VALUES.c.pool_id == pool.id, _VALUES.c.number >= number)
    held = session.execute(
        sa.select(_VALUES.c.number, _VALUES.c.holder_kind, _VALUES.c.holder_id)
        .where(beyond, _VALUES.c.use != PoolUse.FREE, _VALUES.c.holder_id.is_not(None))
        .order_by(_VALUES.c.number)
    ).all()
    if held:
        said = [
            f"{value(pool, row.number)} is held by"
            f" {holder_name(session, row.holder_kind, row.holder_id)}"
            for row in held[:_NAMED]
        ]
        more = f", and {len(held) - _NAMED} more are held" if len(held) > _NAMED else ""
        raise faults.Conflict(f"{', '.join(said)}{more}.")
    session.execute(sa.delete(_VALUES).where(beyond))


Holder = tuple[str | None, int | None]
"""What has a value: its kind and id."""


def holder_name(session: Session, kind: str | None, holder_id: int | None) -> str:
    """A holder as operators know it: kind, id and, if it has one, name."""
    return holder_names(session, [(kind, holder_id)])[kind, holder_id]


def holder_names(session: Session, holders: Collection[Holder]) -> Mapping[Holder, str]:
    """Holders as operators know them; at most two statements."""
    names: dict[Holder, str] = {}
    for kind, table in ((SERVER, Server), (NETWORK, Network)):
        ids = sorted({id_ for of, id_ in holders if of == kind and id_ is not None})
        if ids:
            rows = session.execute(sa.select(table.id, table.name).where(table.id.in_(ids)))
            names |= {(kind, id_): f" ({name})" for id_, name in rows if name}
    return {(kind, id_): f"{kind} {id_}{names.get((kind, id_), '')}" for kind, id_ in holders}


def keep_from_use(session: Session, pool: Pool, numbers: Collection[int]) -> None:
    """Reserve the free ones of these places, as the cluster does."""
    session.execute(
        sa.update(_VALUES)
        .where(
            _VALUES.c.pool_id == pool.id,
            _VALUES.c.number.in_(sorted(numbers)),
            _VALUES.c.use == PoolUse.FREE,
        )
        .values(use=PoolUse.RESERVED)
    )


# --- taking and giving back ---------------------------------------------------------------------


def take(session: Session, kind: PoolKind, *, holder_kind: str, holder_id: int) -> str:
    """The lowest free bridge or MAC prefix, of the oldest pool that has one.

    Raises ServiceUnavailable when there is none.
    """
    for pool in session.scalars(sa.select(Pool).where(Pool.kind == kind).order_by(Pool.id)):
        taken = _take(session, pool, holder_kind, holder_id)
        if taken is not None:
            return taken
    raise faults.ServiceUnavailable("Failed to allocate network resources")


def take_address(session: Session, network: Network, *, server_id: int) -> str:
    """The lowest free address of a network, for a server. Raises OverLimit when it is full."""
    pool = find_addresses(session, network.id)
    taken = _take(session, pool, SERVER, server_id) if pool is not None else None
    if taken is None:
        raise faults.OverLimit("Network is full")
    return taken


def _take(session: Session, pool: Pool, holder_kind: str, holder_id: int) -> str | None:
    number = session.scalar(
        sa.select(_VALUES.c.number)
        .where(_VALUES.c.pool_id == pool.id, _VALUES.c.use == PoolUse.FREE)
        .order_by(_VALUES.c.number)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if number is None:
        return None
    _hold(session, pool, number, holder_kind, holder_id)
    return value(pool, number)


def _hold(session: Session, pool: Pool, number: int, holder_kind: str, holder_id: int) -> None:
    session.execute(
        sa.update(_VALUES)
        .where(_VALUES.c.pool_id == pool.id, _VALUES.c.number == number)
        .values(use=PoolUse.HELD, holder_kind=holder_kind, holder_id=holder_id)
    )


def hold_address(session: Session, network_id: int, address: str, *, server_id: int) -> bool:
    """Note that a server has this address; False for one that is not of the network's pool.

    An operator's reservation stays. Raises Conflict when another has the address.
    """
    pool = find_addresses(session, network_id)
    number = number_of(pool, address) if pool is not None else None
    if pool is None or number is None:
        return False
    row = session.execute(
        sa.select(_VALUES.c.use, _VALUES.c.holder_kind, _VALUES.c.holder_id)
        .where(_VALUES.c.pool_id == pool.id, _VALUES.c.number == number)
        .with_for_update()
    ).one()
    if row.use == PoolUse.FREE:
        _hold(session, pool, number, SERVER, server_id)
    elif row.use == PoolUse.HELD and (row.holder_kind, row.holder_id) != (SERVER, server_id):
        raise faults.Conflict(f"{address} is held by {row.holder_kind} {row.holder_id}.")
    return True


def release_address(
    session: Session, network_id: int, address: str, *, server_id: int | None = None
) -> bool:
    """Give an address back, if it is held (by this server); whether it was."""
    pool = find_addresses(session, network_id)
    number = number_of(pool, address) if pool is not None else None
    if pool is None or number is None:
        return False
    where = [_VALUES.c.pool_id == pool.id, _VALUES.c.number == number]
    if server_id is not None:
        where += [_VALUES.c.holder_kind == SERVER, _VALUES.c.holder_id == server_id]
    return _release(session, *where) > 0


def release_holder(session: Session, holder_kind: str, holder_ids: Collection[int]) -> int:
    """Give back all these hold, of every pool; how many values that were."""
    if not holder_ids:
        return 0
    return _release(
        session, _VALUES.c.holder_kind == holder_kind, _VALUES.c.holder_id.in_(holder_ids)
    )


def _release(session: Session, *where: sa.ColumnElement[bool]) -> int:
    freed = session.execute(
        sa.update(_VALUES)
        .where(_VALUES.c.use == PoolUse.HELD, *where)
        .values(use=PoolUse.FREE, holder_kind=None, holder_id=None)
    )
    return cast("int", freed.rowcount)  # type: ignore[attr-defined]


def lock_addresses(session: Session, network_id: int) -> None:
    """Lock the pool of a network's addresses, not its values; the first lock but the backend's."""
    session.execute(
        sa.select(Pool.id).where(Pool.network_id == network_id).with_for_update(key_share=True)
    )


def remove_addresses(session: Session, network_id: int) -> None:
    """Do away with the addresses of a network that is gone."""
    pool = find_addresses(session, network_id)
    if pool is not None:
        session.execute(sa.delete(_VALUES).where(_VALUES.c.pool_id == pool.id))
        session.delete(pool)


def find_addresses(session: Session, network_id: int) -> Pool | None:
    """The addresses of a network, if it has any of ours."""
    return session.scalar(sa.select(Pool).where(Pool.network_id == network_id))


def has_free_address() -> sa.ColumnElement[bool]:
    """In a query of networks: whether there is an address left, in one that has addresses."""
    free = (
        sa.select(_VALUES.c.number)
        .join(Pool, Pool.id == _VALUES.c.pool_id)
        .where(Pool.network_id == Network.id, _VALUES.c.use == PoolUse.FREE)
    )
    return free.exists()


def get(session: Session, pool_id: int) -> Pool:
    """The pool. Raises ItemNotFound."""
    pool = session.get(Pool, pool_id) if 0 < pool_id <= MAX_ID else None
    if pool is None:
        raise faults.ItemNotFound(f"No pool {pool_id}.")
    return pool
