"""Two real Ganeti clusters of a laboratory, their daemons, and operators who ask nobody."""

import json
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from cloudweb.backend.ganeti.errors import RapiError
from cloudweb.backend.ganeti.jobs import Job, job_from_file
from cloudweb.backend.ganeti.objects import Instance
from cloudweb.backend.ganeti.rapi import RapiClient
from tests.functional.chaos.clusters import (
    Address,
    Clusters,
    Maker,
    Mishap,
    Seen,
    SeenInstance,
    TakenJob,
)
from tests.functional.processes import wait_for

Lab = Mapping[str, str]
"""What the laboratory says of a cluster: cluster, url, user, password, cert, queue."""
Run = Callable[..., str]
"""Runs a command on a cluster's master: what it prints."""
DAEMONS = ("ganeti-rapi", "ganeti-luxid", "ganeti-noded")
DAEMON_UTIL = "/usr/lib/ganeti/daemon-util"
START = f"{DAEMON_UTIL} check $0 || {{ rm -f /run/ganeti/$0.pid; {DAEMON_UTIL} start $0; }}"
"""It does not start what seems to run by its pid file, which those that were killed leave."""
ACTS = ("shutdown", "startup", "reboot")
OLD_S = 120
"""Jobs that ended so long ago go to the archive; Ganeti itself gives them six hours."""


class GanetiClusters(Clusters):
    """They are called by the first label of their names."""

    disk_template = "ext_noop"
    settings: Mapping[str, Any] = MappingProxyType(
        {
            "worker_lease_s": 30.0,
            "rapi_connect_timeout_s": 3.0,
            "rapi_read_timeout_s": 10.0,
            "worker_refresh_s": 15.0,
            "worker_compare_s": 8.0,
            "worker_safety_follow_s": 20.0,
            "worker_backoff_max_s": 8.0,
        }
    )

    def __init__(self, told: Lab, asked: Lab, run: Run, failed: type[Exception]) -> None:
        """``failed`` is what ``run`` raises where a command is refused."""
        self._labs = {lab["cluster"].partition(".")[0]: lab for lab in (told, asked)}
        first, second = self._labs
        self.names = (first, second)
        self._run, self._failed = run, failed
        self._ended: dict[Path, TakenJob | None] = {}

    def full_name(self, name: str) -> str:
        return self._labs[name]["cluster"]

    def port(self, name: str) -> int:
        return urlsplit(self._labs[name]["url"]).port or 0

    def address(self, name: str, port: int) -> Address:
        """The certificate itself is what proves it, so that the port may be any."""
        lab = self._labs[name]
        return Address(f"https://127.0.0.1:{port}", lab["user"], lab["password"], lab["cert"])

    def agent(self) -> list[str]:
        lab = self._labs[self.names[0]]
        name = lab["cluster"]
        return ["--queue", lab["queue"], "--cluster", name, "--node", f"n1.{name}"]

    # --- what may happen to them

    def makers(self, chance: random.Random) -> list[Maker]:
        return [
            lambda: ("lose", chance.choice(self.names), None),
            lambda: ("lose", chance.choice(self.names), None),
            lambda: ("daemon", chance.choice(self.names), f"kill {chance.choice(DAEMONS)}"),
            lambda: ("daemon", chance.choice(self.names), f"stop {chance.choice(DAEMONS)}"),
            lambda: ("operator", chance.choice(self.names), self._act(chance)),
            lambda: ("operator", chance.choice(self.names), self._act(chance)),
            lambda: ("archive", chance.choice(self.names), None),
        ]

    def _act(self, chance: random.Random) -> str:
        """What an operator does, and which of the instances it is done to, as a share."""
        return f"{chance.choice(ACTS)} {chance.random():.3f}"

    def suffer(self, mishap: Mishap) -> None:
        on = self._labs[mishap.whom]
        what, _, which = str(mishap.how).partition(" ")
        match mishap.what:
            case "daemon":
                self._end(on, what, which)
                time.sleep(mishap.for_s)
                self._start(on, which)
            case "operator":
                self._operate(on, what, float(which))
            case "archive":
                self._try(on, "gnt-job", "autoarchive", str(OLD_S))

    def _end(self, on: Lab, how: str, daemon: str) -> None:
        """At once, wherever it is, or in good order."""
        if how == "kill":
            self._try(on, "sh", "-c", f'kill -9 "$(cat /run/ganeti/{daemon}.pid)"')
        else:
            self._try(on, DAEMON_UTIL, "stop", daemon)

    def _start(self, on: Lab, daemon: str) -> None:
        self._run(on, "sh", "-c", START, daemon)

    def _operate(self, on: Lab, act: str, share: float) -> None:
        listed = self._try(on, "gnt-instance", "list", "--no-headers", "-o", "name").split()
        if not listed:
            return
        how = ["--timeout=0"] if act == "shutdown" else []
        name = listed[int(share * len(listed))]
        self._try(on, "gnt-instance", act, "--submit", *how, name)

    def _try(self, on: Lab, *command: str) -> str:
        """What it prints; nothing where something else is broken just then."""
        try:
            return self._run(on, *command)
        except self._failed:
            return ""

    def mend(self) -> None:
        for lab in self._labs.values():
            for daemon in DAEMONS:
                self._start(lab, daemon)
        wait_for(self._answer, timeout_s=60)

    def _answer(self) -> bool:
        try:
            return bool(self.look())
        except RapiError:
            return False

    # --- what there is

    def jobs(self) -> Sequence[TakenJob]:
        """From Ganeti's own files, those in its archive too."""
        found = []
        for lab in self._labs.values():
            queue = Path(lab["queue"])
            for path in [*queue.glob("job-*"), *queue.glob("archive/*/job-*")]:
                job = self._taken(lab["cluster"], path)
                if job is not None:
                    found.append(job)
        # One that is just being archived is seen at both places.
        return list({(job.cluster, job.id): job for job in found}.values())

    def _taken(self, cluster: str, path: Path) -> TakenJob | None:
        if path in self._ended:
            return self._ended[path]
        try:
            job = job_from_file(json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        taken = _taken_job(cluster, job)
        if job.is_final:
            self._ended[path] = taken
        return taken

    def look(self) -> Mapping[str, Seen]:
        return {lab["cluster"]: self._look(name) for name, lab in self._labs.items()}

    def _look(self, name: str) -> Seen:
        address = self.address(name, self.port(name))
        with RapiClient(
            address.url, address.username, address.password, ca_file=address.ca_file
        ) as client:
            instances = {each.name: _seen_instance(each) for each in client.instances_bulk()}
            return Seen(instances, {each.name for each in client.networks_bulk()})


def _taken_job(cluster: str, job: Job) -> TakenJob | None:
    """None for what others than we have asked for."""
    op = job.ops[0]
    ours = [reason for reason in op.reasons if re.match(r"cloudweb:[0-9a-f]{32}\b", reason)]
    if not ours:
        return None
    target = op.instance or str(op.input.get("network_name", ""))
    received = job.received.timestamp() if job.received else 0.0
    return TakenJob(cluster, job.id, op.opcode, target, ours[0], job.status, received)


def _seen_instance(instance: Instance) -> SeenInstance:
    cards = [(nic.name, nic.mac, nic.ip, nic.network) for nic in instance.nics]
    return SeenInstance(instance.oper_state, cards, instance.tags)
