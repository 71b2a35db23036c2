"""The overview: what it finds, and that one part of it may fail alone."""

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.domain import flavors, fleet, operation_lists, pools, saved_views
from cloudweb.models import (
    BackendHour,
    CatalogueFlavor,
    Drift,
    Finding,
    Infrastructure,
    Operation,
    OperationState,
    OperState,
    PoolDay,
    PoolKind,
    ReconcileRun,
    RegionalFlavor,
    Role,
    SessionFactory,
    Terms,
    User,
    unit_of_work,
    utc_now,
)
from tests.functional.dashboard.audited import CLI, Site, draft

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


def _concerns(page: Any) -> dict[str, tuple[str, str]]:
    """What needs somebody: since when, and where its last link leads, by the line's id."""
    return {
        line["id"].removeprefix("concern-").rpartition("-")[0]: (
            " ".join(line.select_one(".since").text.split()),
            line.select_one(".way a")["href"] if line.select_one(".way a") else "",
        )
        for line in page.html.select(".concerns li")
    }


@pytest.fixture
def troubled(
    make_backend: Callable, make_server: Callable, make_flavor: Callable, sessions: SessionFactory
) -> Any:
    """A cluster with all that can be wrong with one, a pool, and what can be wrong beside them."""
    now = utc_now().replace(microsecond=0)
    backend = make_backend(
        verify_tls=False,
        certificate_ends=now + dt.timedelta(days=20),
        memory_free_mb=0,
        refreshed=now - dt.timedelta(seconds=2),
        memory_total_mb=4096,
        disk_total_mb=100 * 1024,
        disk_free_mb=60 * 1024,
    )
    small = make_flavor(cpu=1, ram_mb=1024, disk_gb=20)
    make_server(backend=backend, flavor=small)
    make_server(
        backend=backend,
        flavor=small,
        state=OperState.ERROR,
        state_time=now - dt.timedelta(minutes=50),
    )
    with unit_of_work(sessions) as session:
        run = ReconcileRun(backend_id=backend.id, taken=now - dt.timedelta(hours=2))
        pool = pools.create(session, CLI, kind=PoolKind.BRIDGE, base="prv", size=10)
        session.add(run)
        session.flush()
        words = {"target": "snf-1", "ours": "a", "theirs": "b", "remedy": "c"}
        session.add(Finding(run_id=run.id, kind=Drift.STATE, **words))
        for n in range(9):
            pools.take(session, PoolKind.BRIDGE, holder_kind="network", holder_id=n + 1)
        for ago, held in ((5, 9), (4, 5), (3, 9), (2, 10)):
            day = now.date() - dt.timedelta(days=ago)
            session.add(PoolDay(pool_id=pool.id, day=day, held=held))
    return backend, pool, now


def test_each_line_says_since_when_or_as_of_when_and_leads_to_where_something_can_be_done(
    app: webtest.TestApp, sign_in: Callable, troubled: Any
) -> None:
    backend, pool, now = troubled
    sign_in(Role.ADMIN)
    page = app.get("/admin/")
    found = _concerns(page)
    edit = f"/admin/backends/{backend.id}/edit"

    def at(**ago: int) -> str:
        return f"{now - dt.timedelta(**ago):%H:%M:%S}"

    assert found["broken"][0].endswith(at(minutes=50))
    assert found["broken"][1] == "/admin/vms?state=ERROR"
    assert found["drift"][0].startswith("as of ")
    assert found["drift"][0].endswith(at(hours=2))
    assert found["drift"][1] == "/admin/reconcile"
    for kind, path in (("unverified", edit), ("no-room", f"/admin/backends/{backend.id}")):
        assert found[kind][0].startswith("as of ")
        assert found[kind][0].endswith(at(seconds=2))
        assert found[kind][1] == path
    assert found["certificate"][0].startswith(f"since {now - dt.timedelta(days=10):%Y-%m-%d}")
    assert found["certificate"][1] == edit
    assert found["pool"] == (
        f"since {now.date() - dt.timedelta(days=3)}",
        f"/admin/pools/{pool.id}",
    )
    assert "cloudweb backend" not in page.html.main.text
    for _since, path in found.values():
        app.get(path, status=200)


def test_who_may_not_act_is_led_to_what_they_may_see(
    app: webtest.TestApp, sign_in: Callable, troubled: Any
) -> None:
    backend, _pool, _now = troubled
    sign_in(Role.HELPDESK)
    found = _concerns(app.get("/admin/"))
    assert found["unverified"][1] == f"/admin/backends/{backend.id}"
    for _since, path in found.values():
        assert path
        app.get(path, status=200)


def test_the_bars_show_what_is_promised_to_servers_and_what_is_free(
    app: webtest.TestApp, sign_in: Callable, troubled: Any, count_statements: Callable
) -> None:
    sign_in(Role.VIEWER)
    with count_statements() as counter:
        page = app.get("/admin/")
    assert len(counter) <= 12, counter.statements
    told = [each["aria-label"] for each in page.html.select("td .meter svg")]
    assert told == [
        "Memory: 2 GiB of 4 GiB allocated to VMs (50 %), 0 GiB free",
        "Disk: 80 GiB of 100 GiB allocated to VMs (80 %), 60 GiB free",
    ]


def test_the_first_backend_is_a_link_away_and_nothing_wrong_says_when_that_was_seen(
    app: webtest.TestApp, sign_in: Callable, make_backend: Callable
) -> None:
    sign_in(Role.OPERATOR)
    page = app.get("/admin/")
    assert _concerns(page)["no-backend"] == ("now", "/admin/backends/new")
    assert page.click("add the first").html.h1
    make_backend()
    good = app.get("/admin/").html.find("p", class_="good").text
    assert re.search(r"Nothing needs you.* Checked [0-9]{2}:[0-9]{2}\.", good)
