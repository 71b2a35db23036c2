"""What images there are for whom; registering, changing and deleting them."""

import dataclasses
import re
import string
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit, quotas
from cloudweb.domain.identity import Identity
from cloudweb.models import Image, ImageMember, Resource, utc_now

AVAILABLE, UNAVAILABLE = "available", "unavailable"
STATUSES = (AVAILABLE, UNAVAILABLE)

KEY_MAX, VALUE_MAX = 255, 1000
MAX_PROPERTIES = 64
"""So that an answer with one in each header stays below the 100 that many clients read."""

LOCATIONS: Mapping[str, re.Pattern[str]] = {
    "pithos": re.compile(r"pithos://[^/]+/[^/]+/.+"),
    "http": re.compile(r"http://[^/?#@\s]+/\S*"),
    "https": re.compile(r"https://[^/?#@\s]+/\S*"),
    "file": re.compile(r"file:///.+"),
    "id": re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*"),
}
"""The kinds of places an image may lie at; ``id`` is a name that the clusters know."""


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """What an installation lets be registered: kinds of locations, and formats, default first."""

    schemes: tuple[str, ...] = tuple(LOCATIONS)
    disk_formats: tuple[str, ...] = ("diskdump", "extdump", "ntfsdump", "dump")
    container_formats: tuple[str, ...] = ("bare", "ovf", "ami", "aki", "ari")

    def check(self, values: Mapping[str, Any]) -> None:
        """Raises BadRequest for a value that is not among what is allowed."""
        if "location" in values:
            self._check_location(values["location"])
        for field, allowed in (
            ("disk_format", self.disk_formats),
            ("container_format", self.container_formats),
            ("status", STATUSES),
        ):
            if values.get(field, allowed[0]) not in allowed:
                raise faults.BadRequest(
                    f"Invalid {field.replace('_', ' ')}", details=f"One of: {', '.join(allowed)}."
                )

    def _check_location(self, location: str) -> None:
        scheme = scheme_of(location)
        if scheme not in self.schemes:
            kinds = ", ".join("a bare id" if s == "id" else f"{s}://" for s in self.schemes)
            raise faults.BadRequest("Unsupported location", details=f"It may be: {kinds}.")
        if not LOCATIONS[scheme].fullmatch(location):
            raise faults.BadRequest(
                "Invalid location",
                details="pithos://account/container/object, http(s)://host/path without a user, "
                "file:///path, or a bare id.",
            )


def scheme_of(location: str) -> str:
    """The kind of place, a key of LOCATIONS or something else."""
    scheme, found, _ = location.partition("://")
    return scheme if found else "id"


ANYTHING = Rules()


# --- who sees what ------------------------------------------------------------------------------


def may_see(identity: Identity) -> sa.ColumnElement[bool]:
    """Whether the actor may know of an image: public, their own, or shared with them."""
    if sees_all(identity):
        return sa.true()
    if identity.user_id is None:
        return Image.is_public == sa.true()
    shared = sa.exists().where(
        ImageMember.image_id == Image.id, ImageMember.user_id == identity.user_id
    )
    return sa.or_(Image.is_public == sa.true(), Image.owner_id == identity.user_id, shared)


def sees_all(identity: Identity) -> bool:
    """Staff see everybody's images in the dashboard and the CLI, never through an API."""
    return identity.door != "api" and identity.is_staff


def get(session: Session, identity: Identity, image_id: str) -> Image:
    """An image that is not deleted. Raises ItemNotFound."""
    return _found(session, sa.select(Image).where(Image.deleted == sa.false()), identity, image_id)


def get_any(session: Session, identity: Identity, image_id: str) -> Image:
    """An image, deleted or not. Raises ItemNotFound."""
    return _found(session, sa.select(Image), identity, image_id)


def get_usable(session: Session, identity: Identity, image_id: str) -> Image:
    """An image a server can be made of. Raises ItemNotFound, BadRequest when not available."""
    image = get(session, identity, image_id)
    if image.status != AVAILABLE:
        raise faults.BadRequest("Image is not available.")
    return image


def get_own(session: Session, identity: Identity, image_id: str) -> Image:
    """An image that is the actor's. Raises ItemNotFound, Forbidden for one they only see."""
    return _own(identity, get(session, identity, image_id))


def lock_own(session: Session, identity: Identity, image_id: str) -> Image:
    """The same, locked to be changed."""
    query = sa.select(Image).where(Image.deleted == sa.false()).with_for_update()
    return _own(identity, _found(session, query, identity, image_id))


def _found(session: Session, query: sa.Select[Image], identity: Identity, image_id: str) -> Image:
    image = session.scalar(query.where(Image.id == image_id, may_see(identity)))
    if image is None:
        raise faults.ItemNotFound("Image not found.")
    return image


def _own(identity: Identity, image: Image) -> Image:
    if not sees_all(identity) and (image.owner_id is None or image.owner_id != identity.user_id):
        raise faults.Forbidden("Only its owner can do this with an image.")
    return image


def list_all(session: Session) -> Sequence[Image]:
    """Every image that is not deleted, by name."""
    return session.scalars(
        sa.select(Image).where(Image.deleted == sa.false()).order_by(Image.name, Image.id)
    ).all()


# --- changing -----------------------------------------------------------------------------------


def register(
    session: Session,
    identity: Identity,
    *,
    name: str,
    location: str,
    disk_format: str | None = None,
    container_format: str | None = None,
    size: int | None = None,
    checksum: str | None = None,
    is_public: bool = True,
    properties: Mapping[str, str] | None = None,
    owner_id: int | None = None,
    rules: Rules = ANYTHING,
    limits: quotas.Limits | None = None,
) -> Image:
    """A new image of the actor, or of ``owner_id``; nobody looks whether it lies there.

    Raises BadRequest for what the rules do not allow, OverLimit when there are ``limits`` and the
    actor has too many already.
    """
    if not name.strip() or len(name) > 255 or not location.strip() or len(location) > 1024:
        raise faults.BadRequest("An image needs a name (255 characters) and a location (1024).")
    if limits is not None and identity.user_id is not None:
        quotas.check(session, identity.user_id, limits, {Resource.IMAGES: 1})
    now = utc_now()
    image = Image(
        id=str(uuid.uuid4()),
        owner_id=identity.user_id if owner_id is None else owner_id,
        name=name,
        location=location,
        disk_format=disk_format or rules.disk_formats[0],
        container_format=container_format or rules.container_formats[0],
        size=size,
        checksum=checksum,
        status=AVAILABLE,
        is_public=is_public,
        deleted=False,
        properties=merged({}, properties or {}),
        created=now,
        updated=now,
    )
    rules.check({f: getattr(image, f) for f in ("location", "disk_format", "container_format")})
    session.add(image)
    audit.record(
        *(session, identity, "image:register", "image", image.id), name=name, after=AVAILABLE
    )
    return image


def update(
    session: Session,
    identity: Identity,
    image_id: str,
    values: Mapping[str, Any],
    *,
    properties: Mapping[str, str] | None = None,
    purge: bool = False,
    rules: Rules = ANYTHING,
) -> Image:
    """The image with these values of name, formats, is_public and status, and these properties.

    Other properties stay, unless they are to be purged. Raises ItemNotFound, Forbidden, BadRequest.
    """
    rules.check(values)
    image = lock_own(session, identity, image_id)
    for field, value in values.items():
        setattr(image, field, value)
    if properties or purge:
        image.properties = merged(image.properties, properties or {}, purge=purge)
    _note_change(session, identity, image)
    return image


def _note_change(session: Session, identity: Identity, image: Image) -> None:
    """Say in the audit how what has changed was before; of properties only those that differ."""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for column in sa.inspect(image).attrs:
        if not column.history.has_changes():
            continue
        [was], now = list(column.history.deleted), column.value
        if isinstance(now, dict):
            differ = {key for key in {*was, *now} if was.get(key) != now.get(key)}
            was = {key: was[key] for key in sorted(differ & set(was))}
            now = {key: now[key] for key in sorted(differ & set(now))}
        before[str(column.key)], after[str(column.key)] = was, now
    if before:
        image.updated = utc_now()
        audit.record(
            *(session, identity, "image:update", "image", image.id), before=before, after=after
        )


def delete(session: Session, identity: Identity, image_id: str) -> None:
    """Nobody finds the image any more, but whoever asks what changed; servers made of it stay.

    Raises ItemNotFound, Forbidden.
    """
    image = lock_own(session, identity, image_id)
    image.deleted = True
    image.deleted_at = image.updated = utc_now()
    audit.record(
        *(session, identity, "image:delete", "image", image.id),
        name=image.name,
        before=image.status,
        after="deleted",
    )


# --- properties ---------------------------------------------------------------------------------

_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation, "_"))


def folded(key: str) -> str:
    """What a property is known by: two that are the same in capitals are one.

    Ganeti is told capitals, and a header has neither case nor punctuation.
    """
    return key.upper().translate(_PUNCTUATION)


def merged(
    known: Mapping[str, str],
    given: Mapping[str, str],
    *,
    purge: bool = False,
    respell: bool = False,
) -> dict[str, str]:
    """The known properties with the given ones, or only these when the others are purged.

    A known property keeps its spelling unless ``respell``. Raises BadRequest, OverLimit.
    """
    if len(set(map(folded, given))) < len(given):
        raise faults.BadRequest("Malformed request", details="A property comes twice.")
    spelled = {} if respell else {folded(key): key for key in known}
    items = {} if purge else {folded(key): (key, value) for key, value in known.items()}
    for key, value in given.items():
        items[folded(key)] = (spelled.get(folded(key), key), value)
    if len(items) > MAX_PROPERTIES:
        raise faults.OverLimit(f"An image has at most {MAX_PROPERTIES} properties.")
    return dict(sorted(items.values()))


def get_property(image: Image, key: str) -> tuple[str, str]:
    """The property as it is spelled, and its value. Raises ItemNotFound."""
    for known, value in image.properties.items():
        if folded(known) == folded(key):
            return known, value
    raise faults.ItemNotFound("Metadata key not found.")


def set_properties(
    session: Session, identity: Identity, image_id: str, given: Mapping[str, str]
) -> None:
    """Add or replace these properties. Raises ItemNotFound, Forbidden, BadRequest, OverLimit."""
    image = lock_own(session, identity, image_id)
    _change_properties(session, identity, image, merged(image.properties, given, respell=True))


def delete_property(session: Session, identity: Identity, image_id: str, key: str) -> None:
    """Take a property away. Raises ItemNotFound, Forbidden."""
    image = lock_own(session, identity, image_id)
    gone, _ = get_property(image, key)
    kept = {known: value for known, value in image.properties.items() if known != gone}
    _change_properties(session, identity, image, kept)


def _change_properties(
    session: Session, identity: Identity, image: Image, properties: dict[str, str]
) -> None:
    if properties != image.properties:
        image.properties = properties
        _note_change(session, identity, image)
