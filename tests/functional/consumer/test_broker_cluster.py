"""A broker of three nodes: any one may die at any time, and nothing is lost or done twice."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloudweb.backend.agents.messages import Message
from cloudweb.backend.agents.publisher import Publisher
from cloudweb.settings import Settings
from tests.broker_cluster import BrokerCluster, broker_cluster
from tests.functional.consumer.conftest import Bus, Fleet, wait_until
from tests.functional.processes import end, running, write_ini

Make = Callable[..., Any]
CONSUMER = "cloudweb.backend.amqp.consumer"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_each_node_dies_once_under_agent_and_consumers(
    tmp_path: Path, settings: Settings, make_fleet: Make, prefix: str
) -> None:
    fleet: Fleet = make_fleet(40)
    with broker_cluster() as cluster:
        bus = Bus(cluster.urls[0], prefix)
        ini = write_ini(
            tmp_path,
            settings,
            instance_prefix=f"{prefix}-",
            amqp_hosts=cluster.urls,
            consumer_batch=5,
            amqp_prefetch=20,
            log_level="INFO",
        )
        publisher = Publisher(cluster.urls)
        publisher.start()
        with running(CONSUMER, ini) as first, running(CONSUMER, ini) as second:
            key = bus.topology.operations.keys[0]
            history = fleet.history()
            parts = [history[n::4] for n in range(4)]
            _say(publisher, key, parts[0])
            for number, part in enumerate(parts[1:]):
                cluster.kill(number)
                _say(publisher, key, part)
                time.sleep(2)
                cluster.start(number)
            assert publisher.stop(timeout_s=60)
            wait_until(fleet.is_finished, timeout_s=90)
            wait_until(lambda: _is_empty(cluster, bus), timeout_s=30)
            assert end(first) == 0
            assert end(second) == 0
    assert bus.dead_letters(fleet.sessions) == []
    # Built and shut down are two changes that can be seen, and applied once each.
    assert all(version <= 2 + n % 2 for n, (version, _) in enumerate(fleet.versions()))


def _say(publisher: Publisher, key: str, bodies: list[bytes]) -> None:
    for body in bodies:
        publisher.put(Message(key, body))


def _is_empty(cluster: BrokerCluster, bus: Bus) -> bool:
    """Whether nothing waits; counted over a node that was up all the time or is up again."""
    return Bus(cluster.urls[2], bus.topology.prefix).count() == 0
