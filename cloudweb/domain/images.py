"""What images there are for whom, and registering them."""

import uuid
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit
from cloudweb.domain.identity import Identity
from cloudweb.models import Image, utc_now


def visible(identity: Identity) -> sa.Select[Image]:
    """The images this actor may use: public ones and their own."""
    mine = Image.is_public == sa.true()
    if identity.user_id is not None:
        mine = sa.or_(mine, Image.owner_id == identity.user_id)
    return sa.select(Image).where(mine, Image.deleted == sa.false())


def get(session: Session, identity: Identity, image_id: str) -> Image:
    """A usable image by its id. Raises ItemNotFound."""
    image = session.scalar(visible(identity).where(Image.id == image_id))
    if image is None:
        raise faults.ItemNotFound("Image not found.")
    return image


def list_all(session: Session) -> Sequence[Image]:
    """Every image that is not deleted, by name."""
    return session.scalars(
        sa.select(Image).where(Image.deleted == sa.false()).order_by(Image.name, Image.id)
    ).all()


def register(
    session: Session,
    identity: Identity,
    *,
    name: str,
    location: str,
    disk_format: str = "diskdump",
    is_public: bool = True,
    properties: Mapping[str, str] | None = None,
) -> Image:
    """Register an image; ``location`` is what the OS definition understands as ``img_id``."""
    if not name.strip() or len(name) > 255 or not location.strip() or len(location) > 1024:
        raise faults.BadRequest("An image needs a name (255 characters) and a location (1024).")
    image = Image(
        id=str(uuid.uuid4()),
        owner_id=identity.user_id,
        name=name,
        location=location,
        disk_format=disk_format,
        is_public=is_public,
        properties=dict(properties or {}),
        updated=utc_now(),
    )
    session.add(image)
    audit.record(session, identity, "image:register", "image", image.id, name=name)
    return image
