"""The dashboard's one list: filtered, sorted, paged, exported, and all of that in its address."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import filters, keysets, saved_views
from cloudweb.domain.filters import Field, Fields, Kind, Sort, Term
from cloudweb.domain.saved_views import ViewRow
from cloudweb.models import MAX_ID, unit_of_work
from cloudweb.views.dashboard import pages
from cloudweb.views.dashboard.exports import export

PER_PAGE = (25, 50, 100, 200)
_DEFAULT_PER_PAGE = 50
_LONGEST = 500
_MOST_SORTS = 4
_OWN = ("q", "filter", "sort", "per_page", "after", "cols", "view")
_NOT_OURS = ("undo",)
_NO_FILTERS = ("sort", "per_page", "after", "cols", "view")
_ALL = "all"
_ANY = "any"


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
    ``partials/<name>`` draws the cells.
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
    section: str = ""
    nothing: str = ""

    @property
    def route(self) -> str:
        """The list's route."""
        return f"admin.{self.name}"

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


@dataclasses.dataclass(frozen=True, slots=True)
class Chip:
    """An active filter in words, and the address without it."""

    text: str
    without: str


class Asked:
    """What of a list the address asks for."""

    def __init__(
        self,
        request: Request,
        listing: Listing,
        choices: Mapping[str, tuple[str, Mapping[str, str]]] | None = None,
        within: Sequence[sa.ColumnElement[bool]] = (),
        own: Sequence[str] = (),
    ) -> None:
        self.request, self.listing, self._within = request, listing, within
        self.choices = dict(listing.choices) | dict(choices or {})
        self._given: dict[str, str] = {}
        for name in dict.fromkeys(request.GET):
            if name in own or name in _NOT_OURS:
                continue
            values = request.GET.getall(name)
            text = _one_line(",".join(values) if name == "cols" else values[0])
            if text:
                self._given[name] = _first_word(listing.fields.get(name), text)
        self.error = ""
        self.terms: list[Term] = []
        self.conditions: list[sa.ColumnElement[bool]] = []
        self.sorts: list[Sort] = []
        try:
            self._read()
        except faults.BadRequest as fault:
            self.error = fault.message
            self.conditions = [sa.false()]
            self.sorts = listing.fields.sorts(listing.sort)

    def _read(self) -> None:
        fields = self.listing.fields
        self.terms = filters.parse(self.text("filter"))
        asked = [*self.terms]
        for name, text in self._given.items():
            if name in _OWN or (name in fields and text == _ANY):
                continue
            if name not in fields:
                known = ", ".join((*fields, *_OWN))
                raise faults.BadRequest(f"There is no filter {name!r} here; there are: {known}.")
            asked.append(Term(name, "=", text))
        named = {term.field for term in asked} | set(self._given)
        asked += [Term(f, "=", v) for f, v in self.listing.unless_asked.items() if f not in named]
        self.conditions = [fields.condition(term) for term in asked]
        if q := self.text("q"):
            self.conditions.append(self.listing.matches(q))
        wanted = fields.sorts(self.text("sort") or self.listing.sort)[:_MOST_SORTS]
        # What the list is sorted by of itself tells any two rows apart.
        self.sorts = fields.sorts(",".join([*map(str, wanted), self.listing.sort]))

    def text(self, name: str) -> str:
        """What was given, or nothing."""
        return self._given.get(name, "")

    @property
    def query(self) -> sa.Select[Any]:
        """The rows that are asked for, of all pages."""
        query: sa.Select[Any] = self.listing.rows().where(*self._within, *self.conditions)
        return query

    @property
    def kept(self) -> dict[str, str]:
        """The filters, to go along with a form about all that match."""
        return {k: v for k, v in self._given.items() if k not in _NO_FILTERS}

    @property
    def own_query(self) -> str:
        """What a saved view of this list is: all but the place in it."""
        given = {k: v for k, v in self._given.items() if k not in ("after", "view")}
        return urlencode(sorted(given.items()))

    @property
    def per_page(self) -> int:
        """How many rows a page has."""
        text = self.text("per_page")
        wanted = int(text) if text.isascii() and text.isdigit() else 0
        return wanted if wanted in PER_PAGE else _DEFAULT_PER_PAGE

    @property
    def columns(self) -> Sequence[Column]:
        """The columns to show: those that were chosen, else the usual ones; the first always."""
        return self._columns(usual=self.listing.shown)

    @property
    def file_columns(self) -> Sequence[Column]:
        """The columns of a file: those that were chosen, else all; the first always."""
        return self._columns(usual=())

    def _columns(self, *, usual: Sequence[str]) -> Sequence[Column]:
        first, *others = self.listing.columns
        for names in (self.text("cols").split(","), usual):
            if known := [column for column in others if column.name in names]:
                return (first, *known)
        return (first, *others)

    @property
    def is_filtered(self) -> bool:
        """Whether anything narrows the list beyond what it does by itself."""
        return any(name not in _NO_FILTERS for name in self._given)

    # --- addresses ------------------------------------------------------------------------------

    def url(self, **changes: object) -> str:
        """This list with these values instead; None takes one away."""
        values = {**self._given, **changes}
        query = {key: str(value) for key, value in values.items() if value not in (None, "")}
        return self.path(self.listing.route, _query=query)

    def export_url(self, notation: str) -> str:
        """The whole list as filtered and sorted, as a file."""
        query = {k: v for k, v in self._given.items() if k not in ("after", "per_page", "view")}
        return self.path(f"{self.listing.route}.export", notation=notation, _query=query)

    @property
    def all_url(self) -> str:
        """The whole list, also where it opens as a saved view."""
        return self.path(self.listing.route, _query={"view": _ALL})

    def path(self, route: str, **values: Any) -> str:
        """A page beside this list, of the same object if it is a list of one's."""
        path: str = self.request.route_path(route, **{**self.request.matchdict, **values})
        return path

    def sort_url(self, name: str) -> str:
        """The list by this column first, or the other way round; then as it is sorted now."""
        current = [str(sort) for sort in self.sorts]
        first = f"-{name}" if current and current[0] == name else name
        others = [each for each in current if each.removeprefix("-") != name]
        kept = others[: _MOST_SORTS - 1] if self.text("sort") else []
        return self.url(sort=",".join([first, *kept]), after=None)

    def sorted_by(self, name: str) -> str:
        """What a heading says to those who hear the page; nothing when it is not the first key."""
        first = self.sorts[0] if self.sorts else None
        if first is None or first.name != name:
            return ""
        return "descending" if first.descending else "ascending"

    def can_sort(self, name: str) -> bool:
        """Whether the list can be ordered by this column."""
        return name in self.listing.fields

    @property
    def chips(self) -> list[Chip]:
        """Every filter that holds, in words, each with the address without it."""
        found = []
        if q := self.text("q"):
            found.append(Chip(f"Contains: {q}", self.url(q=None, after=None)))
        for name, text in self._given.items():
            if name in self.listing.fields and text != _ANY:
                gone = _ANY if name in self.listing.unless_asked else None
                found.append(Chip(self._words(name, text), self.url(**{name: gone, "after": None})))
        for term in self.terms:
            rest = filters.spell(each for each in self.terms if each is not term)
            found.append(Chip(str(term), self.url(filter=rest, after=None)))
        named = {term.field for term in self.terms} | set(self._given)
        found += [
            Chip(self._words(name, text), self.url(**{name: _ANY, "after": None}))
            for name, text in self.listing.unless_asked.items()
            if name not in named
        ]
        return found

    def _words(self, name: str, text: str) -> str:
        label, words = self.choices.get(name, (name.capitalize(), {}))
        return f"{label}: {words.get(text, text)}"

    @property
    def hints(self) -> list[tuple[str, str]]:
        """Each field a filter may name, and what it may be compared with."""
        return hints_of(self.listing)


def _first_word(field: Field | None, text: str) -> str:
    """Of the words for one value the first, which is the menu's."""
    if field is None or text not in field.words:
        return text
    return next(word for word, value in field.words.items() if value == field.words[text])


def hints_of(listing: Listing) -> list[tuple[str, str]]:
    """Each field a filter of this list may name, and what it may be compared with."""
    return [(name, _hint(field)) for name, field in listing.fields.items()]


def _hint(field: Field) -> str:
    if field.kind is Kind.WORD:
        return ", ".join(field.words)
    return field.kind.value


def _one_line(text: str) -> str:
    return "".join(c for c in text if c.isprintable()).strip()[:_LONGEST]


# --- answering ----------------------------------------------------------------------------------


def respond(
    request: Request,
    listing: Listing,
    *,
    choices: Mapping[str, tuple[str, Mapping[str, str]]] | None = None,
    within: Sequence[sa.ColumnElement[bool]] = (),
    title: str = "",
    up: Sequence[tuple[str, str]] = (),
    busy: Callable[[Sequence[Any]], bool] = lambda _rows: False,
    **values: Any,
) -> Response:
    """The list as a page, or whole as a file where the address ends in .csv or .json.

    ``within`` is what every row of it must be, ``up`` the pages above it: words and route.
    """
    if (given := request.GET.get("view", "")) and given != _ALL:
        return _open_view(request, given)
    asked = Asked(request, listing, choices, within)
    if notation := request.matchdict.get("notation"):
        if asked.error:
            raise faults.BadRequest(asked.error)
        names = tuple(column.name for column in asked.file_columns)
        return export(notation, listing.name.replace(".", "-"), names, _every_row(request, asked))
    views = _views(request, listing)
    if not request.GET and (opens := [each.view for each in views or () if each.view.opens]):
        own = [view for view in opens if view.user_id == request.identity.user_id]
        if own:
            return _open_view(request, str(own[0].id))
    shown = keysets.page(
        request.db, asked.query, asked.sorts, after=asked.text("after"), limit=asked.per_page
    )
    rows = listing.make_rows(request, request.db, shown.rows)
    return pages.show_live(
        request,
        listing.name.replace(".", "_"),
        page="list",
        status=400 if asked.error else 200,
        busy=busy(rows),
        list=asked,
        listing=listing,
        rows=rows,
        total=_total(request, asked, shown),
        more=asked.url(after=shown.following) if shown.following else None,
        first=asked.url(after=None) if asked.text("after") else None,
        sizes=PER_PAGE,
        views=views,
        title=title or listing.title,
        up=[(words, asked.path(route)) for words, route in up],
        **values,
    )


def _views(request: Request, listing: Listing) -> Sequence[ViewRow] | None:
    """The saved views of this list; None where it has none, or a part of it is asked for alone."""
    if request.headers.get("HX-Request") == "true" or request.matchdict:
        return None
    return saved_views.list_for(request.db, request.identity, listing.name)


def _open_view(request: Request, given: str) -> Response:
    """To the address that a saved view stands for. Raises ItemNotFound."""
    if not (given.isascii() and given.isdigit() and len(given) < 19):
        raise faults.ItemNotFound("There is no such view.")
    view = saved_views.get(request.db, request.identity, int(given)).view
    if request.matched_route.name.removesuffix(".export") != f"admin.{view.listing}":
        raise faults.ItemNotFound("There is no such view of this list.")
    return HTTPSeeOther(f"{request.path}?{view.query or f'view={_ALL}'}")


def _total(request: Request, asked: Asked, shown: keysets.Page) -> int:
    """How many rows match; what one page holds need not be counted again."""
    if shown.following is None and not asked.text("after"):
        return len(shown.rows)
    return keysets.count(request.db, asked.query)


def _every_row(
    request: Request, asked: Asked, *, at_once: int = 1000
) -> Iterator[list[dict[str, object]]]:
    """The rows of all pages, a portion at a time, each in a transaction of its own."""
    after: str | None = ""
    while after is not None:
        with unit_of_work(request.sessions, write=False) as session:
            shown = keysets.page(session, asked.query, asked.sorts, after=after, limit=at_once)
            rows = asked.listing.make_rows(request, session, shown.rows)
        yield [{column.name: column.value(row) for column in asked.file_columns} for row in rows]
        after = shown.following
