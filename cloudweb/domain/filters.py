"""The language of lists: ``state=ACTIVE,ram>=2048`` to filter by, ``name,-created`` to sort by.

A list declares its fields once, by what they are called and the SQL they stand for::

    FIELDS = Fields(id=Server.id, name=Server.name, ram=Flavor.ram_mb, owner=User.email)
    query = query.where(*FIELDS.where("ram>=2048, name~web")).order_by(*FIELDS.order("-ram"))

A filter is comparisons with commas between, all of which hold: a field, an operator and a value.
A value in quotes may have commas and spaces in it, and a backslash before a quote or a backslash.
No value at all, as in ``owner=``, is what has none.
"""

import dataclasses
import datetime as dt
import enum
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from cloudweb.faults import BadRequest
from cloudweb.models import MAX_ID, utc_now
from cloudweb.models.meta import UtcDateTime

Column = sa.ColumnElement[Any] | InstrumentedAttribute[Any]
Condition = sa.ColumnElement[bool]
Query = TypeVar("Query", bound=sa.Select[*tuple[Any, ...]])

OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "~")
"""What a field can be compared by; ``~`` finds a text in a text, whatever its case."""

MAX_TEXT = 4096
MAX_TERMS = 30


class Kind(enum.StrEnum):
    """What the values of a field are."""

    TEXT = "text"
    NUMBER = "number"
    YES_NO = "yes or no"
    TIME = "time"
    WORD = "one of"

    @property
    def operators(self) -> tuple[str, ...]:
        """What it can be compared by."""
        match self:
            case Kind.TEXT:
                return ("=", "!=", "~")
            case Kind.NUMBER | Kind.TIME:
                return OPERATORS[:-1]
            case _:
                return ("=", "!=")


@dataclasses.dataclass(frozen=True)
class Field:
    """Something rows of a list have: the SQL for it, and what it can be compared with."""

    column: Column
    kind: Kind
    words: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Of Kind.WORD: each word that may be written, with the value it stands for."""
    nullable: bool = True

    @classmethod
    def of(
        cls, column: Column, *, words: Mapping[str, Any] | None = None, nullable: bool | None = None
    ) -> Self:
        """A field of a column; its kind is that of the column's type, unless there are words.

        ``nullable``: whether a row may have none. Default: as the table says; an outer join may
        make it otherwise.
        """
        kind, known = _kind(column.type)
        if words is not None:
            kind, known = Kind.WORD, words
        if nullable is None:
            nullable = True
            if isinstance(column, InstrumentedAttribute):
                nullable = bool(column.property.columns[0].nullable)
        return cls(column, kind, known, nullable)

    def compare(self, operator: str, value: str) -> Condition:
        """The condition in SQL. Raises BadRequest, with a sentence about the value."""
        if operator not in self.kind.operators:
            raise BadRequest(f"This is compared by {' '.join(self.kind.operators)}.")
        if not value:
            return self._nothing(operator)
        if self.kind is Kind.TEXT:
            if operator == "~":
                return self.column.icontains(value, autoescape=True)
            return _OPERATIONS[operator](self.column, value)
        if self.kind is Kind.TIME:
            return _compare_time(self.column, operator, *_time(value))
        return _OPERATIONS[operator](self.column, self._value(value))

    def _nothing(self, operator: str) -> Condition:
        if operator not in ("=", "!="):
            raise BadRequest(f"A value is missing after {operator}.")
        empty: Condition = self.column.is_(None)
        if self.kind is Kind.TEXT:
            empty = sa.or_(empty, self.column == "")
        return empty if operator == "=" else sa.not_(empty)

    def _value(self, text: str) -> Any:
        if self.kind is Kind.NUMBER:
            return _number(text)
        words = _YES_NO if self.kind is Kind.YES_NO else self.words
        for word, value in words.items():
            if word.casefold() == text.casefold():
                return value
        raise BadRequest(f"{text!r} is none of: {', '.join(words)}.")


@dataclasses.dataclass(frozen=True)
class Term:
    """One comparison, as it was written; as a text it is how it can be written again."""

    field: str
    operator: str
    value: str

    def __str__(self) -> str:
        plain = self.value if _PLAIN.fullmatch(self.value) else _quoted(self.value)
        return f"{self.field}{self.operator}{plain}"


@dataclasses.dataclass(frozen=True)
class Sort:
    """One key of an order."""

    name: str
    field: Field
    descending: bool = False

    def __str__(self) -> str:
        return f"-{self.name}" if self.descending else self.name

    def order(self) -> Iterator[sa.ColumnElement[Any]]:
        """What to order by in SQL; rows without a value are last, on every database."""
        if self.field.nullable:
            yield sa.case((self.field.column.is_(None), 1), else_=0)
        yield self.field.column.desc() if self.descending else self.field.column.asc()


class Fields(Mapping[str, Field]):
    """The fields of one list, by name."""

    def __init__(self, **fields: Column | Field) -> None:
        self._fields = {
            name: each if isinstance(each, Field) else Field.of(each)
            for name, each in fields.items()
        }

    def __getitem__(self, name: str) -> Field:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def _get(self, name: str) -> Field:
        if name not in self._fields:
            raise BadRequest(f"There is no field {name!r} here; there are: {', '.join(self)}.")
        return self._fields[name]

    def without(self, *names: str) -> "Fields":
        """The same fields but these: of a list in which those are alike for every row."""
        return Fields(**{name: each for name, each in self.items() if name not in names})

    def joined(self, **fields: Field) -> "Fields":
        """The same fields and these."""
        return Fields(**{**self, **fields})

    def condition(self, term: Term) -> Condition:
        """A comparison in SQL. Raises BadRequest, which names the field."""
        field = self._get(term.field)
        try:
            return field.compare(term.operator, term.value)
        except BadRequest as error:
            raise BadRequest(f"{term.field}: {error.message}") from None

    def where(self, *texts: str) -> list[Condition]:
        """The conditions of filters, all of which hold. Raises BadRequest."""
        return [self.condition(term) for text in texts for term in parse(text)]

    def sorts(self, text: str) -> list[Sort]:
        """The keys of an order such as ``name,-created``. Raises BadRequest."""
        found: dict[str, Sort] = {}
        for part in filter(None, map(str.strip, text[:MAX_TEXT].split(","))):
            name = part.removeprefix("-")
            found.setdefault(name, Sort(name, self._get(name), part.startswith("-")))
        return list(found.values())

    def order(self, text: str) -> list[sa.ColumnElement[Any]]:
        """What to order by in SQL. Raises BadRequest."""
        return [each for sort in self.sorts(text) for each in sort.order()]


@dataclasses.dataclass(frozen=True)
class Selection:
    """Which rows of a list are wanted, and in which order; empty means all, in the list's own."""

    filters: tuple[str, ...] = ()
    sort: str = ""
    limit: int | None = None

    def apply(self, query: Query, fields: Fields, *, then: str = "id") -> Query:
        """The query with all that; ``then`` is the field that settles what is alike.

        Raises BadRequest.
        """
        query = query.where(*fields.where(*self.filters))
        if self.sort:
            keys = f"{self.sort},{then}" if then in fields else self.sort
            query = query.order_by(None).order_by(*fields.order(keys))
        return query if self.limit is None else query.limit(self.limit)

    def names(self, field: str) -> bool:
        """Whether anything is asked about this field. Raises BadRequest."""
        return any(term.field == field for text in self.filters for term in parse(text))


ALL = Selection()
"""Every row, in the list's own order."""


def parse(text: str) -> list[Term]:
    """The comparisons of a filter. Raises BadRequest, which says where it cannot be read."""
    if len(text) > MAX_TEXT:
        raise BadRequest(f"A filter has at most {MAX_TEXT} characters.")
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise BadRequest("A filter is text.")
    terms: list[Term] = []
    place = 0
    while (rest := text[place:].strip()) and len(terms) <= MAX_TERMS:
        found = _TERM.match(text, place)
        if found is None:
            raise BadRequest(
                f"The filter cannot be read at {rest[:40]!r}; it is like "
                """state=ACTIVE,ram>=2048,name~"web, old"."""
            )
        value = found["quoted"]
        value = found["plain"].strip() if value is None else _ESCAPED.sub(r"\1", value[1:-1])
        terms.append(Term(found["field"], _ALIASES.get(found["op"], found["op"]), value))
        place = found.end()
    if len(terms) > MAX_TERMS:
        raise BadRequest(f"A filter has at most {MAX_TERMS} comparisons.")
    return terms


def spell(terms: Iterable[Term]) -> str:
    """The filter that has these comparisons; ``parse`` gives them back."""
    return ",".join(map(str, terms))


_TERM = re.compile(
    r"\s*(?P<field>[A-Za-z_][A-Za-z0-9_]*)\s*(?P<op>!=|<=|>=|=<|=>|=|<|>|~)\s*"
    r"""(?:(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<plain>[^,"'=<>]*))\s*(?:,|$)""",
    re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PLAIN = re.compile(r"""(?:[^\s,"'=<>\\](?:[^,"'=<>\\\n]*[^\s,"'=<>\\])?)?""")
_ALIASES = {"=<": "<=", "=>": ">="}
_YES_NO = dict.fromkeys(("yes", "true", "t", "1"), True) | dict.fromkeys(
    ("no", "false", "f", "0"), False
)
_OPERATIONS: Mapping[str, Callable[[Column, Any], Condition]] = {
    "=": lambda column, value: column == value,
    "!=": lambda column, value: column.is_distinct_from(value),
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
}


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _kind(type_: sa.types.TypeEngine[Any]) -> tuple[Kind, Mapping[str, Any]]:
    if isinstance(type_, sa.Enum):
        return Kind.WORD, {member.value: member for member in type_.enum_class or ()}
    if isinstance(type_, sa.Boolean):
        return Kind.YES_NO, {}
    if isinstance(type_, (sa.Integer, sa.Numeric)):
        return Kind.NUMBER, {}
    if isinstance(type_, (UtcDateTime, sa.DateTime)):
        return Kind.TIME, {}
    return Kind.TEXT, {}


def _number(text: str) -> sa.ColumnElement[Any]:
    if re.fullmatch(r"-?[0-9]{1,19}", text) and abs(int(text)) <= MAX_ID:
        return sa.literal(int(text), sa.BigInteger())
    if re.fullmatch(r"-?[0-9]{1,15}\.[0-9]{1,15}", text):
        return sa.literal(float(text), sa.Double())
    raise BadRequest(f"{text!r} is not a number, or too large a one.")


_AGO = {"m": dt.timedelta(minutes=1), "h": dt.timedelta(hours=1), "d": dt.timedelta(days=1)}
_SPANS = ((10, dt.timedelta(days=1)), (16, dt.timedelta(minutes=1)))
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?P<clock>[T ][0-9:.]+(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)


def _time(text: str) -> tuple[dt.datetime, dt.datetime]:
    """When the time begins and when it is over: a day and a minute have a length, a second too."""
    if ago := re.fullmatch(r"([0-9]{1,6})([mhd])", text):
        start = utc_now() - int(ago[1]) * _AGO[ago[2]] if int(ago[1]) < 500_000 else None
        if start is not None:
            return start, start
    try:
        if not _TIME.fullmatch(text):
            raise ValueError
        start = dt.datetime.fromisoformat(text)
        bare = re.sub(r"(?<=[T ])([0-9:.]+).*", r"\1", text)
        span = next((s for length, s in _SPANS if len(bare) <= length), dt.timedelta(seconds=1))
        start = start.replace(tzinfo=start.tzinfo or dt.UTC).astimezone(dt.UTC)
        return start, start + span
    except (ValueError, OverflowError):
        raise BadRequest(
            f"{text!r} is no time; write 2026-11-21, 2026-11-21T10:30 (UTC, unless it says "
            "otherwise), or 30m, 12h, 7d for so long ago."
        ) from None


def _compare_time(column: Column, operator: str, start: dt.datetime, end: dt.datetime) -> Condition:
    match operator:
        case "<":
            return column < start
        case ">=":
            return column >= start
        case "<=":
            return column < end if end > start else column <= start
        case ">":
            return column >= end if end > start else column > start
    within = sa.and_(column >= start, column < end) if end > start else column == start
    return within if operator == "=" else sa.or_(sa.not_(within), column.is_(None))
