"""Taking jobs from the calls that ask a simulated cluster for something."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloudweb.backend.ganeti.simulator import bodies
from cloudweb.backend.ganeti.simulator.bodies import Refusal
from cloudweb.backend.ganeti.simulator.cluster import Cluster


class CutOff(Exception):
    """The connection is to end without an answer."""


@dataclass(frozen=True)
class Call:
    """One request to a cluster; `path` is what follows its name."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    authorization: str
    content: bytes
    content_type: str

    def asked(self, key: str, default: str = "") -> str:
        return self.query.get(key, [default])[-1]

    @property
    def bulk(self) -> bool:
        return self.asked("bulk", "0") not in {"", "0"}

    def json(self) -> object:
        return bodies.parsed(self.content, self.content_type)


def create(cluster: Cluster, call: Call) -> int:
    arguments = bodies.create_arguments(call.json())
    name = arguments.pop("instance_name")
    return submit(cluster, call, "OP_INSTANCE_CREATE", name, "instances", arguments)


def switch(cluster: Cluster, call: Call, name: str, verb: str) -> int:
    no_remember = call.asked("no_remember", "0") == "1"
    if verb == "startup":
        given = {"force": call.asked("force", "0") == "1", "hvparams": {}, "beparams": {}}
    else:
        given = bodies.shutdown_arguments(call.json())
    opcode = f"OP_INSTANCE_{verb.upper()}"
    arguments = {"no_remember": no_remember, **given}
    return submit(cluster, call, opcode, name, f"instances_name_{verb}", arguments)


def reboot(cluster: Cluster, call: Call, name: str) -> int:
    kind = bodies.reboot_type(call.asked("type", "hard"))
    ignoring = call.asked("ignore_secondaries", "0") == "1"
    arguments = {"reboot_type": kind, "ignore_secondaries": ignoring, "shutdown_timeout": 120}
    return submit(cluster, call, "OP_INSTANCE_REBOOT", name, "instances_name_reboot", arguments)


def modify(cluster: Cluster, call: Call, name: str) -> int:
    arguments = bodies.modify_arguments(call.json())
    return submit(cluster, call, "OP_INSTANCE_SET_PARAMS", name, "instances_name_modify", arguments)


def move(cluster: Cluster, call: Call, name: str, verb: str) -> int:
    opcode = f"OP_INSTANCE_{verb.upper()}"
    arguments = bodies.move_arguments(call.json(), opcode)
    return submit(cluster, call, opcode, name, f"instances_name_{verb}", arguments)


def evacuate(cluster: Cluster, call: Call, name: str) -> int:
    arguments = bodies.evacuate_arguments(call.json())
    return submit(cluster, call, "OP_NODE_EVACUATE", name, "nodes_name_evacuate", arguments)


def migrate_node(cluster: Cluster, call: Call, name: str) -> int:
    arguments = bodies.migrate_node_arguments(call.json())
    return submit(cluster, call, "OP_NODE_MIGRATE", name, "nodes_name_migrate", arguments)


def redistribute(cluster: Cluster, call: Call) -> int:
    return submit(cluster, call, "OP_CLUSTER_REDIST_CONF", "", "redistribute_config")


def set_role(cluster: Cluster, call: Call, name: str) -> int:
    arguments = bodies.role_arguments(call.json())
    arguments["auto_promote"] = call.asked("auto-promote", "0") == "1"
    return submit(cluster, call, "OP_NODE_SET_PARAMS", name, "nodes_name_role", arguments)


def change_tags(cluster: Cluster, call: Call, opcode: str, name: str) -> int:
    arguments = {"kind": "instance", "tags": list(call.query.get("tag", []))}
    return submit(cluster, call, opcode, name, "instances_name_tags", arguments)


def rehearse_tags(cluster: Cluster, call: Call) -> int:
    """The cluster's own tags are only ever rehearsed: that makes a job that does nothing."""
    if call.asked("dry-run") != "1":
        raise Refusal(501, "Only a dry run is simulated")
    arguments = {
        "kind": "cluster",
        "tags": list(call.query.get("tag", [])),
        "dry_run": True,
    }
    return submit(cluster, call, "OP_TAGS_SET", "", "tags", arguments)


def add_network(cluster: Cluster, call: Call) -> int:
    arguments = bodies.network_arguments(call.json())
    name = arguments.pop("network_name")
    return submit(cluster, call, "OP_NETWORK_ADD", name, "networks", arguments)


def join_network(cluster: Cluster, call: Call, name: str, verb: str) -> int:
    read = bodies.connect_arguments if verb == "connect" else bodies.disconnect_arguments
    opcode = f"OP_NETWORK_{verb.upper()}"
    return submit(cluster, call, opcode, name, f"networks_name_{verb}", read(call.json()))


def submit(
    cluster: Cluster,
    call: Call,
    opcode: str,
    name: str,
    resource: str,
    arguments: dict[str, Any] | None = None,
) -> int:
    """Takes a job, with the caller's reason first in its trail, and suffers what comes after."""
    if cluster.faults.queue_drained:
        raise Refusal(500, "Queue drained")
    now = int(time.time() * 1e9)
    trail: list[list[Any]] = [[f"gnt:library:rlib2:{resource}", "", now]]
    if call.asked("reason"):
        trail.insert(0, ["gnt:user", call.asked("reason"), now])
    job_id = cluster.submit(opcode, name, arguments or {}, trail)
    if cluster.faults.delay_after_accept_s:
        time.sleep(cluster.faults.delay_after_accept_s)
    if cluster.faults.take_drop():
        raise CutOff
    return job_id
