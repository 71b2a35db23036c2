"""Images: what a server's disk starts from."""

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from cloudweb.models.meta import (
    Base,
    bigint,
    created,
    reference,
    str20,
    str64,
    str255,
    table_args,
    utc_now,
)


class Image(Base):
    """A registered image; ``location`` is what the OS definition gets as ``img_id``."""

    __tablename__ = "images"
    __table_args__ = table_args(
        sa.Index(None, "owner_id", "updated"),
        sa.Index(None, "is_public", "deleted"),
        sa.Index(None, "updated"),
    )

    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    version: Mapped[int] = mapped_column(sa.BigInteger())
    owner_id: Mapped[int | None] = reference("users.id", nullable=True)
    name: Mapped[str255]
    location: Mapped[str] = mapped_column(sa.String(1024))
    disk_format: Mapped[str20]
    container_format: Mapped[str20] = mapped_column(default="bare")
    size: Mapped[bigint | None]
    """In bytes, where it is known."""
    checksum: Mapped[str64 | None]
    status: Mapped[str20] = mapped_column(default="available")
    is_public: Mapped[bool] = mapped_column(default=False)
    deleted: Mapped[bool] = mapped_column(default=False)
    deleted_at: Mapped[dt.datetime | None]
    properties: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created: Mapped[created]
    updated: Mapped[dt.datetime] = mapped_column(default=utc_now)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012  (SQLAlchemy's own form)


class ImageMember(Base):
    """A user an image is shared with."""

    __tablename__ = "image_members"
    __table_args__ = table_args(sa.Index(None, "user_id", "image_id"))

    image_id: Mapped[str] = mapped_column(
        sa.String(36), sa.ForeignKey("images.id"), primary_key=True
    )
    user_id: Mapped[int] = reference("users.id", primary_key=True)
    created: Mapped[created]
