"""What a Ganeti cluster is made of: the cluster, its nodes, its instances; its jobs are in jobs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cloudweb.backend.ganeti import reading
from cloudweb.backend.ganeti.jobs import FINAL_STATUSES, STATUSES, Job, JobOp, OpError

__all__ = [
    "FINAL_STATUSES",
    "STATUSES",
    "ClusterInfo",
    "Instance",
    "InstanceNic",
    "Job",
    "JobOp",
    "Node",
    "OpError",
    "cluster_from_rapi",
    "instance_from_rapi",
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
    )


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
