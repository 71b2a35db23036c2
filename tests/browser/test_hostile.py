"""What somebody else wrote, and what another site sends, does nothing."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from cloudweb.models import Operation, OperState, SavedView, Server, unit_of_work
from tests.browser.writing import columns, write

pytestmark = [pytest.mark.browser, pytest.mark.slow]

BEGINNING = '"><svg onload=f>'
NASTY = "<script>f()<img src=x onerror=f()>{{7*7}}\u202eW\u202c"
FOX = "🦊"
_SAID = """() => [document.body.textContent, ...[...document.querySelectorAll("input, textarea")]
    .map(each => each.value)].join("\\n")"""
"""What a page says, in fields as well."""
NOT_SHOWN = {
    *("catalogue_flavors.access_keystone", "cluster_jobs.error_class", "images.container_format"),
    *("infrastructures.disk_template", "infrastructures.region_name", "mailed_links.email"),
    *("mails.error", "mails.recipient", "mails.subject", "operations.error_class"),
    *("operations.worker", "terms.published_by", "terms_acceptances.request_id"),
    *("backends.ca_file", "operations.reason", "operations.request_id", "adoptions.image_ref"),
    *("adoptions.error", "adoptions.owner", "adoptions.reason", "consumer_processes.error"),
    *("consumer_pauses.actor", "consumer_pauses.reason", "terms_translations.summary"),
    *("diagnostics.details", "diagnostics.message", "diagnostics.source", "nics.name"),
}
"""What is on no page, or on none of this world in which that row's turn is to be told."""


def test_what_somebody_wrote_is_shown_as_text_and_breaks_no_page(
    browse: Callable, world: Any
) -> None:
    codes = {str(column): f"{n:02x}" for n, column in enumerate(columns())}

    def nasty(column: str, row: int, length: int) -> str:
        """A column can be told by its beginning; in every third row there are foxes alone."""
        text = codes.get(column, "--") + BEGINNING + NASTY + "W" * 255
        number, most = str(row), min(length, 255)
        return (FOX * 255 if row % 3 == 1 else text)[: most - len(number)] + number

    with unit_of_work(world.sessions) as session:
        session.execute(sa.delete(SavedView).where(SavedView.listing == "operations"))
    world.became |= write(world.sessions, nasty)
    page = browse(viewport={"width": 320, "height": 900}).open("/terms")
    page.on("dialog", lambda dialog: dialog.dismiss() or wrong.append(f"a dialog: {page.url}"))
    wrong: list[str] = []
    seen: set[str] = set()
    foxes = 0
    for name in world.pages:
        response = world.show(page, name)
        text = page.evaluate(_SAID)
        seen |= set(re.findall(r"([0-9a-f]{2})" + re.escape(BEGINNING), text))
        foxes += FOX * 250 in text
        inside = "script:not([src]), [onload], [onerror], img:not([src])"
        if response.status >= 500 or page.locator(inside).count():
            wrong.append(f"{name}: {response.status}, or something of it is markup")
        over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        if page.evaluate(over) > 0:
            wrong.append(f"{name}: {page.evaluate(over)} px too wide")
    assert wrong == []
    assert foxes > 10
    assert {column for column, code in codes.items() if code not in seen} <= NOT_SHOWN


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


@pytest.mark.parametrize("site", ["http://127.0.0.1:1", "http://other.example"])
def test_a_form_of_another_site_with_the_right_token_is_refused(
    site: str, browse: Callable, world: Any
) -> None:
    """The session goes along: on another port always, from elsewhere with an old browser."""
    world.change(Server, world.server.id, state=OperState.STOPPED)
    before = len(world.rows(Operation))
    page = browse().open(f"/admin/vms/{world.server.id}")
    token = page.locator("main [name=csrf_token]").first.input_value()
    target = f"{world.url}/admin/vms/{world.server.id}/start"
    form = f"<form method=post action='{target}'><input name=csrf_token value={token}></form>"
    body = f"{form}<script>document.forms[0].submit()</script>"
    page.context.route(f"{site}/", lambda r: r.fulfill(content_type="text/html", body=body))
    other = page.context.new_page()
    with other.expect_response(target) as sent:
        other.goto(f"{site}/")
    assert sent.value.request.headers.get("origin") == site
    assert world.cookie in sent.value.request.all_headers()["cookie"]
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
