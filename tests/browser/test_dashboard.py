"""The dashboard as people meet it: in a browser, with scripts and without, by eye and by key."""

from collections.abc import Callable
from typing import Any

import pytest

from cloudweb.models import Operation, OperationState, OperState, Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PASSWORD = "correct horse battery"


def _sign_in(page: Any, email: str) -> None:
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def test_signing_in_by_form_and_out_again(browse: Callable, world: Any) -> None:
    page = browse(signed_in=False).open("/admin/backends")
    _sign_in(page, world.email)
    page.wait_for_url("**/admin/backends")
    assert page.get_by_role("heading", level=1).inner_text() == "Backends"
    page.get_by_role("button", name=world.email).click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/admin/login")
    cookies = page.context.cookies()
    assert [c["name"] for c in cookies] == ["csrf"]


def test_a_page_shows_what_changed_without_being_loaded_again(browse: Callable, world: Any) -> None:
    page = browse().open(f"/admin/vms/{world.server.id}")
    page.evaluate("window.sameDocument = true")
    reboot = page.get_by_role("link", name="Reboot…")
    reboot.focus()
    assert page.get_by_text("Reboot under way").is_visible()
    world.change(Operation, world.running.id, state=OperationState.SUCCESS)
    world.change(Server, world.server.id, state=OperState.STOPPED)
    page.locator(".status .chip", has_text="Stopped").wait_for()
    assert page.get_by_text("Reboot under way").count() == 0
    assert page.evaluate("window.sameDocument")
    assert page.locator("#live [hx-trigger='every 30s']").count() == 1


def test_refreshing_keeps_the_focus_and_asks_for_little(browse: Callable, world: Any) -> None:
    page = browse().open("/admin/vms")
    statuses: list[int] = []
    page.on("response", lambda r: statuses.append(r.status))
    link = page.get_by_role("link", name="web-2")
    link.focus()
    with page.expect_response(lambda r: r.status == 304):
        pass
    world.change(Server, world.server.id, name="renamed")
    page.get_by_role("link", name="renamed").wait_for()
    assert page.evaluate("document.activeElement.textContent") == "web-2"
    assert set(statuses) <= {200, 304}


def test_a_session_that_ended_stops_the_refreshing_and_says_so(
    browse: Callable, world: Any
) -> None:
    watched = browse()
    page = watched.open("/admin/")
    watched.context.clear_cookies()
    page.get_by_role("link", name="Sign in").wait_for()
    assert page.locator("[hx-trigger]").count() == 0


@pytest.mark.parametrize("scripts", [True, False])
def test_what_was_filled_in_when_the_session_ended_is_there_again_after_signing_in(
    scripts: bool, browse: Callable, world: Any
) -> None:
    page = browse(java_script_enabled=scripts, signed_in=False).open("/admin/terms/new")
    _sign_in(page, world.email)
    text = '# Terms\n\nBe kind, "please" & <b>thank you</b>.'
    page.get_by_label("Text", exact=True).fill(text)
    page.get_by_label("What is new").fill("All is new")
    world.end_sessions()
    page.get_by_role("button", name="Keep as a draft").click()
    page.get_by_text("What you had filled in is kept").wait_for()
    _sign_in(page, world.email)
    page.get_by_text("Nothing was done").wait_for()
    assert page.get_by_label("Text", exact=True).input_value() == text
    assert page.get_by_label("What is new").input_value() == "All is new"
    page.get_by_role("button", name="Keep as a draft").click()
    page.get_by_role("heading", level=1, name="of the terms").wait_for()


def test_everything_works_without_scripts(browse: Callable, world: Any) -> None:
    page = browse(java_script_enabled=False, signed_in=False).open("/admin/")
    _sign_in(page, world.email)
    page.get_by_role("link", name="VMs", exact=True).click()
    page.get_by_label("Search", exact=True).fill("web")
    page.get_by_role("button", name="Show", exact=True).click()
    page.get_by_role("link", name="web-1", exact=True).click()
    page.get_by_role("link", name="Shut down…").click()
    page.get_by_role("button", name="Shut down").click()
    page.get_by_text("Asked for: shut down").wait_for()
    page.get_by_role("link", name="Backends", exact=True).first.click()
    page.get_by_role("link", name="gnt-athens.example.org", exact=True).click()
    page.get_by_role("link", name="Drain…").click()
    page.get_by_label("Reason").fill("kernel update")
    if (phrase := page.get_by_label("To confirm, type")).count():
        phrase.fill("drain gnt-athens.example.org")
    page.get_by_role("button", name="Drain").click()
    page.get_by_text("New servers go elsewhere").wait_for()


@pytest.mark.parametrize("scripts", [True, False])
def test_many_vms_are_acted_on_by_keyboard_alone(
    scripts: bool, browse: Callable, world: Any
) -> None:
    page = browse(java_script_enabled=scripts).open("/admin/vms?sort=name")
    for name in ("mail", "wiki"):
        page.get_by_label(f"Choose {name}", exact=True).focus()
        page.keyboard.press("Space")
    page.get_by_role("button", name="Shut down…").focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Shut down 1 VM?").wait_for()
    page.get_by_role("button", name="Shut down 1 VM").focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="What became of each").wait_for()
    assert page.locator("td[data-label=Result]").all_inner_texts() == ["Skipped", "Waiting"]


@pytest.mark.parametrize("name", ["vms", "pool", "flavors", "network", "pool-reserve"])
def test_all_that_can_be_done_is_reached_by_tab_and_seen_there(
    name: str, browse: Callable, world: Any
) -> None:
    page = browse().open(world.pages[name])
    wanted = page.evaluate(
        """() => { const all = [...document.querySelectorAll(
            "main :is(a[href], button, input:not([type=hidden]), select, summary)")]
            .filter(e => e.checkVisibility());
            all.forEach((e, n) => e.dataset.place = n); return all.length }"""
    )
    reached, unseen = set(), []
    for _ in range(wanted + 30):
        page.keyboard.press("Tab")
        place, outline = page.evaluate(
            """() => { const e = document.activeElement;
            return [e.dataset.place ?? "", getComputedStyle(e).outlineStyle] }"""
        )
        if place:
            reached.add(int(place))
            unseen += [place] if outline == "none" else []
    assert (wanted, unseen) == (len(reached), [])
    assert wanted > 3


def test_the_first_tab_reaches_the_content(browse: Callable, world: Any) -> None:
    page = browse().open("/admin/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_headings_stay_in_sight_down_a_list_and_a_shadow_says_there_is_more_beside(
    browse: Callable, world: Any
) -> None:
    page = browse(viewport={"width": 1280, "height": 240}).open("/admin/vms")
    heading = page.get_by_role("columnheader", name="Owner")
    beyond = heading.evaluate("th => th.getBoundingClientRect().top + 80")
    page.evaluate("y => window.scrollTo(0, y)", beyond)
    assert heading.evaluate("th => th.getBoundingClientRect().top") == 0
    shadow = "frame => getComputedStyle(frame).boxShadow"
    frame = page.locator(".frame")
    assert frame.evaluate(shadow) == "none"
    page.set_viewport_size({"width": 700, "height": 500})
    assert frame.evaluate("frame => frame.scrollWidth > frame.clientWidth")
    page.wait_for_function(
        "getComputedStyle(document.querySelector('.frame')).boxShadow !== 'none'"
    )
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(f"{world.url}/admin/nodes")
    assert frame.evaluate("frame => frame.scrollWidth <= frame.clientWidth")


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("name", ["drain", "vms-bulk", "vm-destroy"])
def test_a_preview_begins_at_its_top_with_the_safe_button_focused_and_in_sight(
    name: str, width: int, browse: Callable, world: Any
) -> None:
    page = browse(viewport={"width": width, "height": 700}).open(world.pages[name])
    safe = page.locator("#act .acts > *").first
    assert safe.evaluate("e => e === document.activeElement && e.matches('a')")
    assert page.evaluate("scrollY") == 0
    box = safe.bounding_box()
    assert 0 < box["y"] < 700 - box["height"]
    while not page.evaluate("document.activeElement.matches('#reason')"):
        page.keyboard.press("Tab")
    assert page.evaluate(
        "() => { const box = document.activeElement.getBoundingClientRect();"
        " return document.activeElement.contains(document.elementFromPoint("
        "box.x + box.width / 2, box.y + box.height / 2)); }"
    ), "the bar does not cover what has the focus"
