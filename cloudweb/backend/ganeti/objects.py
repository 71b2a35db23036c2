"""What a Ganeti cluster is made of: the cluster, its nodes, its instances; its jobs are in jobs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network

from cloudweb.backend.ganeti import reading
from cloudweb.backend.ganeti.errors import UnexpectedAnswer
from cloudweb.backend.ganeti.jobs import FINAL_STATUSES, STATUSES, Job, JobOp, OpError

__all__ = [
    "FINAL_STATUSES",
    "STATUSES",
    "ClusterInfo",
    "ClusterNetwork",
    "Instance",
    "InstanceNic",
    "Job",
    "JobOp",
    "Node",
    "OpError",
    "cluster_from_rapi",
    "instance_from_rapi",
    "network_from_rapi",
    "node_from_rapi",
]


@dataclass(frozen=True)
class ClusterInfo:
    """What a cluster says of itself; `version` is Ganeti's."""

    name: str
    version: str
    uuid: str
    master: str
    enabled_disk_templates: tuple[str, ...]
    default_hypervisor: str
    enabled_hypervisors: tuple[str, ...]
    mac_prefix: str | None = None


@dataclass(frozen=True)
class Node:
    """A node and its room; the figures of one that does not answer are 0."""

    name: str
    memory_total_mb: int
    memory_free_mb: int
    disk_total_mb: int
    disk_free_mb: int
    cpus: int
    primaries: int
    secondaries: int
    vm_capable: bool
    drained: bool
    offline: bool
    role: str | None = None


@dataclass(frozen=True)
class InstanceNic:
    """A network interface; `network` is the name of a Ganeti network."""

    index: int
    mac: str
    ip: str | None
    network: str | None
    link: str | None
    mode: str | None
    name: str | None


@dataclass(frozen=True)
class Instance:
    """An instance; `status` is Ganeti's summary ("running", "ADMIN_down", "ERROR_down", ...).

    `oper_state` is whether it runs, None where its node does not say; `disk_sizes` are in MiB.
    `network_port` is where its node shows its screen, None where it has none.
    """

    name: str
    uuid: str
    status: str
    admin_state: str
    oper_state: bool | None
    pnode: str | None
    snodes: tuple[str, ...]
    os: str
    vcpus: int
    memory_mb: int
    nics: tuple[InstanceNic, ...]
    disk_template: str
    disk_sizes: tuple[int, ...]
    tags: tuple[str, ...]
    ctime: datetime | None
    mtime: datetime | None
    network_port: int | None = None
    serial_console: bool = False


@dataclass(frozen=True)
class ClusterNetwork:
    """A network as Ganeti has it; `groups` says how it is connected to each node group.

    `reserved` are the addresses that no instance can have; `used` all that cannot be given to one
    any more, these among them; `instances` those with a card on it.
    """

    name: str
    uuid: str
    cidr: str
    gateway: str | None
    cidr6: str | None
    gateway6: str | None
    mac_prefix: str | None
    free_count: int
    reserved: tuple[str, ...]
    used: tuple[str, ...]
    groups: Mapping[str, tuple[str, str]]
    instances: tuple[str, ...]
    tags: tuple[str, ...]


def cluster_from_rapi(row: Mapping[str, object]) -> ClusterInfo:
    return ClusterInfo(
        name=reading.text(row, "name"),
        version=reading.text(row, "software_version"),
        uuid=reading.text(row, "uuid"),
        master=reading.text(row, "master"),
        enabled_disk_templates=reading.texts(row, "enabled_disk_templates"),
        default_hypervisor=reading.text(row, "default_hypervisor"),
        enabled_hypervisors=reading.texts(row, "enabled_hypervisors"),
        mac_prefix=reading.optional_text(row, "mac_prefix"),
    )


def node_from_rapi(row: Mapping[str, object]) -> Node:
    return Node(
        name=reading.text(row, "name"),
        memory_total_mb=reading.number(row, "mtotal"),
        memory_free_mb=reading.number(row, "mfree"),
        disk_total_mb=reading.number(row, "dtotal"),
        disk_free_mb=reading.number(row, "dfree"),
        cpus=reading.number(row, "ctotal"),
        primaries=reading.number(row, "pinst_cnt"),
        secondaries=reading.number(row, "sinst_cnt"),
        vm_capable=reading.flag(row, "vm_capable"),
        drained=reading.flag(row, "drained"),
        offline=reading.flag(row, "offline"),
        role=reading.optional_text(row, "role"),
    )


def instance_from_rapi(row: Mapping[str, object]) -> Instance:
    beparams = reading.mapping(row.get("beparams"), "beparams")
    oper_state = row.get("oper_state")
    return Instance(
        name=reading.text(row, "name"),
        uuid=reading.text(row, "uuid"),
        status=reading.text(row, "status"),
        admin_state=reading.text(row, "admin_state"),
        oper_state=oper_state if isinstance(oper_state, bool) else None,
        pnode=reading.optional_text(row, "pnode"),
        snodes=reading.texts(row, "snodes"),
        os=reading.text(row, "os"),
        vcpus=reading.number(beparams, "vcpus"),
        memory_mb=reading.number(beparams, "maxmem"),
        nics=_nics(row),
        disk_template=reading.text(row, "disk_template"),
        disk_sizes=tuple(
            size for size in reading.listed(row, "disk.sizes") if isinstance(size, int)
        ),
        tags=reading.texts(row, "tags"),
        ctime=reading.moment(row.get("ctime")),
        mtime=reading.moment(row.get("mtime")),
        network_port=reading.number(row, "network_port") or None,
        serial_console=_hvparams(row).get("serial_console") is True,
    )


def _hvparams(row: Mapping[str, object]) -> Mapping[str, object]:
    """The hypervisor's parameters as they hold for the instance."""
    return reading.mapping(row.get("hvparams") or {}, "hvparams")


def _nics(row: Mapping[str, object]) -> tuple[InstanceNic, ...]:
    """The NICs, which Ganeti writes as one list a field."""

    def column(key: str, index: int) -> str | None:
        values = reading.listed(row, key)
        value = values[index] if index < len(values) else None
        return value if isinstance(value, str) else None

    return tuple(
        InstanceNic(
            index=index,
            mac=str(mac),
            ip=column("nic.ips", index),
            network=column("nic.networks.names", index),
            link=column("nic.links", index),
            mode=column("nic.modes", index),
            name=column("nic.names", index),
        )
        for index, mac in enumerate(reading.listed(row, "nic.macs"))
    )


def network_from_rapi(row: Mapping[str, object]) -> ClusterNetwork:
    reserved = reading.optional_text(row, "external_reservations") or ""
    return ClusterNetwork(
        name=reading.text(row, "name"),
        uuid=reading.text(row, "uuid"),
        cidr=reading.text(row, "network"),
        gateway=reading.optional_text(row, "gateway"),
        cidr6=reading.optional_text(row, "network6"),
        gateway6=reading.optional_text(row, "gateway6"),
        mac_prefix=reading.optional_text(row, "mac_prefix"),
        free_count=reading.number(row, "free_count"),
        reserved=tuple(filter(None, reserved.split(", "))),
        used=_used(row),
        groups=dict(_connections(row)),
        instances=reading.texts(row, "inst_list"),
        tags=reading.texts(row, "tags"),
    )


def _connections(row: Mapping[str, object]) -> Iterator[tuple[str, tuple[str, str]]]:
    """(group, (mode, link)) of each connection: Ganeti writes [group, mode, link, vlan]."""
    for entry in reading.listed(row, "group_list"):
        match entry:
            case [str(group), str(mode), str(link), *_]:
                yield group, (mode, link)
            case _:
                raise UnexpectedAnswer("group_list is not a list of connections")


def _used(row: Mapping[str, object]) -> tuple[str, ...]:
    """The addresses marked in Ganeti's map: a letter an address, "X" for one that is taken."""
    marks = reading.optional_text(row, "map") or ""
    if "X" not in marks:
        return ()
    try:
        first = IPv4Network(reading.text(row, "network"))[0]
    except ValueError:
        raise UnexpectedAnswer("network is not one of IPv4 addresses") from None
    return tuple(str(first + place) for place, mark in enumerate(marks) if mark == "X")
