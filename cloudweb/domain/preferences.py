"""How somebody likes the pages: colours, spacing, the clock, the language of the terms of use."""

import dataclasses
import datetime as dt
import zoneinfo
from collections.abc import Sequence

from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit
from cloudweb.domain.identity import Identity
from cloudweb.models import Density, Theme, User

UTC = "UTC"
_AREAS = (
    *("Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian"),
    "Pacific",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Looks:
    """How pages are drawn; what nobody chose follows the browser."""

    theme: Theme = Theme.SYSTEM
    density: Density = Density.COMFORTABLE
    zone: str = UTC
    language: str = ""
    """Of the terms of use; the pages have one language."""
    slash_key: bool = True
    """Whether the key / leads to the search."""

    @property
    def clock(self) -> dt.tzinfo:
        """The time zone; UTC where this machine does not know it."""
        if self.zone != UTC:
            try:
                return zoneinfo.ZoneInfo(self.zone)
            except (zoneinfo.ZoneInfoNotFoundError, ValueError):
                pass
        return dt.UTC


def zones() -> list[str]:
    """The time zones there are to choose from, UTC first."""
    known = zoneinfo.available_timezones()
    return [UTC, *sorted(name for name in known if name.partition("/")[0] in _AREAS)]


def looks_of(user: User) -> Looks:
    """How this person likes the pages."""
    return Looks(user.theme, user.density, user.time_zone, user.language, user.slash_key)


def choose(
    session: Session,
    identity: Identity,
    *,
    theme: str,
    density: str,
    zone: str,
    slash: str = "yes",
    language: str = "",
    languages: Sequence[str] = (),
) -> bool:
    """Draw pages like this for who asks; False if they were already. Raises BadRequest.

    ``languages`` are those to choose from; where there are none, what was chosen stays.
    """
    wrong = {}
    if theme not in {each.value for each in Theme}:
        wrong["theme"] = "Choose one of these."
    if density not in {each.value for each in Density}:
        wrong["density"] = "Choose one of these."
    if zone not in zones():
        wrong["zone"] = "Choose one of these."
    if slash not in ("yes", "no"):
        wrong["slash"] = "Choose one of these."
    if languages and language not in ("", *languages):
        wrong["language"] = "Choose one of these."
    if wrong:
        raise faults.BadRequest("", details=wrong)
    user = session.get_one(User, identity.user_id, with_for_update=True)
    before = looks_of(user)
    spoken = language if languages else before.language
    wanted = Looks(Theme(theme), Density(density), zone, spoken, slash == "yes")
    if wanted == before:
        return False
    user.theme, user.density, user.time_zone = wanted.theme, wanted.density, wanted.zone
    user.language, user.slash_key = wanted.language, wanted.slash_key
    audit.record(
        *(session, identity, "user:looks", "user", user.id),
        before=_words(before),
        after=_words(wanted),
    )
    return True


def _words(looks: Looks) -> str:
    slash = "" if looks.slash_key else "no key for the search"
    words = (looks.theme.value, looks.density.value, looks.zone, looks.language, slash)
    return ", ".join(filter(None, words))
