"""Pools in operators' hands: keeping values from use, removing pools, and what is wrong in them."""

import dataclasses
import enum
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit, pools
from cloudweb.domain.identity import Identity
from cloudweb.models import (
    Network,
    NetworkKind,
    Nic,
    Pool,
    PoolKind,
    PoolUse,
    PoolValue,
    Server,
)

_VALUES = cast("sa.Table", PoolValue.__table__)

# --- keeping values from use --------------------------------------------------------------------


def reserve(
    session: Session, identity: Identity, pool: Pool, values: Sequence[str], *, reason: str
) -> int:
    """Keep values from use; how many were free. Raises BadRequest, Conflict naming a holder."""
    if len(reason) > 255:
        raise faults.BadRequest("The reason has at most 255 characters.")
    changed = _change(session, pool, values, PoolUse.FREE, PoolUse.RESERVED, reason)
    audit.record(
        *(session, identity, "pool:reserve", "pool", pool.id),
        reason=reason,
        values=list(values),
        before="free",
        after="reserved",
    )
    return changed


def release(session: Session, identity: Identity, pool: Pool, values: Sequence[str]) -> int:
    """Let values be taken that were kept from use; how many were.

    Raises BadRequest for those that never can be taken, Conflict naming a holder.
    """
    never = pools.never_free(session, pool)
    for text in values:
        if pools.number_of(pool, text) in never:
            raise faults.BadRequest(f"{text} can never be taken.")
    changed = _change(session, pool, values, PoolUse.RESERVED, PoolUse.FREE, "")
    audit.record(
        *(session, identity, "pool:release", "pool", pool.id),
        values=list(values),
        before="reserved",
        after="free",
    )
    return changed


def _change(
    session: Session, pool: Pool, values: Sequence[str], before: PoolUse, after: PoolUse, why: str
) -> int:
    session.flush()  # a refresh would undo what was changed before
    session.refresh(pool, with_for_update=True)
    changed = 0
    for text in values:
        number = pools.number_of(pool, text)
        if number is None:
            raise faults.BadRequest(f"{text} is not of pool {pool.id}.")
        here = sa.and_(_VALUES.c.pool_id == pool.id, _VALUES.c.number == number)
        row = session.execute(sa.select(_VALUES).where(here).with_for_update()).one()
        if row.use == PoolUse.HELD:
            raise faults.Conflict(
                f"{text} is held by {pools.holder_name(session, row.holder_kind, row.holder_id)}."
            )
        if row.use == before:
            session.execute(sa.update(_VALUES).where(here).values(use=after, reason=why))
            changed += 1
    return changed


def remove(session: Session, identity: Identity, pool: Pool) -> None:
    """Do away with a pool nobody holds a value of.

    Raises Conflict naming a holder, BadRequest for the addresses of a network.
    """
    if pool.network_id is not None:
        raise faults.BadRequest("Addresses go with their network.")
    session.refresh(pool, with_for_update=True)
    mine = _VALUES.c.pool_id == pool.id
    held = session.execute(
        sa.select(_VALUES)
        .where(mine, _VALUES.c.use == PoolUse.HELD)
        .order_by(_VALUES.c.number)
        .limit(1)
    ).one_or_none()
    if held is not None:
        name = pools.holder_name(session, held.holder_kind, held.holder_id)
        raise faults.Conflict(f"{pools.value(pool, held.number)} is held by {name}.")
    session.execute(sa.delete(_VALUES).where(mine))
    audit.record(
        *(session, identity, "pool:remove", "pool", pool.id),
        kind=pool.kind,
        base=pool.base,
        before=f"{pool.size} values",
        after="removed",
    )
    session.delete(pool)


# --- what is wrong ------------------------------------------------------------------------------


class Wrong(enum.StrEnum):
    """What can be wrong with a value."""

    LEAKED = "leaked"
    """Held for something that does not use it, or is gone."""
    UNHELD = "unheld"
    """Used, and free to be given to another."""
    DOUBLED = "doubled"
    """Used by two, or held for another than uses it: a person has to decide."""
    MISSING = "missing"
    """The pool has fewer or more rows than its size."""


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong in a pool."""

    pool: Pool
    wrong: Wrong
    value: str
    who: str


Holder = tuple[str, int]


def check(session: Session, *, pool_id: int | None = None) -> list[Finding]:
    """What is wrong in the pools (or one), by pool and value; six statements."""
    query = sa.select(Pool).order_by(Pool.id)
    found = session.scalars(query.where(Pool.id == pool_id) if pool_id else query).all()
    held, counts = _held(session), _counts(session)
    addresses, prefixes, links = _addresses(session), *_of_networks(session)
    findings: list[Finding] = []
    for pool in found:
        if pool.kind is PoolKind.IPV4:
            using = addresses.get(pool.network_id or 0, {})
        else:
            using = prefixes if pool.kind is PoolKind.MAC_PREFIX else links
        findings += _check(pool, using, held.get(pool.id, {}))
        if counts.get(pool.id, 0) != pool.size:
            said = f"{counts.get(pool.id, 0)} rows for {pool.size}"
            findings.append(Finding(pool, Wrong.MISSING, "", said))
    return findings


_Using = dict[str, list[Holder]]
_Rows = dict[int, tuple[PoolUse, Holder]]


def _check(pool: Pool, using: _Using, rows: _Rows) -> Iterator[Finding]:
    places = {pools.number_of(pool, text): users for text, users in using.items()}
    for number in sorted({*rows, *(place for place in places if place is not None)}):
        use, holder = rows.get(number, (PoolUse.FREE, ("", 0)))
        users = places.get(number, [])
        wrong = _wrong(use, holder, users)
        if wrong is not None:
            shown = users or [holder]
            if wrong is Wrong.DOUBLED and use is PoolUse.HELD and holder not in users:
                shown = [holder, *users]
            names = ", ".join(f"{kind} {id_}" for kind, id_ in shown)
            yield Finding(pool, wrong, pools.value(pool, number), names)


def _wrong(use: PoolUse, holder: Holder, users: list[Holder]) -> Wrong | None:
    if len(users) > 1:
        return Wrong.DOUBLED
    if use is PoolUse.HELD:
        if not users:
            return Wrong.LEAKED
        return None if users == [holder] else Wrong.DOUBLED
    return Wrong.UNHELD if users and use is PoolUse.FREE else None


def _held(session: Session) -> dict[int, _Rows]:
    rows: dict[int, _Rows] = defaultdict(dict)
    columns = [_VALUES.c[name] for name in ("pool_id", "number", "use", "holder_kind", "holder_id")]
    for pool_id, number, use, kind, holder_id in session.execute(
        sa.select(*columns).where(_VALUES.c.use != PoolUse.FREE)
    ):
        rows[pool_id][number] = (use, (kind or "", holder_id or 0))
    return rows


def _counts(session: Session) -> dict[int, int]:
    query = sa.select(_VALUES.c.pool_id, sa.func.count()).group_by(_VALUES.c.pool_id)
    return {row[0]: row[1] for row in session.execute(query)}


def _addresses(session: Session) -> dict[int, _Using]:
    """Who has which address of each network; cards of deleted servers are gone."""
    using: dict[int, _Using] = defaultdict(lambda: defaultdict(list))
    rows = session.execute(
        sa.select(Nic.network_id, Nic.ipv4, Nic.server_id)
        .join(Server, Server.id == Nic.server_id)
        .where(Nic.ipv4.is_not(None), Server.deleted == sa.false())
        .order_by(Nic.server_id)
        .distinct()
    )
    for network_id, address, server_id in rows:
        using[network_id][str(address)].append((pools.SERVER, server_id))
    return using


def _of_networks(session: Session) -> tuple[_Using, _Using]:
    """Which networks have which MAC prefix, and which bridge of the pools."""
    prefixes: _Using = defaultdict(list)
    links: _Using = defaultdict(list)
    rows = session.execute(
        sa.select(Network.id, Network.kind, Network.mac_prefix, Network.link)
        .where(Network.deleted == sa.false())
        .order_by(Network.id)
    )
    for network_id, kind, prefix, link in rows:
        if prefix:
            prefixes[prefix].append((pools.NETWORK, network_id))
        if kind is NetworkKind.PHYSICAL_VLAN and link:
            links[link].append((pools.NETWORK, network_id))
    return prefixes, links


def mend(
    session: Session, identity: Identity, findings: Sequence[Finding], *, reason: str
) -> list[Finding]:
    """Free what leaked and hold what is used, where that is still so; what was mended.

    Doubled values and missing rows are left to a person.
    """
    clear = (each for each in findings if each.wrong in (Wrong.LEAKED, Wrong.UNHELD))
    mended = [each for each in clear if mend_value(session, each)]
    if mended:
        audit.record(
            session,
            identity,
            "pool:mend",
            "pool",
            ",".join(sorted({str(each.pool.id) for each in mended}))[:50],
            reason=reason,
            mended=[f"{each.wrong}: {each.value} ({each.who})" for each in mended[:100]],
            count=len(mended),
        )
    return mended


def mend_value(session: Session, finding: Finding) -> bool:
    """Change one value, leaked or not held, if it is as it was found; whether it was."""
    kind, _, holder_id = finding.who.partition(" ")
    number = pools.number_of(finding.pool, finding.value)
    where = [_VALUES.c.pool_id == finding.pool.id, _VALUES.c.number == number]
    if finding.wrong is Wrong.LEAKED:
        where += [
            _VALUES.c.use == PoolUse.HELD,
            _VALUES.c.holder_kind == kind,
            _VALUES.c.holder_id == int(holder_id),
        ]
        change: dict[str, object] = {
            "use": PoolUse.FREE,
            "holder_kind": None,
            "holder_id": None,
        }
    else:
        where.append(_VALUES.c.use == PoolUse.FREE)
        change = {"use": PoolUse.HELD, "holder_kind": kind, "holder_id": int(holder_id)}
    done = session.execute(sa.update(_VALUES).where(*where).values(**change))
    return cast("int", done.rowcount) > 0  # type: ignore[attr-defined]
