"""An operator's day: what is done often is done in few clicks, without scripts, without a mouse."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from cloudweb.models import (
    Backend,
    DeadLetter,
    Finding,
    FindingState,
    Install,
    LetterState,
    Mail,
    Operation,
    PoolUse,
    PoolValue,
    Server,
    Terms,
    unit_of_work,
)
from tests.browser.hands import Keyboard, Mouse

pytestmark = [pytest.mark.browser, pytest.mark.slow]

Task = Callable[[Mouse, Any], None]


def look_in_the_morning(hand: Mouse, world: Any) -> None:
    attention = hand.page.locator("section", has=hand.page.get_by_text("Needs attention"))
    assert attention.get_by_text("gnt-chania.example.org").first.is_visible()
    assert hand.page.locator(".concerns").bounding_box()["y"] < 300


def find_who_had_an_address(hand: Mouse, world: Any) -> None:
    hand.look_up("10.7.0.5")
    hand.page.get_by_role("heading", level=1, name="10.7.0.5").wait_for()
    hand.fill("Time (UTC)", world.days_ago(30).strftime("%Y-%m-%d 03:00"))
    hand.send()
    hand.page.get_by_text(re.compile("it was database-replica.s")).wait_for()


def drain_a_cluster(hand: Mouse, world: Any) -> None:
    hand.press("link", "gnt-patras.example.org")
    hand.press("link", "Drain…")
    hand.fill("Reason", "kernel update")
    hand.page.get_by_label("Until").fill("2099-01-31T18:00")
    hand.press("button", "Drain")
    hand.page.get_by_text("New servers go elsewhere").wait_for()
    assert [b.name for b in world.rows(Backend) if b.drained and "kernel" in b.state_reason] == [
        "gnt-patras.example.org",
        "gnt-chania.example.org",
    ]


def empty_a_node(hand: Mouse, world: Any) -> None:
    hand.press("link", "gnt-athens.example.org")
    hand.press("link", "Nodes")
    hand.press("link", "node1.example.org")
    hand.press("link", "Evacuate…")
    hand.fill("Reason", "its fan is loud")
    hand.press("button", "Evacuate")
    hand.page.get_by_text("0 of 3 moves").wait_for()
    wanted = [o for o in world.rows(Operation) if o.reason == "its fan is loud"]
    assert len(wanted) == 3


def undrain_a_cluster(hand: Mouse, world: Any) -> None:
    past = hand.page.locator(".concerns li", has_text="is drained past its date")
    assert past.get_by_role("link", name="gnt-chania.example.org", exact=True).is_visible()
    hand.press("link", "Undrain… gnt-chania.example.org")
    hand.press("button", "Undrain")
    hand.page.get_by_text("It takes new servers again").wait_for()
    assert not world.row(Backend, world.unreachable.id).drained


def retry_what_failed(hand: Mouse, world: Any) -> None:
    hand.press("link", "1 operation")
    hand.press("link", str(world.failed.id))
    hand.page.get_by_text("The cluster has no room for it").wait_for()
    hand.press("link", "Retry…")
    hand.fill("Reason", "there is room again")
    hand.press("button", "Retry operation")
    hand.page.get_by_text("Does again").wait_for()
    assert [o.retry_of_id for o in world.rows(Operation)].count(world.failed.id) == 1


def undo_what_was_done_last(hand: Mouse, world: Any) -> None:
    hand.press("link", "What you can undo")
    hand.press("button", "Undo: Drain gnt-patras.example.org")
    hand.page.get_by_text("Undone:").wait_for()
    hand.page.get_by_role("heading", level=1, name="gnt-patras.example.org").wait_for()
    assert not next(b for b in world.rows(Backend) if "patras" in b.name).drained


def clear_up_differences(hand: Mouse, world: Any) -> None:
    hand.press("link", " differences", exact=False)
    hand.press("button", "Mend what is chosen…")
    hand.fill("Reason", "the broker was away")
    hand.press("button", "Mend")
    hand.page.get_by_text("Mended: ").wait_for()
    states = {f.kind.value: f.state for f in world.rows(Finding)}
    assert (states["state"], states["orphan"]) == (FindingState.APPLIED, FindingState.OPEN)


def shut_down_all_of_somebody(hand: Mouse, world: Any) -> None:
    hand.look_up("maria@example.org")
    hand.press("link", "Their VMs")
    hand.press("checkbox", "or all 12 that match")
    hand.press("button", "Shut down…")
    hand.press("button", "Shut down 11 VMs")
    hand.page.get_by_role("heading", name="What became of each").wait_for()
    asked = [o for o in world.rows(Operation) if o.opcode == "OP_INSTANCE_SHUTDOWN"]
    assert len(asked) == 11 + 1


def suspend_all_of_somebody(hand: Mouse, world: Any) -> None:
    hand.look_up("maria@example.org")
    hand.press("link", "Their VMs")
    hand.press("checkbox", "or all 12 that match")
    hand.press("button", "Suspend…")
    hand.press("checkbox", "Mail the owner, maria@example.org")
    hand.fill("Reason", "they send spam")
    hand.press("button", "Suspend 11 VMs")
    hand.page.get_by_role("heading", name="What became of each").wait_for()
    assert len([s for s in world.rows(Server) if s.suspended]) == 11
    assert [(m.recipient, m.subject) for m in world.rows(Mail)] == [
        ("maria@example.org", "Your servers are suspended")
    ]


def extend_a_pool(hand: Mouse, world: Any) -> None:
    hand.press("link", "aa:00:0")
    hand.fill("New size", "8192")
    hand.press("button", "Extend…")
    hand.press("button", "Extend")
    hand.page.get_by_text("8,192").first.wait_for()


def install_a_flavor_where_it_is_missing(hand: Mouse, world: Any) -> None:
    hand.press("link", "Flavors")
    hand.press("link", "Install everywhere missing…")
    hand.press("button", "Install in ", exact=False)
    hand.page.get_by_role("heading", level=1, name="m1.huge").wait_for()
    assert [i.id for i in world.rows(Install)][-1:] == [int(hand.page.url.rsplit("/", 1)[1])]


def publish_terms(hand: Mouse, world: Any) -> None:
    hand.press("link", "Terms")
    hand.press("link", "New version")
    hand.fill("Text", "# Terms\n\nBe kind.")
    hand.fill("What is new", "Shorter")
    hand.press("button", "Keep as a draft")
    hand.press("link", "Publish…")
    hand.fill("Reason", "the lawyers")
    hand.fill("To confirm", "publish")
    hand.press("button", "Publish")
    hand.page.get_by_text("In force").first.wait_for()
    assert [t.number for t in world.rows(Terms) if t.summary == "Shorter"] == [3]


def try_a_message_again(hand: Mouse, world: Any) -> None:
    hand.press("link", "1 message")
    hand.press("link", str(world.rows(DeadLetter)[0].id))
    hand.press("link", "Try again…")
    hand.press("button", "Try again")
    hand.page.get_by_text("It still could not be applied").wait_for()
    assert world.rows(DeadLetter)[0].state is LetterState.WAITING


DAY: list[tuple[Task, int]] = [
    (look_in_the_morning, 0),
    (find_who_had_an_address, 0),
    (empty_a_node, 5),
    (drain_a_cluster, 3),
    (undo_what_was_done_last, 2),
    (undrain_a_cluster, 2),
    (retry_what_failed, 4),
    (clear_up_differences, 3),
    (shut_down_all_of_somebody, 5),
    (suspend_all_of_somebody, 5),
    (extend_a_pool, 3),
    (install_a_flavor_where_it_is_missing, 3),
    (try_a_message_again, 4),
    (publish_terms, 5),
]
"""What is done, and in how many clicks from the overview, the confirming one included."""


@pytest.fixture
def busy_world(world: Any, make_server: Callable) -> Any:
    """Somebody has twelve servers, one of them stopped, and a pool has nearly run out."""
    for n in range(10):
        make_server(owner=world.owner, backend=world.backend, name=f"worker-{n:02}")
    mac = int(re.findall(r"pools/(\d+)", world.pages["pool-mac"])[0])
    taken = {"use": PoolUse.HELD, "holder_kind": "network", "holder_id": 1}
    few = (PoolValue.pool_id == mac, PoolValue.number < 3800, PoolValue.use == PoolUse.FREE)
    with unit_of_work(world.sessions) as session:
        session.execute(sa.update(PoolValue).where(*few).values(**taken))
    return world


@pytest.mark.parametrize("scripts", [True, False])
def test_a_day_takes_no_more_clicks_than_it_may(
    scripts: bool, browse: Callable, busy_world: Any
) -> None:
    page = browse(java_script_enabled=scripts).open("/admin/")
    taken = {}
    for task, _ in DAY:
        page.goto(busy_world.url + "/admin/")
        hand = Mouse(page)
        task(hand, busy_world)
        taken[task.__name__] = hand.presses
    over = {t.__name__: most for t, most in DAY if taken[t.__name__] > most}
    assert over == {}, taken


@pytest.mark.parametrize("task", [drain_a_cluster, clear_up_differences, shut_down_all_of_somebody])
def test_what_is_done_often_is_done_by_keyboard_alone(
    task: Task, browse: Callable, busy_world: Any
) -> None:
    page = browse().open("/admin/")
    task(Keyboard(page), busy_world)


def test_a_filtered_list_is_a_file_in_one_click(browse: Callable, world: Any) -> None:
    page = browse().open("/admin/vms?q=web")
    with page.expect_download() as loaded:
        page.get_by_role("link", name="CSV").click()
    lines = loaded.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert [line.split(",")[0].strip('"') for line in lines[1:]] == ["web-1", "web-2"]
