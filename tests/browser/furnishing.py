"""What a cloud has beside clusters and servers: networks, pools, addresses, images, regions."""

import datetime as dt
from typing import Any

from cloudweb.domain import address_history, identity, images, pools
from cloudweb.domain.address_history import Had
from cloudweb.domain.cluster_jobs import JobStatus
from cloudweb.models import (
    AddressUse,
    BackendNetwork,
    CatalogueFlavor,
    CatalogueNode,
    ClusterJob,
    DeadLetter,
    Flavor,
    Infrastructure,
    Install,
    InstallResult,
    Network,
    NetworkKind,
    NetworkState,
    Operation,
    Pool,
    PoolKind,
    RegionalFlavor,
    ResultState,
    SentForm,
    Server,
    SessionFactory,
    unit_of_work,
    utc_now,
)
from cloudweb.specifications import Specification

CLI = identity.system("cli")


def furnish(sessions: SessionFactory, servers: list[Server], backends: list[Any]) -> dict[str, str]:
    """Fills the database; a name and the path of each page there is to see then."""
    with unit_of_work(sessions) as session:
        office = _networks(session, servers, backends)
        prefixes = pools.create(session, CLI, kind=PoolKind.MAC_PREFIX, base="aa:00:0", size=4096)
        bridges = pools.create(session, CLI, kind=PoolKind.BRIDGE, base="prv", size=40)
        for n in range(9):
            pools.take(session, PoolKind.BRIDGE, holder_kind="network", holder_id=n + 1)
        image = images.register(session, CLI, name="Debian 12", location="debian-12")
        images.register(session, CLI, name="Ubuntu 24.04", location="ubuntu-24.04")
        region, install = _regions(session)
        letter = DeadLetter(
            letter="1",
            queue="ops",
            routing_key="op",
            body=b'{"type": "ganeti-op-status", "instance": "snf-12"}',
            cluster="gnt-ath-01.example.org",
            event="ganeti-op-status OP_INSTANCE_STARTUP",
            kind="ImpossibleMessage",
            reason="It has no jobId.",
        )
        old = Flavor(cpu=1, ram_mb=512, disk_gb=4, disk_template="file", deleted=True)
        session.add_all([letter, old])
        session.flush()
        addresses = session.query(Pool).filter_by(network_id=office.id).one()
        first = servers[0].id
        return {
            "networks": "/admin/networks",
            "network": f"/admin/networks/{office.id}",
            "network-drain": f"/admin/networks/{office.id}/drain",
            "network-undrain": f"/admin/networks/{office.id}/undrain",
            "network-everywhere": f"/admin/networks/{office.id}/everywhere",
            "network-remove": f"/admin/networks/{office.id}/remove",
            "ips": "/admin/ips",
            "ip": "/admin/ips/10.7.0.5?at=2026-01-01",
            "pools": "/admin/pools",
            "pool": f"/admin/pools/{bridges.id}?holder=prv3",
            "pool-mac": f"/admin/pools/{prefixes.id}?check=yes",
            "pool-addresses": f"/admin/pools/{addresses.id}",
            "pool-reserve": f"/admin/pools/{bridges.id}/reserve?values=prv7-prv12",
            "pool-release": f"/admin/pools/{bridges.id}/release?values=prv30",
            "pool-resize": f"/admin/pools/{bridges.id}/resize?size=60",
            "pool-remove": f"/admin/pools/{bridges.id}/remove",
            "pool-values": f"/admin/pools/{bridges.id}/values",
            "images": "/admin/images",
            "image": f"/admin/images/{image.id}",
            "flavors": "/admin/flavors?show=all",
            "flavors-opening": "/admin/flavors",
            "flavors-extra": "/admin/flavors?show=extra",
            "flavor": "/admin/flavors/flavor?flavor=f-1",
            "flavors-transposed": "/admin/flavors?show=all&by=region",
            "flavors-compare": "/admin/flavors/compare?a=Athens&b=Crete",
            "flavors-install": "/admin/flavors/install?flavor=f-0",
            "flavors-promote": "/admin/flavors/promote?name=m1.giant&vcpus=32&ram=65536&disk=400",
            "flavors-demote": "/admin/flavors/demote?flavor=f-3",
            "compute-flavors": "/admin/flavors/compute",
            "compute-flavor": f"/admin/flavors/compute/{servers[0].flavor_id}",
            "compute-flavor-new": "/admin/flavors/compute/new",
            "compute-flavor-delete": f"/admin/flavors/compute/{servers[1].flavor_id}/delete",
            "compute-flavor-restore": f"/admin/flavors/compute/{old.id}/restore",
            "install": f"/admin/flavors/installs/{install.id}",
            "regions": "/admin/regions",
            "region": f"/admin/regions/{region.id}",
            **_jobs(session, servers, backends),
            "search": "/admin/search?q=e",
            "search-none": "/admin/search?q=nothing-like-this",
            "vms-refused": "/admin/vms?filter=colour=blue",
            "vms-bulk": f"/admin/vms/bulk?verb=shutdown&id={first}&id={first + 2}&id={first + 3}",
            "vms-suspend": f"/admin/vms/bulk?verb=suspend&id={first}&id={first + 1}&id={first + 2}",
            "vms-mail": f"/admin/vms/mail?id={first}&id={first + 1}",
            "vms-mail-shown": f"/admin/vms/mail?id={first}&id={first + 1}"
            "&subject=New+disks&text=On+Friday+at+18:00+UTC+disks+are+changed.",
            "acts": "/admin/acts",
            "act": f"/admin/acts/{_act(session, servers)}",
            "pool-new": "/admin/pools/new",
            "vm-unlock": f"/admin/vms/{first + 2}/unlock",
            "vm-suspend": f"/admin/vms/{first}/suspend",
            "queues": "/admin/queues",
            "letters": "/admin/queues/letters",
            "queues-pause": "/admin/queues/pause",
            "queues-resume": "/admin/queues/resume",
            "nodes": "/admin/nodes",
            "letter": f"/admin/queues/letters/{letter.id}",
            "letter-retry": f"/admin/queues/letters/{letter.id}/retry",
            "letter-drop": f"/admin/queues/letters/{letter.id}/drop",
            "account": "/account",
            "second-factor": "/account/second-factor",
        }


def _act(session: Any, servers: list[Server]) -> str:
    """Three VMs that somebody had shut down at once: one was, one was skipped, one refused."""
    form = SentForm(key="ac7" + "0" * 29, user_id=servers[0].user_id, verb="bulk", location="")
    form.title, form.reason, form.request_id = "Shut down 2 VMs", "New disks", "ac700000000"
    operation = session.query(Operation).order_by(Operation.id).first()
    results = ("asked", "skipped", "refused")
    form.items = [
        {"id": server.id, "name": f"{server.name} ({server.id})", "verb": "shutdown"}
        | {"result": result, "why": "" if result == "asked" else "It is locked. Unlock it first."}
        | {"operation": operation.id if result == "asked" else None}
        for server, result in zip(servers, results, strict=False)
    ]
    session.add(form)
    return str(form.key)


_STEPS = """{"id": 88121, "status": "error", "ops": [{"OP_ID": "OP_INSTANCE_MIGRATE",
"instance_name": "web9.example.org", "reason": [["gnt:user", "A new fan", 1]]}, {"OP_ID":
"OP_NODE_SET_PARAMS", "node_name": "node2.example.org", "reason": []}], "opstatus": ["success",
"error"], "opresult": [null, ["OpPrereqError", ["The node is not drained", "wrong_state"]]],
"oplog": [[[1, [1780000000, 0], "message", "Migrating instance web9.example.org"],
[2, [1780000007, 0], "message", "* done"]], []], "received_ts": [1780000000, 0]}"""


def _jobs(session: Any, servers: list[Server], backends: list[Any]) -> dict[str, str]:
    """Jobs in each status, of hands and of ours; one that failed and one that waits."""
    now = utc_now()
    operation = session.query(Operation).order_by(Operation.id).first()
    for n, status in enumerate(JobStatus):
        begun = now - dt.timedelta(minutes=n) if n > 1 else None
        session.add(
            ClusterJob(
                backend_id=backends[n % 2].id,
                job_id=88_115 + n,
                status=status.value,
                opcode="OP_INSTANCE_MIGRATE" if n % 2 else "OP_INSTANCE_STARTUP",
                target=f"web{n}.example.org",
                server_id=servers[n % 3].id if n % 3 else None,
                operation_id=operation.id if n == 5 else None,
                tool="gnt-instance",
                reason="A new fan" if n % 2 else "",
                received=now - dt.timedelta(minutes=n, seconds=4),
                started=begun,
                ended=now if n > 3 else None,
                took_ms=n * 61_000 if n > 3 else None,
            )
        )
    failed = session.get(ClusterJob, (backends[0].id, 88_121))
    failed.detail, failed.steps, failed.read_status = _STEPS, 2, "error"
    failed.error, failed.error_class = "The node is not drained", "wrong_state"
    canceled = session.get(ClusterJob, (backends[0].id, 88_119))
    canceled.detail = """{"id": 88119, "status": "canceled",
"ops": [{"OP_ID": "OP_INSTANCE_STARTUP", "instance_name": "web4.example.org", "force": true}]}"""
    canceled.server_id = None
    for backend in backends:
        backend.jobs_read = now
        session.merge(backend)
    first = f"/admin/jobs/{backends[0].name}"
    return {
        "jobs": "/admin/jobs",
        "jobs-none": "/admin/jobs?status=canceling&ours=yes",
        "job": f"{first}/88121",
        "job-cancel": f"{first}/88115/cancel",
        "job-canceled": f"{first}/88119",
        "job-retry": f"{first}/88119/retry",
    }


def _networks(session: Any, servers: list[Server], backends: list[Any]) -> Network:
    office = Network(
        name="office",
        kind=NetworkKind.MAC_FILTERED,
        user_id=servers[0].user_id,
        cidr="10.7.0.0/24",
        gateway="10.7.0.1",
        cidr6="2001:db8:7::/64",
        mode="bridged",
        link="prv0",
        mac_prefix="aa:00:1",
        tags=["nfdhcpd"],
    )
    session.add(office)
    session.flush()
    pools.create_addresses(session, office)
    states = (NetworkState.ACTIVE, NetworkState.ERROR)
    for backend, state in zip(backends, states, strict=False):
        session.add(
            BackendNetwork(
                network_id=office.id,
                backend_id=backend.id,
                name=f"snf-net-{office.id}",
                state=state,
            )
        )
    for n, server in enumerate(servers):
        address = f"10.7.0.{n + 5}"
        since = utc_now() - dt.timedelta(days=40 - n)
        session.add(
            AddressUse(
                address=address,
                network_id=office.id,
                server_id=servers[-1 - n].id,
                since=since,
                until=since + dt.timedelta(days=12),
            )
        )
        pools.hold_address(session, office.id, address, server_id=server.id)
        address_history.begin(session, [Had(server.id, office.id, address)])
    return office


def _regions(session: Any) -> tuple[Infrastructure, Install]:
    now = utc_now()
    regions = [
        Infrastructure(name=name, refreshed=now, keystone_url=f"https://{name.lower()}.example.org")
        for name in ("Athens", "Crete", "Malaga")
    ]
    regions[2].unreachable_since = now
    regions[2].last_error = "Connection refused"
    regions.append(Infrastructure(name="Trento", keystone_url="https://trento.example.org"))
    wanted = [
        Specification(f"f-{n}", f"m1.{name}", 2**n, 2048 * 2**n, 20 * (n + 1))
        for n, name in enumerate(("small", "medium", "large", "huge"))
    ]
    flavors = [
        CatalogueFlavor(
            flavor_id=each.id,
            name=each.name,
            vcpus=each.vcpus,
            ram_mb=each.ram_mb,
            disk_gb=each.disk_gb,
            promoted=True,
        )
        for each in wanted
    ]
    session.add_all([*regions, *flavors])
    session.flush()
    for place, region in enumerate(regions[:3]):
        for n, each in enumerate(wanted[: 4 - place]):
            ram = each.ram_mb * (2 if (place, n) == (1, 1) else 1)
            session.add(_regional(region, f"r-{n}", each.name, each.vcpus, ram, each.disk_gb))
            known = CatalogueNode(
                catalogue_id=flavors[n].id, infrastructure_id=region.id, flavor_id=f"r-{n}"
            )
            session.add(known)
        session.add(_regional(region, "r-x", f"{region.name.lower()}.tiny", 1, 256, 1))
    order = Install(catalogue_id=flavors[3].id, actor="ioanna@example.org")
    session.add(order)
    session.flush()
    results = zip(
        regions,
        (ResultState.DONE, ResultState.FAILED, ResultState.WAITING),
        ("", "The region refused: quota exceeded", ""),
        strict=False,
    )
    for region, state, message in results:
        session.add(
            InstallResult(
                install_id=order.id, infrastructure_id=region.id, state=state, message=message
            )
        )
    return regions[0], order


def _regional(
    region: Infrastructure, id_: str, name: str, vcpus: int, ram: int, disk: int
) -> RegionalFlavor:
    return RegionalFlavor(
        infrastructure_id=region.id,
        flavor_id=id_,
        name=name,
        vcpus=vcpus,
        ram_mb=ram,
        disk_gb=disk,
    )
