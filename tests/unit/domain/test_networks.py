"""Networks of users and operators, and what clusters are asked to do for them."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb import faults
from cloudweb.domain import (
    attachments,
    cards,
    firewalls,
    identity,
    network_lists,
    networks,
    operator_networks,
    pool_lists,
    pools,
    server_views,
    servers,
)
from cloudweb.domain.networks import Rules, Subnets
from cloudweb.domain.servers import Site
from cloudweb.models import (
    Backend,
    BackendNetwork,
    ListVersion,
    Network,
    NetworkKind,
    NetworkState,
    Nic,
    NicState,
    Operation,
    OperationState,
    OperState,
    PoolKind,
    PoolUse,
    PoolValue,
    Server,
    SessionFactory,
    unit_of_work,
)
from tests.conftest import Cloud, Person

CLI = identity.system("cli")
RULES = Rules((NetworkKind.MAC_FILTERED, NetworkKind.PHYSICAL_VLAN), "prv0", "snf-")


@pytest.fixture
def filled(sessions: SessionFactory) -> None:
    """Pools of bridges and MAC prefixes."""
    with unit_of_work(sessions) as session:
        pools.create(session, CLI, kind=PoolKind.BRIDGE, base="prv", size=2)
        pools.create(session, CLI, kind=PoolKind.MAC_PREFIX, base="aa:00:0", size=16)


@pytest.fixture
def make_network(sessions: SessionFactory, filled: None) -> Callable[..., Network]:
    def make(owner: Person, **values: Any) -> Network:
        with unit_of_work(sessions) as session:
            return networks.create(session, owner.identity, RULES, **({"name": "private"} | values))

    return make


def _public(session: Session, cidr: str | None = None, **values: Any) -> Network:
    gateway = values.pop("gateway", None)
    wanted = Subnets.of(cidr, gateway, None, None, prefixes=range(16, 31))
    return operator_networks.create(
        session,
        CLI,
        RULES,
        wanted=wanted,
        public=True,
        **({"name": "net", "kind": NetworkKind.CUSTOM, "link": "br0"} | values),
    )


def _connect(
    sessions: SessionFactory, owner: Person, network: Network, server: Server
) -> Operation:
    with unit_of_work(sessions) as session:
        return attachments.connect(session, owner.identity, RULES, network.id, server_id=server.id)


def _delete(sessions: SessionFactory, owner: Person, network: Network) -> None:
    with unit_of_work(sessions) as session:
        networks.delete(session, owner.identity, network.id)


def _operations(sessions: SessionFactory) -> list[Operation]:
    with unit_of_work(sessions, write=False) as session:
        return list(session.scalars(sa.select(Operation).order_by(Operation.id)))


def _read(sessions: SessionFactory, row: Any) -> Any:
    with unit_of_work(sessions, write=False) as session:
        return session.get_one(type(row), row.id)


def _uses(sessions: SessionFactory, use: PoolUse) -> int:
    with unit_of_work(sessions, write=False) as session:
        count = sa.select(sa.func.count()).select_from(PoolValue).where(PoolValue.use == use)
        return session.scalar(count) or 0


# --- making them --------------------------------------------------------------------------------


def test_a_mac_filtered_network_takes_a_prefix_and_shares_a_bridge(
    make_user: Callable[..., Person], make_network: Callable[..., Network]
) -> None:
    network = make_network(make_user())
    assert (network.kind, network.state) == (NetworkKind.MAC_FILTERED, NetworkState.ACTIVE)
    assert (network.mode, network.link, network.mac_prefix) == ("bridged", "prv0", "aa:00:1")
    assert (network.cidr, network.tags) == ("192.168.1.0/24", ["private-filtered", "nfdhcpd"])


def test_a_vlan_takes_a_bridge(
    make_user: Callable[..., Person], make_network: Callable[..., Network]
) -> None:
    network = make_network(make_user(), kind=NetworkKind.PHYSICAL_VLAN, dhcp=False)
    assert (network.mode, network.link, network.mac_prefix) == ("bridged", "prv1", None)
    assert network.tags == ["physical-vlan"]


def test_without_a_free_bridge_no_network_is_made(
    sessions: SessionFactory,
    make_user: Callable[..., Person],
    make_network: Callable[..., Network],
) -> None:
    owner = make_user()
    for _ in range(2):
        make_network(owner, kind=NetworkKind.PHYSICAL_VLAN)
    with pytest.raises(faults.ServiceUnavailable, match="Failed to allocate network resources"):
        make_network(owner, kind=NetworkKind.PHYSICAL_VLAN)
    with unit_of_work(sessions, write=False) as session:
        assert len(session.scalars(sa.select(Network)).all()) == 2


@pytest.mark.parametrize(
    ("wanted", "fault"),
    [
        ({"public": True}, faults.Forbidden),
        ({"kind": NetworkKind.CUSTOM}, faults.Forbidden),
        ({"kind": NetworkKind.IP_LESS_ROUTED}, faults.Forbidden),
        ({"cidr": "10.0.0.10/27"}, faults.BadRequest),
        ({"cidr": "10.0.0.0/8"}, faults.OverLimit),
        ({"cidr": "10.0.0.0/28", "gateway": "10.0.1.1"}, faults.BadRequest),
        ({"cidr6": "2001:db8::1/64"}, faults.BadRequest),
        ({"gateway6": "2001:db8::1"}, faults.BadRequest),
    ],
)
def test_what_users_may_not_make_is_refused_and_takes_nothing(
    sessions: SessionFactory,
    make_user: Callable[..., Person],
    make_network: Callable[..., Network],
    wanted: dict[str, Any],
    fault: type[faults.Fault],
) -> None:
    with pytest.raises(fault):
        make_network(make_user(), **wanted)
    assert _uses(sessions, PoolUse.HELD) == 0


def test_what_operators_make_must_go_together(
    sessions: SessionFactory, filled: None, make_user: Callable[..., Person]
) -> None:
    owner = make_user()
    for wrong in (
        {"public": True, "owner_id": owner.user.id, "link": "br0"},
        {"owner_id": owner.user.id},
        {"public": True},
        {"public": True, "kind": NetworkKind.MAC_FILTERED, "link": "br0"},
    ):
        with pytest.raises(faults.BadRequest), unit_of_work(sessions) as session:
            operator_networks.create(
                session,
                CLI,
                RULES,
                **({"name": "n", "kind": NetworkKind.CUSTOM, "wanted": Subnets()} | wrong),  # type: ignore[arg-type]
            )


# --- servers on them ----------------------------------------------------------------------------


def test_the_first_server_of_a_cluster_has_the_network_made_there(
    sessions: SessionFactory,
    make_user: Callable[..., Person],
    make_backend: Callable[..., Backend],
    make_server: Callable[..., Server],
    make_network: Callable[..., Network],
) -> None:
    owner = make_user()
    backend = make_backend(node_groups=["default", "east"], number=10)
    network = make_network(owner, gateway="192.168.1.1", cidr6="2001:db8::/64")
    first, second = (make_server(owner=owner, backend=backend) for _ in range(2))
    _connect(sessions, owner, network, first)
    _connect(sessions, owner, network, second)
    made = _operations(sessions)
    assert [op.opcode for op in made] == [
        "OP_NETWORK_ADD",
        "OP_NETWORK_CONNECT",
        "OP_NETWORK_CONNECT",
        "OP_INSTANCE_SET_PARAMS",
        "OP_INSTANCE_SET_PARAMS",
    ]
    add, connect, _, plug, other = made
    assert {op.network_id for op in made} == {network.id}
    assert (add.server_id, add.target, add.backend_id) == (
        None,
        f"snf-net-{network.id}",
        backend.id,
    )
    assert add.arguments == {
        "network": "192.168.1.0/24",
        "gateway": "192.168.1.1",
        "network6": "2001:db8::/64",
        "gateway6": None,
        "mac_prefix": "aa:00:1a",
        "tags": ["private-filtered", "nfdhcpd"],
        "conflicts_check": False,
    }
    assert connect.arguments == {
        "group": "default",
        "mode": "bridged",
        "link": "prv0",
        "conflicts_check": False,
    }
    card = {"ip": "192.168.1.2", "network": add.target, "name": f"snf-nic-{plug.nic_id}"}
    assert plug.arguments == {"nics": [["add", -1, card]]}
    assert (plug.server_id, other.server_id) == (first.id, second.id)
    assert other.arguments["nics"][0][2]["ip"] == "192.168.1.3"
    with unit_of_work(sessions, write=False) as session:
        nic = session.get_one(Nic, plug.nic_id)
        assert (nic.state, nic.index, nic.ipv4, nic.name) == (
            NicState.ADDING,
            1,
            "192.168.1.2",
            card["name"],
        )


def test_a_network_that_failed_on_a_cluster_is_made_there_again(
    sessions: SessionFactory,
    make_user: Callable[..., Person],
    make_backend: Callable[..., Backend],
    make_server: Callable[..., Server],
    make_network: Callable[..., Network],
) -> None:
    owner, backend = make_user(), make_backend()
    network = make_network(owner)
    _connect(sessions, owner, network, make_server(owner=owner, backend=backend))
    for state in (NetworkState.ERROR, NetworkState.DELETED):
        with unit_of_work(sessions) as session:
            session.scalars(sa.select(BackendNetwork)).one().state = state
        _connect(sessions, owner, network, make_server(owner=owner, backend=backend))
    opcodes = [op.opcode for op in _operations(sessions)]
    assert opcodes.count("OP_NETWORK_ADD") == 3


def test_a_card_that_is_added_is_not_shown_and_one_that_is_removed_still_is(
    sessions: SessionFactory,
    make_user: Callable[..., Person],
    make_server: Callable[..., Server],
    make_network: Callable[..., Network],
) -> None:
    owner = make_user()
    network, server = make_network(owner), make_server(owner=owner)
    added = _connect(sessions, owner, network, server)
    with unit_of_work(sessions, write=False) as session:
        assert network_lists.get(session, owner.identity, network.id).servers == []
    with unit_of_work(sessions) as session:
        session.get_one(Nic, added.nic_id).state = NicState.ACTIVE
    with unit_of_work(sessions) as session:
        operation = attachments.disconnect(
            session, owner.identity, network.id, server_id=server.id, index=1
        )
        assert operation.arguments == {"nics": [["remove", f"snf-nic-{added.nic_id}", {}]]}
    with unit_of_work(sessions, write=False) as session:
        assert network_lists.get(session, owner.identity, network.id).servers == [server.id]
        assert session.get_one(Nic, added.nic_id).state is NicState.REMOVING


def test_what_cannot_be_connected_is_refused_and_takes_no_address(
    sessions: SessionFactory,
    make_user: Callable[..., Person],
    make_backend: Callable[..., Backend],
    make_server: Callable[..., Server],
    make_network: Callable[..., Network],
) -> None:
    owner, stranger, backend = make_user(), make_user(), make_backend()
    network, server = make_network(owner), make_server(owner=owner)
    _connect(sessions, owner, network, server)
    held = _uses(sessions, PoolUse.HELD)
    full = make_network(owner, cidr="10.0.0.0/29")
    for _ in range(6):
        _connect(sessions, owner, full, make_server(owner=owner, backend=backend))
    pending = make_network(owner)
    with unit_of_work(sessions) as session:
        session.get_one(Network, pending.id).state = NetworkState.PENDING
    cases: list[tuple[Person, Network, Server, type[faults.Fault]]] = [
        (owner, network, server, faults.Conflict),
        (owner, network, make_server(), faults.ItemNotFound),
        (stranger, network, make_server(owner=stranger), faults.ItemNotFound),
        (owner, network, make_server(owner=owner, state=OperState.BUILD), faults.BuildInProgress),
        (owner, network, make_server(owner=owner, deleted=True), faults.BadRequest),
        (owner, pending, make_server(owner=owner), faults.BuildInProgress),
        (owner, full, make_server(owner=owner), faults.OverLimit),
    ]
    for who, where, what, fault in cases:
        with pytest.raises(fault):
            _connect(sessions, who, where, what)
    assert _uses(sessions, PoolUse.HELD) == held + 6 + 2


def test_a_server_has_at_most_eight_cards(
    sessions: SessionFactory,
    make_user: Callable[..., Person],
    make_server: Callable[..., Server],
    make_network: Callable[..., Network],
) -> None:
    owner = make_user()
    server = make_server(owner=owner)
    for _ in range(7):
        _connect(sessions, owner, make_network(owner), server)
    with pytest.raises(faults.OverLimit, match="at most 8"):
        _connect(sessions, owner, make_network(owner), server)


def test_a_card_of_another_network_is_not_found_on_this_one(
    sessions: SessionFactory,
    make_user: Callable[..., Person],
    make_server: Callable[..., Server],
    make_network: Callable[..., Network],
) -> None:
    owner, stranger = make_user(), make_user()
    mine, other = make_network(owner), make_network(owner)
    server, strange = make_server(owner=owner), make_server(owner=stranger)
    _connect(sessions, owner, other, server)
    for server_id, index in ((server.id, 0), (server.id, 1), (strange.id, 0), (server.id, None)):
        with pytest.raises(faults.ItemNotFound), unit_of_work(sessions) as session:
            attachments.disconnect(
                session, owner.identity, mine.id, server_id=server_id, index=index
            )
    with pytest.raises(faults.Forbidden), unit_of_work(sessions) as session:
        attachments.disconnect(session, owner.identity, "public", server_id=server.id)
    with pytest.raises(faults.BuildInProgress), unit_of_work(sessions) as session:
        attachments.disconnect(session, owner.identity, other.id, server_id=server.id)


# --- renaming and deleting them -----------------------------------------------------------------


def test_a_renamed_network_changes_the_servers_that_show_its_name(
    sessions: SessionFactory,
    make_user: Callable[..., Person],
    make_server: Callable[..., Server],
    make_network: Callable[..., Network],
) -> None:
    owner = make_user()
    network, server, beside = make_network(owner), make_server(owner=owner), make_server()
    _connect(sessions, owner, network, server)
    before = [_read(sessions, row).version for row in (network, server, beside)]
    with unit_of_work(sessions) as session:
        networks.rename(session, owner.identity, network.id, name="other")
    after = [_read(sessions, row).version for row in (network, server, beside)]
    assert [new > old for new, old in zip(after, before, strict=True)] == [True, True, False]


def test_a_network_and_its_owners_lists_move_with_its_servers(
    sessions: SessionFactory,
    make_user: Callable[..., Person],
    make_server: Callable[..., Server],
    make_network: Callable[..., Network],
) -> None:
    owner = make_user()
    network, server = make_network(owner), make_server(owner=owner)

    def versions() -> tuple[int, int]:
        with unit_of_work(sessions, write=False) as session:
            return (
                session.get_one(Network, network.id).version,
                session.get_one(ListVersion, owner.user.id).version,
            )

    known = versions()
    operation = _connect(sessions, owner, network, server)
    assert all(new > old for new, old in zip(versions(), known, strict=True))
    known = versions()
    with unit_of_work(sessions) as session:
        session.get_one(Nic, operation.nic_id).state = NicState.ACTIVE
    assert all(new > old for new, old in zip(versions(), known, strict=True))
    known = versions()
    with unit_of_work(sessions) as session:
        networks.touch(session, [network.id])
    assert all(new > old for new, old in zip(versions(), known, strict=True))


def test_a_network_that_no_cluster_has_is_gone_at_once_with_all_it_took(
    sessions: SessionFactory,
    make_user: Callable[..., Person],
    make_network: Callable[..., Network],
) -> None:
    owner = make_user()
    network = make_network(owner)
    _delete(sessions, owner, network)
    row = _read(sessions, network)
    assert (row.deleted, row.state) == (True, NetworkState.DELETED)
    assert _uses(sessions, PoolUse.HELD) == 0
    with unit_of_work(sessions, write=False) as session:
        kinds = {row.pool.kind for row in pool_lists.list_all(session)}
        assert kinds == {PoolKind.BRIDGE, PoolKind.MAC_PREFIX}
        assert network_lists.list_versions(session, owner.identity) == []
        assert network_lists.get(session, owner.identity, network.id).status == "DELETED"
    for act in (networks.delete, networks.rename):
        with (
            pytest.raises(faults.BadRequest, match="Network has been deleted"),
            unit_of_work(sessions) as session,
        ):
            act(
                session,
                owner.identity,
                network.id,
                **({"name": "x"} if act is networks.rename else {}),
            )


def test_a_network_in_use_is_taken_apart_before_it_is_gone(
    sessions: SessionFactory,
    make_user: Callable[..., Person],
    make_server: Callable[..., Server],
    make_network: Callable[..., Network],
) -> None:
    owner = make_user()
    network, server = make_network(owner), make_server(owner=owner)
    _connect(sessions, owner, network, server)
    done = len(_operations(sessions))
    for _ in range(2):  # asking again while it is under way asks nothing of a cluster
        _delete(sessions, owner, network)
    remove, leave, gone = _operations(sessions)[done:]
    assert (remove.opcode, remove.server_id) == ("OP_INSTANCE_SET_PARAMS", server.id)
    assert remove.arguments["nics"][0][0] == "remove"
    assert (leave.opcode, leave.arguments) == ("OP_NETWORK_DISCONNECT", {"group": "default"})
    assert (gone.opcode, gone.arguments, gone.server_id) == ("OP_NETWORK_REMOVE", {}, None)
    row = _read(sessions, network)
    assert (row.deleted, row.state) == (False, NetworkState.DELETED)
    with pytest.raises(faults.BuildInProgress):
        _connect(sessions, owner, network, make_server(owner=owner))


def test_a_network_is_gone_when_neither_a_server_nor_a_cluster_has_it(
    sessions: SessionFactory,
    make_user: Callable[..., Person],
    make_server: Callable[..., Server],
    make_network: Callable[..., Network],
) -> None:
    owner = make_user()
    network, server = make_network(owner), make_server(owner=owner)
    operation = _connect(sessions, owner, network, server)
    with unit_of_work(sessions) as session:
        assert networks.finish(session, [network.id]) == set()
    _delete(sessions, owner, network)
    with unit_of_work(sessions) as session:
        session.delete(session.get_one(Nic, operation.nic_id))
        session.flush()
        assert networks.finish(session, [network.id]) == set()
    with unit_of_work(sessions) as session:
        session.scalars(sa.select(BackendNetwork)).one().state = NetworkState.DELETED
        session.flush()
        assert networks.finish(session, [network.id]) == {network.id}
        assert networks.finish(session, [network.id]) == set()
    assert _uses(sessions, PoolUse.HELD) == 0
    assert _read(sessions, network).deleted


def test_a_deletion_that_failed_is_tried_again(
    sessions: SessionFactory,
    make_user: Callable[..., Person],
    make_server: Callable[..., Server],
    make_network: Callable[..., Network],
) -> None:
    owner = make_user()
    network = make_network(owner)
    _connect(sessions, owner, network, make_server(owner=owner))
    _delete(sessions, owner, network)
    with unit_of_work(sessions) as session:
        session.execute(sa.update(Operation).values(state=OperationState.ERROR))
    done = len(_operations(sessions))
    _delete(sessions, owner, network)
    assert [op.opcode for op in _operations(sessions)[done:]] == [
        "OP_INSTANCE_SET_PARAMS",
        "OP_NETWORK_DISCONNECT",
        "OP_NETWORK_REMOVE",
    ]


# --- public networks ----------------------------------------------------------------------------


def _create_server(sessions: SessionFactory, cloud: Cloud, site: Site) -> Server:
    with unit_of_work(sessions) as session:
        return servers.create(
            session,
            cloud.owner.identity,
            site,
            name="web",
            flavor_id=cloud.flavor.id,
            image_ref=cloud.image.id,
            metadata={},
        )


def test_a_new_server_takes_a_public_address_where_there_are_some(
    sessions: SessionFactory, cloud: Cloud, site: Site, public_network: Network
) -> None:
    with unit_of_work(sessions) as session:
        session.get_one(Network, public_network.id).drained = True
        _public(session, "203.0.113.0/29", gateway="203.0.113.1")
    server = _create_server(sessions, cloud, site)
    add, _connect, create = _operations(sessions)
    assert add.opcode == "OP_NETWORK_ADD"
    assert create.arguments["nics"] == [
        {"name": f"snf-nic-{create.nic_id}", "ip": "203.0.113.2", "network": add.target}
    ]
    assert create.arguments["tags"] == ["synnefo:network:0:unprotected"]
    assert create.network_id == add.network_id
    with unit_of_work(sessions, write=False) as session:
        [nic] = server_views.get(session, cloud.owner.identity, server.id).nics
        assert (nic.network, nic.ipv4) == ("public", "203.0.113.2")


def test_without_addresses_of_ours_a_new_card_names_mode_and_link(
    sessions: SessionFactory, cloud: Cloud, site: Site
) -> None:
    _create_server(sessions, cloud, site)
    [create] = _operations(sessions)
    name = f"snf-nic-{create.nic_id}"
    assert create.arguments["nics"] == [{"name": name, "mode": "bridged", "link": "br0"}]


def test_when_the_public_networks_are_full_a_create_is_over_the_limit(
    sessions: SessionFactory, cloud: Cloud, site: Site, public_network: Network
) -> None:
    with unit_of_work(sessions) as session:
        session.get_one(Network, public_network.id).drained = True
        _public(session, "203.0.113.0/30")
        _public(session, "198.51.100.0/30")
    for _ in range(4):
        _create_server(sessions, cloud, site)
    with pytest.raises(faults.OverLimit, match="Public networks are full"):
        _create_server(sessions, cloud, site)


def test_a_server_goes_only_where_its_public_network_is(
    sessions: SessionFactory,
    cloud: Cloud,
    site: Site,
    public_network: Network,
    make_backend: Callable[..., Backend],
) -> None:
    make_backend()
    loaded = make_backend(memory_free_mb=2_000, instances=500)
    with unit_of_work(sessions) as session:
        session.get_one(Network, public_network.id).drained = True
        _public(session, backend=session.get_one(Backend, loaded.id))
    assert _create_server(sessions, cloud, site).backend_id == loaded.id


def test_a_server_that_was_never_sent_gives_its_address_back(
    sessions: SessionFactory, cloud: Cloud, site: Site, public_network: Network
) -> None:
    with unit_of_work(sessions) as session:
        session.get_one(Network, public_network.id).drained = True
        _public(session, "203.0.113.0/30")
    for _ in range(3):
        server = _create_server(sessions, cloud, site)
        with unit_of_work(sessions) as session:
            servers.delete(session, cloud.owner.identity, server.id)
    assert _uses(sessions, PoolUse.HELD) == 0


def test_the_tag_of_a_firewall_is_not_its_name() -> None:
    assert [cards.firewall_tag(profile, 0) for profile in cards.Profile] == [
        "synnefo:network:0:protected",
        "synnefo:network:0:unprotected",
        "synnefo:network:0:limited",
    ]


def test_another_firewall_is_put_on_before_the_old_one_is_taken_off_and_shown(
    sessions: SessionFactory, make_user: Callable[..., Person], make_server: Callable[..., Server]
) -> None:
    owner = make_user()
    server = make_server(owner=owner)
    with unit_of_work(sessions) as session:
        firewalls.set_profile(session, owner.identity, server.id, profile=cards.Profile.ENABLED)
    [operation] = _operations(sessions)
    assert (operation.opcode, operation.arguments) == (
        "OP_TAGS_SET",
        {
            "tags": ["synnefo:network:0:protected"],
            "replaces": ["synnefo:network:0:unprotected"],
        },
    )
    assert operation.nic_id is not None
    with unit_of_work(sessions, write=False) as session:
        [nic] = server_views.get(session, owner.identity, server.id).nics
        assert nic.firewall_profile == "DISABLED"


def test_the_same_firewall_again_is_put_on_without_being_taken_off(
    sessions: SessionFactory, make_user: Callable[..., Person], make_server: Callable[..., Server]
) -> None:
    owner = make_user()
    server = make_server(owner=owner)
    with unit_of_work(sessions) as session:
        firewalls.set_profile(session, owner.identity, server.id, profile=cards.Profile.DISABLED)
    [again] = _operations(sessions)
    assert again.opcode == "OP_TAGS_SET"


def test_a_server_without_a_public_card_has_no_firewall(
    sessions: SessionFactory,
    make_user: Callable[..., Person],
    make_server: Callable[..., Server],
    make_network: Callable[..., Network],
) -> None:
    owner = make_user()
    server = make_server(owner=owner)
    _connect(sessions, owner, make_network(owner), server)
    with unit_of_work(sessions) as session:
        session.execute(sa.delete(Nic).where(Nic.index == 0))
    with pytest.raises(faults.BadRequest), unit_of_work(sessions) as session:
        firewalls.set_profile(session, owner.identity, server.id, profile=cards.Profile.ENABLED)
