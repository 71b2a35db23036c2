"""Which part of a list a client asks for, and whether it has that part already."""

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any

from pyramid.request import Request

from cloudweb import faults
from cloudweb.models import MAX_ID, utc_now
from cloudweb.views import etags
from cloudweb.views.endpoints import Query

LIMIT_MAX = 1000

CHANGES_SINCE = Query(
    "changes-since",
    "Only what has changed since this time (ISO 8601 with a time zone, not in the future and not "
    "long ago), what was deleted included; 304 when nothing has. A + in it is written %2B.",
    {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "maxLength": 0}]},
)
LIMIT = Query(
    "limit",
    "At most so many, the first ones by id; without it all.",
    {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX},
)
_MARKER = "Only what comes after this id: the last one seen."
MARKER = Query("marker", _MARKER, {"type": "integer", "minimum": 0, "maximum": MAX_ID})
TEXT_MARKER = Query("marker", _MARKER)
PAGES = (LIMIT, MARKER)
CHANGES = (CHANGES_SINCE, *PAGES)
TEXT_PAGES = (LIMIT, TEXT_MARKER)
"""As PAGES, where ids are texts."""
TEXT_CHANGES = (CHANGES_SINCE, *TEXT_PAGES)


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """What of a list is wanted; None for each that was not said."""

    since: dt.datetime | None = None
    limit: int | None = None
    marker: Any = None

    @property
    def whole(self) -> bool:
        """Whether the list is wanted as it is, all of it."""
        return self.since is None and self.limit is None and self.marker is None


WHOLE = Part()


def number(text: str) -> int:
    """A marker where ids are numbers. Raises ValueError."""
    if not _digits(text) or int(text) > MAX_ID:
        raise ValueError(text)
    return int(text)


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 20


def read(request: Request, *, changes: bool = False, marker: Callable[[str], Any] = number) -> Part:
    """What the query string asks for; ``changes``: whether changes-since is known here.

    ``marker`` reads an id, or raises ValueError. Raises BadRequest.
    """
    if not request.query_string:
        return WHOLE
    try:
        given = request.GET
        since, limit, last = (given.get(query.name) for query in CHANGES)
    except UnicodeDecodeError:
        raise faults.BadRequest("The URL is not UTF-8.") from None
    return Part(
        _since(since, request.conf.poll_limit_s) if changes and since else None,
        _limit(limit) if limit is not None else None,
        _marker(last, marker) if last is not None else None,
    )


def _since(text: str, poll_limit_s: int) -> dt.datetime:
    try:
        # Python takes any character between date and time; ISO 8601 has a T there.
        since = dt.datetime.fromisoformat(text.upper() if "T" in text.upper() else "")
        if since.tzinfo is None:
            raise ValueError(text)
        since = since.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise faults.BadRequest("Invalid changes-since parameter.") from None
    now = utc_now()
    if since > now:
        raise faults.BadRequest("changes-since value set in the future.")
    if now - since > dt.timedelta(seconds=poll_limit_s):
        raise faults.BadRequest("Too old changes-since value.")
    return since


def _limit(text: str) -> int:
    if _digits(text) and 1 <= int(text) <= LIMIT_MAX:
        return int(text)
    raise faults.BadRequest("Invalid limit.", details=f"It is a number from 1 to {LIMIT_MAX}.")


def _marker(text: str, marker: Callable[[str], Any]) -> Any:
    try:
        return marker(text)
    except ValueError:
        raise faults.BadRequest("Invalid marker.", details="It is the last id seen.") from None


def unchanged(request: Request, part: Part) -> bool:
    """Whether the client needs nothing of this list: it has it, or nothing in it has changed.

    For lists that change only when their owner's number moves; costs no statement. Notes the
    answer's ETag.
    """
    who = request.identity
    if who.lists_version is None:
        return False
    if etags.held(request, who.user_id, who.lists_version, who.lists_changed):
        return True
    return (
        part.since is not None and who.lists_changed is not None and who.lists_changed < part.since
    )
