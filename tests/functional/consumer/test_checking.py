"""``cloudweb-consumer --check``: a heartbeat through cluster, agent, broker and database."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cloudweb.backend.ganeti.simulator import Simulator
from cloudweb.models import EventSource
from cloudweb.settings import Settings
from tests.functional.processes import running, write_ini

Make = Callable[..., Any]
CONSUMER = "cloudweb.backend.amqp.consumer"


def check(ini: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", CONSUMER, str(ini), "--check"]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


def test_a_heartbeat_is_followed_through_the_whole_path(
    make_backend: Make,
    tmp_path: Path,
    settings: Settings,
    amqp_url: str,
    prefix: str,
    bus: object,
) -> None:
    ini = write_ini(
        tmp_path, settings, instance_prefix=f"{prefix}-", amqp_hosts=(amqp_url,), log_level="INFO"
    )
    assert "No cluster has agents." in check(ini).stdout
    with Simulator(["alpha"], port=0, time_factor=0.1, amqp_url=amqp_url) as simulator:
        cluster = simulator.clusters["alpha"]
        make_backend(
            name=cluster.spec.full_name,
            url=simulator.url("alpha"),
            event_source=EventSource.AGENTS,
        )
        with running(CONSUMER, ini):
            heard = check(ini)
    assert heard.returncode == 0, heard.stdout + heard.stderr
    assert f"{cluster.spec.full_name}: heard after" in heard.stdout

    silent = check(ini)
    assert silent.returncode == 1
    assert "It was not asked" in silent.stdout
