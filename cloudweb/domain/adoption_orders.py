"""Adoptions asked for on a page: the worker asks the cluster, somebody confirms, the worker does.

What is confirmed is what was shown: an instance that has changed since is left as it is.
"""

import dataclasses
import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import adoption, audit, operations, owners, texts
from cloudweb.domain.adoption import Fate, Step
from cloudweb.domain.identity import Identity
from cloudweb.models import (
    MAX_ID,
    Adoption,
    AdoptionState,
    AdoptionStep,
    Backend,
    User,
    utc_now,
)

GOOD_FOR = dt.timedelta(minutes=15)
"""What was shown longer ago has to be looked at anew."""
_MAX_RULES = 20_000


class Moved(faults.Conflict):
    """It is not to be confirmed any more."""

    sentence = "Nothing was done: this is not waiting for an answer any more. Ask again."


def ask(
    session: Session,
    identity: Identity,
    backend: Backend,
    *,
    owner: str,
    rules: str = "",
    image_ref: str = "",
) -> Adoption:
    """Have the worker find out what would come of adopting a cluster; nothing is adopted yet.

    Raises BadRequest (nobody is to own anything, a line that is none, an unknown address), whose
    details name the field, and Conflict when the cluster is not to be contacted.
    """
    owner = owner.strip().lower()
    if backend.offline:
        raise faults.Conflict(f"{backend.name} is offline: it is not to be contacted.")
    _check_owners(session, owner, rules)
    image = image_ref.strip() or adoption.UNKNOWN_IMAGE
    if len(image) > 36:
        raise faults.BadRequest("No image.", details={"image": "An image's id is shorter."})
    order = Adoption(
        backend_id=backend.id, user_id=identity.user_id, owner=owner, rules=rules, image_ref=image
    )
    session.add(order)
    session.flush()  # whoever asked is shown it by its id
    audit.record(
        *(session, identity, "backend:adopt-plan", "backend", backend.id),
        adoption=order.id,
        owner=owner,
    )
    operations.announce(session, backend.id, refresh=True)
    return order


def _check_owners(session: Session, owner: str, rules: str) -> None:
    if len(rules) > _MAX_RULES:
        raise faults.BadRequest("Too long.", details={"rules": "These are too many lines."})
    try:
        named = {mail.lower() for _, mail in owners.parse(rules)}
    except faults.BadRequest as fault:
        raise faults.BadRequest(fault.message, details={"rules": fault.message}) from None
    if not owner and not named:
        raise faults.BadRequest("Say whose they are.", details={"owner": "Say whose they are."})
    wanted = named | ({owner} if owner else set())
    known = set(session.scalars(sa.select(User.email).where(User.email.in_(wanted))))
    if owner and owner not in known:
        raise faults.BadRequest("Nobody.", details={"owner": "Nobody here has this address."})
    missing = sorted(named - known)
    if missing:
        text = f"Nobody here has the address {missing[0]}."
        raise faults.BadRequest(text, details={"rules": text})


def get(session: Session, order_id: int) -> Adoption:
    """The adoption. Raises ItemNotFound."""
    order = session.get(Adoption, order_id) if 0 < order_id <= MAX_ID else None
    if order is None:
        raise faults.ItemNotFound(f"No adoption {order_id}.")
    return order


def confirm(session: Session, identity: Identity, order_id: int, *, reason: str) -> Adoption:
    """Have the worker do what was shown. Raises BadRequest (no reason) and Moved."""
    order = get(session, order_id)
    reason = texts.reason(reason)
    session.refresh(order, with_for_update=True)
    late = order.taken is None or utc_now() - order.taken > GOOD_FOR
    if order.state is not AdoptionState.PLANNED or late:
        raise Moved
    order.state, order.reason, order.user_id = AdoptionState.CONFIRMED, reason, identity.user_id
    audit.record(
        *(session, identity, "backend:adopt", "backend", order.backend_id),
        reason=reason,
        adoption=order.id,
    )
    operations.announce(session, order.backend_id, refresh=True)
    return order


@dataclasses.dataclass(frozen=True, slots=True)
class Shown:
    """How many instances there are of each fate, how many are done, and some of the steps."""

    counts: Mapping[str, int]
    settled: int
    steps: Sequence[AdoptionStep]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def show(session: Session, order: Adoption, *, limit: int) -> Shown:
    """What a page shows of it, what is refused first; three statements."""
    mine = AdoptionStep.adoption_id == order.id
    rows = session.execute(
        sa.select(AdoptionStep.fate, AdoptionStep.settled, sa.func.count())
        .where(mine)
        .group_by(AdoptionStep.fate, AdoptionStep.settled)
    )
    counts: Counter[str] = Counter()
    settled = 0
    for fate, is_settled, count in rows:
        counts[fate] += count
        settled += count if is_settled else 0
    steps = session.scalars(
        sa.select(AdoptionStep)
        .where(mine)
        .order_by(AdoptionStep.fate.desc(), AdoptionStep.id)
        .limit(limit)
    ).all()
    return Shown(counts, settled, steps)


# --- what the worker does -----------------------------------------------------------------------


def find_due(session: Session, backend_id: int) -> Adoption | None:
    """The oldest adoption of a cluster for which the worker has something to do."""
    due = (AdoptionState.WANTED, AdoptionState.CONFIRMED)
    return session.scalar(
        sa.select(Adoption)
        .where(Adoption.backend_id == backend_id, Adoption.state.in_(due))
        .order_by(Adoption.id)
        .limit(1)
    )


def keep_plan(
    session: Session, order_id: int, steps: Sequence[Step], *, taken: dt.datetime
) -> None:
    """Keep what would come of each instance, for somebody to confirm; once."""
    order = session.get_one(Adoption, order_id, with_for_update=True)
    if order.state is not AdoptionState.WANTED:
        return
    order.state, order.taken, order.error = AdoptionState.PLANNED, taken, ""
    session.add_all(
        AdoptionStep(
            adoption_id=order.id,
            instance=step.instance.name,
            fate=step.fate.value,
            owner=step.owner.email if step.owner is not None else "",
            flavor=step.flavor[:64],
            new_flavor=step.new_flavor,
            new_networks=list(step.new_networks),
            why=step.why[:255],
            settled=step.fate is not Fate.ADOPT,
        )
        for step in steps
    )


def list_unsettled(session: Session, order_id: int) -> Sequence[AdoptionStep]:
    """The steps that are still to be done, in order."""
    return session.scalars(_unsettled().where(AdoptionStep.adoption_id == order_id)).all()


def lock_unsettled(
    session: Session, backend_id: int, steps: Sequence[AdoptionStep]
) -> Sequence[AdoptionStep]:
    """Those of these steps that no other worker has done meanwhile; its cluster is locked."""
    session.execute(sa.select(Backend.id).where(Backend.id == backend_id).with_for_update())
    ids = [step.id for step in steps]
    return session.scalars(_unsettled().where(AdoptionStep.id.in_(ids))).all()


def _unsettled() -> sa.Select[AdoptionStep]:
    return (
        sa.select(AdoptionStep).where(AdoptionStep.settled == sa.false()).order_by(AdoptionStep.id)
    )


def agreed(shown: AdoptionStep, now: Step | None) -> Step | str:
    """What is to be done with an instance, if that is what was shown; else why nothing is."""
    if now is None:
        return "it is gone"
    if now.fate is not Fate.ADOPT:
        return now
    email = now.owner.email if now.owner is not None else ""
    same = (email, now.flavor[:64]) == (shown.owner, shown.flavor)
    if not same or not set(now.new_networks) <= set(shown.new_networks):
        return "it has changed since it was shown"
    return now


def settle(session: Session, shown: Sequence[AdoptionStep], done: Sequence[Step | str]) -> None:
    """Write down what became of these; one statement."""
    values = [
        {
            "id": row.id,
            "fate": (Fate.REFUSED if isinstance(step, str) else step.fate).value,
            "why": (step if isinstance(step, str) else step.why)[:255],
            "settled": True,
        }
        for row, step in zip(shown, done, strict=True)
    ]
    if values:
        session.execute(sa.update(AdoptionStep), values)


def finish(session: Session, order_id: int) -> None:
    """All of it is done."""
    order = session.get_one(Adoption, order_id, with_for_update=True)
    if order.finished is not None:
        return
    order.state, order.finished, order.error = AdoptionState.DONE, utc_now(), ""


def note_failed(session: Session, backend_id: int, message: str) -> None:
    """The cluster does not answer: what is only wanted fails, what is confirmed goes on later."""
    order = find_due(session, backend_id)
    if order is None:
        return
    order.error = message[:500]
    if order.state is AdoptionState.WANTED:
        order.state, order.finished = AdoptionState.FAILED, utc_now()


def list_newest(session: Session, backend_id: int, *, limit: int = 5) -> Sequence[Adoption]:
    """The last adoptions of a cluster, newest first."""
    return session.scalars(
        sa.select(Adoption)
        .where(Adoption.backend_id == backend_id)
        .order_by(Adoption.id.desc())
        .limit(limit)
    ).all()
