"""How somebody likes the pages: colours, spacing, and the clock that times are told by."""

import dataclasses
import datetime as dt
import zoneinfo

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
    return Looks(user.theme, user.density, user.time_zone)


def choose(session: Session, identity: Identity, *, theme: str, density: str, zone: str) -> bool:
    """Draw pages like this for who asks; False if they were already. Raises BadRequest."""
    wrong = {}
    if theme not in {each.value for each in Theme}:
        wrong["theme"] = "Choose one of these."
    if density not in {each.value for each in Density}:
        wrong["density"] = "Choose one of these."
    if zone not in zones():
        wrong["zone"] = "Choose one of these."
    if wrong:
        raise faults.BadRequest("", details=wrong)
    user = session.get_one(User, identity.user_id, with_for_update=True)
    wanted = Looks(Theme(theme), Density(density), zone)
    before = looks_of(user)
    if wanted == before:
        return False
    user.theme, user.density, user.time_zone = wanted.theme, wanted.density, wanted.zone
    audit.record(
        *(session, identity, "user:looks", "user", user.id),
        before=_words(before),
        after=_words(wanted),
    )
    return True


def _words(looks: Looks) -> str:
    return f"{looks.theme.value}, {looks.density.value}, {looks.zone}"
