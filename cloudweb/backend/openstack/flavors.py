"""Nova's flavors, read and written as specifications."""

from collections.abc import Mapping
from typing import Any

from cloudweb.backend.openstack.errors import BadAnswer
from cloudweb.specifications import MAX_NUMBER, Specification


def read(row: Any) -> Specification:
    """A flavor of Nova's. Raises BadAnswer for anything else."""
    if not isinstance(row, Mapping):
        raise BadAnswer("Nova's answer has no flavor.")
    specs = row.get("extra_specs")
    return Specification(
        id=_text(row, "id"),
        name=_text(row, "name"),
        vcpus=_number(row, "vcpus"),
        ram_mb=_number(row, "ram"),
        disk_gb=_number(row, "disk"),
        swap_mb=read_swap(row.get("swap")),
        ephemeral_gb=_number(row, "OS-FLV-EXT-DATA:ephemeral", 0),
        rxtx_factor=_factor(row.get("rxtx_factor")),
        is_public=row.get("os-flavor-access:is_public") is not False,
        extra_specs=read_specs(specs) if specs is not None else None,
    )


def write(wanted: Specification) -> dict[str, Any]:
    """The body that creates the flavor; an empty id lets Nova choose one."""
    return {
        "flavor": {
            "id": wanted.id or None,
            "name": wanted.name,
            "vcpus": wanted.vcpus,
            "ram": wanted.ram_mb,
            "disk": wanted.disk_gb,
            "swap": wanted.swap_mb,
            "OS-FLV-EXT-DATA:ephemeral": wanted.ephemeral_gb,
            "rxtx_factor": wanted.rxtx_factor,
            "os-flavor-access:is_public": wanted.is_public,
        }
    }


def read_swap(value: Any) -> int:
    """The swap space in MB: Nova writes none as ``""`` or 0, and some as a number or its digits."""
    if value is None or value == "":
        return 0
    return _whole(value, "swap")


def read_specs(value: Any) -> dict[str, str]:
    """The extra specs. Raises BadAnswer."""
    if not isinstance(value, Mapping):
        raise BadAnswer("Nova's answer has no extra specs.")
    return {str(key): str(text) for key, text in value.items()}


def read_access(body: Mapping[str, Any]) -> tuple[str, ...]:
    """The projects that may use a flavor. Raises BadAnswer."""
    rows = body.get("flavor_access")
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise BadAnswer("Nova's answer has no list of projects.")
    return tuple(sorted(_text(row, "tenant_id") for row in rows))


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value or len(value) > 255:
        raise BadAnswer(f"A flavor of Nova's has no {key}.")
    return value


def _number(row: Mapping[str, Any], key: str, default: int | None = None) -> int:
    value = row.get(key, default)
    return _whole(value, key)


def _whole(value: Any, key: str) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 10:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_NUMBER:
        raise BadAnswer(f"The {key} of a flavor of Nova's is no number.")
    return value


def _factor(value: Any) -> float:
    # Gone from microversion 2.102 on.
    if value is None or value == "":
        return 1.0
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise BadAnswer("The rxtx_factor of a flavor of Nova's is no number.")
    return float(value)
