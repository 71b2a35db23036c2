"""Servers as operators list them: everybody's, with owner, cluster and what is under way."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import sides, states
from cloudweb.domain.filters import Field, Fields
from cloudweb.domain.server_cards import CardField, first, list_cards
from cloudweb.models import (
    MAX_ID,
    OPEN_STATES,
    Backend,
    Flavor,
    Network,
    Nic,
    Operation,
    OperState,
    Server,
    User,
)


@dataclasses.dataclass(frozen=True, slots=True)
class ServerRow:
    """A server as operators' lists show it."""

    server: Server
    owner: str
    backend_name: str
    flavor: Flavor
    ipv4: str | None
    open_operation: str | None
    """The opcode of the oldest operation still to be done on it."""
    cards: Sequence[Nic] = ()
    """Its cards with their networks, where they were asked for."""

    @property
    def status(self) -> states.ApiStatus:
        return states.api_status(self.server)


FIELDS = Fields(
    id=Server.id,
    name=Server.name,
    state=Field.of(
        Server.state,
        words={"ACTIVE": OperState.STARTED, **{state.value: state for state in OperState}},
    ),
    owner=User.email,
    backend=Backend.name,
    instance=Server.instance_name,
    node=Server.node,
    cpu=Flavor.cpu,
    ram=Flavor.ram_mb,
    disk=Flavor.disk_gb,
    template=Flavor.disk_template,
    image=Server.image_ref,
    created=Server.created,
    updated=Server.updated,
    deleted=Server.deleted,
    suspended=Server.suspended,
    locked=Server.locked,
    differs=Field.of(sides.differs(), nullable=False),
    ipv4=CardField.over(Nic.ipv4),
    ipv6=CardField.over(Nic.ipv6),
    mac=CardField.over(Nic.mac),
    network=CardField.over(Network.name),
    network_id=CardField.over(Nic.network_id),
)
"""What servers are filtered and sorted by; memory in MiB, disk in GiB.

``differs``: whether the newest comparison found it otherwise. Addresses and networks are those of
any of its cards.
"""


def rows() -> sa.Select[Any]:
    """What every ServerRow is made of, of servers deleted or not."""
    oldest_open = (
        sa.select(Operation.opcode)
        .where(Operation.server_id == Server.id, Operation.state.in_(OPEN_STATES))
        .order_by(Operation.id)
        .limit(1)
    )
    return (
        sa.select(
            Server,
            User.email,
            Backend.name,
            Flavor,
            first(Nic.ipv4),
            oldest_open.scalar_subquery(),
        )
        .join(User, Server.user_id == User.id)
        .join(Backend, Server.backend_id == Backend.id)
        .join(Flavor, Server.flavor_id == Flavor.id)
    )


def with_cards(session: Session, found: Sequence[ServerRow]) -> Sequence[ServerRow]:
    """The same rows with their cards; one statement."""
    cards = list_cards(session, [row.server.id for row in found])
    return [dataclasses.replace(row, cards=cards[row.server.id]) for row in found]


@dataclasses.dataclass(frozen=True, slots=True)
class Filter:
    """Which servers an operator looks for; None and empty mean all."""

    text: str = ""
    """In the server's name, its instance's name or the owner's e-mail; or the whole id."""
    state: OperState | None = None
    backend_id: int | None = None
    owner: str = ""
    deleted: bool | None = False

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """The filter in SQL."""
        found: list[sa.ColumnElement[bool]] = []
        if self.deleted is not None:
            found.append(Server.deleted == sa.literal(self.deleted))
        if self.state is not None:
            found.append(Server.state == self.state)
        if self.backend_id is not None:
            found.append(Server.backend_id == self.backend_id)
        if self.owner:
            found.append(User.email == self.owner)
        if self.text:
            found.append(self._matches())
        return found

    def _matches(self) -> sa.ColumnElement[bool]:
        places = [
            column.icontains(self.text, autoescape=True)
            for column in (Server.name, Server.instance_name, User.email)
        ]
        if self.text.isascii() and self.text.isdigit() and int(self.text) <= MAX_ID:
            places.append(Server.id == int(self.text))
        return sa.or_(*places)


def list_rows(
    session: Session,
    wanted: Filter,
    *,
    after_id: int = 0,
    limit: int = 50,
) -> Sequence[ServerRow]:
    """Servers that match, by id, after ``after_id``; one statement."""
    query = rows().where(*wanted.conditions(), Server.id > after_id)
    return [ServerRow(*row) for row in session.execute(query.order_by(Server.id).limit(limit))]


def count_rows(session: Session, wanted: Filter, *, at_most: int = 10_000) -> int:
    """How many match, counted no further than ``at_most`` + 1; one statement."""
    some = (
        sa.select(Server.id)
        .join(User, Server.user_id == User.id)
        .where(*wanted.conditions())
        .limit(at_most + 1)
    )
    return session.scalar(sa.select(sa.func.count()).select_from(some.subquery())) or 0


def get_row(session: Session, server_id: int) -> ServerRow:
    """One server for an operator, deleted or not. Raises ItemNotFound."""
    row = None
    if 0 < server_id <= MAX_ID:
        row = session.execute(rows().where(Server.id == server_id)).one_or_none()
    if row is None:
        raise faults.ItemNotFound(f"No server {server_id}.")
    return ServerRow(*row)
