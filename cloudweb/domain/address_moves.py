"""Cards that turn out to have another address than was known: pools and history follow."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import address_history, pools
from cloudweb.domain.address_history import Had
from cloudweb.domain.hearing_sql import Card
from cloudweb.models import Pool, PoolUse, PoolValue

_Places = dict[tuple[int, int], PoolValue]


def apply(session: Session, moves: Sequence[tuple[Card, str | None]]) -> set[int]:
    """Let cards of locked servers have these addresses in place of their own.

    What they had is given back, what they have is held; an operator's reservation stays, and of an
    address that is in no pool only the history is kept. Gives the ids of the cards that keep what
    they had, as another holds the new one. At most five statements.
    """
    if not moves:
        return set()
    known = _pools(session, {card.network_id for card, _address in moves})
    rows = _lock(session, known, moves)
    for card, _address in moves:
        _give_back(_place(known, rows, card, card.ipv4), card)
    kept: set[int] = set()
    for card, address in moves:
        if not _take(_place(known, rows, card, address), card):
            _take(_place(known, rows, card, card.ipv4), card)
            kept.add(card.id)
    session.flush()
    done = [(card, address) for card, address in moves if card.id not in kept]
    address_history.end(session, [_had(card, card.ipv4) for card, _ in done if card.ipv4])
    address_history.begin(session, [_had(card, address) for card, address in done if address])
    return kept


def _had(card: Card, address: str) -> Had:
    return Had(card.server_id, card.network_id, address)


def _pools(session: Session, network_ids: set[int]) -> dict[int, Pool]:
    rows = session.scalars(sa.select(Pool).where(Pool.network_id.in_(network_ids)))
    return {pool.network_id: pool for pool in rows if pool.network_id is not None}


def _lock(
    session: Session, known: dict[int, Pool], moves: Sequence[tuple[Card, str | None]]
) -> _Places:
    wanted: dict[int, set[int]] = {}
    for card, address in moves:
        pool = known.get(card.network_id)
        for text in (card.ipv4, address):
            number = pools.number_of(pool, text) if pool is not None and text else None
            if pool is not None and number is not None:
                wanted.setdefault(pool.id, set()).add(number)
    if not wanted:
        return {}
    these: list[sa.ColumnElement[Any]] = [
        sa.and_(PoolValue.pool_id == pool_id, PoolValue.number.in_(sorted(numbers)))
        for pool_id, numbers in wanted.items()
    ]
    rows = session.scalars(
        sa.select(PoolValue)
        .where(sa.or_(*these))
        .order_by(PoolValue.pool_id, PoolValue.number)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {(row.pool_id, row.number): row for row in rows}


def _place(
    known: dict[int, Pool], rows: _Places, card: Card, address: str | None
) -> PoolValue | None:
    """The row of an address of a card's network; None for one in no pool."""
    pool = known.get(card.network_id)
    number = pools.number_of(pool, address) if pool is not None and address else None
    return rows.get((pool.id, number)) if pool is not None and number is not None else None


def _give_back(row: PoolValue | None, card: Card) -> None:
    mine = (pools.SERVER, card.server_id)
    if row is not None and row.use is PoolUse.HELD and (row.holder_kind, row.holder_id) == mine:
        row.use, row.holder_kind, row.holder_id = PoolUse.FREE, None, None


def _take(row: PoolValue | None, card: Card) -> bool:
    if row is None or row.use is PoolUse.RESERVED:
        return True
    if row.use is PoolUse.HELD:
        return (row.holder_kind, row.holder_id) == (pools.SERVER, card.server_id)
    row.use, row.holder_kind, row.holder_id = PoolUse.HELD, pools.SERVER, card.server_id
    return True
