"""The networks of a simulated cluster: their addresses, their connections, and their opcodes."""

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from cloudweb.backend.ganeti.simulator.refusals import OpFailed, refused
from cloudweb.backend.ganeti.simulator.spec import ClusterSpec
from cloudweb.backend.ganeti.simulator.state import Instance, Network, SimJob, State, new_uuid

_MAC_PREFIX = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){2}")
_LARGEST_PREFIX, _SMALLEST_PREFIX = 30, 16


def check_names(spec: ClusterSpec, state: State, job: SimJob) -> None:
    """OpFailed unless what the job names is there; Ganeti looks before it waits for anything."""
    if job.opcode == "OP_NETWORK_ADD":
        prefix = job.arguments.get("mac_prefix")
        if prefix is not None and not _MAC_PREFIX.fullmatch(prefix.lower()):
            raise refused(f"Invalid MAC address prefix '{prefix}'", "wrong_input")
        return
    if job.target not in state.networks:
        raise refused(f"Network '{job.target}' not found", "unknown_entity")
    group = job.arguments.get("group_name")
    if group is not None and group not in spec.groups:
        raise refused(f"Node group '{group}' not found", "unknown_entity")


def begin(spec: ClusterSpec, state: State, job: SimJob, now: float) -> None:
    """Checks what the opcode needs; OpFailed."""
    check_names(spec, state, job)
    match job.opcode:
        case "OP_NETWORK_ADD":
            _check_new(state, job)
        case "OP_NETWORK_CONNECT" if job.arguments["group_name"] in _connections(state, job):
            group = job.arguments["group_name"]
            job.say(now, f" - WARNING: Network '{job.target}' is already mapped to group '{group}'")
        case "OP_NETWORK_DISCONNECT":
            _check_unused(spec, state, job, now)
        case "OP_NETWORK_REMOVE" if _connections(state, job):
            groups = ", ".join(sorted(_connections(state, job)))
            job.say(
                now,
                f" - WARNING: Network '{job.target}' is connected to the following node groups:"
                f" {groups}",
            )
            raise refused("Network still connected", "wrong_state")


def finish(state: State, job: SimJob, now: float) -> None:
    """Does what the opcode is for."""
    match job.opcode:
        case "OP_NETWORK_ADD":
            state.networks[job.target] = _new_network(job, now)
        case "OP_NETWORK_CONNECT":
            given = job.arguments
            how = {key: given[f"network_{key}"] for key in ("mode", "link", "vlan")}
            _connections(state, job).setdefault(given["group_name"], how)
        case "OP_NETWORK_DISCONNECT":
            _connections(state, job).pop(job.arguments["group_name"], None)
        case "OP_NETWORK_REMOVE":
            del state.networks[job.target]


def _connections(state: State, job: SimJob) -> dict[str, dict[str, str]]:
    return state.networks[job.target].connections


def _check_new(state: State, job: SimJob) -> None:
    if job.target in state.networks:
        raise refused(
            f"Desired network name '{job.target}' already exists as a network"
            f" (UUID: {state.networks[job.target].uuid})",
            "already_exists",
        )
    network, gateway = IPv4Network(job.arguments["network"]), job.arguments.get("gateway")
    prefix = f"Cannot create IP address pool for network '{job.target}':"
    if network.prefixlen < _SMALLEST_PREFIX:
        raise OpFailed(
            "OpExecError",
            f"{prefix} A big network with {network.num_addresses} host(s) is currently not"
            f" supported. please specify at most a /{_SMALLEST_PREFIX} network",
        )
    if network.prefixlen > _LARGEST_PREFIX:
        raise OpFailed(
            "OpExecError",
            f"{prefix} A network with only {network.num_addresses} host(s) is too small, please"
            f" specify at least a /{_LARGEST_PREFIX} network",
        )
    if gateway is not None and IPv4Address(gateway) not in network:
        raise OpFailed("OpExecError", f"{prefix} {network} does not contain {gateway}")


def _new_network(job: SimJob, now: float) -> Network:
    given = job.arguments
    return Network(
        name=job.target,
        uuid=new_uuid(),
        cidr=given["network"],
        gateway=given.get("gateway"),
        cidr6=given.get("network6"),
        gateway6=given.get("gateway6"),
        mac_prefix=given["mac_prefix"].lower() if "mac_prefix" in given else None,
        tags=sorted(set(given["tags"])),
        ctime=now,
        kept=given.get("add_reserved_ips") or [],
    )


def _check_unused(spec: ClusterSpec, state: State, job: SimJob, now: float) -> None:
    """No instance of the group may have a card on a network that leaves it."""
    group = job.arguments["group_name"]
    if group not in _connections(state, job):
        job.say(now, f" - WARNING: Network '{job.target}' is not mapped to group '{group}'")
        return
    used = [
        f"{instance.name}: nic{index}/{nic.get('ip')}"
        for instance in state.instances.values()
        if group_of(spec, state, instance.node) == group
        for index, nic in enumerate(instance.nics)
        if nic.get("network") == job.target
    ]
    if used:
        job.say(
            now,
            f" - WARNING: IP addresses from network '{job.target}', which is about to disconnect"
            f" from node group '{group}', are in use: {', '.join(used)}",
        )
        raise refused(
            "Conflicting IP addresses found;  remove/modify the corresponding network interfaces",
            "wrong_state",
        )


# --- addresses ----------------------------------------------------------------------------------


def group_of(spec: ClusterSpec, state: State, node_name: str) -> str:
    """The group that a node is in."""
    names = [node.name for node in state.nodes]
    return spec.groups[names.index(node_name) % len(spec.groups)]


def reserved(network: Network) -> list[str]:
    """The addresses that no instance can have."""
    addresses = IPv4Network(network.cidr)
    found = {addresses[0], addresses[-1]}
    if network.gateway:
        found.add(IPv4Address(network.gateway))
    found.update(map(IPv4Address, network.kept))
    return [str(address) for address in sorted(found)]


def taken(state: State, network: Network) -> set[str]:
    """The addresses that instances have, or are about to get."""
    cards = [nic for instance in state.instances.values() for nic in instance.nics]
    for job in state.jobs.values():
        if job.opcode == "OP_INSTANCE_SET_PARAMS" and job.status == "running" and not job.failure:
            cards += [card for verb, _place, card in job.arguments["nics"] if verb == "add"]
    return {str(nic["ip"]) for nic in cards if nic.get("network") == network.name and nic.get("ip")}


def is_available(state: State, network: Network, address: str, *, strict: bool) -> bool:
    """Whether an instance can get the address from the network; a reserved one, if not strict."""
    return (
        IPv4Address(address) in IPv4Network(network.cidr)
        and not (strict and address in reserved(network))
        and address not in taken(state, network)
    )


def free_address(state: State, network: Network) -> str | None:
    """The lowest address that nobody has."""
    gone = taken(state, network).union(reserved(network))
    every = (str(address) for address in IPv4Network(network.cidr))
    return next((address for address in every if address not in gone), None)


def users(state: State, network: Network) -> Iterator[Instance]:
    """The instances with a card on the network, by name."""
    for _name, instance in sorted(state.instances.items()):
        if any(nic.get("network") == network.name for nic in instance.nics):
            yield instance


def network_row(state: State, network: Network) -> dict[str, Any]:
    """/2/networks/NAME."""
    kept, used = set(reserved(network)), taken(state, network)
    addresses = IPv4Network(network.cidr)
    marks = ["X" if str(a) in kept or str(a) in used else "." for a in addresses]
    return {
        "name": network.name,
        "uuid": network.uuid,
        "network": network.cidr,
        "gateway": network.gateway,
        "network6": network.cidr6,
        "gateway6": network.gateway6,
        "mac_prefix": network.mac_prefix,
        "free_count": marks.count("."),
        "reserved_count": marks.count("X"),
        "map": "".join(marks),
        "group_list": [
            [group, how["mode"], how["link"], how["vlan"]]
            for group, how in sorted(network.connections.items())
        ],
        "inst_list": [instance.name for instance in users(state, network)],
        "external_reservations": ", ".join(reserved(network)),
        "ctime": network.ctime,
        "mtime": network.ctime,
        "serial_no": 1,
        "tags": network.tags,
    }
