"""Bad input over a real broker: each to its documented fate, counted, and the queue moves on."""

import dataclasses
import datetime as dt
import json
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from cloudweb.domain import states
from cloudweb.models import Nic, OperState, Server, SessionFactory, unit_of_work
from cloudweb.settings import Settings
from tests.functional.consumer.conftest import T0, Bus, Fleet, wait_until
from tests.functional.processes import running, wait_for, write_ini
from tests.ports import free_port

Make = Callable[..., Any]
CONSUMER = "cloudweb.backend.amqp.consumer"

DEAD, STALE, NOT_OURS, APPLIED = "dead letter", "stale", "not ours", "applied"
FAR = [int(time.time()) + 3 * 86_400, 0]
NOW = [int(T0.timestamp()), 0]


@dataclasses.dataclass(frozen=True)
class Case:
    """A message, the queue it goes to, its fate, and what the dead letter says."""

    body: bytes
    fate: str
    says: str = ""
    queue: str = "op"


def cases(fleet: Fleet, prefix: str, gone: Server) -> dict[str, Case]:
    server, other = fleet.servers[0], fleet.servers[1]
    create = states.CREATE
    good = json.loads(fleet.message(server, create, "queued"))

    def op(fate: str, says: str = "", /, **changes: Any) -> Case:
        return Case(json.dumps(good | changes).encode(), fate, says)

    def without(key: str, says: str) -> Case:
        return Case(json.dumps({k: v for k, v in good.items() if k != key}).encode(), DEAD, says)

    def progress(fate: str, says: str = "", /, **said: Any) -> Case:
        told = {"type": "ganeti-create-progress", "instance": server.instance_name}
        return Case(json.dumps(told | said).encode(), fate, says, "progress")

    def cards(fate: str, says: str = "", /, **said: Any) -> Case:
        told = {
            "type": "ganeti-net-status",
            "instance": server.instance_name,
            "cluster": fleet.backend.name,
            "event_time": NOW,
            "nics": [],
        }
        return Case(json.dumps(told | said).encode(), fate, says, "net")

    return {
        "not JSON": Case(b"{'type': 'ganeti-op-status'}", DEAD, "not JSON"),
        "wrong type": op(DEAD, "type", type="ganeti-poem-status"),
        "wrong type of a value": op(DEAD, "jobId", jobId="12"),
        **{f"no {key}": without(key, key) for key in ("jobId", "instance", "status", "operation")},
        "no type": without("type", "type"),
        "no time": without("event_time", "event_time"),
        "null time": op(DEAD, "event_time", event_time=None),
        "null times": op(DEAD, "event_time", event_time=[None, None]),
        "a time far in the future": op(DEAD, "future", event_time=FAR),
        "a time no calendar has": op(DEAD, "event_time", event_time=[2**62, 0]),
        "another prefix": op(NOT_OURS, instance="web-1"),
        "an unknown server": op(NOT_OURS, instance=f"{prefix}-999999"),
        "an unknown cluster": op(NOT_OURS, cluster="nobody.example.org"),
        "a deleted server": op(STALE, instance=gone.instance_name),
        "an unknown status": op(DEAD, "no job status", status="finished"),
        "an unknown opcode": op(APPLIED, operation="OP_TO_COME", event_time=NOW, jobId=1),
        "5 MB": Case(b'{"type": "' + b"x" * 5_000_000 + b'"}', DEAD, "longer than"),
        "progress 250": progress(APPLIED, rprogress=250),
        "progress -1": progress(DEAD, "percentage", rprogress=-1),
        "progress in words": progress(DEAD, "percentage", rprogress="half"),
        "progress of a deleted server": progress(
            STALE, instance=gone.instance_name, rprogress=5, event_time=NOW
        ),
        "progress in the future": progress(DEAD, "future", rprogress=5, event_time=FAR),
        "cards that are none": cards(DEAD, "nics", nics="none"),
        "cards in the future": cards(DEAD, "future", event_time=FAR),
        "cards of a deleted server": cards(STALE, instance=gone.instance_name),
        "cards on unknown networks and with another server's MAC": cards(
            APPLIED,
            nics=[
                {"mac": mac_of(other), "ip": "192.168.32.6", "network": "nobodys-net"},
                {"mac": "aa:00:00:00:99:99", "ip": "10.9.9.9", "network": "nobodys-other-net"},
            ],
        ),
    }


def mac_of(server: Server) -> str:
    return f"aa:00:00:00:{server.id // 256 % 256:02x}:{server.id % 256:02x}"


def cards_of(sessions: SessionFactory, server: Server) -> list[tuple[str | None, str | None]]:
    with unit_of_work(sessions, write=False) as session:
        query = sa.select(Nic.mac, Nic.ipv4).where(Nic.server_id == server.id)
        return [(mac, ipv4) for mac, ipv4 in session.execute(query.order_by(Nic.index))]


def test_each_kind_of_bad_input_meets_its_fate_and_the_queue_moves_on(
    bus: Bus,
    tmp_path: Path,
    settings: Settings,
    amqp_url: str,
    prefix: str,
    make_fleet: Make,
    make_server: Make,
) -> None:
    fleet: Fleet = make_fleet(2)
    gone = make_server(
        backend=fleet.backend,
        instance_name=f"{prefix}-gone",
        state=OperState.DESTROYED,
        deleted=True,
        state_time=T0 + dt.timedelta(days=1),
    )
    with unit_of_work(fleet.sessions) as session:
        for server in fleet.servers:
            by_server = sa.update(Nic).where(Nic.server_id == server.id)
            session.execute(by_server.values(mac=mac_of(server)))
    bad = cases(fleet, prefix, gone)
    before = {server.id: cards_of(fleet.sessions, server) for server in fleet.servers}
    port = free_port()
    ini = write_ini(
        tmp_path,
        settings,
        instance_prefix=f"{prefix}-",
        amqp_hosts=(amqp_url,),
        consumer_metrics_port=port,
        consumer_batch=10,
    )
    for case in bad.values():
        bus.publish(case.body, key=bus.queue(case.queue).keys[0])
    bus.publish(*fleet.history())

    expected = Counter(case.fate for case in bad.values())
    expected[APPLIED] += len(fleet.history())
    with running(CONSUMER, ini):
        wait_until(fleet.is_finished)
        wait_for(lambda: sum(counted(port).values()) >= sum(expected.values()))
        assert counted(port) == expected
        dead = [case for case in bad.values() if case.fate == DEAD]
        wait_for(lambda: len(letters(bus, fleet.sessions)) == len(dead))
    kept = letters(bus, fleet.sessions)
    for case in dead:
        assert case.says in kept[case.body], case.says
    assert [bus.count(bus.queue(kind).name) for kind in ("op", "net", "progress")] == [0, 0, 0]
    after = {server.id: cards_of(fleet.sessions, server) for server in fleet.servers}
    assert after == before, "no card was made, and no MAC taken over"
    with unit_of_work(fleet.sessions, write=False) as session:
        assert session.get_one(Server, fleet.servers[0].id).build_percentage == 100
        assert session.get_one(Server, gone.id).state is OperState.DESTROYED


def letters(bus: Bus, sessions: SessionFactory) -> dict[bytes, str]:
    """What the dead letters say, by their bodies."""
    kinds = ("op", "net", "progress")
    found = [letter for kind in kinds for letter in bus.dead_letters(sessions, kind)]
    return {letter.body: letter.reason for letter in found}


def counted(port: int) -> Counter[str]:
    """The messages the consumer has counted, by what became of them."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    found = Counter[str]()
    for line in text.splitlines():
        if line.startswith("cloudweb_consumer_messages_total{"):
            outcome = line.partition('outcome="')[2].partition('"')[0]
            found[outcome] = int(float(line.rpartition(" ")[2]))
    return found
