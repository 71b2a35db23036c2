"""Simulated clusters, a cloud over them, and the ini file of a worker."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudweb.backend.ganeti.simulator.server import Simulator
from cloudweb.models import SessionFactory
from cloudweb.settings import Settings
from tests.functional.processes import write_ini
from tests.functional.worker.world import World


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(["alpha", "beta"], port=0, time_factor=0.1) as simulator:
        yield simulator


@pytest.fixture
def world(
    simulator: Simulator,
    cloud: Any,
    sessions: SessionFactory,
    site: Any,
    make_flavor: Callable[..., Any],
) -> World:
    cloud.flavor = make_flavor(disk_gb=1, ram_mb=128, disk_template="file")
    made = World(simulator, cloud, sessions, site)
    made.join(cloud.backend, "alpha")
    return made


@pytest.fixture
def ini(tmp_path: Path, settings: Settings) -> Path:
    return write_ini(tmp_path, settings)
