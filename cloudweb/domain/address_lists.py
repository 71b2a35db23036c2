"""Addresses in use, now and before, as operators' lists show them."""

from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.domain import address_history
from cloudweb.domain.filters import Field, Fields
from cloudweb.models import AddressUse, Network, Server, User

FIELDS = Fields(
    id=AddressUse.id,
    address=AddressUse.address,
    network=Network.name,
    network_id=AddressUse.network_id,
    server=AddressUse.server_id,
    name=Server.name,
    owner=User.email,
    now=Field.of(AddressUse.until.is_(None), nullable=False),
    since=AddressUse.since,
    until=AddressUse.until,
)
"""What uses of addresses are filtered and sorted by; ``now``: whether it lasts."""


def rows() -> sa.Select[Any]:
    """What every UseRow is made of."""
    query = (
        sa.select(AddressUse, Server, Network, User.email.label("owner"))
        .join(Server, Server.id == AddressUse.server_id)
        .join(Network, Network.id == AddressUse.network_id)
        .join(User, User.id == address_history.OWNER)
    )
    return cast("sa.Select[Any]", query)


def count_of(session: Session, user_id: int) -> int:
    """How many addresses servers of this user have now."""
    query = (
        sa.select(sa.func.count())
        .select_from(AddressUse)
        .join(Server, Server.id == AddressUse.server_id)
        .where(Server.user_id == user_id, AddressUse.until.is_(None))
    )
    return session.scalar(query) or 0
