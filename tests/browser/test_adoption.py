"""Adopting a cluster in a browser: the plan comes by itself, and is confirmed there."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from cloudweb.domain import adoption, adoption_orders
from cloudweb.domain.adoption import FoundInstance
from cloudweb.domain.places import FoundNic
from cloudweb.models import AdoptionStep, Backend, unit_of_work, utc_now
from tests.browser import eyes

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def found(name: str, link: str) -> FoundInstance:
    nic = FoundNic(0, "aa:00:00:00:00:01", None, None, "bridged", link, None)
    return FoundInstance(name, 2, 2048, 20, "drbd", running=True, nics=(nic,))


def plan(world: Any, order_id: int) -> None:
    """What the worker does when it has asked the cluster."""
    names = [*(f"web{n:02}.example.org" for n in range(1, 13)), "snf-4711"]
    instances = [found(name, f"br{n % 3}") for n, name in enumerate(names)]
    with unit_of_work(world.sessions) as session:
        backend = session.get_one(Backend, world.backend.id)
        steps = adoption.plan(
            session, backend, instances, owner_of=lambda _: "maria@example.org", prefix="snf-"
        )
        adoption_orders.keep_plan(session, order_id, steps, taken=utc_now())


def check(page: Any) -> None:
    """No rule of accessibility is broken."""
    page.evaluate(eyes.AXE)
    broken = page.evaluate("axe.run().then(r => r.violations.map(v => v.id))")
    assert broken == []


def test_a_cluster_is_adopted_without_loading_a_page_again(browse: Callable, world: Any) -> None:
    page = browse(viewport={"width": 1200, "height": 900}).open(
        f"/admin/backends/{world.backend.id}"
    )
    page.get_by_role("link", name="Adopt instances…").click()
    check(page)
    page.get_by_label("Owner", exact=True).fill("maria@example.org")
    page.get_by_role("button", name="Show what would follow").click()
    page.get_by_text("is being asked what it has").wait_for()
    order_id = int(page.url.rsplit("/", 1)[1])
    plan(world, order_id)
    page.get_by_role("link", name="Adopt 12 instances…").click()
    check(page)
    page.get_by_label("Reason").fill("Moving in.")
    page.get_by_role("button", name="Adopt 12 instances").click()
    page.get_by_text("of 13 are done").wait_for()
    with unit_of_work(world.sessions) as session:
        session.execute(sa.update(AdoptionStep).values(settled=True))
        adoption_orders.finish(session, order_id)
    page.get_by_text("12 adopted").wait_for()
    check(page)
