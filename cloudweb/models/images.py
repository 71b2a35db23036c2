"""Images: what a server's disk starts from."""

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from cloudweb.models.meta import Base, created, reference, str20, str255, table_args


class Image(Base):
    """A registered image; ``location`` is what the OS definition gets as ``img_id``."""

    __tablename__ = "images"
    __table_args__ = table_args(sa.Index(None, "owner_id"), sa.Index(None, "is_public", "deleted"))

    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    owner_id: Mapped[int | None] = reference("users.id", nullable=True)
    name: Mapped[str255]
    location: Mapped[str] = mapped_column(sa.String(1024))
    disk_format: Mapped[str20]
    container_format: Mapped[str20] = mapped_column(default="bare")
    is_public: Mapped[bool] = mapped_column(default=False)
    deleted: Mapped[bool] = mapped_column(default=False)
    properties: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created: Mapped[created]
    updated: Mapped[dt.datetime]
