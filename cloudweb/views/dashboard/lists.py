"""The dashboard's one list: filtered, sorted, paged, exported, and all of that in its address."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import sqlalchemy as sa
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from sqlalchemy.orm import Session
from webob.multidict import MultiDict

from cloudweb import faults
from cloudweb.domain import filters, keysets, saved_views
from cloudweb.domain.filters import Field, Sort, Term
from cloudweb.domain.saved_views import ViewRow
from cloudweb.models import unit_of_work
from cloudweb.views.dashboard import pages
from cloudweb.views.dashboard.exports import export
from cloudweb.views.dashboard.listing import UP_TO, Column, Listing, hints_of, up_to, written

__all__ = ["PER_PAGE", "Asked", "Chip", "Column", "Listing", "hints_of", "respond"]

PER_PAGE = (25, 50, 100, 200)
_DEFAULT_PER_PAGE = 50
_LONGEST = 500
_MOST_SORTS = 4
_MOST_CHIPS = 6
_OWN = ("q", "filter", "sort", "per_page", "after", "cols", "view")
_NOT_OURS = ("undo", "unticked", UP_TO)
_NO_FILTERS = ("sort", "per_page", "after", "cols", "view")
_ALL = "all"
_ANY = "any"


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
        given: MultiDict[str, str] | None = None,
    ) -> None:
        self.request, self.listing, self._within = request, listing, within
        get = request.GET if given is None else given
        self.choices = dict(listing.choices) | dict(choices or {})
        self._given: dict[str, str] = {}
        for name in dict.fromkeys(get):
            if name in own or name in _NOT_OURS:
                continue
            values = get.getall(name)
            text = _one_line(",".join(values) if name == "cols" else values[0])
            if text:
                self._given[name] = _first_word(listing.fields.get(name), text)
        self.up_to = up_to(request, listing)
        self.newer = 0
        """How many rows have come since, that wait to be shown."""
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
    def shown_query(self) -> sa.Select[Any]:
        """The same without what has come since the page was opened, if it refreshes itself."""
        if self.up_to is None or self.listing.newest is None:
            return self.query
        return self.query.where(self.listing.newest.column <= self.up_to)

    def count_newer(self, session: Session) -> int:
        """How many rows have come since the page was opened; at most one statement."""
        if self.up_to is None or self.listing.newest is None or self.text("after"):
            return 0
        return keysets.count(session, self.query.where(self.listing.newest.column > self.up_to))

    @property
    def kept(self) -> dict[str, str]:
        """The filters, to go along with a form about all that match."""
        return {k: v for k, v in self._given.items() if k not in _NO_FILTERS}

    @property
    def place(self) -> dict[str, str]:
        """All that the address says, to come back to it."""
        return {k: v for k, v in self._given.items() if k != "view"}

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
        return min(wanted if wanted in PER_PAGE else _DEFAULT_PER_PAGE, self.listing.most)

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

    @property
    def poll_url(self) -> str:
        """Where the list is asked for again: no newer rows than it has now."""
        query = [(k, v) for k, v in self.request.GET.items() if k not in _NOT_OURS]
        if self.up_to is not None:
            query.append((UP_TO, written(self.up_to)))
        path: str = self.request.path
        return f"{path}?{urlencode(query)}" if query else path

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

    def count_without_each(self, session: Session) -> list[tuple[int, Chip]]:
        """How many rows there would be without each filter, where any; at most one statement."""
        chips = self.chips[:_MOST_CHIPS]
        if len(chips) < 2:
            return []
        queries = []
        for chip in chips:
            given = MultiDict(parse_qsl(urlsplit(chip.without).query))
            other = Asked(self.request, self.listing, self.choices, self._within, given=given)
            queries.append(other.query)
        counts = keysets.count_each(session, queries)
        return [(count, chip) for count, chip in zip(counts, chips, strict=True) if count]

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
        request.db, asked.shown_query, asked.sorts, after=asked.text("after"), limit=asked.per_page
    )
    rows = listing.make_rows(request, request.db, shown.rows)
    if asked.up_to is not None:
        asked.newer = asked.count_newer(request.db)
    elif rows and listing.newest is not None:
        asked.up_to = keysets.newest(request.db, listing.newest.column)
    return pages.show_live(
        request,
        (listing.cells or listing.name).replace(".", "_"),
        page="list",
        status=400 if asked.error else 200,
        busy=busy(rows),
        list=asked,
        listing=listing,
        rows=rows,
        total=_total(request, asked, shown),
        poll=asked.poll_url,
        without=_without(request, asked, rows),
        more=asked.url(after=shown.following) if shown.following else None,
        first=asked.url(after=None) if asked.text("after") else None,
        sizes=[size for size in PER_PAGE if size <= listing.most],
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


def _without(request: Request, asked: Asked, rows: Sequence[Any]) -> list[tuple[int, Chip]]:
    """Where nothing is left: which filter keeps how much away."""
    if rows or asked.error or asked.text("after") or not asked.is_filtered:
        return []
    return asked.count_without_each(request.db)


def _total(request: Request, asked: Asked, shown: keysets.Page) -> int:
    """How many rows match; what one page holds need not be counted again."""
    if shown.following is None and not asked.text("after"):
        return len(shown.rows)
    return keysets.count(request.db, asked.shown_query)


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
