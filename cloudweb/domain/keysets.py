"""A page of a list: what comes after a place in its order, however long the list is."""

import base64
import binascii
import dataclasses
import datetime as dt
import enum
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain.filters import Column, Sort
from cloudweb.models.meta import UtcDateTime

COUNTED = 10_000
"""Counting a list goes no further than one more."""

_LONGEST_PLACE = 2000


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list, and the place after which the next page begins, if there is one."""

    rows: Sequence[tuple[Any, ...]]
    following: str | None


def page(
    session: Session,
    query: sa.Select[Any],
    sorts: Sequence[Sort],
    *,
    after: str = "",
    limit: int,
) -> Page:
    """At most ``limit`` rows in this order, after that place; one statement.

    The order must tell any two rows apart. A place that is none of this order counts as none.
    """
    width = len(query.column_descriptions)
    keys = [sa.type_coerce(sort.field.column, sort.field.column.type) for sort in sorts]
    wanted = query.add_columns(*(key.label(f"key_{n}") for n, key in enumerate(keys)))
    place = _read(after, sorts) if after else None
    if place is not None:
        wanted = wanted.where(_after(sorts, place))
    wanted = wanted.order_by(None).order_by(*(each for sort in sorts for each in sort.order()))
    found = session.execute(wanted.limit(limit + 1)).all()
    more = len(found) > limit
    rows = [tuple(row[:width]) for row in found[:limit]]
    return Page(rows, _write(found[limit - 1][width:]) if more else None)


def counting(query: sa.Select[*tuple[Any, ...]]) -> sa.Select[int]:
    """The query of how many rows there are, counted no further than COUNTED + 1."""
    some = query.with_only_columns(sa.literal(1).label("one"), maintain_column_froms=True)
    limited = some.order_by(None).limit(COUNTED + 1).subquery()
    return sa.select(sa.func.count()).select_from(limited)


def count(session: Session, query: sa.Select[Any]) -> int:
    """How many rows there are, counted no further than COUNTED + 1; one statement."""
    return session.scalar(counting(query)) or 0


def count_each(session: Session, queries: Sequence[sa.Select[Any]]) -> Sequence[int]:
    """The same of several queries; one statement."""
    counted = (counting(query).scalar_subquery().label(f"c{n}") for n, query in enumerate(queries))
    return tuple(session.execute(sa.select(*counted)).one())


def newest(session: Session, column: Column) -> Any:
    """The highest there is of what only grows, None where there are no rows; one statement."""
    return session.scalar(sa.select(sa.func.max(column)))


# --- places -------------------------------------------------------------------------------------


def _write(values: Sequence[Any]) -> str:
    plain = [
        each.isoformat()
        if isinstance(each, dt.datetime)
        else (each.value if isinstance(each, enum.Enum) else each)
        for each in values
    ]
    return base64.urlsafe_b64encode(orjson.dumps(plain, default=float)).decode().rstrip("=")


def _read(text: str, sorts: Sequence[Sort]) -> list[Any] | None:
    if len(text) > _LONGEST_PLACE or not text.isascii():
        return None
    try:
        values = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if not isinstance(values, list) or len(values) != len(sorts):
            return None
        return [_value(sort, value) for sort, value in zip(sorts, values, strict=True)]
    except (binascii.Error, ValueError, TypeError, AttributeError):
        return None


def _value(sort: Sort, value: Any) -> Any:
    """A value of the order's column. Raises ValueError, TypeError for one that cannot be."""
    column = sort.field.column.type
    if value is None:
        if not sort.field.nullable:
            raise ValueError
        return None
    if isinstance(column, sa.Enum) and column.enum_class is not None:
        return column.enum_class(value)
    if isinstance(column, (UtcDateTime, sa.DateTime)):
        time = dt.datetime.fromisoformat(value)
        if time.tzinfo is None:
            raise ValueError
        return time
    if isinstance(column, sa.Boolean):
        return bool(value)
    if isinstance(column, (sa.Integer, sa.Numeric)):
        if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) >= 2**63:
            raise ValueError
        return value
    if not isinstance(value, str) or "\0" in value:
        raise ValueError
    return value


def _after(sorts: Sequence[Sort], place: Sequence[Any]) -> sa.ColumnElement[bool]:
    """Whether a row comes later in the order: in its first key that differs."""
    keys = list(_keys(sorts, place))
    ways = [
        sa.and_(*(same for same, _later in keys[:n]), later)
        for n, (_same, later) in enumerate(keys)
    ]
    return sa.or_(*ways)


def _keys(
    sorts: Sequence[Sort], place: Sequence[Any]
) -> Iterator[tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]]:
    """For each key: whether a row is alike in it, and whether it is later."""
    for sort, value in zip(sorts, place, strict=True):
        column = sort.field.column
        if value is None:
            # What has no value is last: nothing is later, and all of these are alike.
            yield column.is_(None), sa.false()
            continue
        later = column < value if sort.descending else column > value
        if sort.field.nullable:
            later = sa.or_(later, column.is_(None))
        yield column == value, later
