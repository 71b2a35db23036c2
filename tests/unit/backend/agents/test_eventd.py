"""The event agent: what it makes of a queue directory, and when it speaks."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from cloudweb.backend.agents import config, eventd
from cloudweb.backend.agents.alarm import Alarm
from cloudweb.backend.agents.eventd import MasterCheck, QueueWatch
from cloudweb.backend.agents.messages import Message
from tests.contract.subject import recorded


class Queue:
    """A queue directory that is written as Ganeti writes it, and a watch over it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.messages: list[Message] = []
        self.watch = QueueWatch(path, "c1", self.messages.append)

    def write(self, job_id: int, content: str) -> None:
        new = self.path / f"job-{job_id}-1.tmp"
        new.write_text(content, encoding="utf-8")
        new.rename(self.path / f"job-{job_id}")

    def put(self, job_id: int, status: str, **changed: Any) -> None:
        job = recorded("queue_success")
        job["id"] = job_id
        job["ops"][0]["status"] = status
        job["ops"][0]["input"]["instance_name"] = changed.pop("instance", "snf-1")
        job["ops"][0].update(changed)
        self.write(job_id, json.dumps(job))

    def said(self) -> list[tuple[int, str]]:
        """The job and status of each message since the last time."""
        self.watch.look()
        bodies = [json.loads(message.body) for message in self.messages]
        self.messages.clear()
        return [(body["jobId"], body["status"]) for body in bodies]


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path)


def test_each_status_is_said_once(queue: Queue) -> None:
    for status in ("queued", "waiting", "running", "success"):
        queue.put(7, status)
        assert queue.said() == [(7, status)]
        assert queue.said() == []
        queue.put(7, status, log=[[1, [1, 2], "message", "more"]])
        assert queue.said() == []


def test_what_is_there_already_is_said_at_the_start_in_order(queue: Queue) -> None:
    queue.put(10, "queued")
    queue.put(9, "success")
    assert queue.said() == [(9, "success"), (10, "queued")]
    queue.watch.forget()
    assert queue.said() == [(9, "success"), (10, "queued")]


def test_a_message_has_the_agreed_form(queue: Queue) -> None:
    queue.put(7, "success")
    queue.watch.look()
    message = queue.messages[0]
    assert message.routing_key == "ganeti.snf.event.op"
    assert json.loads(message.body) == {
        "event_time": recorded("queue_success")["ops"][0]["end_timestamp"],
        "type": "ganeti-op-status",
        "instance": "snf-1",
        "operation": "OP_INSTANCE_CREATE",
        "status": "success",
        "cluster": "c1",
        "logmsg": "* starting instance...",
        "jobId": 7,
    }


def test_a_failure_says_why(queue: Queue) -> None:
    result = ["OpPrereqError", ["No room", "insufficient_resources"]]
    queue.put(7, "error", result=result)
    queue.watch.look()
    assert json.loads(queue.messages[0].body)["result"] == result


@pytest.mark.parametrize("content", ["", "{", "[]", '{"id": 1}x', '{"id": "x", "ops": []}', "null"])
def test_a_broken_file_harms_no_other(queue: Queue, content: str) -> None:
    queue.write(6, content)
    queue.put(7, "queued")
    assert queue.said() == [(7, "queued")]
    queue.put(6, "queued")
    assert queue.said() == [(6, "queued")]


def test_only_job_files_are_read(queue: Queue) -> None:
    for name in ("serial", "lock", "job-5.new", "job-x", "job-5-1.tmp"):
        (queue.path / name).write_text("nonsense", encoding="ascii")
    (queue.path / "archive").mkdir()
    assert queue.said() == []


def test_jobs_of_no_instance_or_of_several_are_not_said(queue: Queue) -> None:
    queue.put(7, "queued", instance=None)
    job = recorded("queue_success")
    other = json.loads(json.dumps(job["ops"][0]))
    other["input"]["instance_name"] = "snf-2"
    queue.write(8, json.dumps({**job, "id": 8, "ops": [*job["ops"], other]}))
    assert queue.said() == []


def test_each_opcode_of_a_job_is_said(queue: Queue) -> None:
    job = recorded("queue_success")
    second = {**job["ops"][0], "status": "running"}
    queue.write(8, json.dumps({**job, "id": 8, "ops": [job["ops"][0], second]}))
    assert queue.said() == [(8, "success"), (8, "running")]


def test_an_archived_job_is_forgotten(queue: Queue) -> None:
    queue.put(7, "success")
    assert queue.said() == [(7, "success")]
    (queue.path / "job-7").unlink()
    assert queue.said() == []
    queue.put(7, "success")
    assert queue.said() == [(7, "success")]


def test_a_quiet_queue_is_not_read_again(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.put(7, "success")
    os.utime(queue.path, ns=(0, 0))
    assert queue.said() == [(7, "success")]

    def refuse(path: Path) -> None:
        raise AssertionError("the directory was read")

    monkeypatch.setattr(os, "scandir", refuse)
    assert queue.said() == []


def test_only_the_masters_agent_speaks(tmp_path: Path) -> None:
    queue = tmp_path / "queue"
    queue.mkdir()
    is_master = MasterCheck(queue, "n1.example")
    assert is_master()
    (tmp_path / "ssconf_master_node").write_text("n2.example\n", encoding="ascii")
    assert not is_master()
    (tmp_path / "ssconf_master_node").write_text("n1.example\n", encoding="ascii")
    assert is_master()


def test_a_new_master_says_everything(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eventd, "WAKE_EVERY_S", 0.001)
    queue.put(7, "success")
    stop = threading.Event()
    answers = iter([True, True, False, True])

    def is_master() -> bool:
        master = next(answers, None)
        if master is None:
            stop.set()
        return bool(master)

    with Alarm(queue.path, without_inotify_s=0.01) as alarm:
        eventd.watch(queue.watch, is_master, alarm, stop)
    assert len(queue.messages) == 2


def test_a_queue_that_is_away_is_waited_for(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    monkeypatch.setattr(
        stop, "wait", lambda seconds: stop.set() or False if seconds > 1 else stop.is_set()
    )
    queue.path.rmdir()
    with Alarm(queue.path, without_inotify_s=0.01) as alarm:
        eventd.watch(queue.watch, lambda: True, alarm, stop)
    assert queue.messages == []


def test_the_agent_needs_nothing_of_the_web() -> None:
    code = (
        "import sys, cloudweb.backend.agents.eventd, cloudweb.backend.agents.hook;"
        "import cloudweb.backend.agents.progress, cloudweb.cli.agents;"
        "print({'pyramid', 'sqlalchemy', 'requests', 'orjson', 'cryptography'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "set()", done.stderr


def test_nothing_to_do_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(config.URLS, raising=False)
    with pytest.raises(SystemExit) as refusal:
        eventd.main(["--queue", str(tmp_path), "--config", str(tmp_path / "none")])
    assert refusal.value.code == 2


def test_networks_clusters_and_heartbeats_are_spoken_of(queue: Queue) -> None:
    queue.put(
        7,
        "success",
        input={
            "OP_ID": "OP_NETWORK_CONNECT",
            "network_name": "snf-net-5",
            "network": "10.0.0.0/24",
            "group_name": "default",
        },
    )
    queue.put(8, "success", input={"OP_ID": "OP_CLUSTER_SET_PARAMS"})
    tag = "cloudweb:heartbeat:7f"
    queue.put(9, "success", input={"OP_ID": "OP_TAGS_SET", "kind": "cluster", "tags": [tag]})
    queue.put(10, "success", input={"OP_ID": "OP_TAGS_SET", "kind": "cluster", "tags": ["x"]})
    queue.put(11, "success", input={"OP_ID": "OP_CLUSTER_VERIFY"})
    queue.watch.look()

    said = {message.routing_key: json.loads(message.body) for message in queue.messages}

    assert len(queue.messages) == 3
    network = said["ganeti.snf.event.network"]
    assert network["type"] == "ganeti-network-status"
    assert (network["network"], network["group_name"]) == ("snf-net-5", "default")
    assert (network["operation"], network["status"]) == ("OP_NETWORK_CONNECT", "success")
    assert said["ganeti.event.cluster"]["operation"] == "OP_CLUSTER_SET_PARAMS"
    assert said["eventd.heartbeat"] == {"type": "eventd-heartbeat", "cluster": "c1", "tag": tag}


def test_a_job_about_an_instances_tags_is_about_that_instance(queue: Queue) -> None:
    queue.put(
        7,
        "success",
        input={"OP_ID": "OP_TAGS_SET", "kind": "instance", "name": "snf-3", "tags": []},
    )
    queue.watch.look()

    assert json.loads(queue.messages[0].body)["instance"] == "snf-3"
