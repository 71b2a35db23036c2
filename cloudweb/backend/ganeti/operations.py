"""From an opcode to the RAPI call that asks for it, and the body of a create."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal
from urllib.parse import quote

from cloudweb.backend.ganeti.rapi import RapiClient

EXTERNAL_PREFIX = "ext_"


def submit(
    client: RapiClient,
    opcode: str,
    target: str,
    arguments: Mapping[str, object],
    reason: str,
) -> int:
    """Asks a cluster for an operation and gives the job's id; ValueError for an unknown opcode.

    The target is the name of an instance, or of a network for OP_NETWORK_*. The arguments are: of a
    create, its body; of a reboot, {"type": "SOFT" | "HARD"}; of OP_INSTANCE_SET_PARAMS, {"nics":
    [["add", -1, {...}] | ["remove", name, {}]]}; of tags, {"tags": [...]}; of OP_NETWORK_ADD, what
    RAPI takes; of a connection, {"group", "mode", "link", "conflicts_check"}, of its end {"group"};
    of a move, {"from", and "target_node" if it is to be that one}; of an evacuation, {"mode"}; of
    OP_NODE_SET_PARAMS, {"role"}. Of what another's job was to do, {"again": what it was given}.
    """
    if "again" in arguments:
        return _submit_again(client, opcode, target, arguments["again"], reason)
    if opcode.startswith("OP_NETWORK_"):
        return _submit_network(client, opcode, target, arguments, reason)
    if opcode in _MOVES:
        return _submit_move(client, opcode, target, arguments, reason)
    match opcode:
        case "OP_INSTANCE_CREATE":
            return client.create_instance(arguments, reason)
        case "OP_INSTANCE_REMOVE":
            return client.delete_instance(target, reason)
        case "OP_INSTANCE_STARTUP":
            return client.startup_instance(target, reason)
        case "OP_INSTANCE_SHUTDOWN":
            return client.shutdown_instance(target, reason)
        case "OP_INSTANCE_REBOOT":
            return client.reboot_instance(target, _reboot_kind(arguments), reason)
        case "OP_INSTANCE_SET_PARAMS":
            return client.modify_instance(target, {**_MODIFY, **arguments}, reason)
        case "OP_TAGS_SET":
            return client.add_tags(target, _tags(arguments), reason)
        case "OP_TAGS_DEL":
            return client.delete_tags(target, _tags(arguments), reason)
        case _:
            raise ValueError(f"no RAPI call is known for {opcode}")


# A running instance gets its card at once where the hypervisor can do that, else when it next
# starts. Addresses are ours to give.
_MODIFY: dict[str, object] = {"hotplug_if_possible": True, "conflicts_check": False}


def _submit_network(
    client: RapiClient, opcode: str, name: str, arguments: Mapping[str, object], reason: str
) -> int:
    match opcode:
        case "OP_NETWORK_ADD":
            given = {key: value for key, value in arguments.items() if value is not None}
            return client.add_network({"network_name": name} | given, reason)
        case "OP_NETWORK_CONNECT":
            body = {_CONNECT_KEYS.get(key, key): value for key, value in arguments.items()}
            return client.connect_network(name, body, reason)
        case "OP_NETWORK_DISCONNECT":
            return client.disconnect_network(name, {"group_name": arguments.get("group")}, reason)
        case "OP_NETWORK_REMOVE":
            return client.remove_network(name, reason)
        case _:
            raise ValueError(f"no RAPI call is known for {opcode}")


_CONNECT_KEYS = {"group": "group_name", "mode": "network_mode", "link": "network_link"}


_MOVES = frozenset(
    {"OP_INSTANCE_MIGRATE", "OP_INSTANCE_FAILOVER", "OP_NODE_EVACUATE", "OP_NODE_SET_PARAMS"}
)


def _submit_move(
    client: RapiClient, opcode: str, name: str, arguments: Mapping[str, object], reason: str
) -> int:
    if opcode == "OP_NODE_EVACUATE":
        return client.evacuate_node(name, arguments, reason)
    if opcode == "OP_NODE_SET_PARAMS":
        return client.set_node_role(name, str(arguments.get("role")), reason)
    # From where it is moved is our own note.
    body = {key: value for key, value in arguments.items() if key == "target_node" and value}
    if opcode == "OP_INSTANCE_MIGRATE":
        return client.migrate_instance(name, body, reason)
    return client.failover_instance(name, body, reason)


@dataclasses.dataclass(frozen=True, slots=True)
class _Call:
    """A call by which an opcode is submitted; what is not in its query is in its body."""

    method: str
    path: str
    query: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The opcode's names of what is, with the call's."""
    body: bool = False


_AGAIN = {
    "OP_INSTANCE_STARTUP": _Call(
        "PUT", "/2/instances/{}/startup", {"force": "force", "no_remember": "no_remember"}
    ),
    "OP_INSTANCE_SHUTDOWN": _Call(
        "PUT", "/2/instances/{}/shutdown", {"no_remember": "no_remember"}, body=True
    ),
    "OP_INSTANCE_REBOOT": _Call(
        "POST",
        "/2/instances/{}/reboot",
        {"reboot_type": "type", "ignore_secondaries": "ignore_secondaries"},
    ),
    "OP_INSTANCE_MIGRATE": _Call("PUT", "/2/instances/{}/migrate", body=True),
    "OP_INSTANCE_FAILOVER": _Call("PUT", "/2/instances/{}/failover", body=True),
    "OP_NODE_MIGRATE": _Call("POST", "/2/nodes/{}/migrate", body=True),
    "OP_NODE_EVACUATE": _Call("POST", "/2/nodes/{}/evacuate", body=True),
    "OP_CLUSTER_REDIST_CONF": _Call("PUT", "/2/redistribute-config"),
}


def _submit_again(client: RapiClient, opcode: str, target: str, given: object, reason: str) -> int:
    """Asks for what a job had been given: no more than its call takes, as the domain saw to."""
    call = _AGAIN.get(opcode)
    if call is None or not isinstance(given, Mapping):
        raise ValueError(f"no RAPI call is known that gives {opcode} again")
    query = {
        call.query[key]: "1" if value is True else str(value)
        for key, value in given.items()
        if key in call.query
    }
    rest = {key: value for key, value in given.items() if key not in call.query}
    path = call.path.format(quote(target, safe=""))
    return client.submit(call.method, path, reason, query, rest if call.body else None)


def _tags(arguments: Mapping[str, object]) -> list[str]:
    tags = arguments.get("tags")
    if not isinstance(tags, list) or not tags:
        raise ValueError("tags are a list, and not an empty one")
    return [str(tag) for tag in tags]


def _reboot_kind(arguments: Mapping[str, object]) -> Literal["soft", "hard"]:
    match arguments.get("type", "SOFT"):
        case "SOFT":
            return "soft"
        case "HARD":
            return "hard"
        case other:
            raise ValueError(f"a reboot is SOFT or HARD, not {other!r}")


def create_body(
    *,
    name: str,
    vcpus: int,
    ram_mb: int,
    disk_gb: int,
    disk_template: str,
    os: str,
    osparams: Mapping[str, str],
    nics: Sequence[Mapping[str, object]],
    provider: str | None = None,
    hypervisor: str | None = None,
    hvparams: Mapping[str, object] | None = None,
    tags: Sequence[str] = (),
    wait_for_sync: bool = False,
    conflicts_check: bool = False,
) -> dict[str, object]:
    """The body that creates an instance and starts it, on a node that Ganeti chooses.

    A template "ext_NAME" is Ganeti's "ext" with that provider; a diskless one has no disk.
    Addresses are ours to give, so Ganeti checks neither names nor addresses.
    """
    template, provider = split_template(disk_template, provider)
    body: dict[str, object] = {
        "__version__": 1,
        "mode": "create",
        "instance_name": name,
        "disk_template": template,
        "disks": [] if template == "diskless" else [_disk(disk_gb, provider)],
        "nics": [dict(nic) for nic in nics],
        "beparams": {"vcpus": vcpus, "memory": ram_mb},
        "os_type": os,
        "osparams": dict(osparams),
        "ip_check": False,
        "name_check": False,
        "conflicts_check": conflicts_check,
        "wait_for_sync": wait_for_sync,
    }
    if hypervisor:
        body["hypervisor"] = hypervisor
    if hvparams:
        body["hvparams"] = dict(hvparams)
    if tags:
        body["tags"] = list(tags)
    return body


def split_template(disk_template: str, provider: str | None = None) -> tuple[str, str | None]:
    """Ganeti's disk template and its storage provider, from ours: "ext_vlmc" is "ext", "vlmc"."""
    if disk_template.startswith(EXTERNAL_PREFIX):
        return "ext", disk_template.removeprefix(EXTERNAL_PREFIX)
    return disk_template, provider


def _disk(disk_gb: int, provider: str | None) -> dict[str, object]:
    disk: dict[str, object] = {"size": disk_gb * 1024}
    if provider:
        disk["provider"] = provider
    return disk
