"""Networks as lists of one cluster show them: what it has of each, and what it lacks."""

import dataclasses
from typing import Any, cast

import sqlalchemy as sa

from cloudweb.domain import network_lists
from cloudweb.domain.filters import Field
from cloudweb.domain.network_lists import Place
from cloudweb.models import Backend, BackendNetwork, Network, NetworkState, Nic, Server, User


@dataclasses.dataclass(frozen=True, slots=True)
class PlacedRow:
    """A network, and the cluster with what that has of it; ``servers`` are those there."""

    network: Network
    place: Place
    owner: str | None
    servers: int


_NONE = "NONE"
_MADE = sa.func.coalesce(BackendNetwork.state, NetworkState.DELETED) != NetworkState.DELETED
_STATE = sa.case((_MADE, sa.type_coerce(BackendNetwork.state, sa.String())), else_=_NONE)
_SERVERS = (
    sa.select(sa.func.count(Nic.server_id.distinct()))
    .join(Server, Server.id == Nic.server_id)
    .where(Nic.network_id == Network.id, Server.backend_id == Backend.id)
    .correlate(Network, Backend)
    .scalar_subquery()
)
_WANTED = sa.and_(
    Network.deleted == sa.false(),
    Network.state != NetworkState.DELETED,
    Network.cidr.is_not(None),
    sa.case(
        (Network.backend_id.is_(None), sa.or_(Network.public, Network.everywhere)),
        else_=Network.backend_id == Backend.id,
    ),
)

STATES = {
    "ACTIVE": "active",
    "PENDING": "being made",
    "ERROR": "error",
    _NONE: "not made yet",
}
"""What a cluster may have of a network, in words."""

FIELDS = network_lists.FIELDS.without("backend", "state", "deleted", "servers", "clusters").joined(
    state=Field.of(_STATE, words={word: word for word in STATES}, nullable=False),
    called=Field.of(BackendNetwork.name, nullable=True),
    since=Field.of(BackendNetwork.updated, nullable=True),
    servers=Field.of(_SERVERS, nullable=False),
)
"""What they are filtered and sorted by; state, servers and since are the cluster's own."""


def rows() -> sa.Select[Any]:
    """What ``row`` makes a PlacedRow of, for every cluster.

    Those that are there, and those that are to be: the public ones, those for all clusters and
    those for this one alone. A user's network is made where the first server needs it.
    """
    there = sa.and_(
        BackendNetwork.network_id == Network.id, BackendNetwork.backend_id == Backend.id
    )
    query = (
        sa.select(Network, Backend, BackendNetwork, User.email, _SERVERS)
        .join_from(Network, Backend, sa.true())
        .outerjoin(BackendNetwork, there)
        .outerjoin(User, Network.user_id == User.id)
        .where(sa.or_(_MADE, _WANTED))
        .order_by(Network.name, Network.id)
    )
    return cast("sa.Select[Any]", query)


def row(found: Any) -> PlacedRow:
    """A network there, of what ``rows`` selects."""
    network, backend, made, owner, servers = found
    return PlacedRow(network, Place(backend, made), owner, servers)
