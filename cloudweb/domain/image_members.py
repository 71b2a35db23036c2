"""Whom an image is shared with: users, known by their numbers."""

from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit, images
from cloudweb.domain.identity import Identity
from cloudweb.models import MAX_ID, Image, ImageMember, User

MAX_MEMBERS = 1000


def list_members(session: Session, identity: Identity, image_id: str) -> Sequence[int]:
    """The users one's image is shared with. Raises ItemNotFound, Forbidden."""
    return _members(session, images.get_own(session, identity, image_id))


def replace(session: Session, identity: Identity, image_id: str, user_ids: Collection[int]) -> None:
    """Share the image with these users and no others; a constant number of statements.

    Raises ItemNotFound (the image), Forbidden, BadRequest (a user), OverLimit.
    """
    image = images.lock_own(session, identity, image_id)
    wanted, known = set(user_ids), set(_members(session, image))
    _check(session, image, wanted - known, len(wanted))
    _change(session, identity, image, added=wanted - known, removed=known - wanted)


def add(session: Session, identity: Identity, image_id: str, user_id: int) -> None:
    """Share the image with one more user; twice is once.

    Raises ItemNotFound (the image, the user), Forbidden, BadRequest (its owner), OverLimit.
    """
    image = images.lock_own(session, identity, image_id)
    known = set(_members(session, image))
    if user_id not in known:
        _check_room(image, {user_id}, len(known) + 1)
        if _missing(session, {user_id}):
            raise faults.ItemNotFound("There is no such user.")
        _change(session, identity, image, added={user_id}, removed=set())


def remove(session: Session, identity: Identity, image_id: str, user_id: int) -> None:
    """Share it with this user no longer. Raises ItemNotFound, Forbidden."""
    image = images.lock_own(session, identity, image_id)
    if user_id not in _members(session, image):
        raise faults.ItemNotFound("The image is not shared with this user.")
    _change(session, identity, image, added=set(), removed={user_id})


def shared_images(session: Session, identity: Identity, user_id: int) -> Sequence[str]:
    """The actor's images that are shared with a user; for oneself: what others share.

    A user nobody knows has none. One statement.
    """
    query = (
        sa.select(ImageMember.image_id)
        .join(Image, Image.id == ImageMember.image_id)
        .where(ImageMember.user_id == user_id, Image.deleted == sa.false())
        .order_by(ImageMember.image_id)
    )
    if user_id != identity.user_id:
        query = query.where(Image.owner_id == identity.user_id)
    return session.scalars(query).all() if 0 < user_id <= MAX_ID else []


def list_emails(session: Session, image: Image, *, limit: int = MAX_MEMBERS) -> Sequence[str]:
    """The e-mail addresses of the users an image is shared with, for operators."""
    return session.scalars(
        sa.select(User.email)
        .join(ImageMember, ImageMember.user_id == User.id)
        .where(ImageMember.image_id == image.id)
        .order_by(User.email)
        .limit(limit)
    ).all()


def _members(session: Session, image: Image) -> Sequence[int]:
    return session.scalars(
        sa.select(ImageMember.user_id)
        .where(ImageMember.image_id == image.id)
        .order_by(ImageMember.user_id)
    ).all()


def _check(session: Session, image: Image, new: Collection[int], together: int) -> None:
    _check_room(image, new, together)
    if missing := _missing(session, new):
        shown = ", ".join(str(user_id)[:20] for user_id in missing[:10])
        raise faults.BadRequest("There is no such user.", details=f"member_id: {shown}")


def _check_room(image: Image, new: Collection[int], together: int) -> None:
    if together > MAX_MEMBERS:
        raise faults.OverLimit(f"An image is shared with at most {MAX_MEMBERS} users.")
    if image.owner_id in new:
        raise faults.BadRequest("An image is not shared with its owner.")


def _missing(session: Session, user_ids: Collection[int]) -> Sequence[int]:
    """Which of these are no users, in order."""
    possible = [user_id for user_id in user_ids if 0 < user_id <= MAX_ID]
    found = set(session.scalars(sa.select(User.id).where(User.id.in_(possible))))
    return sorted(set(user_ids) - found)


def _change(
    session: Session, identity: Identity, image: Image, *, added: set[int], removed: set[int]
) -> None:
    if removed:
        session.execute(
            sa.delete(ImageMember).where(
                ImageMember.image_id == image.id, ImageMember.user_id.in_(removed)
            )
        )
    session.add_all(ImageMember(image_id=image.id, user_id=user_id) for user_id in sorted(added))
    if added or removed:
        audit.record(
            session,
            identity,
            "image:share",
            "image",
            image.id,
            added=sorted(added),
            removed=sorted(removed),
        )
