"""What is particular to one list of the dashboard: its columns, fields, rows and words."""

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from pyramid.request import Request
from sqlalchemy.orm import Session

from cloudweb.domain import filters
from cloudweb.domain.filters import Field, Fields, Kind
from cloudweb.models import MAX_ID

UP_TO = "upto"
"""What a list that refreshes itself asks with: the newest row there was when it was opened."""


@dataclasses.dataclass(frozen=True)
class Column:
    """A column: what it is called, what exports say of a row, and how its cells look (a class)."""

    name: str
    label: str
    value: Callable[[Any], object]
    css: str = ""


@dataclasses.dataclass(frozen=True)
class Listing:
    """What is particular to one list.

    ``rows`` is every row, ``row`` makes the row of what it selects, ``key`` names it in the page.
    ``search`` are the columns in which a text is looked for; a number is also looked for in
    ``id``. ``choices`` are the fields that have a menu of their own, with the values' words.
    ``unless_asked`` are filters that hold until one on the same field is given. ``enrich`` adds
    to the rows of a page what no one statement gives. The template
    ``partials/<name>`` draws the cells, or that of ``cells``, which is another list's name.
    ``tabs`` are the pages this is one of, about the same thing: words and route.
    """

    name: str
    title: str
    one: str
    many: str
    fields: Fields
    columns: tuple[Column, ...]
    rows: Callable[[], Any]
    row: Callable[..., Any]
    key: Callable[[Any], object]
    search: tuple[filters.Column, ...] = ()
    hint: str = ""
    choices: Mapping[str, tuple[str, Mapping[str, str]]] = dataclasses.field(default_factory=dict)
    unless_asked: Mapping[str, str] = dataclasses.field(default_factory=dict)
    enrich: Callable[[Request, Session, Sequence[Any]], Sequence[Any]] | None = None
    sort: str = "id"
    shown: tuple[str, ...] = ()
    """The columns a page has when none are chosen; empty for all, which files always have."""
    most: int = 100
    """As many rows as a page may have and stay light."""
    grows: str = "id"
    """The field that is higher in newer rows."""
    section: str = ""
    nothing: str = ""
    cells: str = ""
    tabs: tuple[tuple[str, str], ...] = ()

    @property
    def route(self) -> str:
        """The list's route."""
        return f"admin.{self.name}"

    @property
    def newest(self) -> Field | None:
        """What is higher in newer rows; None where the rows have no such thing."""
        field = self.fields.get(self.grows)
        return field if field is not None and field.kind in (Kind.NUMBER, Kind.TIME) else None

    def matches(self, text: str) -> sa.ColumnElement[bool]:
        """Whether a row has the text, or is the one of this number."""
        places = [column.icontains(text, autoescape=True) for column in self.search]
        if text.isascii() and text.isdigit() and int(text) <= MAX_ID and "id" in self.fields:
            places.append(self.fields["id"].column == int(text))
        return sa.or_(*places)

    def make_rows(self, request: Request, session: Session, found: Sequence[Any]) -> Sequence[Any]:
        """The rows of what was selected, whole."""
        rows = [self.row(*each) for each in found]
        return self.enrich(request, session, rows) if self.enrich and rows else rows


def hints_of(listing: Listing) -> list[tuple[str, str]]:
    """Each field a filter of this list may name, and what it may be compared with."""
    return [(name, _hint(field)) for name, field in listing.fields.items()]


def _hint(field: Field) -> str:
    if field.kind is Kind.WORD:
        return ", ".join(field.words)
    return field.kind.value


def up_to(request: Request, listing: Listing) -> int | dt.datetime | None:
    """The newest row to be shown, where a part that refreshes itself names one."""
    given = request.GET.get(UP_TO, "")
    if request.headers.get("HX-Request") != "true" or listing.newest is None:
        return None
    if listing.newest.kind is Kind.TIME:
        try:
            return dt.datetime.fromisoformat(given).replace(tzinfo=dt.UTC)
        except ValueError:
            return None
    return int(given) if given.isascii() and given.isdigit() and len(given) < 19 else None


def written(newest: int | dt.datetime) -> str:
    """The newest row as an address has it."""
    return str(newest) if isinstance(newest, int) else newest.replace(tzinfo=None).isoformat()
