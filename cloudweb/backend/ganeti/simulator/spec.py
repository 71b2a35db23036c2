"""What a simulated cluster is to look like, from one line: "alpha:nodes=2,memory=64G,cpus=16"."""

import re
from dataclasses import dataclass, fields, replace

_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
_SIZE = re.compile(r"(\d+)([MGT]?)")
_MB = {"M": 1, "": 1, "G": 1024, "T": 1024 * 1024}
_SIZES = {"memory": "memory_mb", "disk": "disk_mb"}


@dataclass(frozen=True)
class ClusterSpec:
    """A cluster of equal nodes, by turns in its node groups; sizes are a node's.

    Lists are written with "+": os=a+b.
    """

    name: str
    nodes: int = 1
    groups: tuple[str, ...] = ("default",)
    memory_mb: int = 64 * 1024
    disk_mb: int = 500 * 1024
    cpus: int = 16
    vcpu_ratio: int = 4
    user: str = "cloudweb"
    password: str = "cloudweb"  # noqa: S105 - a made-up cluster, on loopback
    domain: str = "ganeti.test"
    templates: tuple[str, ...] = ("diskless", "file", "sharedfile", "ext")
    providers: tuple[str, ...] = ("noop", "vlmc", "archipelago")
    os: tuple[str, ...] = ("noop", "snf-image", "debootstrap")

    @property
    def full_name(self) -> str:
        return f"{self.name}.{self.domain}"


def parse_spec(line: str) -> ClusterSpec:
    """A cluster from "NAME" or "NAME:key=value,..."; else ValueError with a sentence."""
    name, _, rest = line.partition(":")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name for a cluster: small letters, digits and dashes")
    spec = ClusterSpec(name)
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"{part!r} is not key=value")
        spec = _with(spec, key.strip(), value.strip())
    return spec


def _with(spec: ClusterSpec, key: str, value: str) -> ClusterSpec:
    if key in _SIZES:
        return replace(spec, **{_SIZES[key]: _megabytes(value)})  # type: ignore[arg-type]
    types = {field.name: field.type for field in fields(spec) if field.name != "name"}
    if key not in types:
        raise ValueError(f"{key!r} is not a property of a simulated cluster")
    if types[key] is int:
        return replace(spec, **{key: _positive(value)})  # type: ignore[arg-type]
    if types[key] is str:
        return replace(spec, **{key: value})  # type: ignore[arg-type]
    return replace(spec, **{key: tuple(value.split("+"))})  # type: ignore[arg-type]


def _megabytes(value: str) -> int:
    match = _SIZE.fullmatch(value)
    if not match:
        raise ValueError(f"{value!r} is no size: 512M, 64G and 2T are")
    return int(match[1]) * _MB[match[2]]


def _positive(value: str) -> int:
    if not (value.isascii() and value.isdigit() and int(value) > 0):
        raise ValueError(f"{value!r} is not a positive number")
    return int(value)
