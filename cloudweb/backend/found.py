"""What a cluster has that may be adopted, as the domain takes it."""

from cloudweb.backend.ganeti.objects import ClusterNetwork, Instance
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.domain.adoption import FoundInstance
from cloudweb.domain.places import FoundNetwork, FoundNic

_MIB_PER_GIB = 1024


def instances(client: RapiClient) -> list[FoundInstance]:
    """Every instance of the cluster; one call. Raises RapiError."""
    return [_instance(each) for each in client.instances_bulk()]


def networks(client: RapiClient) -> dict[str, FoundNetwork]:
    """Every network of the cluster, by its name there; one call. Raises RapiError."""
    return {each.name: _network(each) for each in client.networks_bulk()}


def _instance(each: Instance) -> FoundInstance:
    return FoundInstance(
        name=each.name,
        cpu=each.vcpus,
        ram_mb=each.memory_mb,
        disk_gb=-(-sum(each.disk_sizes) // _MIB_PER_GIB),
        disk_template=each.disk_template,
        running=bool(each.oper_state),
        nics=tuple(
            FoundNic(nic.index, nic.mac, nic.ip, nic.network, nic.mode, nic.link, nic.name)
            for nic in each.nics
        ),
    )


def _network(each: ClusterNetwork) -> FoundNetwork:
    mode, link = next(iter(each.groups.values()), ("bridged", ""))
    return FoundNetwork(
        each.name,
        each.cidr,
        each.gateway,
        each.cidr6,
        each.gateway6,
        mode,
        link,
        each.reserved,
    )
