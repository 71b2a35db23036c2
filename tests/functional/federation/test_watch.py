"""The worker's part: twenty regions, two of them down and one slow, asked side by side."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cloudweb.backend.federation import Federation
from cloudweb.backend.region_watch import RegionWatch
from cloudweb.domain import differences, identity, infrastructures, installs, promoted
from cloudweb.models import (
    Infrastructure,
    InstallResult,
    ResultState,
    SessionFactory,
    unit_of_work,
    utc_now,
)
from cloudweb.settings import Settings
from tests.conftest import Person
from tests.fake_region import FakeCloud
from tests.functional.federation.conftest import Client
from tests.functional.processes import wait_for

NAMES = [f"Region{number:02}" for number in range(20)]
DOWN, SLOW = NAMES[:2], NAMES[2]


@pytest.fixture
def cloud() -> Iterator[FakeCloud]:
    with FakeCloud(*NAMES) as cloud:
        cloud.fail(f"/compute/{SLOW}", delay_s=3.0)
        yield cloud


@pytest.fixture
def twenty(register: Callable[..., Infrastructure]) -> None:
    for name in NAMES:
        elsewhere = {"keystone_url": "http://127.0.0.1:1/v3"} if name in DOWN else {}
        register(name, **elsewhere)


@pytest.fixture
def watch(settings: Settings, sessions: SessionFactory) -> Iterator[RegionWatch]:
    thread = RegionWatch(settings, sessions)
    thread.start()
    yield thread
    thread.stop()
    thread.join()


def states(sessions: SessionFactory) -> dict[str, str]:
    with unit_of_work(sessions, write=False) as session:
        return {
            row.name: "away" if row.unreachable_since else "known" if row.refreshed else "new"
            for row in infrastructures.list_all(session)
        }


EXPECTED = {name: "away" if name in (*DOWN, SLOW) else "known" for name in NAMES}


def test_asking_all_takes_no_longer_than_the_slowest_limit(
    twenty: None,
    federation: Federation,
    sessions: SessionFactory,
    settings: Settings,
    cloud: FakeCloud,
) -> None:
    with unit_of_work(sessions, write=False) as session:
        rows = infrastructures.list_all(session)
    limit = settings.region_connect_timeout_s + settings.region_read_timeout_s

    def ask(what: str) -> float:
        began = time.monotonic()
        federation.refresh_all(identity.system("tests"), rows)
        took = time.monotonic() - began
        print(f"20 regions, {what}: {took:.2f} s; the limit is {limit:.2f} s")
        return took

    ask("2 down, 1 slow")
    assert states(sessions) == EXPECTED
    cloud.fail("/compute/", delay_s=3.0)
    # One after the other they would take more than ten times the limit.
    assert ask("2 down, 18 slow") < 5 * limit
    assert set(states(sessions).values()) == {"away"}


def test_the_worker_keeps_them_fresh(
    twenty: None, watch: RegionWatch, sessions: SessionFactory, cloud: FakeCloud
) -> None:
    wait_for(lambda: states(sessions) == EXPECTED)
    cloud.mend()
    mended = EXPECTED | {SLOW: "known"}
    wait_for(lambda: states(sessions) == mended)


def test_lists_and_the_matrix_answer_from_what_is_known(
    twenty: None,
    federation: Federation,
    sessions: SessionFactory,
    call: Client,
    reader: Person,
    promote: Callable[..., Any],
    count_statements: Any,
) -> None:
    for number in range(5):
        promote(name=f"promoted {number}")
    with unit_of_work(sessions, write=False) as session:
        rows = infrastructures.list_all(session)
    federation.refresh_all(identity.system("tests"), rows)
    for path in ("/v1/flavors", "/v1/regions", f"/v1/regions/{NAMES[5]}/flavors"):
        call("GET", path, by=reader)
        began = time.monotonic()
        with count_statements() as counter:
            assert call("GET", path, by=reader).status_code == 200
        print(f"{path}: {(time.monotonic() - began) * 1000:.1f} ms, {len(counter)} statements")
        assert len(counter) <= 6
    with unit_of_work(sessions, write=False) as session, count_statements() as counter:
        began = time.monotonic()
        flavors, columns = differences.matrix(session)
    print(f"matrix: {(time.monotonic() - began) * 1000:.1f} ms, {len(counter)} statements")
    assert (len(flavors), len(columns), len(counter)) == (5, 20, 3)


def test_an_order_is_done_by_the_worker_side_by_side_and_retried_alone(
    twenty: None,
    watch: RegionWatch,
    sessions: SessionFactory,
    promote: Callable[..., Any],
    manager: Person,
    cloud: FakeCloud,
) -> None:
    flavor = promote(id="p")
    with unit_of_work(sessions) as session:
        row = promoted.get(session, flavor["id"])
        order = installs.start(session, manager.identity, row)

    def outcome() -> dict[str, ResultState]:
        with unit_of_work(sessions, write=False) as session:
            return {each.region: each.state for each in installs.results(session, order.id)}

    failed = {*DOWN, SLOW}
    expected = {n: ResultState.FAILED if n in failed else ResultState.DONE for n in NAMES}
    wait_for(lambda: outcome() == expected)
    cloud.mend()
    with unit_of_work(sessions) as session:
        assert installs.retry(session, manager.identity, order.id, [SLOW]) == 1
    wait_for(lambda: outcome() == expected | {SLOW: ResultState.DONE})
    assert "p" in cloud.flavors[SLOW]


def test_what_a_dead_worker_began_is_taken_over(
    sessions: SessionFactory,
    register: Callable[..., Infrastructure],
    promote: Callable[..., Any],
    manager: Person,
) -> None:
    register(NAMES[5])
    promote(id="p")
    with unit_of_work(sessions) as session:
        order = installs.start(session, manager.identity, promoted.get(session, "p"))
    with unit_of_work(sessions) as session:
        [first] = installs.claim(session, lease_s=60)
    with unit_of_work(sessions) as session:
        assert installs.claim(session, lease_s=60) == []
        assert installs.count_open(session) == 0
    with unit_of_work(sessions) as session:
        row = session.get_one(InstallResult, (order.id, first.region.id))
        row.lease = utc_now()  # it ends
    with unit_of_work(sessions) as session:
        [second] = installs.claim(session, lease_s=60)
        assert installs.finish(session, first, ResultState.FAILED) is False
        assert installs.finish(session, second, ResultState.DONE) is True
