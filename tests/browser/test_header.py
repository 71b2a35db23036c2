"""What is above every page: the way around, on any screen, by key, with scripts and without."""

from collections.abc import Callable
from typing import Any

import pytest

from cloudweb.models import Operation, OperationState
from tests.browser import eyes

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.mark.parametrize("scripts", [True, False])
def test_on_a_narrow_screen_the_way_around_opens_by_key(
    scripts: bool, browse: Callable, world: Any
) -> None:
    page = browse(java_script_enabled=scripts, viewport=eyes.NARROW).open("/admin/")
    assert page.locator("header").bounding_box()["height"] < 100
    link = page.get_by_role("link", name="Pools", exact=True)
    assert not link.is_visible()
    page.get_by_role("button", name="Menu").focus()
    page.keyboard.press("Enter")
    assert link.is_visible()
    page.keyboard.press("Escape")
    assert not link.is_visible()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    for _ in range(4):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("heading", level=1, name="Pools").wait_for()


def test_nobody_is_kept_out_of_the_open_menus(browse: Callable, world: Any) -> None:
    for viewport, name in (
        (eyes.NARROW, "Menu"),
        (eyes.NARROW, world.email),
        (eyes.WIDE, world.email),
    ):
        page = browse(bypass_csp=True, viewport=viewport).open("/admin/")
        page.get_by_role("button", name=name).click()
        sheet = page.locator(".sheet:popover-open").bounding_box()
        assert sheet["x"] >= 0
        assert sheet["x"] + sheet["width"] <= viewport["width"]
        assert eyes.look(page, f"{name} is open", full=False) == []


def test_my_operations_are_counted_anew_while_one_looks(browse: Callable, world: Any) -> None:
    page = browse().open("/admin/vms")
    me = next(user for user in world.rows(type(world.owner.user)) if user.email == world.email)
    mine = page.locator("#mine")
    assert mine.inner_text() == "My operations"
    world.change(Operation, world.running.id, user_id=me.id)
    page.get_by_text("My operations (1)").wait_for()
    mine.click()
    page.get_by_role("heading", level=1, name="Operations").wait_for()
    assert page.locator("tbody tr").count() == 1
    world.change(Operation, world.running.id, state=OperationState.SUCCESS)
    page.get_by_text("My operations", exact=True).wait_for()


@pytest.mark.parametrize("theme", ["dark", "contrast"])
def test_chosen_colours_are_there_from_the_first_and_can_be_read(
    theme: str, browse: Callable, world: Any
) -> None:
    page = browse(bypass_csp=True, viewport=eyes.WIDE).open("/account")
    page.get_by_label("Colours").select_option(theme)
    page.get_by_label("Rows of tables").select_option("compact")
    page.get_by_role("button", name="Keep", exact=True).click()
    page.get_by_text("Pages look like this from now on").wait_for()
    found = []
    for name in ("overview", "vms", "drain", "missing"):
        world.show(page, name)
        dark = page.evaluate("getComputedStyle(document.documentElement).colorScheme")
        assert dark == ("dark" if theme == "dark" else "light dark"), name
        found += eyes.look(page, f"{name}, {theme}")
    assert found == []
    world.show(page, "operations")
    assert page.locator("tbody tr").first.bounding_box()["height"] < 32


def test_times_are_told_by_the_readers_clock_also_after_a_while(
    browse: Callable, world: Any
) -> None:
    page = browse().open("/account")
    page.get_by_label("Times are shown in").select_option("Asia/Kathmandu")
    page.get_by_role("button", name="Keep", exact=True).click()
    page.goto(world.url + "/admin/vms")
    time = page.locator("#fresh-time")
    first = time.inner_text()
    with page.expect_response(lambda r: r.status == 304):
        pass
    page.wait_for_function(
        "old => document.getElementById('fresh-time').textContent != old", arg=first
    )
    seen, minutes = time.inner_text(), int(first[:2]) * 60 + int(first[3:5])
    later = int(seen[:2]) * 60 + int(seen[3:5])
    assert (later - minutes) % (24 * 60) <= 2


def test_a_slash_leads_to_the_search_but_not_out_of_a_field(browse: Callable, world: Any) -> None:
    page = browse().open("/admin/vms")
    page.keyboard.press("/")
    page.keyboard.type("/web-1")
    box = page.get_by_role("searchbox", name="Search everything")
    assert box.input_value() == "/web-1"
    box.fill("web-1")
    page.keyboard.press("Enter")
    page.get_by_role("heading", level=1, name="web-1").wait_for()
