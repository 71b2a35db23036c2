"""Lists of images, filtered and in order, by a constant number of statements."""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import images
from cloudweb.domain.filters import Field, Fields
from cloudweb.domain.identity import Identity
from cloudweb.models import Image, ImageMember, User

_images = Image.__table__.c
_members = ImageMember.__table__.c
_size = sa.func.coalesce(_images.size, 0)

FIELDS = Fields(
    id=Image.id,
    name=Image.name,
    location=Image.location,
    owner=Field.of(User.email, nullable=True),
    public=Image.is_public,
    format=Image.disk_format,
    container=Image.container_format,
    status=Image.status,
    size=Image.size,
    checksum=Image.checksum,
    deleted=Image.deleted,
    created=Image.created,
    updated=Image.updated,
)
"""What images are filtered and sorted by, for operators; size in bytes."""


def rows() -> sa.Select[Image, str]:
    """Every image, deleted or not, and its owner's address, by name."""
    query = sa.select(Image, User.email).outerjoin(User, Image.owner_id == User.id)
    return query.order_by(Image.name, Image.id)


ORDERS: Mapping[str, sa.ColumnElement[Any]] = {
    "id": _images.id,
    "name": _images.name,
    "status": _images.status,
    "size": _size,
    "disk_format": _images.disk_format,
    "container_format": _images.container_format,
    "created_at": _images.created,
    "updated_at": _images.updated,
}
"""What a list may be ordered by; images that are alike in it are ordered by id."""

_FEW = 1000
"""So many parameters every database takes in a statement."""


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """Which images, in which order, and which part of them; None means all."""

    name: str | None = None
    disk_format: str | None = None
    container_format: str | None = None
    status: str | None = None
    size_min: int | None = None
    size_max: int | None = None
    changed_since: dt.datetime | None = None
    """What changed since then, deleted images as well."""
    order: str = "id"
    descending: bool = False
    marker: str | None = None
    """The image after which the part begins."""
    limit: int | None = None

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """The filters in SQL."""
        found: list[sa.ColumnElement[bool]] = [
            _images[field] == getattr(self, field)
            for field in ("name", "disk_format", "container_format", "status")
            if getattr(self, field) is not None
        ]
        if self.size_min is not None:
            found.append(_size >= self.size_min)
        if self.size_max is not None:
            found.append(_size <= self.size_max)
        return found


ALL = Wanted()


def list_versions(
    session: Session, identity: Identity, wanted: Wanted = ALL
) -> list[tuple[str, int]]:
    """(id, version) of the images the actor sees, in order; one statement.

    Two where the order is not by id and a part begins after a marker; raises BadRequest when that
    is no image the actor may see, or saw.
    """
    columns = (_images.id, _images.version, ORDERS[wanted.order].label("place"))
    seen = _seen(identity, wanted, *columns).subquery("seen")
    query = sa.select(seen.c.id, seen.c.version)
    if wanted.marker is not None:
        query = query.where(_after(session, identity, wanted, seen.c.place, seen.c.id))
    order = (seen.c.place, seen.c.id)
    query = query.order_by(*(sa.desc(c) if wanted.descending else c for c in order))
    if wanted.limit is not None:
        query = query.limit(wanted.limit)
    return [(row[0], row[1]) for row in session.connection().execute(query)]


def load(
    session: Session, identity: Identity, wanted: Wanted, ids: Sequence[str]
) -> Sequence[sa.Row[Any]]:
    """Rows of at least these images of that list; one statement."""
    query = sa.select(*_images)
    if len(ids) <= _FEW:
        query = query.where(_images.id.in_(ids))
    else:
        seen = _seen(identity, wanted, _images.id).subquery("seen")
        query = query.join_from(seen, Image.__table__, _images.id == seen.c.id)
    return session.connection().execute(query).all()


def _seen(
    identity: Identity, wanted: Wanted, *columns: sa.ColumnElement[Any]
) -> sa.CompoundSelect[Any]:
    """What the actor sees of what is wanted; each part of the union has an index of its own."""
    found = sa.select(*columns).where(*wanted.conditions())
    shared = found.join_from(ImageMember.__table__, Image.__table__).where(
        _members.user_id == identity.user_id
    )
    if wanted.changed_since is not None:
        # What was shared with the actor since then is new to them.
        return sa.union(
            found.where(_images.updated >= wanted.changed_since, images.may_see(identity)),
            shared.where(_members.created >= wanted.changed_since),
        )
    live = _images.deleted == sa.false()
    return sa.union(
        found.where(_images.is_public == sa.true(), live),
        found.where(_images.owner_id == identity.user_id, live),
        shared.where(live),
    )


def _after(
    session: Session,
    identity: Identity,
    wanted: Wanted,
    place: sa.ColumnElement[Any],
    key: sa.ColumnElement[str],
) -> sa.ColumnElement[bool]:
    later = key < wanted.marker if wanted.descending else key > wanted.marker
    if wanted.order == "id":
        return later
    row = session.execute(
        sa.select(ORDERS[wanted.order]).where(_images.id == wanted.marker, images.may_see(identity))
    ).one_or_none()
    if row is None:
        raise faults.BadRequest("Unknown marker.")
    further = place < row[0] if wanted.descending else place > row[0]
    return sa.or_(further, sa.and_(place == row[0], later))
