"""Which cluster a new server goes to."""

from collections.abc import Callable
from typing import Any

import pytest

from cloudweb import faults
from cloudweb.domain import fitting, placement
from cloudweb.models import Backend, Flavor, Network, SessionFactory, unit_of_work, utc_now


@pytest.fixture
def flavor(make_flavor: Callable[..., Flavor], public_network: Network) -> Flavor:
    return make_flavor(ram_mb=1024, disk_gb=10, disk_template="plain")


def _chosen(sessions: SessionFactory, flavor: Flavor) -> int:
    with unit_of_work(sessions) as session:
        return placement.choose(session, flavor).id


def test_the_least_loaded_cluster_is_chosen(
    sessions: SessionFactory, flavor: Flavor, make_backend: Callable[..., Backend]
) -> None:
    make_backend(memory_free_mb=100_000)
    free = make_backend(memory_free_mb=900_000)
    assert _chosen(sessions, flavor) == free.id


@pytest.mark.parametrize(
    "out",
    [
        {"drained": True},
        {"offline": True},
        {"disk_templates": ["diskless"]},
        {"memory_free_mb": 10},
        {"disk_free_mb": 10},
        {"unreachable_since": utc_now()},
    ],
)
def test_a_cluster_that_cannot_take_it_is_passed_over(
    sessions: SessionFactory,
    flavor: Flavor,
    make_backend: Callable[..., Backend],
    out: dict[str, Any],
) -> None:
    make_backend(**out)
    loaded = make_backend(memory_free_mb=2_000, instances=500)
    assert _chosen(sessions, flavor) == loaded.id


def test_a_burst_spreads_before_the_next_refresh(
    sessions: SessionFactory, flavor: Flavor, make_backend: Callable[..., Backend]
) -> None:
    made = [make_backend(), make_backend()]
    chosen = [_chosen(sessions, flavor) for _ in range(10)]
    assert {chosen.count(backend.id) for backend in made} == {5}


def test_without_a_cluster_a_create_is_refused(
    sessions: SessionFactory, flavor: Flavor, make_backend: Callable[..., Backend]
) -> None:
    make_backend(drained=True)
    with pytest.raises(faults.ServiceUnavailable, match="No available backends"):
        _chosen(sessions, flavor)


def test_when_no_cluster_answers_one_is_chosen_all_the_same(
    sessions: SessionFactory, flavor: Flavor, make_backend: Callable[..., Backend]
) -> None:
    away = make_backend(unreachable_since=utc_now())
    assert _chosen(sessions, flavor) == away.id


def test_the_score_is_the_documented_one() -> None:
    backend = Backend(
        memory_free_mb=1024,
        memory_total_mb=2048,
        disk_free_mb=10240,
        disk_total_mb=20480,
        instances=4,
        cpu_total=8,
    )
    assert fitting.score(backend) == pytest.approx(0.91667, abs=1e-5)
    backend.memory_total_mb = backend.disk_total_mb = backend.cpu_total = 0
    assert fitting.score(backend) == 1.5
