"""What a list's address says: filters, pages and the links that change one of them."""

import dataclasses
from collections.abc import Mapping

from pyramid.request import Request

from cloudweb.models import MAX_ID

PER_PAGE = (25, 50, 100, 200)
_DEFAULT_PER_PAGE = 50
_TEXT_LIMIT = 254


@dataclasses.dataclass(frozen=True, slots=True)
class Chip:
    """An active filter in words, and the address without it."""

    text: str
    without: str


class Query:
    """The query string of a list: unknown or impossible values count as not given."""

    def __init__(self, request: Request, names: tuple[str, ...]) -> None:
        self._request = request
        known = (*names, "per_page", "after")
        self._given = {
            name: text for name in known if (text := _one_line(request.GET.get(name, "")))
        }

    def text(self, name: str) -> str:
        """What was given, or nothing."""
        return self._given.get(name, "")

    def number(self, name: str) -> int | None:
        """A positive whole number, or None."""
        text = self.text(name)
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            return None
        return value if 0 < (value := int(text)) <= MAX_ID else None

    @property
    def per_page(self) -> int:
        """How many rows a page has."""
        wanted = self.number("per_page")
        return wanted if wanted in PER_PAGE else _DEFAULT_PER_PAGE

    def drop(self, name: str) -> None:
        """Forget a value that means nothing."""
        self._given.pop(name, None)

    def url(self, **changes: object) -> str:
        """This list with these values instead; None takes one away."""
        values = {**self._given, **changes}
        query = {key: str(value) for key, value in values.items() if value is not None}
        path: str = self._request.current_route_path(_query=query)
        return path

    def chips(self, words: Mapping[str, str]) -> list[Chip]:
        """The active filters in these words, each with the address without it."""
        return [Chip(text, self.url(**{name: None, "after": None})) for name, text in words.items()]


def _one_line(text: str) -> str:
    return "".join(c for c in text if c.isprintable()).strip()[:_TEXT_LIMIT]
