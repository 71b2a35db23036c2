"""Who had which address when: written in the transaction that gives or takes it."""

import dataclasses
import datetime as dt
import ipaddress
from collections.abc import Collection, Iterable
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.models import AddressUse, Network, Nic, Server, User, utc_now

_USES = cast("sa.Table", AddressUse.__table__)

OWNER = sa.func.coalesce(AddressUse.user_id, Server.user_id)
"""SQL for whose the server was that had the address."""


@dataclasses.dataclass(frozen=True, slots=True)
class Had:
    """A server's having of an address of a network."""

    server_id: int
    network_id: int
    address: str


def begin(session: Session, uses: Iterable[Had]) -> None:
    """These servers, and who owns them, have these addresses from now on; one statement."""
    now = utc_now()
    rows = [dataclasses.asdict(use) | {"since": now, "b_server": use.server_id} for use in uses]
    if rows:
        owner = sa.select(Server.user_id).where(Server.id == sa.bindparam("b_server"))
        insert = sa.insert(_USES).values(
            server_id=sa.bindparam("server_id"),
            network_id=sa.bindparam("network_id"),
            address=sa.bindparam("address"),
            since=sa.bindparam("since"),
            user_id=owner.scalar_subquery(),
        )
        session.connection().execute(insert, rows)


def end(session: Session, uses: Iterable[Had]) -> None:
    """These servers have these addresses no more; one statement."""
    gone = [
        {"b_server": use.server_id, "b_network": use.network_id, "b_address": use.address}
        for use in uses
    ]
    if gone:
        mine = sa.and_(
            _USES.c.server_id == sa.bindparam("b_server"),
            _USES.c.network_id == sa.bindparam("b_network"),
            _USES.c.address == sa.bindparam("b_address"),
            _USES.c.until.is_(None),
        )
        update = sa.update(_USES).where(mine).values(until=utc_now())
        session.connection().execute(update, gone)


def end_card(session: Session, card: Nic | sa.Row[*tuple[Any, ...]]) -> None:
    """A card is gone, with the addresses it had; one statement."""
    had = [Had(card.server_id, card.network_id, each) for each in (card.ipv4, card.ipv6) if each]
    end(session, had)


def end_all(session: Session, server_ids: Collection[int]) -> None:
    """These servers are gone, with all addresses they had; one statement."""
    if server_ids:
        open_ones = sa.and_(_USES.c.server_id.in_(server_ids), _USES.c.until.is_(None))
        session.execute(sa.update(_USES).where(open_ones).values(until=utc_now()))


def hand_over(session: Session, server_id: int) -> None:
    """A server is another user's: what it has it has anew, so that both are known by their time."""
    uses = session.execute(
        sa.select(_USES.c.network_id, _USES.c.address)
        .where(_USES.c.server_id == server_id, _USES.c.until.is_(None))
        .order_by(_USES.c.id)
    ).all()
    end_all(session, [server_id])
    begin(session, [Had(server_id, use.network_id, use.address) for use in uses])


def purge(session: Session, *, older_than_days: int) -> int:
    """Forget what ended longer ago; how many rows that were."""
    before = utc_now() - dt.timedelta(days=older_than_days)
    gone = session.execute(sa.delete(_USES).where(_USES.c.until < before))
    return cast("int", gone.rowcount)  # type: ignore[attr-defined]


@dataclasses.dataclass(frozen=True, slots=True)
class UseRow:
    """A use as lists show it; ``owner`` is the e-mail of whose the server was then."""

    use: AddressUse
    server: Server
    network: Network
    owner: str


def list_for(
    session: Session,
    *,
    address: str | None = None,
    network_id: int | None = None,
    server_id: int | None = None,
    at: dt.datetime | None = None,
    limit: int = 100,
) -> list[UseRow]:
    """Who had an address (of a network), or what a server had; newest first, one statement.

    ``at`` leaves those who had it then. Raises BadRequest for what is no address.
    """
    query = (
        sa.select(AddressUse, Server, Network, User.email)
        .join(Server, Server.id == AddressUse.server_id)
        .join(Network, Network.id == AddressUse.network_id)
        .join(User, User.id == OWNER)
        .order_by(AddressUse.id.desc())
        .limit(limit)
    )
    if address is not None:
        query = query.where(AddressUse.address == _spelt(address))
    if network_id is not None:
        query = query.where(AddressUse.network_id == network_id)
    if server_id is not None:
        query = query.where(AddressUse.server_id == server_id)
    if at is not None:
        still = sa.or_(AddressUse.until.is_(None), AddressUse.until > at)
        query = query.where(AddressUse.since <= at, still)
    return [UseRow(*row) for row in session.execute(query)]


def _spelt(address: str) -> str:
    try:
        return str(ipaddress.ip_address(address.strip()))
    except ValueError:
        raise faults.BadRequest(f"{address[:40]!r} is not an IP address.") from None
