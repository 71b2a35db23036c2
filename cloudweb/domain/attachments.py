"""Putting servers on private networks and taking them off."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit, cards, networks, operations, pools, servers
from cloudweb.domain.identity import Identity
from cloudweb.domain.states import SET_PARAMS
from cloudweb.models import Network, NetworkState, Nic, NicState, Operation, Server

MAX_CARDS = 8
"""As many as Ganeti gives an instance."""


def connect(
    session: Session,
    identity: Identity,
    rules: networks.Rules,
    network_id: int | str,
    *,
    server_id: int,
) -> Operation:
    """Have a server put on a network of the same user, with an address where it gives them.

    Raises as ``networks.get_own`` and ``servers.for_action`` do, BuildInProgress for a network
    that is not ACTIVE, Conflict where the server is on it already, OverLimit when it is full.
    """
    network = networks.get_own(session, identity, network_id, "modify")
    pools.lock_addresses(session, network.id)
    session.refresh(network)
    _check_active(network)
    server = servers.for_action(session, identity, server_id)
    session.refresh(network, with_for_update=True)
    _check_active(network)
    index = _next_index(session, network, server)
    if network.backend_id not in (None, server.backend_id):
        raise faults.Conflict("The network is not on the server's cluster.")
    prefix = rules.instance_prefix
    cards.prepare(session, identity, network, server.backend_id, prefix)
    nic = cards.add(session, server, network, prefix, index=index, state=NicState.ADDING)
    operation = cards.plug_in(session, identity, server, nic, network, prefix)
    _record(session, identity, "connect", network, server, operation)
    return operation


def _check_active(network: Network) -> None:
    if network.deleted:
        raise faults.BadRequest("Network has been deleted.")
    if network.state is not NetworkState.ACTIVE:
        raise faults.BuildInProgress("Network not active yet")


def _next_index(session: Session, network: Network, server: Server) -> int:
    rows = session.execute(
        sa.select(Nic.index, Nic.network_id).where(Nic.server_id == server.id)
    ).all()
    if any(network_id == network.id for _index, network_id in rows):
        raise faults.Conflict("Server is already connected to this network.")
    if len(rows) >= MAX_CARDS:
        raise faults.OverLimit(f"A server has at most {MAX_CARDS} network cards.")
    return max((index for index, _network_id in rows), default=-1) + 1


def disconnect(
    session: Session,
    identity: Identity,
    network_id: int | str,
    *,
    server_id: int,
    index: int | None = None,
) -> Operation:
    """Have a server taken off a network of the same user: its card there, the one at ``index``.

    Raises as ``connect`` does, ItemNotFound where there is no such card on this network,
    BuildInProgress while the card is being added or removed, or has no name and its place may
    change before it goes.
    """
    network = networks.get_own(session, identity, network_id, "modify")
    _check_active(network)
    server = servers.for_action(session, identity, server_id)
    query = sa.select(Nic).where(Nic.server_id == server.id, Nic.network_id == network.id)
    if index is not None:
        query = query.where(Nic.index == index)
    nic = session.scalar(query.order_by(Nic.index).limit(1))
    if nic is None:
        raise faults.ItemNotFound("Server not connected to this network.")
    if nic.state is not NicState.ACTIVE or _may_move(session, server, nic):
        raise faults.BuildInProgress("Machine is busy.")
    nic.state = NicState.REMOVING
    operation = cards.unplug(session, identity, server, nic)
    _record(session, identity, "disconnect", network, server, operation)
    return operation


def _may_move(session: Session, server: Server, nic: Nic) -> bool:
    """Whether Ganeti knows the card by nothing but a place, and one before it may go first."""
    return nic.name is None and operations.has_open(session, server, SET_PARAMS)


def _record(
    session: Session,
    identity: Identity,
    verb: str,
    network: Network,
    server: Server,
    operation: Operation,
) -> None:
    audit.record(
        session,
        identity,
        f"network:{verb}",
        "network",
        network.id,
        operation=operation,
        server=server.id,
        before="connected" if verb == "disconnect" else "not connected",
        after="to be disconnected" if verb == "disconnect" else "to be connected",
    )
