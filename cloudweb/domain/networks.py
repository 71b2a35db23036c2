"""Networks: making, renaming and deleting them.

Locks: a private network's pool of addresses, which keeps others from joining, then the servers
that are on it, then the network. Whoever hears what became of servers locks these before networks.
"""

import dataclasses
from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import audit, cards, hearing_sql, pools, quotas, subnets
from cloudweb.domain.identity import Identity
from cloudweb.models import (
    MAX_ID,
    OPEN_STATES,
    PUBLIC,
    Backend,
    BackendNetwork,
    Network,
    NetworkKind,
    NetworkState,
    Nic,
    NicState,
    Operation,
    PoolKind,
    Resource,
    Server,
    move_all_lists,
    move_lists,
    touch_networks,
    utc_now,
)

_TAGS = {
    NetworkKind.MAC_FILTERED: ("private-filtered",),
    NetworkKind.PHYSICAL_VLAN: ("physical-vlan",),
    NetworkKind.IP_LESS_ROUTED: ("ip-less-routed",),
    NetworkKind.CUSTOM: (),
}
_DHCP_TAG = "nfdhcpd"


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """What an installation says of networks."""

    user_kinds: tuple[NetworkKind, ...]
    """Which kinds users may make; the first is the one they get when they name none."""
    mac_filtered_link: str
    """The bridge that all networks kept apart by MAC prefix share."""
    instance_prefix: str
    """Ganeti's names of networks and cards begin with it."""
    limits: quotas.Limits = dataclasses.field(default_factory=dict)
    """How much a user may have who has no limits of their own."""


@dataclasses.dataclass(frozen=True, slots=True)
class Subnets:
    """The addresses of a network, checked."""

    cidr: str | None = None
    gateway: str | None = None
    cidr6: str | None = None
    gateway6: str | None = None

    @classmethod
    def of(
        cls,
        cidr: str | None,
        gateway: str | None,
        cidr6: str | None,
        gateway6: str | None,
        *,
        prefixes: range,
    ) -> "Subnets":
        """Raises BadRequest, OverLimit."""
        four = subnets.check_cidr(cidr, prefixes) if cidr is not None else None
        six = subnets.check_cidr6(cidr6) if cidr6 is not None else None
        return cls(
            str(four) if four is not None else None,
            subnets.check_gateway(gateway, four) if gateway is not None else None,
            str(six) if six is not None else None,
            subnets.check_gateway6(gateway6, six) if gateway6 is not None else None,
        )


# --- making them --------------------------------------------------------------------------------


def create(
    session: Session,
    identity: Identity,
    rules: Rules,
    *,
    name: str,
    kind: NetworkKind | None = None,
    public: bool = False,
    dhcp: bool = True,
    cidr: str | None = None,
    gateway: str | None = None,
    cidr6: str | None = None,
    gateway6: str | None = None,
) -> Network:
    """A private network of a user, ACTIVE at once: clusters hear of it when a server connects.

    Raises Forbidden for a public one or a kind that is not for users, BadRequest or OverLimit for
    subnets, OverLimit when the user may not have more, ServiceUnavailable when the pool it takes
    from is empty.
    """
    if public:
        raise faults.Forbidden("Can not create a public network.")
    kind = kind or next(iter(rules.user_kinds), NetworkKind.MAC_FILTERED)
    if kind not in rules.user_kinds:
        raise faults.Forbidden(f"Can not create {kind} network")
    if identity.user_id is None:
        raise faults.Forbidden("Only a user can own a network.")
    cidr = cidr if cidr is not None else subnets.DEFAULT_CIDR
    wanted = Subnets.of(cidr, gateway, cidr6, gateway6, prefixes=subnets.USER_PREFIXES)
    quotas.check(session, identity.user_id, rules.limits, {Resource.NETWORKS: 1})
    network = new(name, kind, wanted, dhcp=dhcp)
    network.user_id = identity.user_id
    return add(session, identity, rules, network)


def new(name: str, kind: NetworkKind, wanted: Subnets, *, dhcp: bool) -> Network:
    """A private network that nobody owns and nothing knows of yet."""
    tags = [*_TAGS[kind], *([_DHCP_TAG] if dhcp else [])]
    return Network(
        name=name,
        kind=kind,
        public=False,
        dhcp=dhcp,
        mode="routed" if kind is NetworkKind.IP_LESS_ROUTED else "bridged",
        link="",
        tags=tags,
        **dataclasses.asdict(wanted),
    )


def add(session: Session, identity: Identity, rules: Rules, network: Network) -> Network:
    """The network, stored, with what its kind takes from pools, and its addresses."""
    session.add(network)
    session.flush()  # what it takes from pools names its id
    if network.kind is NetworkKind.MAC_FILTERED:
        network.link = rules.mac_filtered_link
        network.mac_prefix = _take(session, network, PoolKind.MAC_PREFIX)
    elif network.kind is NetworkKind.PHYSICAL_VLAN:
        network.link = _take(session, network, PoolKind.BRIDGE)
    if network.cidr is not None:
        pools.create_addresses(session, network)
    audit.record(
        *(session, identity, "network:create", "network", network.id),
        name=network.name,
        after=network.state.value,
    )
    session.flush()  # its answer names the version it then has
    return network


def _take(session: Session, network: Network, kind: PoolKind) -> str:
    return pools.take(session, kind, holder_kind=pools.NETWORK, holder_id=network.id)


# --- those of one user --------------------------------------------------------------------------


def visible(identity: Identity) -> sa.Select[Network]:
    """The private networks of this user: the one place where the owner decides."""
    return sa.select(Network).where(
        Network.user_id == identity.user_id, Network.public == sa.false()
    )


def get_own(session: Session, identity: Identity, network_id: int | str, verb: str) -> Network:
    """A user's network that is not deleted, to ``verb`` it.

    Raises Forbidden (the public one), ItemNotFound, BadRequest (deleted).
    """
    if network_id == PUBLIC:
        raise faults.Forbidden(f"Can not {verb} the public network.")
    network = None
    if isinstance(network_id, int) and 0 < network_id <= MAX_ID:
        network = session.scalar(visible(identity).where(Network.id == network_id))
    if network is None:
        raise faults.ItemNotFound("Network not found.")
    if network.deleted:
        raise faults.BadRequest("Network has been deleted.")
    return network


def rename(session: Session, identity: Identity, network_id: int | str, *, name: str) -> None:
    """Give a user's network another name; the servers on it show it."""
    network = get_own(session, identity, network_id, "rename")
    lock_with_servers(session, network)
    change_name(session, identity, network, name)


def change_name(session: Session, identity: Identity, network: Network, name: str) -> None:
    """Give a network, whose row is locked, another name."""
    before, network.name = network.name, name
    session.flush()  # the servers are dated after it
    on_it = session.scalars(sa.select(Nic.server_id).where(Nic.network_id == network.id).distinct())
    server_ids = sorted(on_it)
    if server_ids and not network.public:
        hearing_sql.touch(session, server_ids, utc_now())
    audit.record(
        session, identity, "network:rename", "network", network.id, before=before, after=name
    )


def delete(session: Session, identity: Identity, network_id: int | str) -> None:
    """Disconnect all servers from a user's network and remove it; see ``take_apart``."""
    network = get_own(session, identity, network_id, "delete")
    if not is_being_deleted(session, network):
        lock_with_servers(session, network)
        take_apart(session, identity, network)


def lock_with_servers(session: Session, network: Network) -> None:
    """Lock the servers that are on a private network, and then it; nobody joins it meanwhile.

    Raises BadRequest once it is gone.
    """
    session.flush()  # a refresh would undo what was changed before
    if not network.public:
        pools.lock_addresses(session, network.id)
        # Two statements: in one, MariaDB would lock the cards as well.
        on_it = sa.select(Nic.server_id).where(Nic.network_id == network.id).distinct()
        servers = sa.select(Server.id).where(Server.id.in_(session.scalars(on_it).all()))
        session.execute(servers.order_by(Server.id).with_for_update()).all()
    session.refresh(network, with_for_update=True)
    if network.deleted:
        raise faults.BadRequest("Network has been deleted.")


# --- taking them apart --------------------------------------------------------------------------


def is_being_deleted(session: Session, network: Network) -> bool:
    """Whether clusters still have to do something of a deletion."""
    if network.state is not NetworkState.DELETED:
        return False
    open_one = sa.select(Operation.id).where(
        Operation.network_id == network.id, Operation.state.in_(OPEN_STATES)
    )
    return session.scalar(open_one.limit(1)) is not None


def take_apart(session: Session, identity: Identity, network: Network) -> None:
    """Have the cards on a network, whose row is locked, removed, and then the network itself.

    It is DELETED at once and gone (``finish``) when no cluster has anything of it. After a failure
    this is tried again.
    """
    if is_being_deleted(session, network):
        return
    before, network.state = network.state, NetworkState.DELETED
    _remove_cards(session, identity, network)
    for row, backend in _on_clusters(session, network):
        cards.unmake(session, identity, row, backend)
    audit.record(
        *(session, identity, "network:delete", "network", network.id),
        name=network.name,
        before=before.value,
        after=network.state.value,
    )
    session.flush()  # finish reads the row
    finish(session, [network.id])


def _remove_cards(session: Session, identity: Identity, network: Network) -> None:
    rows = session.execute(
        sa.select(Nic, Server)
        .join(Server, Nic.server_id == Server.id)
        .where(Nic.network_id == network.id)
        .order_by(Server.id, Nic.index.desc())
    ).all()
    for nic, server in rows:
        cards.unplug(session, identity, server, nic)
    # Not through the session: a card being removed is still shown, so no server changes but
    # those whose card was not shown before.
    session.execute(
        sa.update(Nic)
        .where(Nic.network_id == network.id)
        .values(state=NicState.REMOVING)
        .execution_options(synchronize_session=False)
    )
    appearing = sorted({server.id for nic, server in rows if nic.state is NicState.ADDING})
    if appearing:
        hearing_sql.touch(session, appearing, utc_now())


def _on_clusters(session: Session, network: Network) -> Sequence[tuple[BackendNetwork, Backend]]:
    rows = session.execute(
        sa.select(BackendNetwork, Backend)
        .join(Backend, BackendNetwork.backend_id == Backend.id)
        .where(
            BackendNetwork.network_id == network.id, BackendNetwork.state != NetworkState.DELETED
        )
        .order_by(Backend.id)
    )
    return [(row[0], row[1]) for row in rows]


def finish(session: Session, network_ids: Collection[int]) -> set[int]:
    """Which of these networks, being deleted, no server and no cluster has any more.

    They are gone, and their prefix, bridge and addresses can be used again. To be called when a
    card or a network on a cluster has gone.
    """
    if not network_ids:
        return set()
    on_a_cluster = sa.exists().where(
        BackendNetwork.network_id == Network.id, BackendNetwork.state != NetworkState.DELETED
    )
    rows = session.scalars(
        sa.select(Network)
        .where(
            Network.id.in_(sorted(network_ids)),
            Network.state == NetworkState.DELETED,
            Network.deleted == sa.false(),
            ~on_a_cluster,
            ~sa.exists().where(Nic.network_id == Network.id),
        )
        .order_by(Network.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    for network in rows:
        network.deleted = True
        pools.remove_addresses(session, network.id)
    gone = {network.id for network in rows}
    pools.release_holder(session, pools.NETWORK, gone)
    session.flush()
    if any(network.public for network in rows):
        move_all_lists(session.connection())
    return gone


def touch(session: Session, network_ids: Collection[int]) -> None:
    """The servers on these networks have changed: their versions, times and lists move.

    Changes made through the session do so by themselves. The last but the list numbers to be
    locked.
    """
    owners = touch_networks(session.connection(), network_ids)
    if owners:
        move_lists(session.connection(), owners)
