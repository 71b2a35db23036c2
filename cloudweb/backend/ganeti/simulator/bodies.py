"""Checks the bodies of requests as Ganeti does, and refuses in its words."""

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
    if not isinstance(body, dict):
        kind = type(body).__name__
        raise Refusal(400, f"Body contents: Type is '{kind}', but 'dict' is expected")
    arguments = dict(body)
    version = arguments.pop("__version__", 0)
    if version == 0:
        raise Refusal(400, "Instance creation request version 0 is no longer supported")
    if version != 1:
        raise Refusal(400, f"Unsupported request data version {version}")
    for old, new in (("name", "instance_name"), ("os", "os_type")):
        if old in arguments:
            arguments[new] = arguments.pop(old)
    unknown = sorted(set(arguments) - CREATE_PARAMETERS)
    if unknown:
        raise _invalid(f"Object OpInstanceCreate doesn't support the parameter '{unknown[0]}'")
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


def reboot_type(value: str) -> str:
    if value not in {"soft", "hard", "full"}:
        raise _fails("reboot_type", "OP_INSTANCE_REBOOT")
    return value


def _fails(key: str, opcode: str = "OP_INSTANCE_CREATE") -> Refusal:
    return _invalid(str((f"Parameter '{opcode}.{key}' fails validation", "wrong_input")))


def _invalid(sentence: str) -> Refusal:
    return Refusal(400, f"Invalid body parameters: {sentence}")
