"""Networks of a cluster: making them, connecting them, and ending them."""

import pytest

from cloudweb.backend.ganeti.errors import BadRequest, NotFound
from cloudweb.backend.ganeti.rapi import RapiClient
from tests.contract.subject import CONNECTION, Driver

GROUP = {"group": "default"}


def test_a_cluster_has_a_node_group(client: RapiClient) -> None:
    names = {node.name for node in client.nodes_bulk()}
    assert {group: set(nodes) for group, nodes in client.groups().items()} == {"default": names}


def test_a_network_is_as_it_was_asked_for(cluster: Driver) -> None:
    name = cluster.add_network(
        connect=False,
        gateway="203.0.113.1",
        network6="2001:db8:7::/64",
        gateway6="2001:db8:7::1",
        mac_prefix="aa:00:55",
        tags=["nfdhcpd", "private-filtered"],
    )
    network = cluster.client.network(name)
    assert (network.cidr, network.gateway) == ("203.0.113.0/28", "203.0.113.1")
    assert (network.cidr6, network.gateway6) == ("2001:db8:7::/64", "2001:db8:7::1")
    assert network.mac_prefix == "aa:00:55"
    assert set(network.tags) == {"nfdhcpd", "private-filtered"}
    assert network.reserved == ("203.0.113.0", "203.0.113.1", "203.0.113.15")
    assert (network.free_count, network.groups, network.instances) == (13, {}, ())
    assert network in cluster.client.networks_bulk()


def test_a_network_says_which_addresses_are_kept_and_which_are_used(cluster: Driver) -> None:
    name = cluster.add_network(connect=False, add_reserved_ips=["203.0.113.9"])
    network = cluster.client.network(name)
    assert "203.0.113.9" in network.reserved
    assert network.used == network.reserved
    assert network.free_count == 16 - len(network.used)


def test_a_network_may_have_no_gateway_and_no_prefix(cluster: Driver) -> None:
    name = cluster.add_network(connect=False, gateway=None, mac_prefix=None, network6=None)
    network = cluster.client.network(name)
    assert (network.gateway, network.mac_prefix, network.cidr6) == (None, None, None)
    assert network.free_count == 14


def test_two_networks_may_have_the_same_addresses(cluster: Driver) -> None:
    one, other = cluster.add_network(), cluster.add_network()
    assert cluster.client.network(one).cidr == cluster.client.network(other).cidr


def test_a_job_of_a_network_is_found_by_its_reason_and_is_about_no_instance(
    cluster: Driver,
) -> None:
    name = cluster.add_network(connect=False)
    job = cluster.client.find_job(f"OP_NETWORK_ADD {name}")
    assert job
    assert (job.ops[0].opcode, job.ops[0].instance) == ("OP_NETWORK_ADD", None)


def test_a_second_network_of_a_name_already_exists(cluster: Driver) -> None:
    name = cluster.add_network(connect=False)
    again = {"network": "203.0.113.0/28", "conflicts_check": False, "tags": []}
    error = cluster.fail(cluster.submit("OP_NETWORK_ADD", name, again))
    assert (error.kind, error.code) == ("OpPrereqError", "already_exists")
    assert error.message.startswith(f"Desired network name '{name}' already exists as a network")


@pytest.mark.parametrize(
    ("changed", "kind", "code", "sentence"),
    [
        ({"mac_prefix": "zz"}, "OpPrereqError", "wrong_input", "Invalid MAC address prefix 'zz'"),
        (
            {"gateway": "198.51.100.1"},
            "OpExecError",
            None,
            "203.0.113.0/28 does not contain 198.51.100.1",
        ),
        ({"network": "10.0.0.0/8"}, "OpExecError", None, "please specify at most a /16 network"),
    ],
)
def test_a_network_that_cannot_be_is_refused(
    cluster: Driver, changed: dict[str, str], kind: str, code: str | None, sentence: str
) -> None:
    wanted = {"network": "203.0.113.0/28", "conflicts_check": False, "tags": [], **changed}
    error = cluster.fail(cluster.submit("OP_NETWORK_ADD", "never", wanted))
    assert (error.kind, error.code) == (kind, code)
    assert sentence in error.message
    with pytest.raises(NotFound):
        cluster.client.network("never")


@pytest.mark.parametrize(
    ("opcode", "arguments", "parameter"),
    [
        ("OP_NETWORK_ADD", {"network": "banana"}, "network"),
        ("OP_NETWORK_ADD", {"network": "203.0.113.0/28", "gateway": "x"}, "gateway"),
        ("OP_NETWORK_CONNECT", {**CONNECTION, "mode": "bogus"}, "network_mode"),
        ("OP_NETWORK_CONNECT", GROUP, "network_mode"),
        ("OP_NETWORK_DISCONNECT", {}, "group_name"),
    ],
)
def test_a_bad_body_is_refused(
    cluster: Driver, opcode: str, arguments: dict[str, object], parameter: str
) -> None:
    with pytest.raises(BadRequest) as refusal:
        cluster.submit(opcode, "never", arguments)
    assert f"'{opcode}.{parameter}' fails validation" in refusal.value.message


def test_an_unknown_parameter_is_refused(client: RapiClient) -> None:
    with pytest.raises(BadRequest, match="OpNetworkAdd doesn't support the parameter 'bogus'"):
        client.add_network({"network_name": "x", "network": "203.0.113.0/28", "bogus": 1}, "try")


def test_a_network_is_connected_once_however_often_one_asks(cluster: Driver) -> None:
    name = cluster.add_network()
    assert cluster.client.network(name).groups == {"default": ("bridged", "br1")}
    job = cluster.succeed(cluster.submit("OP_NETWORK_CONNECT", name, CONNECTION))
    assert f"Network '{name}' is already mapped to group 'default'" in (job.ops[0].log or "")
    assert cluster.client.network(name).groups == {"default": ("bridged", "br1")}


@pytest.mark.parametrize(
    ("opcode", "arguments"),
    [
        ("OP_NETWORK_CONNECT", CONNECTION),
        ("OP_NETWORK_DISCONNECT", GROUP),
        ("OP_NETWORK_REMOVE", {}),
    ],
)
def test_a_job_on_an_unknown_network_is_taken_and_fails(
    cluster: Driver, opcode: str, arguments: dict[str, object]
) -> None:
    error = cluster.fail(cluster.submit(opcode, "nonesuch", arguments))
    assert (error.kind, error.code) == ("OpPrereqError", "unknown_entity")
    assert error.message == "Network 'nonesuch' not found"


def test_an_unknown_group_is_refused(cluster: Driver) -> None:
    name = cluster.add_network(connect=False)
    unknown = {**CONNECTION, "group": "nonesuch"}
    error = cluster.fail(cluster.submit("OP_NETWORK_CONNECT", name, unknown))
    assert (error.code, error.message) == ("unknown_entity", "Node group 'nonesuch' not found")


def test_an_unknown_network_is_not_found(client: RapiClient) -> None:
    with pytest.raises(NotFound):
        client.network("nonesuch")


def test_a_network_that_is_connected_cannot_be_removed(cluster: Driver) -> None:
    name = cluster.add_network()
    error = cluster.fail(cluster.submit("OP_NETWORK_REMOVE", name))
    assert (error.code, error.message) == ("wrong_state", "Network still connected")


def test_a_network_is_disconnected_and_removed(cluster: Driver) -> None:
    name = cluster.add_network()
    cluster.succeed(cluster.submit("OP_NETWORK_DISCONNECT", name, GROUP))
    assert cluster.client.network(name).groups == {}
    job = cluster.succeed(cluster.submit("OP_NETWORK_DISCONNECT", name, GROUP))
    assert f"Network '{name}' is not mapped to group 'default'" in (job.ops[0].log or "")
    cluster.succeed(cluster.submit("OP_NETWORK_REMOVE", name))
    with pytest.raises(NotFound):
        cluster.client.network(name)


def test_a_network_with_cards_on_it_cannot_be_disconnected(cluster: Driver) -> None:
    network = cluster.add_network()
    name = cluster.create(nics=[{"network": network, "ip": "203.0.113.5"}])
    error = cluster.fail(cluster.submit("OP_NETWORK_DISCONNECT", network, GROUP))
    assert error.code == "wrong_state"
    assert error.message.startswith("Conflicting IP addresses found")
    cluster.succeed(cluster.remove_nic(name, 0))
    cluster.succeed(cluster.submit("OP_NETWORK_DISCONNECT", network, GROUP))
