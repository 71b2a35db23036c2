"""What the real agents said of a real Ganeti 3.0 (`make record-messages`), and what it means."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pika
import pytest
import sqlalchemy as sa

from cloudweb.backend.amqp import batch
from cloudweb.backend.amqp.batch import Delivery
from cloudweb.backend.amqp.messages import decode
from cloudweb.backend.amqp.topology import Topology
from cloudweb.domain import states
from cloudweb.models import (
    Backend,
    BackendNetwork,
    Diagnostic,
    Network,
    NetworkKind,
    Nic,
    Operation,
    OperationState,
    OperState,
    Server,
    SessionFactory,
    unit_of_work,
)

Make = Callable[..., Any]
RECORDED = Path(__file__).parent / "recorded"
CLUSTER = "alpha.example.org"
FILES = sorted(RECORDED.glob("*.json"))
QUEUES = {
    "ganeti-op-status": "snf-events-op",
    "ganeti-net-status": "snf-events-net",
    "ganeti-network-status": "snf-events-network",
    "ganeti-cluster-status": "snf-events-cluster",
    "eventd-heartbeat": "snf-events-cluster",
    "image-copy-progress": "snf-events-progress",
    "image-error": "snf-events-progress",
    "image-helper": "snf-events-progress",
    "image-info": "snf-events-progress",
    "image-warning": "snf-events-progress",
}

UNTIL_THE_END = {
    states.CREATE: "BUILD",
    states.REBOOT: "REBOOT",
    states.SHUTDOWN: "ACTIVE",
    states.STARTUP: "STOPPED",
    states.SET_PARAMS: "ACTIVE",
    states.ADD_TAGS: "ACTIVE",
    states.DELETE_TAGS: "ACTIVE",
    states.REMOVE: "ACTIVE",
}
"""What a server is while such a job is queued, waiting or running, in the story of snf-1."""
IN_THE_END = {
    states.CREATE: "ACTIVE",
    states.REBOOT: "ACTIVE",
    states.SHUTDOWN: "STOPPED",
    states.STARTUP: "ACTIVE",
    states.SET_PARAMS: "ACTIVE",
    states.ADD_TAGS: "ACTIVE",
    states.DELETE_TAGS: "ACTIVE",
    states.REMOVE: "DELETED",
}
"""What it is when the job has succeeded."""
OPEN = {
    "queued": OperationState.SUBMITTED,
    "waiting": OperationState.SUBMITTED,
    "running": OperationState.RUNNING,
}


def said(kind: str) -> list[dict[str, Any]]:
    """The messages of a type, in their order."""
    messages = json.loads((RECORDED / f"{kind}.json").read_text(encoding="utf-8"))
    return [message["body"] for message in messages]


def hear(sessions: SessionFactory, *bodies: dict[str, Any]) -> dict[str, int]:
    """The consumer takes these messages as one batch; what became of them."""
    deliveries = [
        Delivery(n, "snf-events-op", "key", pika.BasicProperties(), json.dumps(body).encode())
        for n, body in enumerate(bodies)
    ]
    verdict = batch.apply(sessions, deliveries)
    assert verdict.dead == []
    return dict(verdict.outcomes)


@pytest.fixture
def alpha(make_backend: Make) -> Backend:
    backend: Backend = make_backend(name=CLUSTER)
    return backend


@pytest.fixture
def build(alpha: Backend, make_server: Make) -> Make:
    """Makes a server that is being built there."""

    def make(name: str, **values: Any) -> Server:
        server: Server = make_server(
            backend=alpha, instance_name=name, **({"state": OperState.BUILD} | values)
        )
        return server

    return make


def given(sessions: SessionFactory, server: Server, message: dict[str, Any]) -> int:
    """Our operation that the job of a message does."""
    return _operation(sessions, message, server.backend_id, server_id=server.id)


def _operation(
    sessions: SessionFactory, message: dict[str, Any], backend_id: int, **values: Any
) -> int:
    with unit_of_work(sessions) as session:
        operation = Operation(
            key=f"{message['operation']} {message['jobId']}",
            backend_id=backend_id,
            opcode=message["operation"],
            target=message.get("instance") or message["network"],
            state=OperationState.SUBMITTED,
            job_id=message["jobId"],
            **values,
        )
        session.add(operation)
        session.flush()
        return operation.id


def status(sessions: SessionFactory, server: Server) -> str:
    with unit_of_work(sessions, write=False) as session:
        return states.api_status(session.get_one(Server, server.id)).value


def operation(sessions: SessionFactory, operation_id: int) -> Operation:
    with unit_of_work(sessions, write=False) as session:
        return session.get_one(Operation, operation_id)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_agents_publish_comes_into_its_queue_and_is_read(path: Path) -> None:
    queue = next(q for q in Topology("snf").queues if q.name == QUEUES[path.stem])
    for message in json.loads(path.read_text(encoding="utf-8")):
        assert message["key"] in queue.keys
        assert message["body"]["type"] == path.stem
        decode(json.dumps(message["body"]).encode())


def test_there_is_a_recording_of_every_type() -> None:
    assert {path.stem for path in FILES} == set(QUEUES)


def test_every_job_of_a_life_makes_of_the_server_what_it_means(
    sessions: SessionFactory, build: Make
) -> None:
    server = build("snf-1")
    messages = [body for body in said("ganeti-op-status") if body["instance"] == "snf-1"]
    firsts = {body["jobId"]: body for body in reversed(messages)}
    jobs = {job: given(sessions, server, body) for job, body in firsts.items()}
    seen = set()
    for body in messages:
        hear(sessions, body)
        opcode, word = body["operation"], body["status"]
        done = operation(sessions, jobs[body["jobId"]])
        seen.add((opcode, word))
        if word in OPEN:
            assert (status(sessions, server), done.state) == (UNTIL_THE_END[opcode], OPEN[word])
        elif word == "success":
            expected = (IN_THE_END[opcode], OperationState.SUCCESS)
            assert (status(sessions, server), done.state) == expected
        else:
            assert (status(sessions, server), done.state) == ("ACTIVE", OperationState.ERROR)
            assert done.error == "Got NIC index 7, but there are only 2"
    assert {opcode for opcode, word in seen if word in OPEN} == set(UNTIL_THE_END)
    assert {opcode for opcode, word in seen if word == "success"} == set(IN_THE_END)
    assert {word for _, word in seen} == {*OPEN, "success", "error"}


def test_a_build_that_failed_on_its_node_is_an_error_with_ganetis_words(
    sessions: SessionFactory, build: Make
) -> None:
    failed = [
        body
        for body in said("ganeti-op-status")
        if body["operation"] == states.CREATE and body["status"] == "error"
    ]
    assert [body["instance"] for body in failed] == ["snf-2", "snf-3"]
    for body, words in zip(failed, ("OS create script failed", "OS Parameters"), strict=True):
        server = build(body["instance"])
        create = given(sessions, server, body)
        hear(sessions, body)
        assert status(sessions, server) == "ERROR"
        assert operation(sessions, create).state is OperationState.ERROR
        assert words in operation(sessions, create).error


@pytest.mark.parametrize(
    ("opcode", "after", "state"),
    [
        (states.STARTUP, "ACTIVE", OperationState.ERROR),
        (states.SHUTDOWN, "ACTIVE", OperationState.ERROR),
        (states.REBOOT, "ACTIVE", OperationState.ERROR),
        (states.REMOVE, "DELETED", OperationState.SUCCESS),
    ],
)
def test_of_an_instance_that_is_not_there_only_its_removal_succeeds(
    sessions: SessionFactory, build: Make, opcode: str, after: str, state: OperationState
) -> None:
    body = next(
        body
        for body in said("ganeti-op-status")
        if (body["operation"], body["status"], body["instance"]) == (opcode, "error", "snf-9")
    )
    server = build("snf-9", state=OperState.STARTED)
    tried = given(sessions, server, body)
    hear(sessions, body)
    assert status(sessions, server) == after
    assert operation(sessions, tried).state is state


def test_a_canceled_change_changes_nothing(sessions: SessionFactory, build: Make) -> None:
    [body] = [body for body in said("ganeti-op-status") if body["status"] == "canceled"]
    server = build(body["instance"], state=OperState.STARTED)
    tried = given(sessions, server, body)
    hear(sessions, body)
    assert status(sessions, server) == "ACTIVE"
    assert operation(sessions, tried).state is OperationState.CANCELED


def test_jobs_about_networks_end_their_operations(sessions: SessionFactory, alpha: Backend) -> None:
    with unit_of_work(sessions) as session:
        network = Network(
            name="lan", kind=NetworkKind.CUSTOM, mode="bridged", link="br1", cidr="192.168.77.0/24"
        )
        session.add(network)
        session.flush()
        session.add(BackendNetwork(network_id=network.id, backend_id=alpha.id, name="snf-net-1"))
        network_id = network.id
    messages = [
        body
        for body in said("ganeti-network-status")
        if body["operation"] != "OP_NETWORK_SET_PARAMS"  # an operator's, behind our back
    ]
    jobs: dict[int, int] = {}
    for body in messages:
        job = body["jobId"]
        if job not in jobs:
            jobs[job] = _operation(sessions, body, alpha.id, network_id=network_id)
        hear(sessions, body)
        done = operation(sessions, jobs[job])
        expected = OPEN | {"success": OperationState.SUCCESS, "error": OperationState.ERROR}
        assert done.state is expected[body["status"]]
        if body["status"] == "error":
            assert done.error_class in ("wrong_state", "wrong_input", "resource_not_unique", "")
            assert done.error
    ended = {(body["operation"], body["status"]) for body in messages}
    assert {
        (states.ADD_NETWORK, "success"),
        (states.CONNECT_NETWORK, "success"),
        (states.DISCONNECT_NETWORK, "error"),
        (states.DISCONNECT_NETWORK, "success"),
        (states.REMOVE_NETWORK, "error"),
        (states.REMOVE_NETWORK, "success"),
    } <= ended


def test_what_an_operator_does_with_a_network_is_not_ours(
    sessions: SessionFactory, alpha: Backend
) -> None:
    by_hand = [
        b for b in said("ganeti-network-status") if b["operation"] == "OP_NETWORK_SET_PARAMS"
    ]
    assert by_hand
    assert hear(sessions, *by_hand) == {"not ours": len(by_hand)}


def test_cards_and_firewalls_become_the_servers(sessions: SessionFactory, build: Make) -> None:
    server = build("snf-1", state=OperState.STARTED)
    messages = [body for body in said("ganeti-net-status") if body["instance"] == "snf-1"]
    protected = next(body for body in messages if body["nics"][0].get("firewall"))
    with unit_of_work(sessions) as session:
        session.add(
            Nic(
                server_id=server.id,
                network_id=server.nics[0].network_id,
                index=1,
                name="nic-1",
                mac=None,
            )
        )
    two = next(body for body in messages if len(body["nics"]) == 2)
    hear(sessions, two)
    first, second = cards(sessions, server)
    assert first.mac == two["nics"][0]["mac"]
    assert (second.mac, second.ipv4) == (two["nics"][1]["mac"], "192.168.77.5")
    hear(sessions, protected)
    assert cards(sessions, server)[0].firewall_profile == "ENABLED"
    assert hear(sessions, two) == {"stale": 1}


def cards(sessions: SessionFactory, server: Server) -> list[Nic]:
    with unit_of_work(sessions, write=False) as session:
        query = sa.select(Nic).where(Nic.server_id == server.id).order_by(Nic.index)
        return list(session.scalars(query))


def test_progress_and_what_the_helper_said_are_the_servers(
    sessions: SessionFactory, build: Make
) -> None:
    server = build("snf-1")
    percentages = []
    for body in said("image-copy-progress"):
        hear(sessions, body)
        with unit_of_work(sessions, write=False) as session:
            percentages.append(session.get_one(Server, server.id).build_percentage)
    assert percentages == [50, 100]
    for kind in ("image-helper", "image-info", "image-warning", "image-error"):
        hear(sessions, *said(kind))
    with unit_of_work(sessions, write=False) as session:
        found = session.scalars(
            sa.select(Diagnostic)
            .where(Diagnostic.server_id == server.id)
            .order_by(Diagnostic.source_date)
        ).all()
    assert [(d.level, d.message, d.details) for d in found] == [
        ("DEBUG", "FixPartitionTable", None),
        ("INFO", "Resizing the file system", None),
        ("WARNING", "The image has no swap partition", None),
        ("ERROR", "No space left", "dd: writing: No space left"),
    ]


def test_a_changed_cluster_and_an_answered_heartbeat_are_the_backends(
    sessions: SessionFactory, alpha: Backend
) -> None:
    changes = said("ganeti-cluster-status")
    assert hear(sessions, *changes) == {"applied": len(changes)}
    [answer] = said("eventd-heartbeat")
    hear(sessions, answer)
    with unit_of_work(sessions, write=False) as session:
        assert session.get_one(Backend, alpha.id).heartbeat == answer["tag"]


def test_what_is_said_of_another_cluster_is_not_ours(
    sessions: SessionFactory, make_backend: Make, make_server: Make
) -> None:
    server = make_server(backend=make_backend(name="beta.example.org"), instance_name="snf-1")
    messages = [body for body in said("ganeti-op-status") if body["instance"] == "snf-1"]
    assert hear(sessions, *messages) == {"not ours": len(messages)}
    assert status(sessions, server) == "ACTIVE"
