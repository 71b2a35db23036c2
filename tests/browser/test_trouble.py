"""When things go wrong: the world moves under a preview, clusters are away, a session ends."""

import base64
import time
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from cloudweb.models import (
    Backend,
    Finding,
    FindingState,
    Operation,
    OperState,
    Server,
    WebSession,
    unit_of_work,
    utc_now,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MOVED = "changed since you opened this page"


def test_a_drain_that_was_previewed_before_the_world_moved_is_asked_for_again(
    browse: Callable, world: Any
) -> None:
    patras = next(b for b in world.rows(Backend) if b.name.startswith("gnt-patras"))
    page = browse().open(f"/admin/backends/{patras.id}/drain")
    world.change(Backend, patras.id, offline=True)
    page.get_by_label("Reason").fill("kernel update")
    with page.expect_navigation() as loaded:
        page.get_by_role("button", name="Drain").click()
    assert loaded.value.status == 409
    assert page.get_by_role("alert").get_by_text(MOVED).is_visible()
    assert page.get_by_label("Reason").input_value() == "kernel update"
    assert not world.row(Backend, patras.id).drained


def test_many_vms_of_which_one_moved_are_asked_for_again(browse: Callable, world: Any) -> None:
    page = browse().open(world.pages["vms-bulk"])
    before = len(world.rows(Operation))
    world.change(Server, world.server.id, state=OperState.STOPPED)
    with page.expect_navigation() as loaded:
        page.get_by_role("button", name="Shut down").click()
    assert loaded.value.status == 409
    assert page.get_by_role("alert").get_by_text(MOVED).is_visible()
    assert page.locator("tr", has_text="web-1").get_by_text("Skipped").is_visible()
    assert len(world.rows(Operation)) == before


def test_differences_that_have_moved_are_not_mended(browse: Callable, world: Any) -> None:
    page = browse().open(world.pages["reconcile-mend"])
    with unit_of_work(world.sessions) as session:
        session.execute(sa.update(Server).values(version=Server.version + 1))
    page.get_by_label("Reason").fill("the broker was away")
    with page.expect_navigation() as loaded:
        page.get_by_role("button", name="Mend").click()
    assert loaded.value.status == 409
    assert page.get_by_role("alert").is_visible()
    assert {f.state for f in world.rows(Finding)} == {FindingState.OPEN}


def test_pages_stay_quick_and_say_so_while_no_cluster_answers(browse: Callable, world: Any) -> None:
    away = {"unreachable_since": utc_now(), "last_error": "401: wrong password"}
    with unit_of_work(world.sessions) as session:
        session.execute(sa.update(Backend).values(**away))
    page = browse().open("/admin/")
    assert page.get_by_role("link", name="gnt-athens.example.org").first.is_visible()
    assert page.locator("#backends, .frame").get_by_text("Unreachable").count() == 3
    took = []
    for name in ("overview", "backends", "backend", "vms", "vm", "jobs", "queues", "reconcile"):
        for _ in range(3):
            began = time.perf_counter()
            assert page.request.get(world.url + world.pages[name]).status == 200
            took.append(time.perf_counter() - began)
    assert sorted(took)[len(took) // 2] < 0.5


def test_a_session_that_is_ended_elsewhere_leads_to_signing_in_and_back(
    browse: Callable, world: Any
) -> None:
    page = browse().open("/admin/vms")
    with unit_of_work(world.sessions) as session:
        session.execute(sa.delete(WebSession))
    page.get_by_role("link", name="Pools", exact=True).click()
    page.get_by_label("E-mail address").fill(world.email)
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/admin/pools")


def test_a_second_factor_is_set_up_and_asked_for_in_a_browser(browse: Callable, world: Any) -> None:
    page = browse().open("/account/second-factor")
    assert page.get_by_role("img").first.is_visible()
    secret = "".join(page.locator("main code").first.inner_text().split())
    page.get_by_label("Code the app shows now").fill(_code(secret))
    page.locator("main").get_by_role("button").last.click()
    page.get_by_role("heading", level=1, name="codes").wait_for()
    recovery = page.locator("main pre").inner_text().split()[0]
    page.get_by_role("link", name="I have kept them").click()
    page.get_by_role("button", name=world.email).click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("E-mail address").fill(world.email)
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/admin/login/code**")
    page.get_by_label("code").first.fill("000000")
    page.locator("main").get_by_role("button").last.click()
    page.locator("[aria-invalid=true]").wait_for()
    page.get_by_label("code").first.fill(recovery)
    page.locator("main").get_by_role("button").last.click()
    page.wait_for_url("**/admin/")


def _code(secret: str) -> str:
    now = time.time()
    return TOTP(base64.b32decode(secret), 6, SHA1(), 30).generate(now).decode()
