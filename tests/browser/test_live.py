"""Pages that keep themselves up to date leave alone whoever is at work in them."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from cloudweb.models import Operation, OperationState, OperState, Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def _asked(page: Any) -> list[str]:
    """What a page asks for from now on."""
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url))
    return seen


def test_refreshing_keeps_ticks_place_and_page(browse: Callable, world: Any) -> None:
    page = browse(viewport={"width": 900, "height": 400}).open("/admin/vms?sort=name&per_page=25")
    page.clock.install()
    page.reload()
    page.get_by_label("Choose wiki", exact=True).check()
    page.evaluate("scrollTo(0, 200)")
    before = page.evaluate("scrollY")
    world.change(Server, world.server.id, state=OperState.STOPPED)
    page.clock.fast_forward(11_000)
    page.locator("tr", has_text="web-1").get_by_text("Stopped").wait_for()
    assert page.get_by_label("Choose wiki", exact=True).is_checked()
    assert page.evaluate("scrollY") == before > 0
    assert page.url.endswith("/admin/vms?sort=name&per_page=25")


def test_new_rows_wait_until_they_are_asked_for(browse: Callable, world: Any) -> None:
    page = browse(viewport={"width": 900, "height": 400}).open("/admin/vms?sort=name")
    page.clock.install()
    page.reload()
    page.get_by_label("Choose wiki", exact=True).check()
    page.locator("tr", has_text="mail").get_by_role("link", name="mail").focus()
    before = page.locator("tbody tr").all_inner_texts()
    world.another_server(name="a-new-one")
    page.clock.fast_forward(11_000)
    new = page.get_by_role("link", name="1 new, show")
    new.wait_for()
    assert page.locator("tbody tr").all_inner_texts() == before
    assert page.evaluate("document.activeElement.textContent") == "mail"
    page.clock.fast_forward(11_000)
    page.wait_for_timeout(200)
    assert page.locator("tbody tr").count() == len(before)
    new.focus()
    page.keyboard.press("Enter")
    page.locator("tr", has_text="a-new-one").wait_for()
    assert new.count() == 0
    assert page.get_by_label("Choose wiki", exact=True).is_checked()
    assert page.evaluate("document.activeElement.className") == "frame"
    world.another_server(name="b-new-one")
    page.clock.fast_forward(11_000)
    page.get_by_role("link", name="1 new, show").wait_for()
    assert page.locator("tbody tr").count() == len(before) + 1


@pytest.mark.parametrize("scripts", [True, False])
def test_cards_fold_on_a_narrow_screen_and_stay_as_they_are(
    scripts: bool, browse: Callable, world: Any
) -> None:
    page = browse(viewport={"width": 320, "height": 800}, java_script_enabled=scripts).open(
        "/admin/vms?sort=name"
    )
    if scripts:
        page.clock.install()
        page.reload()
    card = page.locator("tr", has_text="web-1")
    owner = card.locator("[data-label=Owner]")
    assert card.locator("[data-label=State]").is_visible()
    assert not owner.is_visible()
    card.get_by_text("More").focus()
    page.keyboard.press("Enter")
    assert owner.is_visible()
    assert not page.locator("tr", has_text="web-2").locator("[data-label=Owner]").is_visible()
    box, name = card.get_by_role("checkbox").bounding_box(), card.get_by_role("link").first
    assert abs(box["y"] - name.bounding_box()["y"]) < 24
    if scripts:
        world.change(Server, world.server.id, state=OperState.STOPPED)
        page.clock.fast_forward(11_000)
        card.get_by_text("Stopped").wait_for()
        assert owner.is_visible()


def test_new_rows_are_shown_without_scripts(browse: Callable, world: Any) -> None:
    page = browse(java_script_enabled=False).open("/admin/vms?sort=name")
    world.another_server(name="a-new-one")
    page.get_by_role("link", name="Refresh").click()
    page.locator("tr", has_text="a-new-one").wait_for()


def test_an_operation_goes_its_way_before_ones_eyes(browse: Callable, world: Any) -> None:
    world.change(Operation, world.running.id, state=OperationState.PENDING)
    page = browse().open(f"/admin/operations/{world.running.id}")
    page.clock.install()
    page.reload()
    page.evaluate("window.sameDocument = true")
    for state, word in (
        (OperationState.SUBMITTED, "Queued"),
        (OperationState.RUNNING, "Running"),
        (OperationState.SUCCESS, "Success"),
    ):
        world.change(Operation, world.running.id, state=state)
        page.clock.fast_forward(3_100)
        page.locator(".chip", has_text=word).wait_for()
    assert page.evaluate("window.sameDocument")


def test_a_busy_page_asks_no_more_than_every_few_seconds(browse: Callable, world: Any) -> None:
    """That every page says so: test_markup.py."""
    page = browse().open("/admin/")
    page.clock.install()
    asked, often = _asked(page), {}
    for name in ("overview", "vms", "vm", "operation-cancel", "jobs", "queues", "install"):
        world.show(page, name)
        asked.clear()
        for _ in range(10):
            page.clock.run_for(3_000)
            page.wait_for_timeout(20)
        often[name] = len(asked)
    assert max(often.values()) <= 30 / 2.5, often
    assert sum(map(bool, often.values())) >= 5, often


def test_a_page_nobody_looks_at_rests(browse: Callable, world: Any) -> None:
    page = browse().open("/admin/")
    page.clock.install()
    page.reload()
    hidden = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
    page.evaluate(hidden % "true")
    page.clock.fast_forward(4_000)
    asked = _asked(page)
    page.clock.fast_forward(30_000)
    assert asked == []
    page.evaluate(hidden % "false" + "document.dispatchEvent(new Event('visibilitychange'))")
    page.clock.fast_forward(4_000)
    page.wait_for_timeout(300)
    assert asked != []


def test_a_page_that_was_left_alone_pauses_until_somebody_moves(
    browse: Callable, world: Any
) -> None:
    page = browse().open("/admin/")
    page.clock.install()
    page.reload()
    page.clock.fast_forward("11:00")
    page.get_by_text("Paused until you move").wait_for()
    page.keyboard.press("Shift")
    page.locator("#fresh", has_text=re.compile("^As of$")).wait_for()
