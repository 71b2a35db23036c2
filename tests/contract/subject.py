"""The cluster that the contract suite speaks to, simulated or real."""

import itertools
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudweb.backend.ganeti import operations, transport
from cloudweb.backend.ganeti.objects import Job, OpError
from cloudweb.backend.ganeti.rapi import RapiClient

RECORDED = Path(__file__).parent / "recorded"
# How a network of these tests is attached, in the one node group there is.
CONNECTION = {"group": "default", "mode": "bridged", "link": "br1", "conflicts_check": False}
_numbers = itertools.count(1)


def recorded(name: str) -> Any:
    """What a real Ganeti 3.0 once answered."""
    return json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Subject:
    """A cluster under test and how it is reached; it has OS `noop` and storage provider `noop`."""

    url: str
    user: str
    password: str
    certificate_file: str
    job_timeout_s: float

    @property
    def fingerprint(self) -> str:
        return transport.fingerprint_of(Path(self.certificate_file).read_text(encoding="ascii"))

    def client(self, **changed: Any) -> RapiClient:
        """A client of it, verified by its own certificate unless told otherwise."""
        how = changed or {"ca_file": self.certificate_file}
        return RapiClient(self.url, self.user, self.password, **how)


def real_subject() -> Subject:
    """The cluster that the environment names; KeyError where it names none."""
    return Subject(
        url=os.environ["CLOUDWEB_TEST_GANETI_URL"],
        user=os.environ["CLOUDWEB_TEST_GANETI_USER"],
        password=os.environ["CLOUDWEB_TEST_GANETI_PASSWORD"],
        certificate_file=os.environ["CLOUDWEB_TEST_GANETI_CERT"],
        job_timeout_s=60,
    )


class Driver:
    """Asks a cluster for things and waits for them."""

    def __init__(self, client: RapiClient, subject: Subject) -> None:
        self.client = client
        self._timeout_s = subject.job_timeout_s
        self.names: list[str] = []
        self.networks: list[str] = []

    def new_name(self) -> str:
        """A name that no instance had yet; what comes to bear it is removed after the test."""
        name = f"ct{os.getpid()}-{next(_numbers)}"
        self.names.append(name)
        return name

    def body(self, name: str, **changed: Any) -> dict[str, object]:
        """A small instance with one disk and one NIC."""
        wanted: dict[str, Any] = {
            "vcpus": 1,
            "ram_mb": 128,
            "disk_gb": 1,
            "disk_template": "ext_noop",
            "os": "noop+default",
            "osparams": {"img_id": "debian"},
            "nics": [{"mode": "bridged", "link": "br1", "ip": "198.51.100.7", "name": "nic-1"}],
        }
        return operations.create_body(name=name, **{**wanted, **changed})

    def run(self, job_id: int) -> Job:
        """The job when it has ended."""
        ends = time.monotonic() + self._timeout_s
        while time.monotonic() < ends:
            job = self.client.job(job_id)
            if job.is_final:
                return job
            time.sleep(0.05)
        raise AssertionError(f"job {job_id} did not end in {self._timeout_s} s")

    def wait_until_known(self, name: str) -> None:
        """Until the cluster knows an instance that is being made."""
        ends = time.monotonic() + self._timeout_s
        while name not in {instance.name for instance in self.client.instances_bulk()}:
            assert time.monotonic() < ends, f"{name} did not appear"
            time.sleep(0.05)

    def create(self, **changed: Any) -> str:
        """The name of a new instance that runs."""
        name = self.new_name()
        job = self.run(self.client.create_instance(self.body(name, **changed), f"make:{name}"))
        assert job.status == "success", job.error
        return name

    def succeed(self, job_id: int) -> Job:
        """The job when it has succeeded."""
        job = self.run(job_id)
        assert job.status == "success", job.error
        return job

    def fail(self, job_id: int) -> OpError:
        """What the job failed with."""
        job = self.run(job_id)
        assert job.status == "error"
        assert job.error
        return job.error

    def submit(self, opcode: str, target: str, arguments: dict[str, Any] | None = None) -> int:
        """The job of an operation, as the worker asks for it."""
        return operations.submit(self.client, opcode, target, arguments or {}, f"{opcode} {target}")

    def add_network(self, *, connect: bool = True, **changed: Any) -> str:
        """The name of a new network 203.0.113.0/28, over bridge br1."""
        name = f"ct{os.getpid()}-net-{next(_numbers)}"
        self.networks.append(name)
        wanted = {"network": "203.0.113.0/28", "conflicts_check": False, "tags": [], **changed}
        self.succeed(self.submit("OP_NETWORK_ADD", name, wanted))
        if connect:
            self.succeed(self.submit("OP_NETWORK_CONNECT", name, CONNECTION))
        return name

    def add_nic(self, instance: str, /, **card: Any) -> int:
        return self.submit("OP_INSTANCE_SET_PARAMS", instance, {"nics": [["add", -1, card]]})

    def remove_nic(self, name: str, which: int | str) -> int:
        return self.submit("OP_INSTANCE_SET_PARAMS", name, {"nics": [["remove", which, {}]]})

    def remove_all(self) -> None:
        there = {instance.name for instance in self.client.instances_bulk()}
        jobs = [
            self.client.delete_instance(name, f"clean:{name}")
            for name in self.names
            if name in there
        ]
        for job_id in jobs:
            self.run(job_id)
        for network in self.client.networks_bulk():
            if network.name in self.networks:
                for group in network.groups:
                    self.run(self.submit("OP_NETWORK_DISCONNECT", network.name, {"group": group}))
                self.run(self.submit("OP_NETWORK_REMOVE", network.name))
