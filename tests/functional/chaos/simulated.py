"""Simulated clusters that remember every job they took, and keep job files as Ganeti does."""

import collections
import os
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

from cloudweb.backend.ganeti.jobs import Job
from cloudweb.backend.ganeti.simulator import answers
from cloudweb.backend.ganeti.simulator.cluster import Cluster
from cloudweb.backend.ganeti.simulator.server import Simulator
from cloudweb.backend.ganeti.simulator.spec import ClusterSpec
from cloudweb.backend.ganeti.simulator.state import Instance, SimJob, State, stamp
from tests.functional.chaos.clusters import (
    Address,
    Clusters,
    Maker,
    Mishap,
    Seen,
    SeenInstance,
    TakenJob,
)

FILES_KEPT = 1500
"""How many job files there are before the oldest go to Ganeti's archive."""
AMPLE = {"nodes": 8, "memory_mb": 512 * 1024, "disk_mb": 64 * 1024 * 1024, "cpus": 256}

FAILING = ("OP_INSTANCE_CREATE", "OP_INSTANCE_SHUTDOWN", "OP_INSTANCE_REBOOT")
WHY = ("temp_insufficient_resources", "insufficient_resources", "wrong_state")
FAULTS: tuple[dict[str, object], ...] = (
    {"refuse": "close"},
    {"refuse": "503"},
    {"unauthorized": True},
    {"queue_drained": True},
    {"hang_s": 4.0},
    {"delay_s": 1.0},
    {"delay_after_accept_s": 4.0},
    {"drop_after_accept": 5},
)
NORMAL: Mapping[str, object] = {
    "refuse": "",
    "unauthorized": False,
    "queue_drained": False,
    "hang_s": 0.0,
    "delay_s": 0.0,
    "delay_after_accept_s": 0.0,
    "drop_after_accept": 0,
}


class RememberingSimulator(Simulator):
    """Two clusters, ``alpha`` and ``beta``; the files of alpha's jobs are in ``queue``."""

    def __init__(self, queue: Path) -> None:
        self.queue = queue
        self.taken: dict[tuple[str, int], TakenJob] = {}
        self._files: collections.deque[Path] = collections.deque()
        specs = [ClusterSpec(name, **AMPLE) for name in ("alpha", "beta")]  # type: ignore[arg-type]
        super().__init__(specs, port=0)

    def _tell(self, cluster: Cluster, job: Job) -> None:
        sim_job = cluster.state.jobs[job.id]
        reasons = [entry[1] for entry in sim_job.trail if entry[0] == "gnt:user"]
        name = cluster.spec.name
        what = (job.ops[0].opcode, sim_job.target, "".join(reasons))
        self.taken[name, job.id] = TakenJob(name, job.id, *what, job.status, sim_job.received)
        if name == "alpha":
            self._write(sim_job)
        super()._tell(cluster, job)

    def _write(self, job: SimJob) -> None:
        path = self.queue / f"job-{job.id}"
        new = self.queue / f".new-{job.id}"
        new.write_bytes(orjson.dumps(job_file(job)))
        os.replace(new, path)  # noqa: PTH105  (in one step, as Ganeti does)
        if job.status == "queued":
            self._files.append(path)
            if len(self._files) > FILES_KEPT:
                self._files.popleft().unlink()


def job_file(job: SimJob) -> dict[str, object]:
    """A job as Ganeti writes it into its queue directory."""
    [body] = answers.job_row(job.id, job)["ops"]
    started, ended = stamp(job.started), stamp(job.ended)
    op = {
        "input": body,
        "status": job.status,
        "result": job.result,
        "log": job.log,
        "start_timestamp": started,
        "exec_timestamp": stamp(job.executed),
        "end_timestamp": ended,
    }
    return {
        "id": job.id,
        "ops": [op],
        "received_timestamp": stamp(job.received),
        "start_timestamp": started,
        "end_timestamp": ended,
    }


class SimulatedClusters(Clusters):
    """Those two, with the times of real ones and faults at will."""

    names = ("alpha", "beta")
    disk_template = "file"
    settings: Mapping[str, Any] = MappingProxyType(
        {
            "worker_lease_s": 8.0,
            "rapi_connect_timeout_s": 1.0,
            "rapi_read_timeout_s": 2.5,
            "worker_refresh_s": 10.0,
            "worker_compare_s": 5.0,
            "worker_safety_follow_s": 10.0,
            "worker_backoff_max_s": 5.0,
        }
    )

    def __init__(self, simulator: RememberingSimulator) -> None:
        self._simulator = simulator

    def full_name(self, name: str) -> str:
        return self._simulator.clusters[name].spec.full_name

    def port(self, name: str) -> int:
        return int(self._simulator.url(name).rpartition(":")[2].partition("/")[0])

    def address(self, name: str, port: int) -> Address:
        return Address(f"http://127.0.0.1:{port}/{name}", "cloudweb", "cloudweb")

    def agent(self) -> list[str]:
        return ["--queue", str(self._simulator.queue), "--cluster", self.full_name("alpha")]

    def makers(self, chance: random.Random) -> list[Maker]:
        return [
            lambda: ("fault", chance.choice(self.names), chance.choice(FAULTS)),
            lambda: ("fault", chance.choice(self.names), {"drop_after_accept": 5}),
            lambda: (
                "fail",
                chance.choice(self.names),
                f"{chance.choice(FAILING)} {chance.choice(WHY)}",
            ),
        ]

    def suffer(self, mishap: Mishap) -> None:
        faults = self._simulator.clusters[mishap.whom].faults
        if mishap.what == "fail":
            opcode, _, code = str(mishap.how).partition(" ")
            faults.update({"fail": {opcode: {"count": 2, "code": code}}})
            time.sleep(mishap.for_s)
            faults.update({"fail": {}})
            return
        assert isinstance(mishap.how, dict)
        faults.update(mishap.how)
        time.sleep(mishap.for_s)
        faults.update({name: NORMAL[name] for name in mishap.how})

    def mend(self) -> None:
        for cluster in self._simulator.clusters.values():
            cluster.faults.clear()

    def jobs(self) -> Sequence[TakenJob]:
        return list(self._simulator.taken.values())

    def look(self) -> Mapping[str, Seen]:
        return {
            cluster.spec.full_name: cluster.show(lambda _, state: _seen(state))
            for cluster in self._simulator.clusters.values()
        }


def _seen(state: State) -> Seen:
    return Seen({name: _seen_instance(i) for name, i in state.instances.items()}, {*state.networks})


def _seen_instance(instance: Instance) -> SeenInstance:
    cards = [
        (nic.get("name"), nic["mac"], nic.get("ip"), nic.get("network")) for nic in instance.nics
    ]
    return SeenInstance(instance.running, cards, list(instance.tags))


@contextmanager
def simulated_clusters(folder: Path) -> Iterator[Clusters]:
    """Two that run, gone afterwards; the first one's queue is in the folder."""
    queue = folder / "queue"
    queue.mkdir()
    with RememberingSimulator(queue) as simulator:
        yield SimulatedClusters(simulator)
