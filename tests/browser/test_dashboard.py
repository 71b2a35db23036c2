"""The dashboard as people meet it: in a browser, with scripts and without, by eye and by key."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloudweb.models import Operation, OperationState, OperState, Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PASSWORD = "correct horse battery"
AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS = ["color-contrast", "link-in-text-block"]


def _sign_in(page: Any, email: str) -> None:
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def test_signing_in_by_form_and_out_again(browse: Callable, world: Any) -> None:
    page = browse(signed_in=False).open("/admin/backends")
    _sign_in(page, world.email)
    page.wait_for_url("**/admin/backends")
    assert page.get_by_role("heading", level=1).inner_text() == "Backends"
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
    assert page.locator("#live [hx-trigger='every 10s']").count() == 1


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


def test_everything_works_without_scripts(browse: Callable, world: Any) -> None:
    page = browse(java_script_enabled=False, signed_in=False).open("/admin/")
    _sign_in(page, world.email)
    page.get_by_role("link", name="VMs", exact=True).click()
    page.get_by_label("Search").fill("web")
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("link", name="web-1", exact=True).click()
    page.get_by_role("link", name="Shut down…").click()
    page.get_by_role("button", name="Shut down").click()
    page.get_by_text("Asked for: shut down").wait_for()
    page.get_by_role("link", name="Backends", exact=True).first.click()
    page.get_by_role("link", name="gnt-athens.example.org", exact=True).click()
    page.get_by_role("link", name="Drain…").click()
    page.get_by_label("Reason").fill("kernel update")
    if (tick := page.get_by_role("checkbox")).count():
        tick.check()
    page.get_by_role("button", name="Drain").click()
    page.get_by_text("New servers go elsewhere").wait_for()


def test_no_page_breaks_its_own_rules(browse: Callable, world: Any) -> None:
    watched = browse()
    page = watched.open("/admin/")
    for path in world.pages.values():
        page.goto(world.url + path)
        assert page.evaluate("document.styleSheets.length") == 1
        assert page.locator("[style], script:not([src])").count() == 0


def test_the_first_tab_reaches_the_content(browse: Callable, world: Any) -> None:
    page = browse().open("/admin/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


@pytest.mark.parametrize("width", [320, 1280])
def test_nobody_is_kept_out(width: int, browse: Callable, world: Any) -> None:
    watched = browse(bypass_csp=True, viewport={"width": width, "height": 900})
    page = watched.open("/admin/login")
    found: list[str] = []
    for name, path in world.pages.items():
        page.emulate_media(color_scheme="light")
        page.goto(world.url + path)
        wide = page.evaluate("document.documentElement.scrollWidth")
        found += [f"{name}: {wide} px wide"] if wide > width else []
        page.evaluate(AXE)
        found += _violations(page, name, {"type": "tag", "values": TAGS})
        # In the dark only the colours are others.
        page.emulate_media(color_scheme="dark")
        found += _violations(page, f"{name}, dark", {"type": "rule", "values": COLOURS})
    assert found == []


def _violations(page: Any, name: str, which: dict[str, Any]) -> list[str]:
    script = "which => axe.run({runOnly: which, resultTypes: ['violations']})"
    result = page.evaluate(script, which)
    return [f"{name}: {v['id']}: {v['nodes'][0]['html'][:150]}" for v in result["violations"]]
