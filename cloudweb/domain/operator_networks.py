"""Networks as operators make and keep them: public ones, and anybody's."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit, cards, networks
from cloudweb.domain.identity import Identity
from cloudweb.domain.networks import Rules, Subnets
from cloudweb.domain.texts import readable
from cloudweb.models import (
    MAX_ID,
    Backend,
    BackendNetwork,
    Network,
    NetworkKind,
    NetworkState,
    Nic,
    move_all_lists,
)

_POOLED = (NetworkKind.MAC_FILTERED, NetworkKind.PHYSICAL_VLAN)


def create(
    session: Session,
    identity: Identity,
    rules: Rules,
    *,
    name: str,
    kind: NetworkKind,
    wanted: Subnets,
    public: bool = False,
    owner_id: int | None = None,
    backend: Backend | None = None,
    dhcp: bool = True,
    mode: str | None = None,
    link: str | None = None,
) -> Network:
    """A network of any kind, public or a user's, on all clusters or one; mode and link as given.

    Raises BadRequest where these do not go together, ServiceUnavailable when the pool is empty.
    """
    _check_name(name)
    if public == (owner_id is not None):
        raise faults.BadRequest("A network is public or has an owner.")
    if kind in _POOLED and (mode is not None or link is not None):
        raise faults.BadRequest(f"Mode and link of a {kind} network come from its kind.")
    if kind not in _POOLED and not link:
        raise faults.BadRequest(f"A {kind} network needs a link.")
    if not public and wanted.cidr is None:
        raise faults.BadRequest("A private network needs a subnet.")
    network = networks.new(name, kind, wanted, dhcp=dhcp and wanted.cidr is not None)
    network.user_id, network.public = owner_id, public
    network.backend_id = backend.id if backend is not None else None
    network.mode, network.link = mode or network.mode, link or network.link
    made = networks.add(session, identity, rules, network)
    if public:
        move_all_lists(session.connection())
    return made


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > 255 or not readable(name):
        raise faults.BadRequest("A name is one line of 1 to 255 characters.")


def list_public(session: Session) -> Sequence[Network]:
    """The public networks that are meant for every cluster, by name."""
    query = sa.select(Network).where(
        Network.public == sa.true(), Network.backend_id.is_(None), Network.deleted == sa.false()
    )
    return session.scalars(query.order_by(Network.name)).all()


def get(session: Session, network_id: int) -> Network:
    """A network that is not deleted. Raises ItemNotFound, BadRequest."""
    network = session.get(Network, network_id) if 0 < network_id <= MAX_ID else None
    if network is None:
        raise faults.ItemNotFound(f"No network {network_id}.")
    if network.deleted:
        raise faults.BadRequest("Network has been deleted.")
    return network


def modify(
    session: Session,
    identity: Identity,
    network: Network,
    *,
    name: str | None = None,
    drained: bool | None = None,
) -> None:
    """Give a network another name, or let no new server get a card on a public one, or do again.

    Raises BadRequest.
    """
    networks.lock_with_servers(session, network)
    if name is not None:
        _check_name(name)
        networks.change_name(session, identity, network, name)
    if drained is not None:
        if not network.public:
            raise faults.BadRequest("Only public networks are drained: new servers get no other.")
        before, network.drained = network.drained, drained
        audit.record(
            *(session, identity, "network:drain" if drained else "network:undrain"),
            *("network", network.id),
            before={"drained": before},
            after={"drained": drained},
        )


def make_everywhere(
    session: Session, identity: Identity, rules: Rules, network: Network
) -> list[Backend]:
    """Have a network made on every cluster it is for that has not got it; which ones these are.

    Raises BadRequest for one without a subnet, BuildInProgress for one that is not ACTIVE.
    """
    session.flush()  # a refresh would undo what was changed before
    session.refresh(network, with_for_update=True)
    if network.cidr is None:
        raise faults.BadRequest("A network without a subnet is not made on clusters.")
    if network.state is not NetworkState.ACTIVE:
        raise faults.BuildInProgress("Network not active yet")
    there = sa.select(BackendNetwork.backend_id).where(
        BackendNetwork.network_id == network.id,
        BackendNetwork.state.in_((NetworkState.PENDING, NetworkState.ACTIVE)),
    )
    here = sa.and_(Backend.removed.is_(None), Backend.id.not_in(there))
    query = sa.select(Backend).where(here).order_by(Backend.id)
    if network.backend_id is not None:
        query = query.where(Backend.id == network.backend_id)
    missing = list(session.scalars(query))
    network.everywhere = True
    for backend in missing:
        cards.make(session, identity, network, backend, rules.instance_prefix)
    names = [backend.name for backend in missing]
    audit.record(session, identity, "network:everywhere", "network", network.id, backends=names)
    return missing


def remove(session: Session, identity: Identity, network: Network) -> None:
    """Remove a network as its owner would; a public one only when it is drained and empty.

    Raises Conflict.
    """
    if networks.is_being_deleted(session, network):
        return
    networks.lock_with_servers(session, network)
    if network.public:
        if not network.drained:
            raise faults.Conflict("Drain it first: new servers get cards on it.")
        on_it = session.scalar(
            sa.select(sa.func.count(Nic.server_id.distinct())).where(Nic.network_id == network.id)
        )
        if on_it:
            raise faults.Conflict(f"{on_it} servers are on it.")
    networks.take_apart(session, identity, network)
