"""What a new instance is told once and nobody else ever: password, files, image properties."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from cloudweb.models.meta import Base, LongText, created, reference, str64, table_args


class Handover(Base):
    """Sealed parameters of one server's create, deleted by their one reading or their expiry.

    ``digest`` is the SHA-256 of the random text in the URL they are read from.
    """

    __tablename__ = "handovers"
    __table_args__ = table_args(sa.UniqueConstraint("digest"), sa.Index(None, "expires"))

    server_id: Mapped[int] = reference("servers.id", primary_key=True)
    digest: Mapped[str64]
    sealed: Mapped[str] = mapped_column(LongText)
    expires: Mapped[dt.datetime]
    created: Mapped[created]
