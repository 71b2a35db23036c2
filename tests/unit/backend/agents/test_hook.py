"""The hook: what it makes of Ganeti's environment, and that it never holds a job up."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pika
import pytest

from cloudweb.backend.agents import config, hook
from cloudweb.backend.agents.spool import Spool, flush
from tests.unit.backend.agents.test_publisher import Listener

ENVIRONMENT = {
    "GANETI_HOOKS_PHASE": "post",
    "GANETI_HOOKS_PATH": "instance-add",
    "GANETI_CLUSTER": "cluster.example.com",
    "GANETI_INSTANCE_NAME": "snf-12",
    "GANETI_INSTANCE_NIC_COUNT": "2",
    "GANETI_INSTANCE_NIC0_MAC": "00:01:de:ad:be:ef",
    "GANETI_INSTANCE_NIC0_IP": "10.0.0.5",
    "GANETI_INSTANCE_NIC0_BRIDGE": "br0",
    "GANETI_INSTANCE_NIC0_NAME": "snf-nic-3",
    "GANETI_INSTANCE_NIC0_NETWORK_NAME": "snf-net-1",
    "GANETI_INSTANCE_NIC0_NETWORK_SUBNET6": "2001:db8::/64",
    "GANETI_INSTANCE_NIC1_MAC": "aa:00:00:58:1e:b9",
    "GANETI_INSTANCE_TAGS": "web synnefo:network:0:protected synnefo:network:9:limited"
    " synnefo:network:x:limited synnefo:network:0",
}


def body(environ: dict[str, str]) -> Any:
    message = hook.message_of(environ, 1364312345.678901)
    assert message is not None
    assert message.routing_key == "ganeti.snf.event.net"
    return json.loads(message.body)


def test_a_message_tells_the_cards_their_addresses_and_firewall() -> None:
    assert body(ENVIRONMENT) == {
        "type": "ganeti-net-status",
        "event_time": [1364312345, 678900],
        "cluster": "cluster.example.com",
        "instance": "snf-12",
        "nics": [
            {
                "mac": "00:01:de:ad:be:ef",
                "ip": "10.0.0.5",
                "link": "br0",
                "name": "snf-nic-3",
                "network": "snf-net-1",
                "ipv6": "2001:db8::201:deff:fead:beef",
                "firewall": "protected",
            },
            {"mac": "aa:00:00:58:1e:b9"},
        ],
    }


def test_it_tells_what_the_instance_is_now_and_not_what_it_was() -> None:
    after = {
        "GANETI_POST_INSTANCE_NIC_COUNT": "1",
        "GANETI_POST_INSTANCE_NIC0_MAC": "aa:00:00:58:1e:b9",
        "GANETI_POST_INSTANCE_TAGS": "synnefo:network:0:limited",
    }
    modified = {"GANETI_HOOKS_PATH": "instance-modify"}
    said = body(ENVIRONMENT | modified | after)["nics"]
    assert said == [{"mac": "aa:00:00:58:1e:b9", "firewall": "limited"}]


@pytest.mark.parametrize(
    "changed",
    [
        {"GANETI_HOOKS_PHASE": "pre"},
        {"GANETI_HOOKS_PATH": "instance-stop"},
        {"GANETI_HOOKS_PATH": "node-add"},
    ],
)
def test_other_hooks_say_nothing(changed: dict[str, str]) -> None:
    assert hook.message_of(ENVIRONMENT | changed, 0) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"GANETI_INSTANCE_NIC_COUNT": "3"},
        {"GANETI_INSTANCE_NIC_COUNT": "many"},
        {"GANETI_INSTANCE_NAME": ""},
        {"GANETI_INSTANCE_NIC0_MAC": "00:01"},
        {"GANETI_INSTANCE_NIC0_NETWORK_SUBNET6": "nowhere"},
    ],
)
def test_an_environment_that_makes_no_sense_is_refused(changed: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"."):
        hook.message_of(ENVIRONMENT | changed, 0)


def run_hook(tmp_path: Path, url: str, **environ: str) -> tuple[int, float]:
    """Run it as Ganeti would; its status and how long it took."""
    settings = {config.URLS: url, config.SPOOL: str(tmp_path / "spool")}
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "cloudweb.backend.agents.hook"],
        env=os.environ | ENVIRONMENT | settings | environ,
        timeout=30,
        check=False,
    )
    return done.returncode, time.monotonic() - started


@pytest.fixture
def listener(amqp_url: str) -> Any:
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        found = Listener(connection.channel(), kind="net")
        yield found


def test_the_broker_has_the_message_and_the_spool_is_empty(
    tmp_path: Path, amqp_url: str, listener: Listener
) -> None:
    status, _ = run_hook(tmp_path, amqp_url, GANETI_INSTANCE_NAME=f"{listener.prefix}-1")

    assert status == 0
    assert json.loads(listener.heard(1)[0])["instance"] == f"{listener.prefix}-1"
    assert Spool(tmp_path / "spool").files() == []


def test_a_broker_that_hangs_holds_a_job_up_for_less_than_two_seconds(
    tmp_path: Path, amqp_url: str, listener: Listener
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"amqp://guest:guest@127.0.0.1:{silent.getsockname()[1]}/%2f"
        name = f"{listener.prefix}-1"
        status, _ = run_hook(tmp_path, url, GANETI_INSTANCE_NAME=name)
        started = time.monotonic()
        hook.run(
            ENVIRONMENT | {"GANETI_INSTANCE_NAME": name, "GANETI_MASTER": socket.getfqdn()},
            _config_file(tmp_path, url),
        )
        took_s = time.monotonic() - started

    assert status == 0
    assert took_s < 2
    spool = Spool(tmp_path / "spool")
    assert len(spool.files()) == 2
    assert flush(spool, [amqp_url]) == 2, "who comes next publishes it"
    assert len(listener.heard(2)) == 2
    assert spool.files() == []


def _config_file(tmp_path: Path, url: str) -> Path:
    path = tmp_path / "agent.conf"
    path.write_text(f"# where to\n{config.URLS}={url}\n{config.SPOOL}={tmp_path / 'spool'}\n")
    return path


def test_a_node_that_is_not_the_master_says_nothing(tmp_path: Path) -> None:
    status, _ = run_hook(tmp_path, "amqp://127.0.0.1:1", GANETI_MASTER="other.example.com")

    assert status == 0
    assert Spool(tmp_path / "spool").files() == []


def test_nothing_at_all_fails_a_job(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no directory")

    status, _ = run_hook(tmp_path, "nonsense", CLOUDWEB_AGENT_SPOOL=str(blocked / "spool"))

    assert status == 0
