"""Which server had which address of a network, and when."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from cloudweb.models.meta import Base, pk, reference, str50, table_args, utc_now


class AddressUse(Base):
    """A server's having of an address, from ``since`` to ``until``: None while it has it."""

    __tablename__ = "address_uses"
    __table_args__ = table_args(
        sa.Index(None, "address", "id"),
        sa.Index(None, "server_id", "until"),
        sa.Index(None, "until"),
    )

    id: Mapped[pk]
    address: Mapped[str50]
    """IPv4, or IPv6 as RFC 5952 writes it."""
    network_id: Mapped[int] = reference("networks.id")
    server_id: Mapped[int] = reference("servers.id")
    user_id: Mapped[int | None] = reference("users.id", nullable=True)
    """Whose the server was; none stands for whose it is."""
    since: Mapped[dt.datetime] = mapped_column(default=utc_now)
    until: Mapped[dt.datetime | None]
