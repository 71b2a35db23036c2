"""Keeping a list as one likes it, for oneself or for others."""

import dataclasses
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit, texts
from cloudweb.domain.filters import Fields
from cloudweb.domain.identity import Identity
from cloudweb.models import Role, SavedView, User

EVERYONE = "everyone"
SHARED_WITH = ("", EVERYONE, *(role.value for role in Role if role is not Role.USER))
LONGEST_NAME = 50
_LONGEST_QUERY = 2000
_MOST_EACH = 100
_SHOWN = 50


@dataclasses.dataclass(frozen=True, slots=True)
class ViewRow:
    """A view, and who made it."""

    view: SavedView
    owner: str


FIELDS = Fields(
    id=SavedView.id,
    name=SavedView.name,
    list=SavedView.listing,
    owner=User.email,
    shared=SavedView.shared_with,
    opens=SavedView.opens,
    created=SavedView.created,
)
"""What views are filtered and sorted by."""


def rows() -> sa.Select[SavedView, str]:
    """Every view, with its owner's e-mail address."""
    return sa.select(SavedView, User.email).join_from(SavedView, User)


def visible(identity: Identity) -> sa.ColumnElement[bool]:
    """One's own, and what others share with everyone or with one's role."""
    return sa.or_(
        SavedView.user_id == identity.user_id,
        SavedView.shared_with.in_((EVERYONE, identity.role.value)),
    )


def list_for(session: Session, identity: Identity, listing: str) -> Sequence[ViewRow]:
    """The views of one list that somebody may use, their own first; one statement."""
    found = session.execute(
        rows()
        .where(SavedView.listing == listing, visible(identity))
        .order_by(SavedView.user_id != identity.user_id, SavedView.name, SavedView.id)
        .limit(_SHOWN)
    )
    return [ViewRow(*row) for row in found]


def list_own(session: Session, identity: Identity, *, limit: int) -> Sequence[SavedView]:
    """One's own views of all lists, by name; one statement."""
    return session.scalars(
        sa.select(SavedView)
        .where(SavedView.user_id == identity.user_id)
        .order_by(SavedView.name, SavedView.id)
        .limit(limit)
    ).all()


def get(session: Session, identity: Identity, view_id: int) -> ViewRow:
    """A view that somebody may use. Raises ItemNotFound."""
    row = session.execute(rows().where(SavedView.id == view_id, visible(identity))).one_or_none()
    if row is None:
        raise faults.ItemNotFound(f"There is no view {view_id} that you may use.")
    return ViewRow(*row)


def may_change(identity: Identity, view: SavedView) -> bool:
    """Whether it is theirs; what is shared, administrators may change as well."""
    return view.user_id == identity.user_id or identity.role is Role.ADMIN


def add(
    session: Session,
    identity: Identity,
    *,
    listing: str,
    query: str,
    name: str,
    shared_with: str = "",
    opens: bool = False,
) -> SavedView:
    """Keep a list's query under a name. Raises BadRequest by field."""
    assert identity.user_id is not None
    _lock_owner(session, identity.user_id)
    if len(query) > _LONGEST_QUERY:
        raise faults.BadRequest("That is too much for one view: take some filters away.")
    have = sa.select(sa.func.count()).where(SavedView.user_id == identity.user_id)
    if (session.scalar(have) or 0) >= _MOST_EACH:
        raise faults.BadRequest(f"You have {_MOST_EACH} views; remove one first.")
    view = SavedView(user_id=identity.user_id, listing=listing, query=query, name="")
    _set(session, view, name=name, shared_with=shared_with, opens=opens)
    session.add(view)
    session.flush()  # the audit entry names its id
    audit.record(session, identity, "view:save", "view", view.id, after=_told(view))
    return view


def change(
    session: Session,
    identity: Identity,
    view: SavedView,
    *,
    name: str,
    shared_with: str,
    opens: bool,
) -> None:
    """Call it something else, share it, have the list open so. Raises BadRequest by field."""
    _lock_owner(session, view.user_id)
    session.refresh(view, with_for_update=True)
    before = _told(view)
    _set(session, view, name=name, shared_with=shared_with, opens=opens)
    audit.record(
        *(session, identity, "view:change", "view", view.id), before=before, after=_told(view)
    )


def remove(session: Session, identity: Identity, view: SavedView) -> None:
    """Do away with it."""
    own = view.user_id == identity.user_id
    audit.record(session, identity, "view:remove", "view", view.id, before=_told(view), own=own)
    session.delete(view)


def _lock_owner(session: Session, user_id: int) -> None:
    """Names are each owner's: who has the owner's row decides them."""
    session.execute(sa.select(User.id).where(User.id == user_id).with_for_update())


def _set(session: Session, view: SavedView, *, name: str, shared_with: str, opens: bool) -> None:
    name = " ".join(name.split())
    wrong = {}
    if not 0 < len(name) <= LONGEST_NAME or not texts.readable(name):
        wrong["name"] = f"A name has 1 to {LONGEST_NAME} characters on one line."
    elif _is_taken(session, view, name):
        wrong["name"] = "You have a view of this list with that name."
    if shared_with not in SHARED_WITH:
        wrong["shared_with"] = "Choose one of these."
    if wrong:
        raise faults.BadRequest("", details=wrong)
    if opens:
        others = [SavedView.user_id == view.user_id, SavedView.listing == view.listing]
        session.execute(sa.update(SavedView).where(*others).values(opens=False))
    view.name, view.shared_with, view.opens = name, shared_with, opens


def _is_taken(session: Session, view: SavedView, name: str) -> bool:
    same = [
        SavedView.user_id == view.user_id,
        SavedView.listing == view.listing,
        sa.func.lower(SavedView.name) == name.lower(),
    ]
    if view.id is not None:
        same.append(SavedView.id != view.id)
    return session.scalar(sa.select(SavedView.id).where(*same).limit(1)) is not None


def _told(view: SavedView) -> dict[str, object]:
    return {
        "list": view.listing,
        "name": view.name,
        "query": view.query,
        "shared_with": view.shared_with,
        "opens": view.opens,
    }
