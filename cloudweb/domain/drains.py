"""What draining a backend, or ending that, would change; and doing it if that is still so."""

import dataclasses
import datetime as dt
import enum
import hashlib
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import flavors, fleet, states
from cloudweb.domain.attention import places
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


class Verdict(enum.StrEnum):
    """How much a person should hesitate."""

    FINE = "fine"
    CAUTION = "caution"
    LOSS = "loss"


@dataclasses.dataclass(frozen=True, slots=True)
class Room:
    """What backends that take new servers have, summed; sizes in MiB."""

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
    others_drained: tuple[Backend, ...]
    token: str

    @property
    def verdict(self) -> Verdict:
        if self.lost:
            return Verdict.LOSS
        return Verdict.CAUTION if self.tight else Verdict.FINE


@dataclasses.dataclass(frozen=True, slots=True)
class Around:
    """What draining a backend does not stop, and whom it concerns."""

    pinned: Sequence[str]
    """The addresses of users whose new servers go there all the same."""
    creates: Sequence[Operation]
    """Servers that are being made there."""
    promoted: Mapping[int, str]
    """Of flavors that fit nowhere then, by id: the promoted flavor each of them is."""


def around(session: Session, backend: Backend, would: Preview) -> Around:
    """That; three statements."""
    pinned = session.scalars(
        sa.select(User.email)
        .join(BackendPin, BackendPin.user_id == User.id)
        .where(BackendPin.backend_id == backend.id)
        .order_by(User.email)
        .limit(PINNED_SHOWN)
    ).all()
    creates = session.scalars(
        sa.select(Operation)
        .where(
            Operation.backend_id == backend.id,
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
    backends: Sequence[Backend], wanted: Sequence[Flavor], backend: Backend, *, drained: bool
) -> Preview:
    """What ``apply`` would bring about, by the last known figures."""
    before = [b for b in backends if _takes_servers(b)]
    others = [b for b in before if b.id != backend.id]
    after = others if drained or backend.offline else [*others, backend]
    # A drained backend takes no flavor; what it would take is asked of a copy that is not.
    candidates = [_undrained(b) if b.id == backend.id else b for b in after]
    return Preview(
        before=_room(before),
        after=_room(candidates),
        lost=tuple(f for f in wanted if _taken(before, f) and not _taken(candidates, f)),
        tight=tuple(
            f
            for f in wanted
            if _taken(candidates, f) and _placed(before, f) and not _placed(candidates, f)
        ),
        gained=tuple(f for f in wanted if not _taken(before, f) and _taken(candidates, f)),
        others_drained=tuple(b for b in backends if b.drained and b.id != backend.id),
        token=token(backend),
    )


def apply(
    session: Session,
    identity: Identity,
    backend_id: int,
    *,
    drained: bool,
    reason: str,
    seen: str,
    accept_loss: bool,
    until: dt.datetime | None = None,
) -> None:
    """Drain the backend or end that, if it is still as ``seen`` (a preview's token).

    Doing again what the same person just did changes nothing.
    Raises ItemNotFound, BadRequest (reason, or flavors would be lost), Moved.
    """
    backend = session.scalar(sa.select(Backend).where(Backend.id == backend_id).with_for_update())
    if backend is None or backend.removed is not None:
        raise faults.ItemNotFound(f"No backend {backend_id}.")
    if backend.drained is drained and _same_act(backend, identity, reason):
        return
    if seen != token(backend):
        raise Moved
    if drained and not accept_loss:
        _check_loss(session, backend)
    fleet.set_drained(session, identity, backend, drained=drained, reason=reason, until=until)


def _same_act(backend: Backend, identity: Identity, reason: str) -> bool:
    return backend.state_by_id == identity.user_id and backend.state_reason == reason.strip()


def _check_loss(session: Session, backend: Backend) -> None:
    would = preview(fleet.list_all(session), flavors.list_active(session), backend, drained=True)
    if would.lost:
        raise faults.BadRequest(
            "Some flavors could not be placed anywhere.",
            details={"accept_loss": "Tick that you accept it."},
        )


def token(backend: Backend) -> str:
    """What a preview was made of; it changes with the backend's flags."""
    since = backend.state_since.isoformat() if backend.state_since else ""
    text = f"{backend.id}:{backend.drained:d}:{backend.offline:d}:{since}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _takes_servers(backend: Backend) -> bool:
    return not backend.drained and not backend.offline


def _undrained(backend: Backend) -> Backend:
    values = {column.key: getattr(backend, column.key) for column in sa.inspect(Backend).columns}
    return Backend(**(values | {"drained": False}))


def _taken(backends: Sequence[Backend], flavor: Flavor) -> bool:
    return any(fleet.takes(backend, flavor) for backend in backends)


def _placed(backends: Sequence[Backend], flavor: Flavor) -> bool:
    return any(places(backend, flavor) for backend in backends)


def _room(backends: Sequence[Backend]) -> Room:
    return Room(
        len(backends),
        sum(b.memory_total_mb for b in backends),
        sum(b.memory_free_mb for b in backends),
        sum(b.disk_total_mb for b in backends),
        sum(b.disk_free_mb for b in backends),
    )
