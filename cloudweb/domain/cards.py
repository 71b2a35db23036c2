"""Network cards: which network a new one is on, its address, and what Ganeti is told of it."""

import enum
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import address_history, operations, pools
from cloudweb.domain.address_history import Had
from cloudweb.domain.identity import Identity
from cloudweb.domain.states import (
    ADD_NETWORK,
    CONNECT_NETWORK,
    DISCONNECT_NETWORK,
    REMOVE_NETWORK,
    SET_PARAMS,
)
from cloudweb.models import (
    Backend,
    BackendNetwork,
    Network,
    NetworkState,
    Nic,
    NicState,
    Operation,
    Server,
)

PUBLIC_FULL = "Can not allocate IP for new machine. Public networks are full."


# --- the public networks ------------------------------------------------------------------------


def _open_public() -> list[sa.ColumnElement[bool]]:
    return [
        Network.public == sa.true(),
        Network.deleted == sa.false(),
        Network.drained == sa.false(),
        Network.state == NetworkState.ACTIVE,
        sa.or_(Network.cidr.is_(None), Network.dhcp == sa.false(), pools.has_free_address()),
    ]


def has_public() -> sa.ColumnElement[bool]:
    """In a query of clusters: whether there is room on a public network there."""
    here = sa.or_(Network.backend_id == Backend.id, Network.backend_id.is_(None))
    return sa.exists().where(*_open_public(), here).correlate(Backend)


_PUBLIC_FOR = (
    sa.select(Network)
    .where(
        *_open_public(),
        sa.or_(Network.backend_id == sa.bindparam("backend_id"), Network.backend_id.is_(None)),
    )
    .order_by(Network.backend_id.is_(None), Network.id)
)


def public_for(session: Session, backend_id: int) -> Sequence[Network]:
    """The public networks a new server on this cluster can get a card on, its own ones first."""
    return session.scalars(_PUBLIC_FOR, {"backend_id": backend_id}).all()


def add_public(session: Session, server: Server, prefix: str, firewall_profile: str) -> Nic:
    """The first card of a server, on a public network, with an address where there are any.

    A server that was not written yet is written with it. Raises OverLimit when the public networks
    are full.
    """
    with session.no_autoflush:
        networks = public_for(session, server.backend_id)
    if not networks:
        raise faults.OverLimit(PUBLIC_FULL)
    nic = Nic(index=0, network=networks[0], firewall_profile=firewall_profile)
    if sa.inspect(server).persistent:
        nic.server_id = server.id
        session.add(nic)
    else:
        server.nics.append(nic)
        session.add(server)
    session.flush()  # the card is named by its id
    with session.no_autoflush:
        for network in networks:
            try:
                _furnish(session, nic, network, prefix)
            except faults.OverLimit:  # somebody took the last address meanwhile
                continue
            return nic
    raise faults.OverLimit(PUBLIC_FULL)


def is_everywhere(network: Network) -> bool:
    """Whether a card on the network can be on any cluster."""
    return network.backend_id is None


# --- cards --------------------------------------------------------------------------------------


def add(
    session: Session,
    server: Server,
    network: Network,
    prefix: str,
    *,
    index: int,
    state: NicState = NicState.ACTIVE,
    firewall_profile: str | None = None,
) -> Nic:
    """A card of a server, with a name and, where the network gives them, an address.

    Raises OverLimit when the network is full.
    """
    nic = Nic(
        server_id=server.id,
        network=network,
        index=index,
        state=state,
        firewall_profile=firewall_profile,
    )
    session.add(nic)
    session.flush()  # the card is named by its id
    _furnish(session, nic, network, prefix)
    return nic


def _furnish(session: Session, nic: Nic, network: Network, prefix: str) -> None:
    """Give a card its name, its network and, where there are any, an address; or OverLimit."""
    if network.cidr is not None and network.dhcp:
        nic.ipv4 = pools.take_address(session, network, server_id=nic.server_id)
        address_history.begin(session, [Had(nic.server_id, network.id, nic.ipv4)])
    nic.network, nic.network_id = network, network.id
    nic.name = f"{prefix}nic-{nic.id}"


def parameters(nic: Nic, network: Network, prefix: str) -> dict[str, Any]:
    """A card as Ganeti is asked for it."""
    card: dict[str, Any] = {"name": nic.name}
    if network.cidr is None:
        return card | {"mode": network.mode, "link": network.link}
    return card | {"ip": nic.ipv4, "network": ganeti_name(network, prefix)}


def plug_in(
    session: Session,
    identity: Identity,
    server: Server,
    nic: Nic,
    network: Network,
    prefix: str,
) -> Operation:
    """Have Ganeti put a card into a server."""
    change = ["add", -1, parameters(nic, network, prefix)]
    return _modify(session, identity, server, nic, change)


def unplug(session: Session, identity: Identity, server: Server, nic: Nic) -> Operation:
    """Have Ganeti take a card out of a server; the caller marks the card."""
    # One that was there before us has no name.
    which = nic.name if nic.name is not None else nic.index
    return _modify(session, identity, server, nic, ["remove", which, {}])


def _modify(
    session: Session, identity: Identity, server: Server, nic: Nic, change: list[Any]
) -> Operation:
    return operations.enqueue(
        session,
        identity,
        server,
        SET_PARAMS,
        {"nics": [change]},
        network_id=nic.network_id,
        nic_id=nic.id,
    )


# --- firewalls -----------------------------------------------------------------------------------


class Profile(enum.StrEnum):
    """What clients call the kinds of firewall."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"
    PROTECTED = "PROTECTED"


_MODES = {
    Profile.ENABLED: "protected",
    Profile.DISABLED: "unprotected",
    Profile.PROTECTED: "limited",
}


def firewall_tag(profile: str, index: int) -> str:
    """The tag that gives the card at ``index`` this firewall."""
    return f"synnefo:network:{index}:{_MODES[Profile(profile)]}"


def profile_of(tag: str) -> Profile | None:
    """The firewall that a tag gives a card; None for a tag about something else."""
    if not tag.startswith("synnefo:network:"):
        return None
    return profile_of_mode(tag.rpartition(":")[2])


def profile_of_mode(mode: str) -> Profile | None:
    """The firewall that agents call by this word."""
    return next((profile for profile in Profile if _MODES[profile] == mode), None)


# --- networks on clusters -----------------------------------------------------------------------


def ganeti_name(network: Network, prefix: str) -> str:
    """What a network is called on every cluster."""
    return f"{prefix}net-{network.id}"


def prepare(
    session: Session, identity: Identity, network: Network, backend_id: int, prefix: str
) -> None:
    """Have a network made on a cluster before a card is put on it; nothing where that is done.

    A network without addresses of ours exists only here.
    """
    if network.cidr is None or _is_made(session, network, backend_id):
        return
    # Two servers may be the first there at once.
    session.execute(sa.select(Network.id).where(Network.id == network.id).with_for_update())
    if _is_made(session, network, backend_id):
        return
    make(session, identity, network, session.get_one(Backend, backend_id), prefix)


def _is_made(session: Session, network: Network, backend_id: int) -> bool:
    state = session.scalar(
        sa.select(BackendNetwork.state).where(
            BackendNetwork.network_id == network.id, BackendNetwork.backend_id == backend_id
        )
    )
    return state in (NetworkState.PENDING, NetworkState.ACTIVE)


def make(
    session: Session, identity: Identity, network: Network, backend: Backend, prefix: str
) -> BackendNetwork:
    """Have a network, whose row is locked, made on a cluster and connected to its node groups."""
    row = session.scalar(
        sa.select(BackendNetwork).where(
            BackendNetwork.network_id == network.id, BackendNetwork.backend_id == backend.id
        )
    )
    if row is None:
        name = ganeti_name(network, prefix)
        row = BackendNetwork(network_id=network.id, backend_id=backend.id, name=name)
        session.add(row)
    row.state = NetworkState.PENDING
    operations.enqueue_network(session, identity, row, ADD_NETWORK, _definition(network, backend))
    for group in groups(backend):
        connect(session, identity, row, network, group)
    return row


def connect(
    session: Session, identity: Identity, row: BackendNetwork, network: Network, group: str
) -> None:
    """Have a network that is on a cluster connected to one of its node groups."""
    arguments = {
        "group": group,
        "mode": network.mode,
        "link": network.link,
        "conflicts_check": False,
    }
    operations.enqueue_network(session, identity, row, CONNECT_NETWORK, arguments)


def unmake(session: Session, identity: Identity, row: BackendNetwork, backend: Backend) -> None:
    """Have a network disconnected from a cluster's node groups and removed there."""
    for group in groups(backend):
        operations.enqueue_network(session, identity, row, DISCONNECT_NETWORK, {"group": group})
    operations.enqueue_network(session, identity, row, REMOVE_NETWORK)


def groups(backend: Backend) -> list[str]:
    """A cluster's node groups; Ganeti's first one when they are not known yet."""
    return backend.node_groups or ["default"]


def _definition(network: Network, backend: Backend) -> dict[str, Any]:
    # The last digit keeps the MACs of one network on two clusters apart.
    mac_prefix = f"{network.mac_prefix}{backend.number:x}" if network.mac_prefix else None
    return {
        "network": network.cidr,
        "gateway": network.gateway,
        "network6": network.cidr6,
        "gateway6": network.gateway6,
        "mac_prefix": mac_prefix,
        "tags": list(network.tags),
        "conflicts_check": False,
    }
