"""What follows when backends take new servers no longer, or again; and doing it if so still."""

import dataclasses
import datetime as dt
import enum
import hashlib
from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import fitting, flavors, fleet, states
from cloudweb.domain.identity import Identity
from cloudweb.models import (
    OPEN_STATES,
    Backend,
    BackendPin,
    CatalogueFlavor,
    Flavor,
    Operation,
    User,
)


class Moved(faults.Conflict):
    """Not all is as it was when the preview was made."""

    sentence = "Something has changed since this page was made."


class Change(enum.StrEnum):
    """What can be made of a backend, as far as new servers go."""

    DRAIN = "drain"
    UNDRAIN = "undrain"
    RESTRICT = "restrict"
    """Only those of users pinned to it go there."""
    PUBLISH = "publish"
    OFFLINE = "offline"
    ONLINE = "online"

    @property
    def flag(self) -> tuple[str, bool]:
        """The column, and what it is then."""
        return _FLAGS[self]

    @property
    def closes(self) -> bool:
        """Whether it takes room away."""
        return self in (Change.DRAIN, Change.RESTRICT, Change.OFFLINE)

    def holds(self, backend: Backend) -> bool:
        """Whether the backend is so already."""
        flag, value = self.flag
        return getattr(backend, flag) is value


_FLAGS = {
    Change.DRAIN: ("drained", True),
    Change.UNDRAIN: ("drained", False),
    Change.RESTRICT: ("public", False),
    Change.PUBLISH: ("public", True),
    Change.OFFLINE: ("offline", True),
    Change.ONLINE: ("offline", False),
}


class Verdict(enum.StrEnum):
    """How much a person should hesitate."""

    OK = "ok"
    CAUTION = "caution"
    BLOCKED = "blocked"
    """Not without having said so in so many words."""


@dataclasses.dataclass(frozen=True, slots=True)
class Room:
    """What backends that take anybody's new servers have, summed; sizes in MiB."""

    backends: int
    memory_total_mb: int
    memory_free_mb: int
    disk_total_mb: int
    disk_free_mb: int


@dataclasses.dataclass(frozen=True, slots=True)
class Preview:
    """What changes, and what follows for everybody's new servers.

    ``lost`` are flavors no backend takes any more (or, ``gained``, takes again); ``tight`` are
    those some backend still takes though none has room for one more by its last figures.
    """

    before: Room
    after: Room
    placed_before: int
    """How many flavors some backend takes and has room for."""
    placed_after: int
    lost: tuple[Flavor, ...]
    tight: tuple[Flavor, ...]
    gained: tuple[Flavor, ...]
    others_closed: tuple[Backend, ...]
    """Those that are drained, offline or not public already."""
    nothing_left: bool
    """Whether the last ones that take anybody's servers take them no longer."""

    @property
    def lost_templates(self) -> list[str]:
        """The disk templates that no backend would be left for."""
        return sorted({flavor.disk_template for flavor in self.lost})


@dataclasses.dataclass(frozen=True, slots=True)
class Around:
    """What changing backends does not stop, and whom it concerns."""

    pinned: Sequence[str]
    """The addresses of users whose new servers go there alone."""
    creates: Sequence[Operation]
    """Servers that are being made there."""
    promoted: Mapping[int, str]
    """Of flavors that fit nowhere then, by id: the promoted flavor each of them is."""


PINNED_SHOWN = 20
CREATES_SHOWN = 10


@dataclasses.dataclass(frozen=True, slots=True)
class Prospect:
    """All that is to be known before these backends are changed."""

    backends: Sequence[Backend]
    change: Change
    preview: Preview
    around: Around
    token: str
    """It moves with all of this but the figures themselves, and the servers being made."""

    @property
    def things(self) -> int:
        """How many things are to be known before it is closed."""
        would, around = self.preview, self.around
        found = (would.lost, would.tight, around.pinned, around.creates)
        return sum(map(bool, found)) if self.change.closes else 0

    @property
    def verdict(self) -> Verdict:
        if self.preview.lost or self.preview.nothing_left:
            return Verdict.BLOCKED
        hurts = self.preview.tight or (self.change.closes and self.around.pinned)
        return Verdict.CAUTION if hurts else Verdict.OK


def look(session: Session, chosen: Sequence[Backend], change: Change) -> Prospect:
    """What would follow of changing all of these; five statements, or four."""
    backends = fleet.list_all(session)
    would = preview(backends, flavors.list_active(session), chosen, change)
    around = _around(session, chosen, would)
    takers = [(each.id, each.drained, each.offline, each.public) for each in backends]
    fates = [[flavor.id for flavor in each] for each in (would.lost, would.tight, would.gained)]
    seen = repr(
        ([token(each) for each in chosen], takers, fates, would.nothing_left, list(around.pinned))
    )
    text = f"{change}:{seen}:{bool(around.creates)}"
    return Prospect(chosen, change, would, around, hashlib.sha256(text.encode()).hexdigest()[:32])


def _around(session: Session, chosen: Sequence[Backend], would: Preview) -> Around:
    ids = [backend.id for backend in chosen]
    pinned = session.scalars(
        sa.select(User.email)
        .join(BackendPin, BackendPin.user_id == User.id)
        .where(BackendPin.backend_id.in_(ids))
        .order_by(User.email)
        .limit(PINNED_SHOWN)
    ).all()
    creates = session.scalars(
        sa.select(Operation)
        .where(
            Operation.backend_id.in_(ids),
            Operation.opcode == states.CREATE,
            Operation.state.in_(OPEN_STATES),
        )
        .order_by(Operation.id)
        .limit(CREATES_SHOWN)
    ).all()
    concerned = (*would.lost, *would.tight)
    known = {}
    if concerned:
        rows = session.scalars(sa.select(CatalogueFlavor).where(CatalogueFlavor.promoted))
        known = {(row.vcpus, row.ram_mb, row.disk_gb): row.name for row in rows}
    promoted = {
        flavor.id: known[size]
        for flavor in concerned
        if (size := (flavor.cpu, flavor.ram_mb, flavor.disk_gb)) in known
    }
    return Around(pinned, creates, promoted)


def preview(
    backends: Sequence[Backend],
    wanted: Sequence[Flavor],
    chosen: Collection[Backend],
    change: Change,
) -> Preview:
    """What ``apply`` on each of the chosen would bring about, by the last known figures."""
    ids = {backend.id for backend in chosen}
    before = [b for b in backends if fitting.is_open(b)]
    # What they would take is asked of copies that are as they would be.
    would_be = [_changed(b, change) if b.id in ids else b for b in backends]
    after = [b for b in would_be if fitting.is_open(b)]
    others = [b for b in backends if b.id not in ids]
    return Preview(
        before=_room(before),
        after=_room(after),
        placed_before=sum(_placed(before, f) for f in wanted),
        placed_after=sum(_placed(after, f) for f in wanted),
        lost=tuple(f for f in wanted if _taken(before, f) and not _taken(after, f)),
        tight=tuple(
            f for f in wanted if _taken(after, f) and _placed(before, f) and not _placed(after, f)
        ),
        gained=tuple(f for f in wanted if not _taken(before, f) and _taken(after, f)),
        others_closed=tuple(b for b in others if not fitting.is_open(b)),
        nothing_left=change.closes and bool(before) and not after,
    )


def apply(
    session: Session,
    identity: Identity,
    backend_id: int,
    change: Change,
    *,
    reason: str,
    seen: str,
    accept_loss: bool,
    until: dt.datetime | None = None,
) -> None:
    """Change the backend, if all is still as ``seen`` (the token of what was looked at).

    All backends are locked for it, so that two who close the last ones see each other.
    Doing again what the same person just did changes nothing.
    Raises ItemNotFound, BadRequest (reason, or flavors would be lost), Moved.
    """
    locked = session.scalars(
        sa.select(Backend)
        .where(Backend.removed.is_(None))
        .order_by(Backend.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    backend = next((each for each in locked if each.id == backend_id), None)
    if backend is None:
        raise faults.ItemNotFound(f"No backend {backend_id}.")
    if change.holds(backend) and _same_act(backend, identity, reason):
        return
    would = look(session, [backend], change)
    if seen != would.token:
        raise Moved
    if would.verdict is Verdict.BLOCKED and not accept_loss:
        raise faults.BadRequest(
            "Some flavors could not be placed anywhere.",
            details={"accept_loss": "Tick that you accept it."},
        )
    flag, value = change.flag
    if flag == "public":
        fleet.set_public(session, identity, backend, public=value, reason=reason)
    elif flag == "offline":
        fleet.set_offline(session, identity, backend, offline=value, reason=reason)
    else:
        fleet.set_drained(session, identity, backend, drained=value, reason=reason, until=until)


def _same_act(backend: Backend, identity: Identity, reason: str) -> bool:
    return backend.state_by_id == identity.user_id and backend.state_reason == reason.strip()


def token(backend: Backend) -> str:
    """How a backend is set; it changes with its flags."""
    since = backend.state_since.isoformat() if backend.state_since else ""
    text = f"{backend.id}:{backend.drained:d}:{backend.offline:d}:{backend.public:d}:{since}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _changed(backend: Backend, change: Change) -> Backend:
    flag, value = change.flag
    values = {column.key: getattr(backend, column.key) for column in sa.inspect(Backend).columns}
    return Backend(**(values | {flag: value}))


def _taken(backends: Sequence[Backend], flavor: Flavor) -> bool:
    return any(fitting.takes(backend, flavor) for backend in backends)


def _placed(backends: Sequence[Backend], flavor: Flavor) -> bool:
    return any(fitting.places(backend, flavor) for backend in backends)


def _room(backends: Sequence[Backend]) -> Room:
    return Room(
        len(backends),
        sum(b.memory_total_mb for b in backends),
        sum(b.memory_free_mb for b in backends),
        sum(b.disk_total_mb for b in backends),
        sum(b.disk_free_mb for b in backends),
    )
