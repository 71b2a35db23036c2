"""From an opcode to the RAPI call that asks for it, and the body of a create."""

from collections.abc import Mapping, Sequence
from typing import Literal

from cloudweb.backend.ganeti.rapi import RapiClient

EXTERNAL_PREFIX = "ext_"


def submit(
    client: RapiClient,
    opcode: str,
    instance_name: str,
    arguments: Mapping[str, object],
    reason: str,
) -> int:
    """Asks a cluster for an operation and gives the job's id; ValueError for an unknown opcode.

    For a create the arguments are its body, for a reboot {"type": "SOFT" | "HARD"}; else none.
    """
    match opcode:
        case "OP_INSTANCE_CREATE":
            return client.create_instance(arguments, reason)
        case "OP_INSTANCE_REMOVE":
            return client.delete_instance(instance_name, reason)
        case "OP_INSTANCE_STARTUP":
            return client.startup_instance(instance_name, reason)
        case "OP_INSTANCE_SHUTDOWN":
            return client.shutdown_instance(instance_name, reason)
        case "OP_INSTANCE_REBOOT":
            return client.reboot_instance(instance_name, _reboot_kind(arguments), reason)
        case _:
            raise ValueError(f"no RAPI call is known for {opcode}")


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
