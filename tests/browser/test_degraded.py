"""Parts of the whole are away: every page still opens, and says what is missing."""

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cloudweb.backend.ganeti.simulator.server import Simulator
from cloudweb.domain import dead_letters
from cloudweb.models import (
    Backend,
    Infrastructure,
    QueueCount,
    WebSession,
    unit_of_work,
    utc_now,
)
from cloudweb.sealing import Sealer
from cloudweb.settings import Settings
from tests.fake_region import FakeCloud
from tests.functional.processes import running, wait_for, write_ini
from tests.refusing import takes_no_changes

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SECRETS = {"second-factor", "enrol"}
"""Pages that make a secret up and keep it: without that they cannot be shown."""
READ_ONLY = "The database takes no changes now."
WORKER = "cloudweb.backend.worker"


def assert_open(world: Any, page: Any, *names: str) -> None:
    """These pages open; how soon, benchmarks/degraded.py tells."""
    for name in names:
        assert page.request.get(world.url + world.pages[name]).status == 200


@pytest.fixture
def clusters() -> Iterator[Simulator]:
    """One takes ten seconds for an answer, the other knows another password."""
    with Simulator(["slow", "locked"], port=0, time_factor=0.1) as simulator:
        simulator.clusters["slow"].faults.update({"delay_s": 10.0})
        simulator.clusters["locked"].faults.update({"unauthorized": True})
        yield simulator


def test_a_slow_cluster_and_one_with_another_password_hold_up_no_page(
    browse: Callable, world: Any, clusters: Simulator, settings: Settings, tmp_path: Path
) -> None:
    named = {"gnt-athens.example.org": "slow", "gnt-patras.example.org": "locked"}
    ids = {b.name: b.id for b in world.rows(Backend)}
    for name, cluster in named.items():
        world.change(Backend, ids[name], url=clusters.url(cluster))

    def told() -> bool:
        rows = [world.row(Backend, ids[name]) for name in named]
        return all(row.unreachable_since for row in rows)

    with running(WORKER, write_ini(tmp_path, settings)):
        wait_for(told)
        page = browse().open("/admin/backends")
        for name in named:
            row = page.locator("tr", has_text=name)
            assert row.get_by_text("Unreachable").is_visible()
        names = ("overview", "backends", "backend", "vms", "vm", "jobs", "nodes", "reconcile")
        assert_open(world, page, *names)
    page.goto(f"{world.url}/admin/backends/{ids['gnt-athens.example.org']}")
    assert page.get_by_text("timed out").first.is_visible()
    page.goto(f"{world.url}/admin/backends/{ids['gnt-patras.example.org']}")
    assert page.get_by_text("No permission").first.is_visible()


def test_a_broker_that_is_away_is_told_and_holds_up_nothing(browse: Callable, world: Any) -> None:
    with unit_of_work(world.sessions) as session:
        dead_letters.note_counts(session, {"events": (12, 1)})
        before = utc_now() - dt.timedelta(minutes=9)
        session.execute(sa.update(QueueCount).values(noted=before))
    page = browse().open("/admin/")
    assert page.get_by_text("No consumer").first.is_visible()
    assert_open(world, page, "overview", "queues", "letters", "vms", "operations")
    patras = next(b for b in world.rows(Backend) if b.name.startswith("gnt-patras"))
    page.goto(f"{world.url}/admin/backends/{patras.id}/drain")
    page.get_by_label("Reason").fill("kernel update")
    page.get_by_role("button", name="Drain").click()
    page.wait_for_url(f"**/admin/backends/{patras.id}**")
    assert world.row(Backend, patras.id).drained


def test_a_database_that_takes_no_changes_opens_every_page_and_says_so(
    browse: Callable, world: Any
) -> None:
    patras = next(b for b in world.rows(Backend) if b.name.startswith("gnt-patras"))
    page = browse().open(f"/admin/backends/{patras.id}/drain")
    before, other = {}, browse(signed_in=False).context
    for name, path in world.pages.items():
        cookie = world.cookies.get(name, world.cookie)
        before[name] = other.request.get(
            world.url + path, headers={"Cookie": f"cloudweb={cookie}"}, max_redirects=0
        ).status
    with unit_of_work(world.sessions) as session:
        rested = utc_now() - dt.timedelta(minutes=2)
        session.execute(sa.update(WebSession).values(last_seen=rested))
    page.get_by_label("Reason").fill("kernel update")
    with takes_no_changes(world.sessions):
        with page.expect_navigation() as loaded:
            page.get_by_role("button", name="Drain").click()
        assert loaded.value.status == 503
        assert page.get_by_role("main").get_by_text("Nothing was done").is_visible()
        wrong = []
        for name in world.pages:
            response = world.show(page, name)
            if not page.get_by_text(READ_ONLY).count():
                wrong.append(f"{name} does not say so")
            wanted = 503 if name in SECRETS else before[name]
            if before[name] == 200 and response.status != wanted:
                wrong.append(f"{name}: {response.status}")
        assert wrong == []
    assert not world.row(Backend, patras.id).drained


def test_a_region_that_is_away_is_not_taken_for_one_that_lacks_everything(
    browse: Callable,
    world: Any,
    settings: Settings,
    sealer: Sealer,
    tmp_path: Path,
) -> None:
    with FakeCloud("Athens", "Crete") as cloud:
        cloud.fail("/compute/Crete", status=503)
        with unit_of_work(world.sessions) as session:
            session.execute(
                sa.update(Infrastructure).values(
                    keystone_url=cloud.keystone_url,
                    region_name=Infrastructure.name,
                    username="admin",
                    tenant="admin",
                    password_sealed=sealer.seal("adminpw"),
                    tried=None,
                )
            )
        ids = {region.name: region.id for region in world.rows(Infrastructure)}
        with running(WORKER, write_ini(tmp_path, settings, region_refresh_s=0.5)):
            wait_for(lambda: world.row(Infrastructure, ids["Crete"]).unreachable_since)
            wait_for(
                lambda: world.row(Infrastructure, ids["Malaga"]).last_error != "Connection refused"
            )
    page = browse().open("/admin/flavors?show=all")
    heads = page.locator("thead th")
    assert heads.filter(has_text="Crete").get_by_text("Not read").is_visible()
    assert not heads.filter(has_text="Athens").get_by_text("Not read").count()
    large = page.locator("tr", has_text="m1.large").locator("td[data-label=Crete]")
    assert large.get_by_text("Unknown").is_visible()
    page.goto(f"{world.url}/admin/regions/{ids['Crete']}")
    assert page.get_by_text("Could not ask it").is_visible()
    assert_open(world, page, "flavors", "regions", "region")
