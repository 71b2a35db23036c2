"""Checks the bodies of requests as Ganeti does, and refuses in its words."""

from collections.abc import Collection
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from typing import Any

import orjson

CREATE_PARAMETERS = frozenset(
    {
        "beparams",
        "comment",
        "commit",
        "compress",
        "conflicts_check",
        "debug_level",
        "depends",
        "disk_template",
        "disks",
        "dry_run",
        "file_driver",
        "file_storage_dir",
        "force_variant",
        "forthcoming",
        "group_name",
        "helper_shutdown_timeout",
        "helper_startup_timeout",
        "hvparams",
        "hypervisor",
        "iallocator",
        "identify_defaults",
        "ignore_ipolicy",
        "instance_communication",
        "instance_name",
        "ip_check",
        "mode",
        "name_check",
        "nics",
        "no_install",
        "opportunistic_locking",
        "os_type",
        "osparams",
        "osparams_private",
        "osparams_secret",
        "pnode",
        "pnode_uuid",
        "priority",
        "reason",
        "snode",
        "snode_uuid",
        "source_handshake",
        "source_instance_name",
        "source_shutdown_timeout",
        "source_x509_ca",
        "src_node",
        "src_node_uuid",
        "src_path",
        "start",
        "tags",
        "wait_for_sync",
    }
)
_COMMON_PARAMETERS = frozenset(
    {"comment", "debug_level", "depends", "dry_run", "network_name", "priority", "reason"}
)
MODIFY_PARAMETERS = frozenset(
    {
        "beparams",
        "comment",
        "conflicts_check",
        "debug_level",
        "depends",
        "disk_template",
        "disks",
        "dry_run",
        "ext_params",
        "file_driver",
        "file_storage_dir",
        "force",
        "force_variant",
        "hotplug",
        "hotplug_if_possible",
        "hvparams",
        "iallocator",
        "ignore_ipolicy",
        "instance_communication",
        "instance_uuid",
        "nics",
        "offline",
        "os_name",
        "osparams",
        "osparams_private",
        "pnode",
        "pnode_uuid",
        "priority",
        "reason",
        "remote_node",
        "remote_node_uuid",
        "runtime_mem",
        "wait_for_sync",
    }
)
MOVE_PARAMETERS = {
    "OP_INSTANCE_MIGRATE": _COMMON_PARAMETERS
    | {
        *("mode", "live", "target_node", "target_node_uuid", "allow_runtime_changes"),
        *("ignore_ipolicy", "cleanup", "iallocator", "allow_failover", "ignore_hvversions"),
    },
    "OP_INSTANCE_FAILOVER": _COMMON_PARAMETERS
    | {
        *("shutdown_timeout", "ignore_consistency", "target_node", "target_node_uuid"),
        *("ignore_ipolicy", "cleanup", "iallocator"),
    },
}
SHUTDOWN_PARAMETERS = _COMMON_PARAMETERS | {
    *("timeout", "force", "ignore_offline_nodes", "admin_state_source"),
}
MIGRATE_NODE_PARAMETERS = _COMMON_PARAMETERS | {
    *("mode", "live", "target_node", "target_node_uuid", "iallocator"),
    *("allow_runtime_changes", "ignore_ipolicy"),
}
EVACUATE_PARAMETERS = _COMMON_PARAMETERS | {
    *("early_release", "remote_node", "remote_node_uuid", "iallocator", "mode"),
    "ignore_soft_errors",
}
NETWORK_PARAMETERS = _COMMON_PARAMETERS | {
    "add_reserved_ips",
    "conflicts_check",
    "gateway",
    "gateway6",
    "mac_prefix",
    "network",
    "network6",
    "tags",
}
CONNECT_PARAMETERS = _COMMON_PARAMETERS | {
    "conflicts_check",
    "group_name",
    "network_link",
    "network_mode",
    "network_vlan",
}
TEMPLATES = frozenset(
    {"blockdev", "diskless", "drbd", "ext", "file", "gluster", "plain", "rbd", "sharedfile"}
)
_DEFAULTS: dict[str, Any] = {
    "commit": False,
    "compress": "none",
    "conflicts_check": True,
    "disk_template": "diskless",
    "force_variant": False,
    "forthcoming": False,
    "helper_shutdown_timeout": 7200,
    "helper_startup_timeout": 300,
    "hvparams": {},
    "hypervisor": "fake",
    "iallocator": "hail",
    "identify_defaults": False,
    "ignore_ipolicy": False,
    "instance_communication": False,
    "ip_check": True,
    "name_check": True,
    "nics": [],
    "opportunistic_locking": False,
    "osparams": {},
    "osparams_private": {},
    "osparams_secret": {},
    "source_shutdown_timeout": 120,
    "start": True,
    "tags": [],
    "wait_for_sync": True,
}
_MODIFY_DEFAULTS: dict[str, Any] = {
    "beparams": {},
    "conflicts_check": True,
    "disks": [],
    "ext_params": {},
    "force": False,
    "force_variant": False,
    "hotplug": False,
    "hotplug_if_possible": False,
    "hvparams": {},
    "ignore_ipolicy": False,
    "nics": [],
    "osparams": {},
    "wait_for_sync": True,
}
_TYPES = {"disks": list, "nics": list, "tags": list, "osparams": dict, "beparams": dict}


class Refusal(Exception):
    """An answer other than 200: its status and its sentence, not yet escaped."""

    def __init__(self, status: int, message: str | None = None, explain: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.explain = explain


def parsed(content: bytes, content_type: str) -> object:
    """The JSON of a body; an empty one is None."""
    if not content:
        return None
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise Refusal(415)
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        raise Refusal(400, "Unable to parse JSON data") from None


def create_arguments(body: object) -> dict[str, Any]:
    """The opcode's arguments from the body of a create; raises Refusal."""
    arguments = _mapping(body)
    version = arguments.pop("__version__", 0)
    if version == 0:
        raise Refusal(400, "Instance creation request version 0 is no longer supported")
    if version != 1:
        raise Refusal(400, f"Unsupported request data version {version}")
    for old, new in (("name", "instance_name"), ("os", "os_type")):
        if old in arguments:
            arguments[new] = arguments.pop(old)
    _check_known(arguments, CREATE_PARAMETERS, "OpInstanceCreate")
    _check_types(arguments)
    return {**_DEFAULTS, **arguments, "beparams": _beparams(arguments.get("beparams", {}))}


def _check_types(arguments: dict[str, Any]) -> None:
    name = arguments.get("instance_name")
    if not isinstance(name, str) or not name:
        raise _fails("instance_name")
    if arguments.get("mode") not in {"create", "import", "remote-import"}:
        raise _fails("mode")
    if arguments.get("disk_template", "diskless") not in TEMPLATES:
        raise _fails("disk_template")
    if "disks" not in arguments:
        raise _fails("disks")
    for key, kind in _TYPES.items():
        if key in arguments and not isinstance(arguments[key], kind):
            raise _fails(key)


def _beparams(given: dict[str, Any]) -> dict[str, Any]:
    """Ganeti keeps one figure for memory as two, its minimum and its maximum."""
    beparams = dict(given)
    if "memory" in beparams:
        beparams["minmem"] = beparams["maxmem"] = beparams.pop("memory")
    return beparams


def modify_arguments(body: object) -> dict[str, Any]:
    """The arguments of OP_INSTANCE_SET_PARAMS; raises Refusal. Of changes only cards are known."""
    arguments = _mapping(body)
    _check_known(arguments, MODIFY_PARAMETERS, "OpInstanceSetParams")
    nics = arguments.get("nics", [])
    if not isinstance(nics, list) or not all(_is_nic_change(change) for change in nics):
        raise _fails("nics", "OP_INSTANCE_SET_PARAMS")
    return {**_MODIFY_DEFAULTS, **arguments}


def _is_nic_change(change: object) -> bool:
    match change:
        case ["add" | "remove", int() | str(), dict()]:
            return True
        case _:
            return False


def move_arguments(body: object, opcode: str) -> dict[str, Any]:
    """The arguments of OP_INSTANCE_MIGRATE or _FAILOVER; raises Refusal."""
    arguments = _mapping(body)
    name = {"OP_INSTANCE_MIGRATE": "OpInstanceMigrate"}.get(opcode, "OpInstanceFailover")
    _check_known(arguments, MOVE_PARAMETERS[opcode], name)
    if not isinstance(arguments.get("target_node", ""), str):
        raise _fails("target_node", opcode)
    return {"target_node": None, "iallocator": None, "cleanup": False, **arguments}


def shutdown_arguments(body: object) -> dict[str, Any]:
    """The arguments of OP_INSTANCE_SHUTDOWN; raises Refusal."""
    arguments = _mapping({} if body is None else body)
    _check_known(arguments, SHUTDOWN_PARAMETERS, "OpInstanceShutdown")
    return {"timeout": 120, "force": False, "ignore_offline_nodes": False, **arguments}


def migrate_node_arguments(body: object) -> dict[str, Any]:
    """The arguments of OP_NODE_MIGRATE; raises Refusal."""
    arguments = _mapping(body)
    _check_known(arguments, MIGRATE_NODE_PARAMETERS, "OpNodeMigrate")
    return {"mode": None, "target_node": None, "iallocator": None, **arguments}


def evacuate_arguments(body: object) -> dict[str, Any]:
    """The arguments of OP_NODE_EVACUATE; raises Refusal."""
    arguments = _mapping(body)
    _check_known(arguments, EVACUATE_PARAMETERS, "OpNodeEvacuate")
    if arguments.get("mode") not in {"primary-only", "secondary-only", "all"}:
        raise _fails("mode", "OP_NODE_EVACUATE")
    return {"early_release": False, "iallocator": None, "remote_node": None, **arguments}


_ROLES: dict[str, tuple[bool | None, bool | None, bool | None]] = {
    "regular": (False, False, False),
    "master-candidate": (True, None, None),
    "drained": (None, None, True),
    "offline": (None, True, None),
}


def role_arguments(body: object) -> dict[str, Any]:
    """The arguments of OP_NODE_SET_PARAMS, from the name of a role; raises Refusal."""
    if not isinstance(body, str):
        raise Refusal(400, "Body contents should be a string")
    if body not in _ROLES:
        raise Refusal(400, f"Can't set '{body}' role")
    candidate, offline, drained = _ROLES[body]
    return {"master_candidate": candidate, "offline": offline, "drained": drained}


def network_arguments(body: object) -> dict[str, Any]:
    """The arguments of OP_NETWORK_ADD with `network_name` among them; raises Refusal."""
    arguments = {key: value for key, value in _mapping(body).items() if value is not None}
    _check_known(arguments, NETWORK_PARAMETERS, "OpNetworkAdd")
    for key in ("network_name", "mac_prefix", "network6", "gateway6"):
        if not isinstance(arguments.get(key, "-"), str):
            raise _fails(key, "OP_NETWORK_ADD")
    if not arguments.get("network_name"):
        raise _fails("network_name", "OP_NETWORK_ADD")
    _check_network(arguments.get("network"))
    if "gateway" in arguments and not _is_address(arguments["gateway"]):
        raise _fails("gateway", "OP_NETWORK_ADD")
    if not isinstance(arguments.get("tags", []), list):
        raise _fails("tags", "OP_NETWORK_ADD")
    return {"conflicts_check": True, "tags": [], **arguments}


def _check_network(cidr: object) -> None:
    try:
        IPv4Network(cidr if isinstance(cidr, str) and "/" in cidr else "")
    except (AddressValueError, NetmaskValueError):
        raise _fails("network", "OP_NETWORK_ADD") from None
    except ValueError as error:
        raise Refusal(500, str(error)) from None


def _is_address(value: object) -> bool:
    try:
        IPv4Address(value if isinstance(value, str) else "")
    except AddressValueError:
        return False
    return True


def connect_arguments(body: object) -> dict[str, Any]:
    """The arguments of OP_NETWORK_CONNECT; raises Refusal."""
    arguments = _mapping(body)
    _check_known(arguments, CONNECT_PARAMETERS, "OpNetworkConnect")
    for key in ("group_name", "network_mode", "network_link"):
        if not isinstance(arguments.get(key), str):
            raise _fails(key, "OP_NETWORK_CONNECT")
    if arguments["network_mode"] not in {"bridged", "routed", "openvswitch", "pool"}:
        raise _fails("network_mode", "OP_NETWORK_CONNECT")
    return {"network_vlan": "", "conflicts_check": True, **arguments}


def disconnect_arguments(body: object) -> dict[str, Any]:
    """The arguments of OP_NETWORK_DISCONNECT; raises Refusal."""
    arguments = _mapping(body)
    _check_known(arguments, {"group_name", *_COMMON_PARAMETERS}, "OpNetworkDisconnect")
    if not isinstance(arguments.get("group_name"), str):
        raise _fails("group_name", "OP_NETWORK_DISCONNECT")
    return arguments


def _mapping(body: object) -> dict[str, Any]:
    if not isinstance(body, dict):
        kind = type(body).__name__
        raise Refusal(400, f"Body contents: Type is '{kind}', but 'dict' is expected")
    return dict(body)


def _check_known(arguments: dict[str, Any], known: Collection[str], opcode: str) -> None:
    unknown = sorted(set(arguments) - set(known))
    if unknown:
        raise _invalid(f"Object {opcode} doesn't support the parameter '{unknown[0]}'")


def reboot_type(value: str) -> str:
    if value not in {"soft", "hard", "full"}:
        raise _fails("reboot_type", "OP_INSTANCE_REBOOT")
    return value


def _fails(key: str, opcode: str = "OP_INSTANCE_CREATE") -> Refusal:
    return _invalid(str((f"Parameter '{opcode}.{key}' fails validation", "wrong_input")))


def _invalid(sentence: str) -> Refusal:
    return Refusal(400, f"Invalid body parameters: {sentence}")
