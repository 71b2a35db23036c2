"""What is said before backends take new servers no longer, or again."""

import datetime as dt
from collections.abc import Mapping, Sequence

from cloudweb.domain import notices
from cloudweb.domain.drains import Change, Prospect, Verdict
from cloudweb.domain.notices import Notice
from cloudweb.views.dashboard import states
from cloudweb.views.dashboard.acts import Field, Kind

TITLES: Mapping[Change, str] = {
    Change.DRAIN: "Drain {}",
    Change.UNDRAIN: "Undrain {}",
    Change.RESTRICT: "Make {} not public",
    Change.PUBLISH: "Make {} public",
    Change.OFFLINE: "Take {} offline",
    Change.ONLINE: "Take {} back",
}
"""What each is called that is done to one or some of them."""
ALREADY: Mapping[Change, str] = {
    Change.DRAIN: "It is drained already.",
    Change.UNDRAIN: "It is not drained.",
    Change.RESTRICT: "It is not public.",
    Change.PUBLISH: "It is public already.",
    Change.OFFLINE: "It is offline already.",
    Change.ONLINE: "It is not offline.",
}
"""Why one is not changed that is so already."""
UNTIL = Field(
    "until",
    "Until (optional, UTC)",
    Kind.TIME,
    hint="Nothing happens by itself then: it shows among what needs attention.",
)


def verb(change: Change) -> str:
    """What it is called without saying of what."""
    return TITLES[change].replace(" {}", "")


def notice(change: Change, until: dt.datetime | None) -> Notice | None:
    """What owners of servers there may be told of it."""
    if change is Change.DRAIN:
        return notices.drained(until)
    return notices.OFFLINE if change is Change.OFFLINE else None


_NAMED = 10


def _named(words: Sequence[str]) -> str:
    more = len(words) - _NAMED
    return ", ".join(words[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def facts(seen: Prospect) -> dict[str, str]:
    """What would be of new servers, as what may move before it is confirmed."""
    would, around, change = seen.preview, seen.around, seen.change
    flavors = f"{would.placed_after:,} of {would.placed_before:,} can still be placed"
    if not change.closes:
        flavors = f"{would.placed_after:,} can be placed then, {would.placed_before:,} now"
    for words, found in (
        ("no backend takes", would.lost),
        ("no room for", would.tight),
        ("again", would.gained),
    ):
        if found:
            flavors += f"; {words}: {_named([flavor.name for flavor in found])}"
    here = "here" if len(seen.backends) == 1 else "there"
    theirs = _PINNED.get(change, f"still go {here}" if change.closes else f"go {here}")
    pinned = f"new servers of {_named(around.pinned)} {theirs}" if around.pinned else "none"
    making = f"servers are being made {here}" if around.creates else "none"
    closed = [f"{each.name} ({states.all_of(each).lower()})" for each in would.others_closed]
    after, before = would.after.backends, would.before.backends
    return {
        "Flavors": flavors,
        "Backends": f"{after} of {before} still take new servers of everybody"
        if change.closes
        else f"{after} take new servers of everybody then, {before} now",
        "Pinned users": pinned,
        "In flight": making,
        "Closed already": ", ".join(closed) or "none",
    }


_PINNED = {Change.OFFLINE: "are refused until that ends"}
_NUMBERS = ("", "One thing", "Two things", "Three things", "Four things")


def sentence(seen: Prospect) -> str:
    """The verdict in words."""
    would = seen.preview
    if would.nothing_left:
        return "No backend would be left that takes new servers of everybody."
    if seen.verdict is Verdict.BLOCKED:
        return f"Nothing would be left for {_named(would.lost_templates)}."
    if seen.things:
        return f"This is possible. {_NUMBERS[seen.things]} to know first."
    if seen.change.closes:
        return "Nothing is lost: what can be placed now can still be."
    return "Nothing that runs is touched."
