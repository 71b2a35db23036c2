"""Pools as pictures and in words: which values are used, in ranges, and who has one of them."""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import pools
from cloudweb.domain.filters import Fields
from cloudweb.models import Pool, PoolUse, PoolValue

_VALUES = cast("sa.Table", PoolValue.__table__)
MOST_BLOCKS = 1024
MOST_AT_ONCE = 256
_DASH = "\N{EN DASH}"
_TO = re.compile(r"\s*(?:" + _DASH + r"|\.\.)\s*")
_SEPARATOR = re.compile(r"[\s,;]+")


VALUE_FIELDS = Fields(
    number=PoolValue.number,
    use=PoolValue.use,
    holder=PoolValue.holder_kind,
    holder_id=PoolValue.holder_id,
    reason=PoolValue.reason,
)
"""What the values of a pool are filtered and sorted by; ``number`` is the place in the pool."""


def values() -> sa.Select[Any]:
    """Every value of every pool."""
    return sa.select(PoolValue)


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring values of a pool, as many as one cell of the map stands for."""

    first: str
    last: str
    free: int
    held: int
    reserved: int

    @property
    def use(self) -> str:
        """What most matters of it: ``held``, ``some`` of them, ``reserved`` or ``free``."""
        if self.held:
            return "some" if self.free else "held"
        return "free" if self.free else "reserved"

    @property
    def only(self) -> PoolUse | None:
        """How all of its values are used, if alike."""
        counts = dict(zip(PoolUse, (self.free, self.held, self.reserved), strict=True))
        known = [use for use, count in counts.items() if count]
        return known[0] if len(known) == 1 else None


def blocks(session: Session, pool: Pool) -> list[Block]:
    """The pool in at most MOST_BLOCKS parts of equal size, in order; one statement."""
    width = -(-pool.size // MOST_BLOCKS)
    place = (_VALUES.c.number // width).label("place")
    counts: dict[int, dict[PoolUse, int]] = {}
    for number, use, count in session.execute(
        sa.select(place, _VALUES.c.use, sa.func.count())
        .where(_VALUES.c.pool_id == pool.id)
        .group_by(place, _VALUES.c.use)
    ):
        counts.setdefault(int(number), {})[use] = count
    return [
        Block(
            pools.value(pool, n * width),
            pools.value(pool, min(pool.size, (n + 1) * width) - 1),
            *(counts.get(n, {}).get(use, 0) for use in PoolUse),
        )
        for n in range(-(-pool.size // width))
    ]


@dataclasses.dataclass(frozen=True, slots=True)
class Range:
    """Values in a row that are all used alike."""

    first: str
    last: str
    count: int
    use: PoolUse


def ranges(
    session: Session, pool: Pool, parts: Sequence[Block], *, limit: int = 100
) -> list[Range]:
    """The first ranges of values used alike, in order, by the pool's blocks; one statement.

    Only of blocks that are used in several ways are the values read, and of no more of those than
    it takes: each of them begins a range.
    """
    width = -(-pool.size // MOST_BLOCKS)
    mixed = [n for n, part in enumerate(parts) if part.only is None][:limit]
    places = sa.or_(
        sa.false(),
        *(_VALUES.c.number.between(n * width, (n + 1) * width - 1) for n in mixed),
    )
    query = sa.select(_VALUES.c.number, _VALUES.c.use).where(_VALUES.c.pool_id == pool.id, places)
    uses: dict[int, PoolUse] = {row.number: row.use for row in session.execute(query)}
    spans: list[tuple[int, int, PoolUse]] = []
    for low, high, use in _spans(pool, parts, width, uses):
        if spans and spans[-1][2] == use:
            spans[-1] = (spans[-1][0], high, use)
        elif len(spans) == limit:
            break
        else:
            spans.append((low, high, use))
    return [
        Range(pools.value(pool, low), pools.value(pool, high), high - low + 1, use)
        for low, high, use in spans
    ]


def _spans(
    pool: Pool, parts: Sequence[Block], width: int, uses: Mapping[int, PoolUse]
) -> Iterator[tuple[int, int, PoolUse]]:
    """First and last place and the use of neighbours, as far as the uses are known."""
    for n, part in enumerate(parts):
        low, high = n * width, min(pool.size, (n + 1) * width) - 1
        if part.only is not None:
            yield low, high, part.only
        elif low in uses:
            yield from ((number, number, uses[number]) for number in range(low, high + 1))
        else:
            return


def parse(pool: Pool, text: str) -> list[str]:
    """The values somebody wrote: one, several, or ranges such as ``prv3-prv9``; in order.

    Raises BadRequest for what is not of the pool, and for more than MOST_AT_ONCE.
    """
    found: set[int] = set()
    for part in filter(None, _SEPARATOR.split(_TO.sub("..", text.strip()))):
        first, last = _ends(pool, part)
        low, high = _number(pool, first), _number(pool, last)
        if low > high:
            raise faults.BadRequest(f"{first} comes after {last}.")
        if high - low >= MOST_AT_ONCE or len(found) > MOST_AT_ONCE:
            raise faults.BadRequest(f"At most {MOST_AT_ONCE} values at a time.")
        found |= set(range(low, high + 1))
    if not found:
        raise faults.BadRequest("Name the values, such as one, several with commas, or a range.")
    if len(found) > MOST_AT_ONCE:
        raise faults.BadRequest(f"At most {MOST_AT_ONCE} values at a time.")
    return [pools.value(pool, number) for number in sorted(found)]


def _ends(pool: Pool, part: str) -> tuple[str, str]:
    """The first and the last of a range; a hyphen may also be in the name of a bridge."""
    if pools.number_of(pool, part) is not None:
        return part, part
    first, dots, last = part.partition("..")
    if dots:
        return first, last
    places = [place for place, character in enumerate(part) if character == "-"]
    for place in places:
        ends = part[:place], part[place + 1 :]
        if all(pools.number_of(pool, end) is not None for end in ends):
            return ends
    return part, part


def _number(pool: Pool, text: str) -> int:
    number = pools.number_of(pool, text)
    if number is None:
        first, last = pools.value(pool, 0), pools.value(pool, pool.size - 1)
        raise faults.BadRequest(
            f"No value matches {text[:60]!r}; this pool is {first}{_DASH}{last}."
        )
    return number


def find(session: Session, pool: Pool, text: str) -> PoolValue:
    """One value, with who has it. Raises BadRequest for one that is not of the pool."""
    number = _number(pool, text.strip())
    return session.get_one(PoolValue, (pool.id, number))


def load(session: Session, pool: Pool, wanted: Sequence[str]) -> list[PoolValue]:
    """These values, in order; one statement."""
    numbers = [pools.number_of(pool, text) for text in wanted]
    query = sa.select(PoolValue).where(PoolValue.pool_id == pool.id, PoolValue.number.in_(numbers))
    return list(session.scalars(query.order_by(PoolValue.number)))


def held_from(session: Session, pool: Pool, number: int, *, limit: int) -> list[PoolValue]:
    """The first values from this place on that somebody has; one statement."""
    query = sa.select(PoolValue).where(
        PoolValue.pool_id == pool.id, PoolValue.number >= number, PoolValue.holder_id.is_not(None)
    )
    return list(session.scalars(query.order_by(PoolValue.number).limit(limit)))
