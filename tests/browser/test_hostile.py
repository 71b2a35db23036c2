"""What somebody else wrote, and what another site sends, does nothing."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from cloudweb.models import (
    AuditEntry,
    Backend,
    DeadLetter,
    Finding,
    Image,
    Infrastructure,
    InstallResult,
    Network,
    Operation,
    OperState,
    RegionalFlavor,
    SavedView,
    Server,
    ServerMetadata,
    Terms,
    Token,
    User,
    WebSession,
    unit_of_work,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NASTY = '"><svg onload=alert(1)><script>alert(2)</script><img src=x onerror=alert(3)>{{7*7}}'
LONG = NASTY + "\u202eW\u202c" + "🦊" * 30 + "W" * 120
WRITTEN: dict[Any, dict[str, str]] = {
    AuditEntry: {"actor": LONG, "reason": LONG, "request_id": NASTY[:50]},
    Backend: {"last_error": LONG, "state_reason": LONG},
    DeadLetter: {"reason": LONG, "traceback": LONG, "routing_key": LONG},
    Finding: {"target": LONG, "ours": LONG, "theirs": LONG, "remedy": LONG},
    Image: {"name": NASTY},
    Infrastructure: {"last_error": LONG, "keystone_url": LONG},
    InstallResult: {"message": LONG},
    Network: {"name": NASTY},
    Operation: {"error": LONG, "reason": LONG, "request_id": NASTY[:50]},
    RegionalFlavor: {"name": LONG},
    SavedView: {"name": NASTY[:40]},
    Server: {"name": LONG, "node": NASTY[:60], "image_ref": NASTY[:36]},
    ServerMetadata: {"value": LONG},
    Terms: {"summary": LONG, "author": LONG},
    Token: {"name": LONG},
    User: {"name": LONG},
    WebSession: {"agent": LONG},
}


def test_what_somebody_wrote_is_shown_as_text_and_breaks_no_page(
    browse: Callable, world: Any
) -> None:
    with unit_of_work(world.sessions) as session:
        session.execute(sa.delete(SavedView).where(SavedView.listing == "operations"))
        for table, values in WRITTEN.items():
            session.execute(sa.update(table).values(**values))
    page = browse(viewport={"width": 320, "height": 900}).open("/terms")
    page.on("dialog", lambda dialog: dialog.dismiss() or wrong.append(f"a dialog: {page.url}"))
    wrong: list[str] = []
    for name in world.pages:
        response = world.show(page, name)
        inside = "script:not([src]), [onload], [onerror], img:not([src])"
        if response.status >= 500 or page.locator(inside).count():
            wrong.append(f"{name}: {response.status}, or something of it is markup")
        over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        if page.evaluate(over) > 0:
            wrong.append(f"{name}: {page.evaluate(over)} px too wide")
    assert wrong == []
    page.goto(world.url + "/admin/vms")
    assert page.locator("tbody th a").first.inner_text() == LONG


def test_a_form_of_another_site_does_nothing(browse: Callable, world: Any) -> None:
    world.change(Server, world.server.id, state=OperState.STOPPED)
    before = len(world.rows(Operation))
    target = f"{world.url}/admin/vms/{world.server.id}/start"
    form = f"<form method=post action='{target}'><input name=csrf_token value=guess></form>"
    context = browse().context
    context.route(
        "http://other.example/",
        lambda route: route.fulfill(
            content_type="text/html", body=f"{form}<script>document.forms[0].submit()</script>"
        ),
    )
    page = context.new_page()
    with page.expect_response(target) as sent:
        page.goto("http://other.example/")
    assert sent.value.status == 400
    assert len(world.rows(Operation)) == before


def test_another_site_cannot_show_a_page_in_a_frame(browse: Callable, world: Any) -> None:
    context = browse().context
    context.route(
        "http://other.example/",
        lambda route: route.fulfill(
            content_type="text/html", body=f"<iframe src='{world.url}/admin/vms'></iframe>"
        ),
    )
    page = context.new_page()
    page.goto("http://other.example/")
    assert "web-1" not in page.frames[-1].content()
