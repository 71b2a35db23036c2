"""The firewall of a server's public card, which nodes know by a tag of the instance."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit, operations, servers
from cloudweb.domain.cards import Profile, firewall_tag, profile_of
from cloudweb.domain.identity import Identity
from cloudweb.domain.states import ADD_TAGS
from cloudweb.models import OPEN_STATES, Network, Nic, Operation


def set_profile(
    session: Session, identity: Identity, server_id: int, *, profile: Profile
) -> Operation:
    """Have a server's public card get another firewall; it shows when its node knows of it.

    Raises as ``servers.for_action`` does, and BadRequest for a server without such a card.
    """
    server = servers.for_action(session, identity, server_id)
    nic = session.scalar(
        sa.select(Nic)
        .join(Network, Nic.network_id == Network.id)
        .where(Nic.server_id == server.id, Network.public == sa.true())
        .order_by(Nic.index)
        .limit(1)
    )
    if nic is None:
        raise faults.BadRequest("The server has no card on the public network.")
    # The old tag is taken off when the new one is on, so that the card is never without.
    before = nic.firewall_profile
    worn = {before, *_wanted(session, nic)} - {None, profile.value}
    arguments = {
        "tags": [firewall_tag(profile, nic.index)],
        "replaces": sorted(firewall_tag(old, nic.index) for old in worn if old is not None),
    }
    operation = operations.enqueue(session, identity, server, ADD_TAGS, arguments, nic_id=nic.id)
    audit.record(
        session,
        identity,
        "server:firewall",
        "server",
        server.id,
        operation=operation,
        before=before,
        after=profile.value,
    )
    return operation


def _wanted(session: Session, nic: Nic) -> list[str]:
    """The firewalls that the card is still to get, by what was asked before."""
    asked = session.scalars(
        sa.select(Operation.arguments).where(
            Operation.server_id == nic.server_id,
            Operation.state.in_(OPEN_STATES),
            Operation.opcode == ADD_TAGS,
            Operation.nic_id == nic.id,
        )
    )
    found = [profile_of(tag) for arguments in asked for tag in arguments["tags"]]
    return [profile.value for profile in found if profile is not None]
