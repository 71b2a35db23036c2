"""What a simulated cluster shows, with the keys and shapes that Ganeti 3.0 answers with."""

import uuid
from typing import Any

from cloudweb.backend.ganeti.simulator import moves, opcodes
from cloudweb.backend.ganeti.simulator import networks as nets
from cloudweb.backend.ganeti.simulator.nics import MAC_PREFIX
from cloudweb.backend.ganeti.simulator.spec import ClusterSpec
from cloudweb.backend.ganeti.simulator.state import Instance, Node, SimJob, State, stamp

VERSION = "3.0.2"
Row = dict[str, Any]

JOB_BULK_FIELDS = (
    "id",
    "ops",
    "status",
    "summary",
    "opstatus",
    "received_ts",
    "start_ts",
    "end_ts",
)
JOB_FIELDS = (*JOB_BULK_FIELDS, "oplog", "opresult")
_NDPARAMS = {
    "oob_program": "",
    "spindle_count": 1,
    "exclusive_storage": False,
    "ovs": False,
    "ovs_name": "switch1",
    "ovs_link": "",
    "ssh_port": 22,
    "cpu_speed": 1,
}
_LIMITS = {
    "cpu-count": 64,
    "disk-count": 16,
    "disk-size": 16777216,
    "memory-size": 1048576,
    "nic-count": 8,
    "spindle-use": 64,
}
_COMMON_OP = {"dry_run": False, "debug_level": 0, "priority": 0, "depends": None, "comment": None}


def info(spec: ClusterSpec, state: State) -> Row:
    """/2/info."""
    return {
        **_names(spec, state),
        **_policies(spec),
        **_storage(spec),
        **_unused(),
    }


def _names(spec: ClusterSpec, state: State) -> Row:
    return {
        "name": spec.full_name,
        "uuid": state.uuid,
        "master": state.nodes[0].name,
        "ctime": state.ctime,
        "mtime": state.ctime,
        "software_version": VERSION,
        "vcs_version": f"(simulated) version {VERSION}",
        "protocol_version": 3000000,
        "config_version": 3000000,
        "export_version": 0,
        "os_api_version": 20,
        "architecture": ["64bits", "x86_64"],
        "master_netdev": "eth0",
        "master_netmask": 32,
        "primary_ip_version": 4,
        "mac_prefix": MAC_PREFIX,
        "tags": [],
    }


def _policies(spec: ClusterSpec) -> Row:
    return {
        "default_hypervisor": "fake",
        "enabled_hypervisors": ["fake"],
        "hvparams": {"fake": {"migration_mode": "live"}},
        "default_iallocator": "hail",
        "default_iallocator_params": {},
        "beparams": {
            "default": {
                "always_failover": False,
                "auto_balance": False,
                "maxmem": 128,
                "minmem": 128,
                "spindle_use": 1,
                "vcpus": 1,
            }
        },
        "nicparams": {"default": {"link": "br0", "mode": "bridged", "vlan": ""}},
        "ndparams": _NDPARAMS,
        "ipolicy": {
            "disk-templates": list(spec.templates),
            "minmax": [{"max": _LIMITS, "min": dict.fromkeys(_LIMITS, 0)}],
            "spindle-ratio": 1024,
            "std": dict.fromkeys(_LIMITS, 1),
            "vcpu-ratio": spec.vcpu_ratio,
        },
        "candidate_pool_size": 10,
        "max_running_jobs": 20,
        "max_tracked_jobs": 25,
        "maintain_node_health": False,
    }


def _storage(spec: ClusterSpec) -> Row:
    return {
        "enabled_disk_templates": list(spec.templates),
        "diskparams": {template: {} for template in spec.templates},
        "file_storage_dir": "/srv/ganeti/file-storage",
        "shared_file_storage_dir": "/srv/ganeti/shared-file-storage",
        "gluster_storage_dir": "/var/run/ganeti/gluster",
        "drbd_helper": None,
        "drbd_usermode_helper": None,
        "vg_name": None,
        "volume_group_name": None,
        "reserved_lvs": [],
        "prealloc_wipe_disks": False,
        "zeroing_image": "",
    }


def _unused() -> Row:
    """What nothing here looks at."""
    return {
        "blacklisted_os": [],
        "hidden_os": [],
        "os_hvp": {},
        "osparams": {},
        "install_image": "",
        "instance_communication_network": "",
        "compression_tools": ["gzip", "gzip-fast", "gzip-slow"],
        "data_collector_interval": {},
        "enabled_data_collectors": {},
        "enabled_user_shutdown": False,
        "modify_ssh_setup": False,
        "ssh_key_bits": 2048,
        "ssh_key_type": "rsa",
        "uid_pool": [],
        "use_external_mip_script": False,
    }


def nodes(spec: ClusterSpec, state: State) -> list[Row]:
    """/2/nodes?bulk=1."""
    return [_node_row(spec, state, index, node) for index, node in enumerate(state.nodes)]


def _node_row(spec: ClusterSpec, state: State, index: int, node: Node) -> Row:
    primaries = sorted(instance.name for instance in moves.instances_on(state, node))
    secondaries = sorted(i.name for i in state.instances.values() if i.secondary == node.name)
    known = not node.offline
    role = moves.role_of(state, node)
    return {
        "name": node.name,
        "uuid": node.uuid,
        "offline": node.offline,
        "drained": node.drained,
        "master_candidate": role in {"M", "C"},
        "master_capable": True,
        "vm_capable": True,
        "role": role,
        "mtotal": spec.memory_mb if known else None,
        "mnode": moves.NODE_MEMORY_MB if known else None,
        "mfree": moves.free_memory_mb(spec, state, node) if known else None,
        "dtotal": spec.disk_mb if known else None,
        "dfree": opcodes.free_disk_mb(spec, state, node) if known else None,
        "sptotal": None,
        "spfree": None,
        "ctotal": spec.cpus if known else None,
        "cnos": spec.cpus if known else None,
        "cnodes": 1 if known else None,
        "csockets": 1 if known else None,
        "pinst_cnt": len(primaries),
        "pinst_list": primaries,
        "sinst_cnt": len(secondaries),
        "sinst_list": secondaries,
        "pip": f"192.0.2.{11 + index % 200}",
        "sip": f"192.0.2.{11 + index % 200}",
        "ndparams": _NDPARAMS,
        "group.uuid": _group_uuid(spec, state, nets.group_of(spec, state, node.name)),
        "ctime": state.ctime,
        "mtime": state.ctime,
        "serial_no": 1,
        "tags": [],
    }


def groups(spec: ClusterSpec, state: State) -> list[Row]:
    """/2/groups?bulk=1."""
    return [_group_row(spec, state, name) for name in spec.groups]


def _group_row(spec: ClusterSpec, state: State, name: str) -> Row:
    nodes = [node.name for node in state.nodes if nets.group_of(spec, state, node.name) == name]
    return {
        "name": name,
        "uuid": _group_uuid(spec, state, name),
        "alloc_policy": "preferred",
        "node_cnt": len(nodes),
        "node_list": sorted(nodes),
        "ipolicy": _policies(spec)["ipolicy"],
        "custom_ipolicy": {},
        "diskparams": {template: {} for template in spec.templates},
        "custom_diskparams": {},
        "ndparams": _NDPARAMS,
        "custom_ndparams": {},
        "ctime": state.ctime,
        "mtime": state.ctime,
        "serial_no": 1,
        "tags": [],
    }


def _group_uuid(spec: ClusterSpec, state: State, name: str) -> str:
    if name == spec.groups[0]:
        return state.uuid
    return str(uuid.uuid5(uuid.UUID(state.uuid), name))


def networks(state: State) -> list[Row]:
    """/2/networks?bulk=1."""
    return [nets.network_row(state, network) for _name, network in sorted(state.networks.items())]


def network(name: str, state: State) -> Row | None:
    """/2/networks/NAME."""
    found = state.networks.get(name)
    return None if found is None else nets.network_row(state, found)


def instances(state: State, now: float) -> list[Row]:
    """/2/instances?bulk=1."""
    offline = {node.name for node in state.nodes if node.offline}
    return [
        _instance_row(state, instance, instance.node in offline)
        for name, instance in sorted(state.instances.items())
        if state.known(name, now)
    ]


def instance(name: str, state: State, now: float) -> Row | None:
    """/2/instances/NAME."""
    if not state.known(name, now):
        return None
    found = state.instances[name]
    return _instance_row(state, found, any(n.offline for n in state.nodes if n.name == found.node))


def _instance_row(state: State, instance: Instance, lost: bool) -> Row:
    custom = {
        "vcpus": instance.vcpus,
        "maxmem": instance.memory_mb,
        "minmem": instance.memory_mb,
    }
    return {
        "name": instance.name,
        "uuid": instance.uuid,
        "status": "ERROR_nodeoffline" if lost else "running" if instance.running else "ADMIN_down",
        "admin_state": instance.admin_state,
        "oper_state": None if lost else instance.running,
        "oper_ram": instance.memory_mb if instance.running and not lost else None,
        "oper_vcpus": instance.vcpus if instance.running and not lost else None,
        "os": instance.os,
        "pnode": instance.screen_host or instance.node,
        "snodes": [instance.secondary] if instance.secondary else [],
        "beparams": {
            **custom,
            "memory": instance.memory_mb,
            "auto_balance": False,
            "always_failover": False,
            "spindle_use": 1,
        },
        "custom_beparams": custom,
        "hvparams": {"serial_console": True} if instance.serial_console else {},
        "custom_hvparams": {},
        "network_port": instance.network_port,
        **_disk_columns(instance),
        **_nic_columns(state, instance),
        "ctime": instance.ctime,
        "mtime": instance.mtime,
        "serial_no": instance.serial_no,
        "tags": instance.tags,
    }


def _disk_columns(instance: Instance) -> Row:
    return {
        "disk_template": instance.template,
        "disk_usage": sum(int(disk["size"]) for disk in instance.disks),
        "disk.sizes": [int(disk["size"]) for disk in instance.disks],
        "disk.names": [disk.get("name") for disk in instance.disks],
        "disk.uuids": [disk["uuid"] for disk in instance.disks],
        "disk.spindles": [None for _ in instance.disks],
    }


def _nic_columns(state: State, instance: Instance) -> Row:
    nics = instance.nics
    links = [nic.get("link") or "br0" for nic in nics]
    modes = [nic.get("mode") or "bridged" for nic in nics]
    networks = [state.networks.get(nic.get("network") or "") for nic in nics]
    bridged = zip(links, modes, strict=True)
    return {
        "nic.macs": [nic["mac"] for nic in nics],
        "nic.ips": [nic.get("ip") for nic in nics],
        "nic.links": links,
        "nic.modes": modes,
        "nic.bridges": [link if mode == "bridged" else None for link, mode in bridged],
        "nic.names": [nic.get("name") for nic in nics],
        "nic.networks": [network and network.uuid for network in networks],
        "nic.networks.names": [network and network.name for network in networks],
        "nic.uuids": [nic["uuid"] for nic in nics],
        "custom_nicparams": [
            {key: nic[key] for key in ("mode", "link", "vlan") if key in nic} for nic in nics
        ],
    }


def jobs(state: State) -> list[Row]:
    """/2/jobs?bulk=1."""
    rows = (job_row(job.id, job) for job in state.jobs.values())
    return [{key: row[key] for key in JOB_BULK_FIELDS} for row in rows]


def job_row(job_id: int, job: SimJob | None) -> Row:
    """/2/jobs/ID; for one that does not exist all but the id is null, as Ganeti answers."""
    if job is None:
        return {**dict.fromkeys(JOB_FIELDS), "id": job_id}
    op = {
        **_COMMON_OP,
        "reason": job.trail,
        "OP_ID": job.opcode,
        **job.input,
    }
    if job.opcode == "OP_INSTANCE_SET_PARAMS":
        del op["dry_run"]
    return {
        "id": job.id,
        "ops": [op],
        "status": job.status,
        "summary": [_summary(job)],
        "opstatus": [job.status],
        "received_ts": stamp(job.received),
        "start_ts": stamp(job.started),
        "end_ts": stamp(job.ended),
        "oplog": [job.log],
        "opresult": [job.result],
    }


def _summary(job: SimJob) -> str:
    verb = job.opcode.removeprefix("OP_")
    return verb if verb.startswith("TAGS_") else f"{verb}({job.target})"
