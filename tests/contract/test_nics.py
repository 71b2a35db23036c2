"""Network cards of an instance, and its tags: given when it is made, and later."""

import pytest

from cloudweb.backend.ganeti.errors import BadRequest
from cloudweb.backend.ganeti.rapi import RapiClient
from tests.contract.subject import Driver


def test_an_instance_is_made_with_a_card_on_a_network(cluster: Driver) -> None:
    network = cluster.add_network(mac_prefix="aa:00:55")
    card = {"network": network, "ip": "203.0.113.5", "name": f"{network}-card"}
    name = cluster.create(nics=[card], tags=[f"synnefo:network:{network}-card:protected"])
    instance = cluster.client.instance(name)
    assert instance.tags == (f"synnefo:network:{network}-card:protected",)
    nic = instance.nics[0]
    assert (nic.network, nic.ip, nic.name) == (network, "203.0.113.5", f"{network}-card")
    assert (nic.mode, nic.link) == ("bridged", "br1")
    assert nic.mac.startswith("aa:00:55:")
    there = cluster.client.network(network)
    assert (there.instances, there.free_count) == ((name,), 13)


def test_a_network_without_prefix_gives_the_clusters_own(cluster: Driver) -> None:
    network = cluster.add_network()
    name = cluster.create(nics=[{"network": network, "ip": "pool"}])
    nic = cluster.client.instance(name).nics[0]
    assert nic.mac.startswith(f"{cluster.client.info().mac_prefix}:")
    assert (nic.ip or "").startswith("203.0.113.")


@pytest.mark.parametrize("address", ["203.0.113.5", "198.51.100.5"])
def test_an_address_that_is_taken_or_outside_is_refused(cluster: Driver, address: str) -> None:
    network = cluster.add_network()
    name = cluster.create(nics=[{"network": network, "ip": "203.0.113.5"}])
    body = cluster.body(cluster.new_name(), nics=[{"network": network, "ip": address}])
    error = cluster.fail(cluster.client.create_instance(body, f"taken:{name}"))
    assert error.code == "resource_not_unique"
    assert error.message == (
        f"IP address {address} already in use or does not belong to network {network}"
    )
    error = cluster.fail(cluster.add_nic(name, network=network, ip=address, name="other"))
    assert error.code == "resource_not_unique"
    assert error.message == f"IP {address} not available in network {network}"
    assert len(cluster.client.instance(name).nics) == 1


def test_a_reserved_address_is_refused_only_where_conflicts_are_looked_for(
    cluster: Driver,
) -> None:
    network = cluster.add_network(gateway="203.0.113.1")
    name = cluster.create(nics=[])
    body = {"nics": [["add", -1, {"network": network, "ip": "203.0.113.1"}]]}
    error = cluster.fail(cluster.client.modify_instance(name, body, "reserved"))
    assert error.message == f"IP 203.0.113.1 not available in network {network}"
    cluster.succeed(cluster.add_nic(name, network=network, ip="203.0.113.1"))
    other = cluster.body(cluster.new_name(), nics=[{"network": network, "ip": "203.0.113.15"}])
    cluster.succeed(cluster.client.create_instance(other, f"reserved:{network}"))


def test_a_network_that_is_not_connected_is_refused(cluster: Driver) -> None:
    network = cluster.add_network(connect=False)
    body = cluster.body(cluster.new_name(), nics=[{"network": network, "ip": "203.0.113.5"}])
    error = cluster.fail(cluster.client.create_instance(body, f"unconnected:{network}"))
    assert error.code == "insufficient_resources"
    assert "is not connected to a network required by instance" in error.message
    name = cluster.create(nics=[])
    error = cluster.fail(cluster.add_nic(name, network=network, ip="203.0.113.5"))
    assert error.code == "wrong_input"
    assert error.message.startswith(f"No netparams found for the network {network}")


def test_a_card_has_a_network_or_a_link_but_not_both(cluster: Driver) -> None:
    network = cluster.add_network()
    body = cluster.body(cluster.new_name(), nics=[{"network": network, "mode": "bridged"}])
    error = cluster.fail(cluster.client.create_instance(body, f"both:{network}"))
    assert error.code == "wrong_input"
    assert error.message == "If network is given, no mode or link is allowed to be passed"


def test_a_running_instance_gets_a_card_and_loses_it(cluster: Driver) -> None:
    network = cluster.add_network(mac_prefix="aa:00:56")
    name = cluster.create(nics=[{"mode": "bridged", "link": "br1", "name": f"{network}-first"}])
    card = f"{network}-second"
    cluster.succeed(cluster.add_nic(name, network=network, ip="203.0.113.6", name=card))
    first, second = cluster.client.instance(name).nics
    assert (second.index, second.name, second.network) == (1, card, network)
    assert (second.ip, second.link) == ("203.0.113.6", "br1")
    assert second.mac.startswith("aa:00:56:")
    assert cluster.client.network(network).instances == (name,)
    assert cluster.client.instance(name).status == "running"
    cluster.succeed(cluster.remove_nic(name, card))
    assert cluster.client.instance(name).nics == (first,)
    assert cluster.client.network(network).free_count == 14


def test_a_card_needs_no_network(cluster: Driver) -> None:
    name = cluster.create(nics=[])
    cluster.succeed(cluster.add_nic(name, mode="bridged", link="br1", ip=None, name=f"{name}-c"))
    nic = cluster.client.instance(name).nics[0]
    assert (nic.network, nic.ip, nic.link) == (None, None, "br1")


def test_a_card_of_a_network_needs_no_address(cluster: Driver) -> None:
    network = cluster.add_network()
    name = cluster.create(nics=[])
    cluster.succeed(cluster.add_nic(name, network=network, ip=None, name=f"{network}-c"))
    nic = cluster.client.instance(name).nics[0]
    assert (nic.network, nic.ip) == (network, None)


def test_cards_after_one_that_goes_move_up(cluster: Driver) -> None:
    name = cluster.create(
        nics=[{"mode": "bridged", "link": "br1", "name": f"cw-{place}"} for place in "abc"]
    )
    cluster.succeed(cluster.remove_nic(name, "1"))
    left = cluster.client.instance(name).nics
    assert [(nic.index, nic.name) for nic in left] == [(0, "cw-a"), (1, "cw-c")]


def test_a_name_of_a_card_is_given_once(cluster: Driver) -> None:
    name = cluster.create(nics=[{"mode": "bridged", "link": "br1", "name": "cw-once"}])
    error = cluster.fail(cluster.add_nic(name, mode="bridged", link="br1", name="cw-once"))
    assert error.code == "resource_not_unique"
    assert error.message == "NIC name 'cw-once' already used"


def test_a_card_that_is_not_there_cannot_be_removed(cluster: Driver) -> None:
    name = cluster.create()
    error = cluster.fail(cluster.remove_nic(name, "nonesuch"))
    assert (error.kind, error.code) == ("OpPrereqError", "unknown_entity")
    assert error.message == "Cannot find NIC with identifier nonesuch"
    error = cluster.fail(cluster.remove_nic(name, 9))
    assert (error.kind, error.message) == ("OpExecError", "Got NIC index 9, but there are only 1")


def test_a_card_of_an_unknown_network_is_refused(cluster: Driver) -> None:
    name = cluster.create()
    error = cluster.fail(cluster.add_nic(name, network="nonesuch", ip="203.0.113.6"))
    assert (error.code, error.message) == ("unknown_entity", "Network 'nonesuch' not found")


def test_a_card_must_not_need_what_the_hypervisor_cannot(cluster: Driver) -> None:
    name = cluster.create()
    body = {"nics": [["add", -1, {"mode": "bridged", "link": "br1"}]], "hotplug": True}
    error = cluster.fail(cluster.client.modify_instance(name, body, "hotplug"))
    assert error.code == "wrong_state"
    assert error.message.startswith("Hotplug is not possible")


def test_a_change_of_nothing_is_refused(cluster: Driver) -> None:
    error = cluster.fail(cluster.client.modify_instance(cluster.create(), {}, "nothing"))
    assert (error.code, error.message) == ("wrong_input", "No changes submitted")


@pytest.mark.parametrize("body", [{"nics": "x"}, {"nics": [["frob", 0, {}]]}])
def test_a_change_that_cannot_be_understood_is_refused(
    client: RapiClient, body: dict[str, object]
) -> None:
    with pytest.raises(BadRequest) as refusal:
        client.modify_instance("nobody", body, "try")
    assert "'OP_INSTANCE_SET_PARAMS.nics' fails validation" in refusal.value.message


# --- tags ---------------------------------------------------------------------------------------


def test_tags_are_hung_on_and_taken_off(cluster: Driver) -> None:
    name = cluster.create()
    tags = ["synnefo:network:cw-nic-1:protected", "a/b"]
    job = cluster.succeed(cluster.submit("OP_TAGS_SET", name, {"tags": tags}))
    assert (job.ops[0].opcode, job.ops[0].instance) == ("OP_TAGS_SET", name)
    assert set(cluster.client.instance(name).tags) == set(tags)
    job = cluster.succeed(cluster.submit("OP_TAGS_DEL", name, {"tags": tags[:1]}))
    assert (job.ops[0].opcode, job.ops[0].instance) == ("OP_TAGS_DEL", name)
    assert cluster.client.instance(name).tags == ("a/b",)


def test_a_tag_is_hung_on_twice_without_harm(cluster: Driver) -> None:
    name = cluster.create(tags=["one"])
    cluster.succeed(cluster.submit("OP_TAGS_SET", name, {"tags": ["one"]}))
    assert cluster.client.instance(name).tags == ("one",)


def test_of_tags_that_are_not_all_there_none_is_taken_off(cluster: Driver) -> None:
    name = cluster.create(tags=["one"])
    error = cluster.fail(cluster.submit("OP_TAGS_DEL", name, {"tags": ["one", "two", "three"]}))
    assert (error.kind, error.code) == ("OpPrereqError", "unknown_entity")
    assert error.message == "Tag(s) 'three', 'two' not found"
    assert cluster.client.instance(name).tags == ("one",)


def test_a_tag_that_cannot_be_is_refused(cluster: Driver) -> None:
    error = cluster.fail(cluster.submit("OP_TAGS_SET", cluster.create(), {"tags": ["no blanks"]}))
    assert (error.kind, error.message) == ("TagError", "Tag contains invalid characters")


@pytest.mark.parametrize("opcode", ["OP_TAGS_SET", "OP_TAGS_DEL", "OP_INSTANCE_SET_PARAMS"])
def test_a_change_of_an_unknown_instance_is_taken_and_fails(cluster: Driver, opcode: str) -> None:
    arguments = {"nics": [["remove", 0, {}]]} if "PARAMS" in opcode else {"tags": ["x"]}
    error = cluster.fail(cluster.submit(opcode, "nobody", arguments))
    assert (error.kind, error.code) == ("OpPrereqError", "unknown_entity")
    assert error.message == "Instance 'nobody' not known"
