"""What a subnet, a gateway and an address made from a MAC have to be."""

import pytest

from cloudweb import faults
from cloudweb.domain import subnets


@pytest.mark.parametrize("cidr", ["10.0.0.0/22", "192.168.1.0/24", "10.0.0.8/29"])
def test_users_may_have_networks_from_22_to_29(cidr: str) -> None:
    assert str(subnets.check_cidr(cidr, subnets.USER_PREFIXES)) == cidr


@pytest.mark.parametrize(
    "cidr", ["10.0.0.0/8", "10.0.0.0/21", "10.0.0.0/30", "10.0.0.0/31", "10.0.0.1/32", "0.0.0.0/0"]
)
def test_other_sizes_are_over_the_limit(cidr: str) -> None:
    with pytest.raises(faults.OverLimit, match="Unsupported network size"):
        subnets.check_cidr(cidr, subnets.USER_PREFIXES)


@pytest.mark.parametrize(
    "cidr",
    [
        "10.0.0.10/27",
        "10.0.0.1/24",
        "10.0.0.0",
        "10.0.0.0/255.255.255.0",
        "10.0.0.0/33",
        "10.0.0/24",
        "010.0.0.0/24",
        " 10.0.0.0/24",
        "2001:db8::/64",
        "",
        "x",
    ],
)
def test_what_is_no_subnet_is_refused(cidr: str) -> None:
    with pytest.raises(faults.BadRequest, match="Invalid network IPv4 subnet"):
        subnets.check_cidr(cidr, subnets.USER_PREFIXES)


@pytest.mark.parametrize(
    "cidr", ["0.0.0.0/24", "127.0.0.0/24", "169.254.1.0/24", "224.0.0.0/24", "255.255.255.0/24"]
)
def test_what_no_host_can_have_is_refused(cidr: str) -> None:
    with pytest.raises(faults.BadRequest, match="Invalid network IPv4 subnet"):
        subnets.check_cidr(cidr, subnets.USER_PREFIXES)


@pytest.mark.parametrize("cidr6", ["::/0", "::/64", "::ffff:1.2.3.0/120", "fe80::/64", "ff02::/64"])
def test_what_no_host_can_have_of_ipv6_is_refused(cidr6: str) -> None:
    with pytest.raises(faults.BadRequest, match="Invalid network IPv6 subnet"):
        subnets.check_cidr6(cidr6)


@pytest.mark.parametrize(
    "gateway", ["10.0.0.16", "10.0.0.0", "10.0.0.15", "x", "", "10.0.0.1/28", "::1"]
)
def test_a_gateway_is_a_host_of_its_subnet(gateway: str) -> None:
    subnet = subnets.check_cidr("10.0.0.0/28", subnets.USER_PREFIXES)
    assert subnets.check_gateway("10.0.0.1", subnet) == "10.0.0.1"
    with pytest.raises(faults.BadRequest, match="Invalid network IPv4 gateway"):
        subnets.check_gateway(gateway, subnet)


def test_a_gateway_needs_a_subnet() -> None:
    with pytest.raises(faults.BadRequest, match="Invalid network IPv4 gateway"):
        subnets.check_gateway("10.0.0.1", None)
    with pytest.raises(faults.BadRequest, match="Invalid network IPv6 gateway"):
        subnets.check_gateway6("2001:db8::1", None)


@pytest.mark.parametrize("cidr6", ["2001:db8::1/64", "2001:db8::", "fe80::%1/64", "10.0.0.0/24"])
def test_what_is_no_ipv6_subnet_is_refused(cidr6: str) -> None:
    with pytest.raises(faults.BadRequest, match="Invalid network IPv6 subnet"):
        subnets.check_cidr6(cidr6)


@pytest.mark.parametrize("gateway6", ["2001:db9::1", "2001:db8::1%eth0", "10.0.0.1", ""])
def test_an_ipv6_gateway_is_in_its_subnet(gateway6: str) -> None:
    subnet = subnets.check_cidr6("2001:DB8::/64")
    assert str(subnet) == "2001:db8::/64"
    assert subnets.check_gateway6("2001:DB8::1", subnet) == "2001:db8::1"
    with pytest.raises(faults.BadRequest, match="Invalid network IPv6 gateway"):
        subnets.check_gateway6(gateway6, subnet)


def test_a_card_makes_its_ipv6_address_from_its_mac() -> None:
    assert subnets.eui64("00:01:de:ad:be:ef", "2001:db8::/64") == "2001:db8::201:deff:fead:beef"
    assert subnets.eui64("aa:00:00:58:1e:b9", "2001:db8:1::/48") == "2001:db8:1:0:a800:ff:fe58:1eb9"
    assert subnets.eui64("00:01:de:ad:be:ef", "2001:db8::/80") is None
