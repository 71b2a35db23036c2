"""Giving a server to another user."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import address_history, audit, quotas, servers
from cloudweb.domain.identity import Identity
from cloudweb.models import Flavor, Network, Nic, Server, User, UserState
from cloudweb.models.lists import note_owners


def give(
    session: Session, identity: Identity, limits: quotas.Limits, server_id: int, user: User
) -> Server:
    """Make the server another user's, who has to have room for it; its instance is not touched.

    Raises ItemNotFound, BadRequest (deleted, or the user is not active), OverLimit, and Conflict
    for a server that is on a network of somebody else.
    """
    if user.state is not UserState.ACTIVE:
        raise faults.BadRequest(f"{user.email} is not active.")
    flavor = session.scalar(
        sa.select(Flavor).join(Server, Server.flavor_id == Flavor.id).where(Server.id == server_id)
    )
    if flavor is None:
        raise faults.ItemNotFound(f"No server {server_id}.")
    quotas.check(session, user.id, limits, quotas.of_server(flavor))
    server = servers.lock(session, identity, server_id)
    if server.user_id == user.id:
        return server
    private = session.scalars(
        sa.select(Network.name)
        .join(Nic, Nic.network_id == Network.id)
        .where(Nic.server_id == server.id, Network.public == sa.false(), Network.user_id != user.id)
        .order_by(Network.id)
    ).all()
    if private:
        raise faults.Conflict(f"The server is on another user's network: {', '.join(private)}.")
    before, server.user_id = server.user_id, user.id
    session.flush()  # its addresses are the new owner's from here on
    address_history.hand_over(session, server.id)
    note_owners(session, [before])
    audit.record(
        session, identity, "server:give", "server", server.id, before=before, after=user.id
    )
    return server
