"""Records what the real agents say of a real Ganeti: tests/functional/consumer/recorded/*.json.

A cluster is brought up, cloudweb-eventd watches its queue, cloudweb-hook is among its hooks and
cloudweb-progress-monitor reads what an image helper would say; then everything that they have a
message for happens. Of each kind one is kept, with the cluster's and instances' names made neutral
and the times moved. Needs root, and RabbitMQ; status 1 when a kind was not heard.
"""

import json
import re
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pika
from demo_site import BIN, ROOT, Site, StepFailed, Steps, wait_for
from ganeti_lab import Cluster, LabFailed, clusters, is_root, on_master

sys.path.insert(0, str(ROOT))

from cloudweb.backend.agents.hook import PATHS
from cloudweb.backend.agents.messages import HEARTBEAT_TAG
from cloudweb.backend.ganeti import operations
from cloudweb.backend.ganeti.rapi import RapiClient
from cloudweb.domain import states
from tests.ports import free_port
from tests.services import MissingService, Services

RECORDED = ROOT / "tests" / "functional" / "consumer" / "recorded"
CLUSTER = "test96"
NEUTRAL = "alpha.example.org"
BEGAN = 1714564800  # 2024-05-01 12:00 UTC
SAID_BY_HELPER: list[dict[str, Any]] = [
    {"type": "image-helper", "subtype": "task-start", "task": "FixPartitionTable"},
    {"type": "image-copy-progress", "position": 1048576, "total": 2097152, "progress": 50.0},
    {"type": "image-info", "messages": ["Resizing the file system"]},
    {"type": "image-warning", "messages": ["The image has no swap partition"]},
    {"type": "image-error", "messages": ["No space left"], "stderr": "dd: writing: No space left"},
    {"type": "image-copy-progress", "position": 2097152, "total": 2097152, "progress": 100.0},
]
EXPECTED = {
    "ganeti-op-status": 30,
    "ganeti-network-status": 10,
    "ganeti-net-status": 4,
    "ganeti-cluster-status": 1,
    "eventd-heartbeat": 1,
    "image-copy-progress": 2,
    "image-helper": 1,
    "image-info": 1,
    "image-warning": 1,
    "image-error": 1,
}
"""How many of each type at least are to be heard."""


class Story:
    """Has everything happen that agents tell of."""

    def __init__(self, client: RapiClient, cluster: Cluster, prefix: str) -> None:
        self._client, self._cluster, self._prefix = client, cluster, prefix

    def play(self, monitor: Callable[[str], None]) -> None:
        first = self._name(1)
        creating = self._create(first, img_id="slow:2", nics=[{"mode": "bridged", "link": "br0"}])
        monitor(first)
        self._done(creating)
        for opcode, arguments in (
            (states.REBOOT, {"type": "SOFT"}),
            (states.SHUTDOWN, {}),
            (states.STARTUP, {}),
        ):
            self._do(opcode, first, arguments)
        self._networks(first)
        self._do(states.ADD_TAGS, first, {"tags": ["synnefo:network:0:protected"]})
        self._do(states.SET_PARAMS, first, _nics("add", -1, {"mode": "bridged", "link": "br1"}))
        self._do(states.DELETE_TAGS, first, {"tags": ["synnefo:network:0:protected"]})
        self._do(states.SET_PARAMS, first, _nics("remove", 7, {}), fails=True)
        self._do(states.REMOVE, first, {})
        self._failures()
        self._cancel()
        self._client.rehearse_tag(f"{HEARTBEAT_TAG}{self._prefix}:1", "recording")
        on_master(self._cluster, "gnt-cluster", "modify", "--candidate-pool-size=5")

    def _networks(self, instance: str) -> None:
        name, group = f"{self._prefix}-net-1", {"group": "default"}
        subnet = {"network": "192.168.77.0/24", "gateway": "192.168.77.1"}
        self._do(states.ADD_NETWORK, name, subnet | {"tags": []})
        connection = {"mode": "bridged", "link": "br1", "conflicts_check": False}
        self._do(states.CONNECT_NETWORK, name, group | connection)
        on_master(self._cluster, "gnt-network", "modify", "--add-reserved-ips=192.168.77.9", name)
        card = {"network": name, "ip": "192.168.77.5", "name": "nic-1"}
        self._do(states.SET_PARAMS, instance, _nics("add", -1, card))
        self._do(states.DISCONNECT_NETWORK, name, group, fails=True)
        self._do(states.REMOVE_NETWORK, name, {}, fails=True)
        self._do(states.SET_PARAMS, instance, _nics("remove", "nic-1", {}))
        self._do(states.DISCONNECT_NETWORK, name, group)
        self._do(states.REMOVE_NETWORK, name, {})

    def _failures(self) -> None:
        """What is refused before it begins, and what fails while it runs."""
        self._done(self._create(self._name(2), img_id="fail"), fails=True)
        self._do(states.REMOVE, self._name(2), {})
        self._done(self._create(self._name(3), os="nothing+default"), fails=True)
        nobody = self._name(9)
        for opcode in (states.REMOVE, states.STARTUP, states.SHUTDOWN, states.REBOOT):
            self._do(opcode, nobody, {}, fails=True)

    def _cancel(self) -> None:
        """A change that waits for a create is canceled."""
        name = self._name(4)
        creating = self._create(name, img_id="slow:3")
        after = _nics("add", -1, {}) | {"depends": [[creating, ["success"]]]}
        waiting = operations.submit(self._client, states.SET_PARAMS, name, after, "recording")
        self._client.cancel_job(waiting)
        wait_for("the cancel", lambda: self._client.job(waiting).is_final)
        self._done(creating)
        self._do(states.REMOVE, name, {})

    def _name(self, number: int) -> str:
        return f"{self._prefix}-{number}"

    def _create(
        self, name: str, *, img_id: str = "debian", os: str = "noop+default", nics: Any = ()
    ) -> int:
        body = operations.create_body(
            name=name, vcpus=1, ram_mb=128, disk_gb=1, disk_template="ext_noop", os=os,
            osparams={"img_id": img_id}, nics=nics,
        )  # fmt: skip
        return self._client.create_instance(body, "recording")

    def _do(
        self, opcode: str, target: str, arguments: dict[str, Any], *, fails: bool = False
    ) -> None:
        self._done(
            operations.submit(self._client, opcode, target, arguments, "recording"), fails=fails
        )

    def _done(self, job_id: int, *, fails: bool = False) -> None:
        wait_for(f"the end of job {job_id}", lambda: self._client.job(job_id).is_final)
        job = self._client.job(job_id)
        if (job.status == "error") is not fails:
            raise StepFailed(f"job {job_id} ended in {job.status}: {job.error}")


def _nics(verb: str, which: int | str, card: dict[str, Any]) -> dict[str, Any]:
    return {"nics": [[verb, which, card]]}


class Ear:
    """Hears what this run's agents publish, and nothing else's."""

    def __init__(self, url: str, cluster: str, prefix: str) -> None:
        self._cluster, self._prefix = cluster, prefix
        self._connection = pika.BlockingConnection(pika.URLParameters(url))
        self._channel = self._connection.channel()
        self._channel.exchange_declare("ganeti", "topic", durable=True)
        self._queue = self._channel.queue_declare("", exclusive=True).method.queue
        for key in (f"ganeti.{prefix}.event.*", "ganeti.event.cluster", "eventd.heartbeat"):
            self._channel.queue_bind(self._queue, "ganeti", key)

    def hear(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Routing key and message of what there is, its names made neutral."""
        while True:
            method, _properties, body = self._channel.basic_get(self._queue, auto_ack=True)
            if method is None:
                return
            text = body.decode()
            if json.loads(text).get("cluster", self._cluster) != self._cluster:
                continue
            key = re.sub(rf"\b{self._prefix}\b", "snf", method.routing_key)
            text = re.sub(rf"\b{self._prefix}\b", "snf", text)
            yield key, json.loads(text.replace(self._cluster, NEUTRAL))

    def close(self) -> None:
        self._connection.close()


def choose(heard: list[tuple[str, dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """By type, of what means the same the one that says most; in the order it was said."""
    kept: dict[tuple[Any, ...], tuple[int, str, dict[str, Any]]] = {}
    for number, (key, body) in enumerate(heard):
        result = body.get("result")
        same = (body["type"], body.get("operation"), body.get("status"), str(result)[:40])
        if body["type"] in ("image-copy-progress", "ganeti-net-status"):
            same = (*same, number)
        if same not in kept or (body.get("logmsg") and not kept[same][2].get("logmsg")):
            kept[same] = (number, key, body)
    chosen: dict[str, list[dict[str, Any]]] = {}
    for _number, key, body in sorted(kept.values(), key=lambda each: each[0]):
        chosen.setdefault(body["type"], []).append({"key": key, "body": body})
    return chosen


def move_times(heard: list[tuple[str, dict[str, Any]]]) -> None:
    """Have the first message said at BEGAN: what is recorded is never ahead of a clock."""
    timed = [body for _, body in heard if "event_time" in body]
    shift = min(body["event_time"][0] for body in timed) - BEGAN
    for body in timed:
        body["event_time"][0] -= shift


def write(chosen: dict[str, list[dict[str, Any]]]) -> None:
    RECORDED.mkdir(exist_ok=True)
    for kind, messages in chosen.items():
        lines = ",\n ".join(json.dumps(message) for message in messages)
        (RECORDED / f"{kind}.json").write_text(f"[{lines}]\n", encoding="utf-8")


@contextmanager
def agents(site: Site, cluster: Cluster, url: str, folder: Path) -> Iterator[dict[str, str]]:
    """Agents on the cluster, and the environment of those that run on its node."""
    broker = pika.URLParameters(url)
    number = re.findall(r"\d+", cluster["cluster"])[0]
    outside, port = f"10.213.{number}.1", free_port()
    login = f"{broker.credentials.username}:{broker.credentials.password}"
    spool = folder / "spool"
    spool.mkdir()
    environment = {
        "CLOUDWEB_AGENT_AMQP": f"amqp://{login}@{outside}:{port}/%2f",
        "CLOUDWEB_AGENT_SPOOL": str(spool),
        "PYTHONPATH": str(ROOT),
    }
    said = "\n".join(f"export {name}='{value}'" for name, value in environment.items())
    for path in PATHS:
        hook = Path(cluster["hooks"]) / f"{path}-post.d" / "cloudweb-hook"
        hook.parent.mkdir(parents=True, exist_ok=True)
        hook.write_text(f"#!/bin/sh\n{said}\nexec {BIN / 'cloudweb-hook'}\n")
        hook.chmod(0o755)
    # The broker speaks to this machine only; the cluster's nodes reach it over their bridge.
    site.start("broker's door", "/usr/bin/socat", f"TCP4-LISTEN:{port},bind={outside},fork",
               f"TCP4:{broker.host}:{broker.port}")  # fmt: skip
    site.start("eventd", "cloudweb-eventd", "--queue", cluster["queue"], "--cluster",
               cluster["cluster"], "--node", f"n1.{cluster['cluster']}", "--amqp", url)  # fmt: skip
    try:
        yield environment
    finally:
        site.stop("eventd")
        site.kill()


def record(services: Services, steps: Steps, folder: Path) -> None:
    prefix, url = f"rec{secrets.token_hex(3)}", services.urls["rabbitmq"]
    site = Site(folder, {"PYTHONPATH": str(ROOT)})
    with clusters({CLUSTER: 1}) as [cluster], agents(site, cluster, url, folder) as environment:
        ear = Ear(url, cluster["cluster"], prefix)

        def monitor(instance: str) -> None:
            variables = [f"{name}={value}" for name, value in environment.items()]
            said = "".join(json.dumps(each) + "\n" for each in SAID_BY_HELPER)
            program = str(BIN / "cloudweb-progress-monitor")
            on_master(cluster, "env", *variables, program, instance, given=said)

        heard: list[tuple[str, dict[str, Any]]] = []
        with (
            steps.step("everything happens that agents tell of"),
            RapiClient(
                cluster["url"], cluster["user"], cluster["password"], ca_file=cluster["cert"]
            ) as client,
        ):
            Story(client, cluster, prefix).play(monitor)
        with steps.step("the last of it is heard"):
            ends = time.monotonic() + 20
            while time.monotonic() < ends:
                heard += ear.hear()
                if any(body["type"] == "ganeti-cluster-status" and body["status"] == "success"
                       for _, body in heard):  # fmt: skip
                    break
                time.sleep(0.2)
            time.sleep(1)
            heard += ear.hear()
        ear.close()
    move_times(heard)
    chosen = choose(heard)
    write(chosen)
    for kind, least in EXPECTED.items():
        print(f"{kind:<24} {len(chosen.get(kind, [])):3} of {least} at least")
    missing = [kind for kind, least in EXPECTED.items() if len(chosen.get(kind, [])) < least]
    if missing:
        raise StepFailed(f"too little was heard of {', '.join(missing)}.")


def main() -> int:
    if not is_root("make record-messages"):
        return 1
    try:
        with Services(["rabbitmq"]) as services, tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            record(services, Steps(), Path(folder))
    except (StepFailed, MissingService, LabFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
