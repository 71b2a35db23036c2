"""Reading networks: for their users, who see all public ones as one, and for operators."""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import networks
from cloudweb.domain.filters import Field, Fields
from cloudweb.domain.identity import Identity
from cloudweb.models import (
    MAX_ID,
    PUBLIC,
    Backend,
    BackendNetwork,
    Network,
    NetworkKind,
    NetworkState,
    Nic,
    NicState,
    Pool,
    PoolUse,
    PoolValue,
    Server,
    User,
)
from cloudweb.models.networks import NETWORKS


@dataclasses.dataclass(slots=True)
class NetworkView:
    """A network with all its representation shows; ``id`` is negative for the public one.

    What differs between public networks is not shown: it is None there.
    """

    id: int
    version: int
    name: str
    state: NetworkState
    deleted: bool
    created: dt.datetime
    updated: dt.datetime
    kind: NetworkKind | None = None
    dhcp: bool | None = None
    cidr: str | None = None
    gateway: str | None = None
    cidr6: str | None = None
    gateway6: str | None = None
    servers: list[int] = dataclasses.field(default_factory=list)
    """The caller's servers on it."""

    @property
    def public(self) -> bool:
        """Whether this stands for the public networks."""
        return self.id < 0

    @property
    def api_id(self) -> int | str:
        """What clients know it by."""
        return PUBLIC if self.public else self.id

    @property
    def status(self) -> NetworkState:
        """What it is to clients."""
        return NetworkState.DELETED if self.deleted else self.state


_VIEW_COLUMNS = tuple(
    NETWORKS.c[field.name] for field in dataclasses.fields(NetworkView) if field.name != "servers"
)


def list_versions(
    session: Session,
    identity: Identity,
    *,
    since: dt.datetime | None = None,
    after_id: int | None = None,
    limit: int | None = None,
) -> list[tuple[int, int]]:
    """(id, version) of the public network and each of the actor's that is not deleted, by id.

    ``since``: instead of each those that have changed since then, deleted or not. At most
    ``limit``, of those after ``after_id`` (0 is the public one). Two statements.
    """
    found: list[tuple[int, int]] = []
    if after_id is None and (public := _public(session, identity, since)) is not None:
        found.append((public.id, public.version))
    columns = NETWORKS.c
    query = networks.visible(identity).with_only_columns(columns.id, columns.version)
    if since is None:
        query = query.where(columns.deleted == sa.false())
    else:
        query = query.where(columns.updated >= since)
    if after_id is not None:
        query = query.where(columns.id > after_id)
    if limit is not None:
        query = query.limit(limit - len(found))
    rows = session.connection().execute(query.order_by(columns.id))
    return found + [(row[0], row[1]) for row in rows.all()]


def load(session: Session, identity: Identity, ids: Sequence[int]) -> list[NetworkView]:
    """The networks with these ids, with the actor's servers on them; four statements."""
    private = [each for each in ids if each > 0]
    views: dict[int, NetworkView] = {}
    if len(private) < len(ids) and (public := _public(session, identity)) is not None:
        public.servers = _servers(session, identity, NETWORKS.c.public == sa.true(), merged=True)[0]
        views[public.id] = public
    if private:
        among = NETWORKS.c.id.in_(private)
        query = sa.select(*_VIEW_COLUMNS).where(among).order_by(NETWORKS.c.id)
        rows = session.connection().execute(query).all()
        views |= {row.id: NetworkView(**row._mapping) for row in rows}
        for network_id, server_ids in _servers(session, identity, among).items():
            views[network_id].servers = server_ids
    return list(views.values())


def _servers(
    session: Session, identity: Identity, which: sa.ColumnElement[bool], *, merged: bool = False
) -> dict[int, list[int]]:
    """The actor's servers on the networks, by network, or by 0 for all; one statement."""
    network = sa.literal(0) if merged else NETWORKS.c.id
    rows = session.connection().execute(
        sa.select(network, Server.id)
        .join_from(Server, Nic, Nic.server_id == Server.id)
        .join(NETWORKS, Nic.network_id == NETWORKS.c.id)
        .where(
            which,
            Server.user_id == identity.user_id,
            Server.deleted == sa.false(),
            Nic.state != NicState.ADDING,
        )
        .distinct()
        .order_by(Server.id)
    )
    found: dict[int, list[int]] = {0: []} if merged else {}
    for network_id, server_id in rows:
        found.setdefault(network_id, []).append(server_id)
    return found


def _public(
    session: Session, identity: Identity, since: dt.datetime | None = None
) -> NetworkView | None:
    """What stands for the public networks, if there are any (and something changed), to one actor.

    It has changed whenever anything in the actor's lists may have: nobody else is asked.
    """
    columns = NETWORKS.c
    created, updated = session.execute(
        sa.select(sa.func.min(columns.created), sa.func.max(columns.updated)).where(
            columns.public == sa.true(), columns.deleted == sa.false()
        )
    ).one()
    if created is None:
        return None
    if identity.lists_changed is not None:
        updated = max(updated, identity.lists_changed)
    if since is not None and updated < since:
        return None
    return NetworkView(
        id=-(identity.user_id or 1),
        version=identity.lists_version or 0,
        name=PUBLIC,
        state=NetworkState.ACTIVE,
        deleted=False,
        created=created,
        updated=updated,
    )


def get(session: Session, identity: Identity, network_id: int | str) -> NetworkView:
    """One network, deleted or not. Raises ItemNotFound."""
    found: list[NetworkView] = []
    if network_id == PUBLIC:
        found = load(session, identity, [-1])
    elif isinstance(network_id, int) and 0 < network_id <= MAX_ID:
        mine = networks.visible(identity).where(Network.id == network_id)
        if session.scalar(mine.with_only_columns(Network.id)) is not None:
            found = load(session, identity, [network_id])
    if not found:
        raise faults.ItemNotFound("Network not found.")
    return found[0]


def view_of(network: Network) -> NetworkView:
    """A network just made, as reading it would show it."""
    return NetworkView(**{column.name: getattr(network, column.name) for column in _VIEW_COLUMNS})


# --- for operators ------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class NetworkRow:
    """A network as operators' lists show it."""

    network: Network
    owner: str | None
    backend_name: str | None
    """The only cluster it is on."""
    servers: int
    free: int | None
    """How many addresses are left; None where it has none of ours."""
    usable: int | None
    """How many addresses can be given to anybody; None where it has none of ours."""
    made_on: int
    """How many clusters have it."""
    wanted_on: int
    """How many it is for: those where it is made if it is on every cluster, or the one."""


_SERVERS = (
    sa.select(sa.func.count(Nic.server_id.distinct()))
    .where(Nic.network_id == Network.id)
    .correlate(Network)
    .scalar_subquery()
)
_FREE = (
    sa.select(sa.func.count())
    .select_from(PoolValue)
    .join(Pool, PoolValue.pool_id == Pool.id)
    .where(Pool.network_id == Network.id, PoolValue.use == PoolUse.FREE)
    .correlate(Network)
    .scalar_subquery()
)

_USABLE = (
    sa.select(sa.func.count())
    .select_from(PoolValue)
    .join(Pool, PoolValue.pool_id == Pool.id)
    .where(Pool.network_id == Network.id, PoolValue.use != PoolUse.RESERVED)
    .correlate(Network)
    .scalar_subquery()
)
_MADE_ON = (
    sa.select(sa.func.count())
    .select_from(BackendNetwork)
    .where(BackendNetwork.network_id == Network.id, BackendNetwork.state == NetworkState.ACTIVE)
    .correlate(Network)
    .scalar_subquery()
)
_EVERY = orm.aliased(Backend)
_BACKENDS = sa.select(sa.func.count(_EVERY.id)).where(_EVERY.removed.is_(None)).scalar_subquery()

FIELDS = Fields(
    id=Network.id,
    name=Network.name,
    kind=Network.kind,
    public=Network.public,
    state=Network.state,
    owner=Field.of(User.email, nullable=True),
    backend=Field.of(Backend.name, nullable=True),
    subnet=Network.cidr,
    gateway=Network.gateway,
    subnet6=Network.cidr6,
    gateway6=Network.gateway6,
    dhcp=Network.dhcp,
    mode=Network.mode,
    link=Network.link,
    mac_prefix=Network.mac_prefix,
    servers=Field.of(_SERVERS, nullable=False),
    free=Field.of(_FREE, nullable=False),
    usable=Field.of(_USABLE, nullable=False),
    clusters=Field.of(_MADE_ON, nullable=False),
    drained=Network.drained,
    deleted=Network.deleted,
    created=Network.created,
    updated=Network.updated,
)
"""What networks are filtered and sorted by; ``backend`` is the only cluster one is on."""


def rows() -> sa.Select[Any]:
    """What ``row`` makes a NetworkRow of, of networks deleted or not, by id."""
    return (
        sa.select(Network, User.email, Backend.name, _SERVERS, _FREE, _USABLE, _MADE_ON, _BACKENDS)
        .outerjoin(User, Network.user_id == User.id)
        .outerjoin(Backend, Network.backend_id == Backend.id)
        .order_by(Network.id)
    )


def row(found: Any) -> NetworkRow:
    """A network, of what ``rows`` selects."""
    network, owner, backend, servers, free, usable, made_on, backends = found
    if network.cidr is None:
        return NetworkRow(network, owner, backend, servers, None, None, made_on, 0)
    wanted = backends if network.backend_id is None else 1
    return NetworkRow(network, owner, backend, servers, free, usable, made_on, wanted)


def list_rows(
    session: Session,
    *,
    owner: str = "",
    public: bool | None = None,
    deleted: bool = False,
    after_id: int = 0,
    limit: int = 50,
) -> list[NetworkRow]:
    """Networks that match, by id, after ``after_id``; one statement."""
    query = rows().where(Network.deleted == sa.literal(deleted), Network.id > after_id)
    if owner:
        query = query.where(User.email == owner)
    if public is not None:
        query = query.where(Network.public == sa.literal(public))
    return [row(found) for found in session.execute(query.limit(limit))]


def get_row(session: Session, network_id: int) -> NetworkRow:
    """One network for an operator, deleted or not. Raises ItemNotFound."""
    found = None
    if 0 < network_id <= MAX_ID:
        found = session.execute(rows().where(Network.id == network_id)).one_or_none()
    if found is None:
        raise faults.ItemNotFound(f"No network {network_id}.")
    return row(found)


@dataclasses.dataclass(frozen=True, slots=True)
class ClusterRow:
    """What of a network there is on one cluster."""

    backend_name: str
    name: str
    state: NetworkState


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """A cluster, and what it has of a network."""

    backend: Backend
    made: BackendNetwork | None

    @property
    def state(self) -> NetworkState | None:
        """What is there; None where nothing is."""
        return self.made.state if self.made is not None else None

    @property
    def name(self) -> str | None:
        """What Ganeti calls it."""
        return self.made.name if self.made is not None else None

    @property
    def since(self) -> dt.datetime | None:
        """Since when it is as it is there."""
        return self.made.updated if self.made is not None else None


def list_places(session: Session, network: Network) -> list[Place]:
    """Every cluster that is not removed, with what it has of the network; one statement."""
    on = sa.and_(BackendNetwork.backend_id == Backend.id, BackendNetwork.network_id == network.id)
    rows = session.execute(
        sa.select(Backend, BackendNetwork)
        .outerjoin(BackendNetwork, on)
        .where(Backend.removed.is_(None))
        .order_by(Backend.id)
    )
    return [Place(*row) for row in rows]


def list_clusters(session: Session, network: Network) -> list[ClusterRow]:
    """The clusters that have the network, or are to have it; one statement."""
    rows = session.execute(
        sa.select(Backend.name, BackendNetwork.name, BackendNetwork.state)
        .join(BackendNetwork, BackendNetwork.backend_id == Backend.id)
        .where(BackendNetwork.network_id == network.id)
        .order_by(Backend.id)
    )
    return [ClusterRow(*row) for row in rows]
