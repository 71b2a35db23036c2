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
    """The backend is no longer as it was when the preview was made."""

    sentence = "The backend has changed since this page was made."


class Change(enum.StrEnum):
    """What can be made of a backend, as far as new servers go."""

    DRAIN = "drain"
    UNDRAIN = "undrain"
    RESTRICT = "restrict"
    """Only those of users pinned to it go there."""
    PUBLISH = "publish"

    @property
    def flag(self) -> tuple[str, bool]:
        """The column, and what it is then."""
        if self in (Change.DRAIN, Change.UNDRAIN):
            return "drained", self is Change.DRAIN
        return "public", self is Change.PUBLISH

    @property
    def closes(self) -> bool:
        """Whether it takes room away."""
        return self in (Change.DRAIN, Change.RESTRICT)

    def holds(self, backend: Backend) -> bool:
        """Whether the backend is so already."""
        flag, value = self.flag
        return getattr(backend, flag) is value


class Verdict(enum.StrEnum):
    """How much a person should hesitate."""

    FINE = "fine"
    CAUTION = "caution"
    LOSS = "loss"


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
    lost: tuple[Flavor, ...]
    tight: tuple[Flavor, ...]
    gained: tuple[Flavor, ...]
    others_closed: tuple[Backend, ...]
    """Those that are drained or not public already."""
    token: str
    nothing_left: bool = False
    """Whether the last ones that take anybody's servers are made not public."""

    @property
    def verdict(self) -> Verdict:
        if self.lost or self.nothing_left:
            return Verdict.LOSS
        return Verdict.CAUTION if self.tight else Verdict.FINE


@dataclasses.dataclass(frozen=True, slots=True)
class Around:
    """What draining backends does not stop, and whom it concerns."""

    pinned: Sequence[str]
    """The addresses of users whose new servers go there all the same."""
    creates: Sequence[Operation]
    """Servers that are being made there."""
    promoted: Mapping[int, str]
    """Of flavors that fit nowhere then, by id: the promoted flavor each of them is."""


def around(session: Session, chosen: Sequence[Backend], would: Preview) -> Around:
    """That; three statements."""
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


PINNED_SHOWN = 20
CREATES_SHOWN = 10


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
    return Preview(
        before=_room(before),
        after=_room(after),
        lost=tuple(f for f in wanted if _taken(before, f) and not _taken(after, f)),
        tight=tuple(
            f for f in wanted if _taken(after, f) and _placed(before, f) and not _placed(after, f)
        ),
        gained=tuple(f for f in wanted if not _taken(before, f) and _taken(after, f)),
        others_closed=tuple(b for b in backends if (b.drained or not b.public) and b.id not in ids),
        token=":".join(token(b) for b in backends if b.id in ids),
        nothing_left=change is Change.RESTRICT and bool(before) and not after,
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
    """Change the backend, if it is still as ``seen`` (a preview's token).

    Doing again what the same person just did changes nothing.
    Raises ItemNotFound, BadRequest (reason, or flavors would be lost), Moved.
    """
    backend = session.scalar(sa.select(Backend).where(Backend.id == backend_id).with_for_update())
    if backend is None or backend.removed is not None:
        raise faults.ItemNotFound(f"No backend {backend_id}.")
    if change.holds(backend) and _same_act(backend, identity, reason):
        return
    if seen != token(backend):
        raise Moved
    if not accept_loss:
        _check_loss(session, backend, change)
    flag, value = change.flag
    if flag == "public":
        fleet.set_public(session, identity, backend, public=value, reason=reason)
    else:
        fleet.set_drained(session, identity, backend, drained=value, reason=reason, until=until)


def _same_act(backend: Backend, identity: Identity, reason: str) -> bool:
    return backend.state_by_id == identity.user_id and backend.state_reason == reason.strip()


def _check_loss(session: Session, backend: Backend, change: Change) -> None:
    would = preview(fleet.list_all(session), flavors.list_active(session), [backend], change)
    if would.verdict is Verdict.LOSS:
        raise faults.BadRequest(
            "Some flavors could not be placed anywhere.",
            details={"accept_loss": "Tick that you accept it."},
        )


def token(backend: Backend) -> str:
    """What a preview was made of; it changes with the backend's flags."""
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
