"""The network cards of a simulated cluster's instances: giving them and taking them away."""

import secrets
from typing import Any

from cloudweb.backend.ganeti.simulator import networks
from cloudweb.backend.ganeti.simulator.refusals import OpFailed, refused
from cloudweb.backend.ganeti.simulator.spec import ClusterSpec
from cloudweb.backend.ganeti.simulator.state import Instance, Network, SimJob, State, new_uuid

MAC_PREFIX = "aa:00:00"
Nic = dict[str, Any]


def check_asked(state: State, nics: list[Nic]) -> None:
    """OpFailed unless the cards of a create can be understood."""
    for nic in nics:
        name = nic.get("network")
        if name and (nic.get("mode") or nic.get("link")):
            raise refused(
                "If network is given, no mode or link is allowed to be passed", "wrong_input"
            )
        if name and name not in state.networks:
            raise refused(f"Network '{name}' not found", "unknown_entity")


def new_nics(
    spec: ClusterSpec, state: State, job: SimJob, nics: list[Nic], node: str, now: float
) -> list[Nic]:
    """The cards of an instance that is being made on a node; OpFailed."""
    made: list[Nic] = []
    for index, nic in enumerate(nics):
        network = state.networks.get(nic.get("network") or "")
        address = nic.get("ip")
        how: dict[str, str] = {}
        if network is not None:
            how = _connection(spec, state, network, node)
            inherited = [how["link"], how["mode"], how["vlan"]]
            job.say(now, f" - INFO: NIC/{index} inherits netparams {inherited}")
            address = _create_address(state, job, network, index, address)
        made.append(_card({**nic, **how, "ip": address}, network))
    return made


def _create_address(
    state: State, job: SimJob, network: Network, index: int, wanted: str | None
) -> str | None:
    if wanted == "pool":
        free = networks.free_address(state, network)
        if free is None:
            raise refused(
                f"Unable to get a free IP for NIC {index} from the address pool", "wrong_state"
            )
        return free
    strict = job.arguments["conflicts_check"]
    if wanted and not networks.is_available(state, network, wanted, strict=strict):
        raise refused(
            f"IP address {wanted} already in use or does not belong to network {network.name}",
            "resource_not_unique",
        )
    return wanted


def _connection(spec: ClusterSpec, state: State, network: Network, node: str) -> dict[str, str]:
    how = network.connections.get(networks.group_of(spec, state, node))
    if how is None:
        raise refused(
            f"No netparams found for the network {network.name}, probably not connected",
            "wrong_input",
        )
    return how


def _card(nic: Nic, network: Network | None) -> Nic:
    mac = nic.get("mac", "generate")
    if mac in {"generate", "auto"}:
        prefix = (network and network.mac_prefix) or MAC_PREFIX
        mac = f"{prefix}:" + ":".join(f"{byte:02x}" for byte in secrets.token_bytes(3))
    return {**nic, "mac": mac, "uuid": new_uuid()}


# --- OP_INSTANCE_SET_PARAMS ---------------------------------------------------------------------


def begin(spec: ClusterSpec, state: State, job: SimJob, now: float) -> None:
    """Checks the changes and settles what new cards will be; OpFailed."""
    if job.arguments["hotplug"]:
        why = "Hotplug is not supported: Hotplug is not supported by this hypervisor"
        raise refused(f"Hotplug is not possible: {why}: {why}", "wrong_state")
    if job.arguments["hotplug_if_possible"]:
        job.say(
            now,
            " - WARNING: Hotplug is not supported: Hotplug is not supported by this hypervisor",
        )
        job.say(now, " - INFO: Modification will take place without hotplugging.")
    instance = state.instances[job.target]
    changes = []
    for verb, place, given in job.arguments["nics"]:
        if verb == "remove":
            _place(instance, place)
            changes.append([verb, place, given])
        else:
            changes.append([verb, place, _wanted(spec, state, job, instance, given, now)])
    job.arguments = {**job.arguments, "nics": changes, "instance_uuid": instance.uuid}


def _wanted(
    spec: ClusterSpec, state: State, job: SimJob, instance: Instance, given: Nic, now: float
) -> Nic:
    """A new card as the job is seen to have it: with its MAC, without what is null."""
    check_asked(state, [given])
    network = state.networks.get(given.get("network") or "")
    if network is not None:
        _connection(spec, state, network, instance.node)
    name, address = given.get("name"), given.get("ip")
    if name and any(nic.get("name") == name for nic in instance.nics):
        raise refused(f"NIC name '{name}' already used", "resource_not_unique")
    if address and network is not None:
        strict = job.arguments["conflicts_check"]
        if not networks.is_available(state, network, address, strict=strict):
            raise refused(
                f"IP {address} not available in network {network.name}", "resource_not_unique"
            )
        job.say(now, f" - INFO: Reserving IP {address} in network {network.name}")
    mac = _card(given, network)["mac"]
    return {"mac": mac, **{key: value for key, value in given.items() if value is not None}}


def finish(spec: ClusterSpec, state: State, job: SimJob, now: float) -> list[list[str]]:
    """Changes the cards and says what changed; OpFailed."""
    instance = state.instances[job.target]
    done: list[list[str]] = []
    for verb, place, given in job.arguments["nics"]:
        if verb == "remove":
            index = _place(instance, place)
            if index >= len(instance.nics):
                count = len(instance.nics)
                raise OpFailed("OpExecError", f"Got NIC index {index}, but there are only {count}")
            del instance.nics[index]
            done.append([f"NIC/{index}", "remove"])
        else:
            done.append(_add(spec, state, instance, given))
    instance.mtime = now
    instance.serial_no += 1
    return done


def _add(spec: ClusterSpec, state: State, instance: Instance, given: Nic) -> list[str]:
    network = state.networks.get(given.get("network") or "")
    how = {} if network is None else _connection(spec, state, network, instance.node)
    nic = _card({**given, **how}, network)
    instance.nics.append(nic)
    shown = ",".join(
        f"{key}={nic.get(key, default)}"
        for key, default in (
            ("mac", None),
            ("ip", None),
            ("mode", "bridged"),
            ("link", "br0"),
            ("network", None),
        )
    )
    return [f"nic.{len(instance.nics) - 1}", f"add:{shown}"]


def _place(instance: Instance, wanted: int | str) -> int:
    """The index of the card that is meant by an index, a name or a uuid; OpFailed."""
    if isinstance(wanted, int) or wanted.isdigit():
        index = int(wanted)
        return index if index >= 0 else len(instance.nics) - 1
    for index, nic in enumerate(instance.nics):
        if wanted in (nic.get("name"), nic["uuid"]):
            return index
    raise refused(f"Cannot find NIC with identifier {wanted}", "unknown_entity")
