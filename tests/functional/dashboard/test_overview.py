"""The overview: what it finds, and that one part of it may fail alone."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.domain import flavors, fleet, operation_lists, saved_views
from cloudweb.models import (
    BackendHour,
    CatalogueFlavor,
    Infrastructure,
    Operation,
    OperationState,
    RegionalFlavor,
    Role,
    SessionFactory,
    Terms,
    User,
    unit_of_work,
    utc_now,
)
from tests.functional.dashboard.audited import Site, draft

HEADINGS = ["Needs attention", "Backends", "My views", "Last operations"]
BREAKABLE: list[tuple[Any, str, set[str]]] = [
    (flavors, "list_active", {"Needs attention"}),
    (fleet, "list_all", {"Needs attention", "Backends"}),
    (operation_lists, "count_open_by_backend", {"Backends"}),
    (saved_views, "list_own", {"My views"}),
    (operation_lists, "list_recent", {"Last operations"}),
]


@pytest.mark.parametrize(("module", "name", "failed"), BREAKABLE, ids=str)
def test_a_part_that_fails_says_so_and_the_others_are_there(
    module: Any,
    name: str,
    failed: set[str],
    app: webtest.TestApp,
    sign_in: Callable,
    make_server: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_server()
    sign_in(Role.VIEWER)

    def fail(session: Any, *_: Any, **__: Any) -> None:
        session.execute(sa.text("SELECT nothing FROM nowhere"))

    monkeypatch.setattr(module, name, fail)
    page = app.get("/admin/", headers={"X-Request-Id": "seven"}, status=200)
    for section in page.html.main.select("section"):
        heading = section.h2.text
        assert ("This part of the page failed" in section.text) is (heading in failed), heading
    assert {each.h2.text for each in page.html.main.select("section")} >= failed
    assert "seven" in page.html.main.text
    assert "nowhere" not in page


def test_each_backend_says_how_much_is_under_way_there(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable, sessions: SessionFactory
) -> None:
    server = make_server()
    sign_in(Role.VIEWER)
    states = (OperationState.PENDING, OperationState.RUNNING, OperationState.SUCCESS)
    with unit_of_work(sessions) as session:
        for n, state in enumerate(states):
            session.add(
                Operation(
                    key=f"open{n}",
                    backend_id=server.backend_id,
                    server_id=server.id,
                    opcode="OP_INSTANCE_REBOOT",
                    target="snf-1",
                    state=state,
                )
            )
    page = app.get("/admin/")
    [cell] = page.html.select("td[data-label='Under way']")
    assert cell.a.contents[0] == "2"
    assert "<b>2</b> of <b>2</b> operations" in app.get(cell.a["href"])
    assert 'hx-trigger="every 3s"' in page


def test_who_owes_the_terms_for_a_month_and_what_regions_lack_needs_somebody(
    app: webtest.TestApp, sign_in: Callable, sessions: SessionFactory, sealer: Any, request: Any
) -> None:
    site = Site(app, sessions, sealer, request.getfixturevalue)
    site.sign_in(Role.ADMIN)
    draft(site, publish=True)
    with unit_of_work(sessions) as session:
        session.execute(sa.update(User).values(terms_number=1))
        session.add(User(email="late@example.org", name="Late", role=Role.USER))
        sizes = {"vcpus": 1, "ram_mb": 512, "disk_gb": 1}
        session.add(CatalogueFlavor(flavor_id="a", name="m1.a", promoted=True, **sizes))
        large = sizes | {"disk_gb": 2}
        session.add(CatalogueFlavor(flavor_id="b", name="m1.b", promoted=True, **large))
        region = Infrastructure(name="Crete", refreshed=utc_now())
        session.add_all((region, Infrastructure(name="Not asked yet")))
        session.flush()
        session.add(RegionalFlavor(infrastructure_id=region.id, flavor_id="a", name="x", **sizes))
    assert "have not accepted" not in app.get("/admin/").text
    assert "1 flavor</a> to install" in app.get("/admin/").text
    before = utc_now() - dt.timedelta(days=31)
    with unit_of_work(sessions) as session:
        session.execute(sa.update(Terms).values(in_force=before))
        session.execute(sa.update(User).values(created=before))
    assert "1 user</a> has not accepted" in app.get("/admin/").text


def test_each_backend_shows_how_full_its_memory_was_in_the_last_week(
    app: webtest.TestApp, sign_in: Callable, make_backend: Callable, sessions: SessionFactory
) -> None:
    known, _unknown = make_backend(), make_backend()
    sign_in(Role.VIEWER)
    now = utc_now().replace(minute=0, second=0, microsecond=0)
    with unit_of_work(sessions) as session:
        for ago, free in ((0, 25), (30, 50), (24 * 9, 99)):
            session.add(
                BackendHour(
                    backend_id=known.id,
                    hour=now - dt.timedelta(hours=ago),
                    memory_total_mb=100,
                    memory_free_mb=free,
                    disk_total_mb=0,
                    disk_free_mb=0,
                    instances=0,
                )
            )
    cells = app.get("/admin/").html.select("td[data-label='7 days']")
    assert cells[0].svg["aria-label"].endswith("between 50 % and 75 %, 75 % at the end")
    assert len(cells[0].svg.select("polyline")) == 2
    assert cells[1].svg is None


@pytest.mark.parametrize(("days", "words"), [(29, "ends at"), (-1, "ended at"), (31, None)])
def test_a_certificate_that_ends_soon_needs_somebody(
    app: webtest.TestApp, sign_in: Callable, make_backend: Callable, days: int, words: str | None
) -> None:
    ends = utc_now() + dt.timedelta(days=days)
    backend = make_backend(certificate_ends=ends, fingerprint="ab" * 32)
    sign_in(Role.VIEWER)
    page = app.get("/admin/").html.main.text
    assert ("The certificate of" in page) is (words is not None)
    assert words is None or (words in page and "its new fingerprint" in page)
    assert "the certificate is good until" in app.get(f"/admin/backends/{backend.id}")
