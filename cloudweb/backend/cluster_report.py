"""What a cluster can take, summed up from what its remote API says of its nodes."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from cloudweb.backend.ganeti.objects import ClusterInfo, Node
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.domain.fleet import ClusterReport
from cloudweb.domain.nodes import NodeReport


def read_report(client: RapiClient) -> ClusterReport:
    """Ask the cluster; three calls. Raises RapiError."""
    report = report_of(client.info(), client.nodes_bulk(), client.groups())
    return dataclasses.replace(report, certificate_ends=client.certificate_ends())


def report_of(
    cluster: ClusterInfo, nodes: Iterable[Node], groups: Mapping[str, Sequence[str]]
) -> ClusterReport:
    """The figures over the nodes that can take servers: not drained, not offline, vm_capable."""
    nodes = tuple(nodes)
    group_of = {name: group for group, names in groups.items() for name in names}
    usable = [node for node in nodes if node.vm_capable and not (node.drained or node.offline)]
    return ClusterReport(
        name=cluster.name,
        version=cluster.version,
        hypervisor=cluster.default_hypervisor,
        disk_templates=cluster.enabled_disk_templates,
        memory_total_mb=sum(node.memory_total_mb for node in usable),
        memory_free_mb=sum(node.memory_free_mb for node in usable),
        disk_total_mb=sum(node.disk_total_mb for node in usable),
        disk_free_mb=sum(node.disk_free_mb for node in usable),
        cpu_total=sum(node.cpus for node in usable),
        instances=sum(node.primaries for node in usable),
        nodes_total=len(nodes),
        nodes_up=sum(not node.offline for node in nodes),
        node_groups=tuple(groups),
        nodes=tuple(_node(node, group_of.get(node.name, "")) for node in nodes),
    )


def _node(node: Node, group: str) -> NodeReport:
    return NodeReport(
        name=node.name,
        node_group=group,
        role=node.role or "",
        drained=node.drained,
        offline=node.offline,
        vm_capable=node.vm_capable,
        memory_total_mb=node.memory_total_mb,
        memory_free_mb=node.memory_free_mb,
        disk_total_mb=node.disk_total_mb,
        disk_free_mb=node.disk_free_mb,
        cpus=node.cpus,
        primaries=node.primaries,
        secondaries=node.secondaries,
    )
