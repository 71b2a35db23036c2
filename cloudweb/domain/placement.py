"""Which cluster a new server goes to, and why not to the others.

A site adds its own rules as entry points: of ``cloudweb.placement_filters`` each is called with a
cluster and a flavor and answers why the cluster is left out, or None; ``cloudweb.placement_score``
may have one, which answers a number, the lowest wins.
"""

import dataclasses
import enum
import functools
import importlib.metadata
import logging
from collections.abc import Callable
from typing import cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit, cards, fitting
from cloudweb.domain.filters import Fields
from cloudweb.domain.identity import Identity
from cloudweb.models import Backend, BackendPin, Flavor, User

_log = logging.getLogger(__name__)

Filter = Callable[[Backend, Flavor], str | None]
Score = Callable[[Backend, Flavor], float]

TRIED = "it was asked, and had no room"
_NO_ADDRESS = "no public network there has a free address"


class Standing(enum.IntEnum):
    """How good a cluster is for a server, before any score; the lowest wins."""

    FITS = 0
    FULL = 1
    """It has no room by its last figures, which may have changed."""
    SILENT = 2
    """It does not answer, and looks as empty as when it last did."""
    OUT = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate:
    """A cluster as seen for one new server; ``why`` it is not simply a candidate."""

    backend: Backend
    standing: Standing
    score: float
    why: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Earlier:
    """What is known of a server that clusters had no room for."""

    tried: frozenset[int] = frozenset()
    """The ids of those clusters."""
    has_address: bool = False
    """Whether the address it has is good on every cluster."""


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """What decides besides whether the cluster takes and fits the flavor."""

    filters: tuple[tuple[str, Filter], ...] = ()
    score: Score = lambda backend, _flavor: fitting.score(backend)


@functools.cache
def site_policy() -> Policy:
    """The documented score, or what is installed as entry points. Raises ValueError for two."""
    filters = importlib.metadata.entry_points(group="cloudweb.placement_filters")
    scores = importlib.metadata.entry_points(group="cloudweb.placement_score")
    if len(scores) > 1:
        raise ValueError("There can be one entry point cloudweb.placement_score.")
    found = tuple((each.name, each.load()) for each in sorted(filters, key=lambda e: e.name))
    return Policy(found, *(each.load() for each in scores))


_NEW = Earlier()

_PINNED = (
    sa.select(BackendPin.backend_id)
    .where(BackendPin.user_id == sa.bindparam("user_id", type_=sa.BigInteger()))
    .scalar_subquery()
)
_KNOWN = (
    sa.select(Backend, _PINNED, cards.has_public())
    .where(Backend.removed.is_(None))
    .order_by(Backend.id)
)
"""Each cluster, which of them the user is pinned to, and whether it has a public address."""


def choose(
    session: Session,
    flavor: Flavor,
    user_id: int | None = None,
    *,
    policy: Policy | None = None,
    earlier: Earlier = _NEW,
    only: Backend | None = None,
) -> Backend:
    """The cluster for a new server of this flavor: the one with the lowest score that fits.

    The chosen row's free memory and disk shrink at once, so that a burst spreads; the next
    refresh sets them right. A cluster that does not answer is only chosen when none answers, one
    that had no room before never.
    ``only`` that one is chosen, as if the user were pinned to it.
    Raises ServiceUnavailable when no cluster takes it, OverLimit when those that do have no room
    on a public network.
    """
    candidates = explain(session, flavor, user_id, policy=policy, earlier=earlier, only=only)
    if not candidates or candidates[0].standing is Standing.OUT:
        if any(candidate.why == _NO_ADDRESS for candidate in candidates):
            raise faults.OverLimit(cards.PUBLIC_FULL)
        if only is not None:
            why = next((each.why for each in candidates if each.backend.id == only.id), "")
            raise faults.ServiceUnavailable(f"{only.name} cannot take it: {why or 'removed'}.")
        raise faults.ServiceUnavailable("No available backends")
    chosen = candidates[0].backend
    _take(session, chosen, flavor)
    return chosen


def explain(
    session: Session,
    flavor: Flavor,
    user_id: int | None = None,
    *,
    policy: Policy | None = None,
    earlier: Earlier = _NEW,
    only: Backend | None = None,
) -> list[Candidate]:
    """Every cluster as it stands for a new server, the one to be chosen first; one statement."""
    policy = policy or site_policy()
    found = []
    for backend, pin, connected in session.execute(_KNOWN, {"user_id": user_id}):
        pinned = pin if only is None else only.id
        why = TRIED if backend.id in earlier.tried else ""
        why = why or _why_out(backend, flavor, pinned, connected or earlier.has_address, policy)
        standing, note = (Standing.OUT, why) if why else _standing(backend, flavor)
        found.append(Candidate(backend, standing, policy.score(backend, flavor), note))
    return sorted(found, key=lambda c: (c.standing, c.score, c.backend.id))


def _why_out(
    backend: Backend,
    flavor: Flavor,
    pinned: int | None,
    connected: bool,
    policy: Policy,
) -> str:
    """Why the cluster cannot be asked at all; empty when it can."""
    if backend.offline:
        return "offline"
    if pinned is not None and backend.id != pinned:
        return "the user is pinned to another cluster"
    if pinned is None and not fitting.is_open(backend):
        return "drained" if backend.drained else "not public"
    if not fitting.offers(backend, flavor):
        return f"no disk template {flavor.disk_template}"
    if not connected:
        return _NO_ADDRESS
    for name, each in policy.filters:
        why = _ask(name, each, backend, flavor)
        if why:
            return why
    return ""


def _ask(name: str, rule: Filter, backend: Backend, flavor: Flavor) -> str | None:
    try:
        return rule(backend, flavor)
    except Exception:  # noqa: BLE001  (a site's rule that fails must not fail creates elsewhere)
        _log.exception("placement filter failed", extra={"filter": name, "backend": backend.name})
        return f"the filter {name} failed"


def _standing(backend: Backend, flavor: Flavor) -> tuple[Standing, str]:
    if backend.unreachable_since is not None:
        return Standing.SILENT, "does not answer"
    if not fitting.fits(backend, flavor):
        return Standing.FULL, "no room by its last figures"
    return Standing.FITS, ""


def _take_from(column: sa.Column[int]) -> sa.ColumnElement[int]:
    left = column - sa.bindparam(f"less_{column.name}", type_=column.type)
    return sa.case((left > 0, left), else_=0)


_backends = cast("sa.Table", Backend.__table__)
_TAKE = (
    sa.update(_backends)
    .where(_backends.c.id == sa.bindparam("backend_id"))
    .values(
        memory_free_mb=_take_from(_backends.c.memory_free_mb),
        disk_free_mb=_take_from(_backends.c.disk_free_mb),
        instances=_backends.c.instances + 1,
    )
)


def _take(session: Session, backend: Backend, flavor: Flavor) -> None:
    less = {"less_memory_free_mb": flavor.ram_mb, "less_disk_free_mb": fitting.disk_mb(flavor)}
    session.connection().execute(_TAKE, {"backend_id": backend.id, **less})


# --- pinned users -------------------------------------------------------------------------------


def pin(session: Session, identity: Identity, user: User, backend: Backend) -> None:
    """Have a user's new servers go to this cluster only, drained or not, public or not."""
    session.execute(sa.select(User.id).where(User.id == user.id).with_for_update())
    row = session.get(BackendPin, user.id)
    before = _name_of(session, row.backend_id) if row is not None else None
    if row is None:
        session.add(BackendPin(user_id=user.id, backend_id=backend.id))
    else:
        row.backend_id = backend.id
    audit.record(session, identity, "user:pin", "user", user.id, before=before, after=backend.name)


def _name_of(session: Session, backend_id: int) -> str:
    return session.get_one(Backend, backend_id).name


def unpin(session: Session, identity: Identity, user: User) -> bool:
    """Let a user's new servers go anywhere again; whether they were pinned."""
    session.execute(sa.select(User.id).where(User.id == user.id).with_for_update())
    row = session.get(BackendPin, user.id)
    if row is None:
        return False
    session.delete(row)
    before = _name_of(session, row.backend_id)
    audit.record(session, identity, "user:unpin", "user", user.id, before=before, after=None)
    return True


PIN_FIELDS = Fields(user=User.email, backend=Backend.name, created=BackendPin.created)
"""What pinned users are filtered and sorted by."""


def pin_rows() -> sa.Select[str, str]:
    """(user's address, cluster's name) of each pinned user, by address."""
    return (
        sa.select(User.email, Backend.name)
        .join_from(BackendPin, User, User.id == BackendPin.user_id)
        .join(Backend, Backend.id == BackendPin.backend_id)
        .order_by(User.email)
    )


def list_pins(session: Session) -> list[tuple[str, str]]:
    """(user's address, cluster's name) of each pinned user, by address; one statement."""
    return [(row[0], row[1]) for row in session.execute(pin_rows())]
