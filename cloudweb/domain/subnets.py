"""What a subnet, a gateway and an address made from a MAC have to be."""

import ipaddress

from cloudweb import faults

DEFAULT_CIDR = "192.168.1.0/24"
USER_PREFIXES = range(22, 30)
"""How large the networks of users may be, by the length of their prefix."""
OPERATOR_PREFIXES = range(16, 30)

_IPV6_HOST_BITS = 64
# This host, itself, whoever is on the link, groups, and nobody yet.
_NOT_FOR_HOSTS = tuple(
    map(
        ipaddress.IPv4Network,
        ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4"),
    )
)
# What hosts can have: all that is routed, and what is local to a site.
_IPV6_UNICAST = (ipaddress.IPv6Network("2000::/3"), ipaddress.IPv6Network("fc00::/7"))


def check_cidr(text: str, prefixes: range) -> ipaddress.IPv4Network:
    """The IPv4 subnet. Raises BadRequest (none, host bits, not for hosts), OverLimit (its size)."""
    try:
        subnet = ipaddress.IPv4Network(text)
    except ValueError:
        raise faults.BadRequest("Invalid network IPv4 subnet") from None
    if str(subnet) != text:
        raise faults.BadRequest("Invalid network IPv4 subnet", details="Write it as 10.0.0.0/24.")
    if subnet.prefixlen not in prefixes:
        raise faults.OverLimit(
            "Unsupported network size",
            details=f"The prefix is from /{prefixes.start} to /{prefixes.stop - 1}.",
        )
    if any(map(subnet.overlaps, _NOT_FOR_HOSTS)):
        raise faults.BadRequest(
            "Invalid network IPv4 subnet", details="No host can have an address of it."
        )
    return subnet


def check_gateway(text: str, subnet: ipaddress.IPv4Network | None) -> str:
    """An address of a host in the subnet. Raises BadRequest."""
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        address = None
    if (
        address is None
        or subnet is None
        or address not in subnet
        or address in (subnet.network_address, subnet.broadcast_address)
    ):
        raise faults.BadRequest("Invalid network IPv4 gateway")
    return str(address)


def check_cidr6(text: str) -> ipaddress.IPv6Network:
    """The IPv6 subnet. Raises BadRequest."""
    try:
        if "/" not in text or "%" in text:
            raise ValueError(text)
        subnet = ipaddress.IPv6Network(text)
    except ValueError:
        raise faults.BadRequest("Invalid network IPv6 subnet") from None
    if not any(map(subnet.subnet_of, _IPV6_UNICAST)):
        raise faults.BadRequest(
            "Invalid network IPv6 subnet", details="No host can have an address of it."
        )
    return subnet


def check_gateway6(text: str, subnet: ipaddress.IPv6Network | None) -> str:
    """An address in the IPv6 subnet. Raises BadRequest."""
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        address = None
    if address is None or subnet is None or "%" in text or address not in subnet:
        raise faults.BadRequest("Invalid network IPv6 gateway")
    return str(address)


def eui64(mac: str, cidr6: str) -> str | None:
    """The IPv6 address a card with this MAC gives itself; None in a subnet too small for it."""
    subnet = ipaddress.IPv6Network(cidr6)
    if subnet.prefixlen > _IPV6_HOST_BITS:
        return None
    octets = bytes.fromhex(mac.replace(":", ""))
    host = bytes((octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]))
    return str(subnet.network_address + int.from_bytes(host))
