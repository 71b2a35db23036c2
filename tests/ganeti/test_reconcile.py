"""What an operator does with ``gnt-instance`` behind our back is found, and mended as chosen."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from cloudweb.domain import states
from cloudweb.models import Backend, Flavor, Nic, Server, SessionFactory, unit_of_work
from tests.conftest import Cloud
from tests.functional.cli.conftest import Terminal
from tests.functional.processes import running, wait_for
from tests.ganeti.conftest import Cluster

WORKER = "cloudweb.backend.worker"


def statuses(sessions: SessionFactory) -> dict[str, str]:
    with unit_of_work(sessions, write=False) as session:
        servers = session.scalars(sa.select(Server)).all()
        return {s.instance_name or "": states.api_status(s).value for s in servers}


def test_servers_that_differ_are_found_and_mended(
    ganeti: Cluster,
    backend: Backend,
    cloud: Cloud,
    app: Any,
    cli: Terminal,
    ini: Path,
    sessions: SessionFactory,
    make_flavor: Callable[..., Flavor],
) -> None:
    with unit_of_work(sessions) as session:
        session.get_one(Backend, cloud.backend.id).drained = True
    flavor = make_flavor(cpu=1, ram_mb=128, disk_gb=1, disk_template="ext_noop")
    order = cloud.order(flavorRef=flavor.id)
    with running(WORKER, ini):
        for _ in range(5):
            app.post_json("/api/v1.1/servers", order, headers=cloud.owner.headers, status=202)
        wait_for(lambda: set(statuses(sessions).values()) == {"ACTIVE"}, timeout_s=60)
    gone, stopped, wider, larger, same = sorted(statuses(sessions))
    assert ganeti.names() == [gone, stopped, wider, larger, same]

    ganeti("gnt-instance", "remove", "-f", "--shutdown-timeout=0", gone)
    ganeti("gnt-instance", "shutdown", "--timeout=0", stopped)
    ganeti("gnt-instance", "modify", "--net", "0:modify,mac=aa:00:00:12:34:56", wider)
    ganeti("gnt-instance", "modify", "-B", "memory=256,vcpus=2", larger)
    ganeti.add("snf-4711")
    as_they_left_it = ganeti.lists("name,status,be/vcpus,be/maxmem,nic.macs")
    jobs = ganeti.jobs()

    command = ("reconcile", "servers", "--backend", backend.name)
    found = {row["target"]: row["kind"] for row in cli.json(*command)}

    assert found == {
        gone: "stale",
        stopped: "state",
        wider: "nics",
        larger: "flavor",
        "snf-4711": "orphan",
    }
    assert ganeti.jobs() == jobs
    assert set(statuses(sessions).values()) == {"ACTIVE"}

    cli(*command, "--fix-all", "--yes", "--reason", "An operator was here.")
    with running(WORKER, ini):
        wait_for(lambda: "snf-4711" not in ganeti.names(), timeout_s=30)
    assert statuses(sessions) == {
        gone: "DELETED",
        stopped: "STOPPED",
        wider: "ACTIVE",
        larger: "ACTIVE",
        same: "ACTIVE",
    }
    assert ganeti.lists("name,status,be/vcpus,be/maxmem,nic.macs") == [
        line for line in as_they_left_it if not line.startswith("snf-4711|")
    ]
    with unit_of_work(sessions, write=False) as session:
        macs = sa.select(Nic.mac).join(Server).where(Server.instance_name == wider)
        assert session.scalars(macs).all() == ["aa:00:00:12:34:56"]
        size = sa.select(Flavor.cpu, Flavor.ram_mb).join(Server, Server.flavor_id == Flavor.id)
        assert session.execute(size.where(Server.instance_name == larger)).one() == (2, 256)
    assert cli.json(*command) == []
