"""Which servers a cluster takes and has room for by its last figures, and how loaded it is."""

from cloudweb.models import Backend, Flavor

_SERVERS_PER_CPU = 3
_CPUS_PER_SERVER = 4


def is_open(backend: Backend) -> bool:
    """Whether new servers of anybody may go to the cluster."""
    return backend.public and not backend.drained and not backend.offline


def takes(backend: Backend, flavor: Flavor) -> bool:
    """Whether the cluster may be asked for anybody's server of this flavor at all, full or not."""
    return is_open(backend) and offers(backend, flavor)


def offers(backend: Backend, flavor: Flavor) -> bool:
    """Whether the cluster has the flavor's disk template."""
    template = "ext" if flavor.disk_template.startswith("ext_") else flavor.disk_template
    return template in backend.disk_templates


def disk_mb(flavor: Flavor) -> int:
    """How much of a cluster's disk a server of this flavor takes."""
    return flavor.disk_gb * 1024 * (2 if flavor.disk_template == "drbd" else 1)


def fits(backend: Backend, flavor: Flavor) -> bool:
    """Whether the cluster, by its last known figures, has room for one more of this flavor."""
    return (
        backend.memory_free_mb > flavor.ram_mb
        and backend.disk_free_mb >= disk_mb(flavor)
        and backend.cpu_total > 0
        and (backend.instances + 1) * _CPUS_PER_SERVER / backend.cpu_total < _SERVERS_PER_CPU
    )


def places(backend: Backend, flavor: Flavor) -> bool:
    """Whether the cluster takes this flavor and, by its last figures, has room for one more."""
    return takes(backend, flavor) and fits(backend, flavor)


def cpu_room(backend: Backend) -> int:
    """How many more servers its processors are for."""
    return max(
        0, (backend.cpu_total * _SERVERS_PER_CPU - 1) // _CPUS_PER_SERVER - backend.instances
    )


def score(backend: Backend) -> float:
    """How loaded a cluster is; the lowest wins. Unknown totals count as full.

    0.5 * cpu + 0.5 * (memory + disk), each the share in use, as Synnefo's allocator has it.
    """
    cpu = _ratio((backend.instances + 1) * _CPUS_PER_SERVER, backend.cpu_total * _SERVERS_PER_CPU)
    memory = _ratio(backend.memory_total_mb - backend.memory_free_mb, backend.memory_total_mb)
    disk = _ratio(backend.disk_total_mb - backend.disk_free_mb, backend.disk_total_mb)
    return 0.5 * cpu + 0.5 * (memory + disk)


def _ratio(used: int, total: int) -> float:
    return used / total if total > 0 else 1.0
