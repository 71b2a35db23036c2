"""How somebody likes the pages is kept with them, and drawn by the server."""

import datetime as dt
import zoneinfo
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.models import (
    Operation,
    OperationState,
    Role,
    SessionFactory,
    User,
    unit_of_work,
    utc_now,
)


def choose(app: webtest.TestApp, **values: str) -> Any:
    form = next(f for f in app.get("/account").forms.values() if "theme" in f.fields)
    for name, value in values.items():
        form[name].force_value(value)
    return form.submit(status="*")


def test_what_is_chosen_is_on_every_page_also_of_the_next_session(
    app: webtest.TestApp, sign_in: Callable
) -> None:
    sign_in(Role.VIEWER)
    plain = app.get("/admin/")
    assert "data-theme" not in plain
    assert "data-density" not in plain
    choose(app, theme="dark", density="compact")
    for path in ("/admin/", "/account", "/admin/nothing"):
        page = app.get(path, status="*")
        assert '<html lang="en" data-theme="dark" data-density="compact">' in page, path
    app.reset()
    assert "data-theme" not in app.get("/admin/login"), "who signs in is not known yet"


@pytest.mark.parametrize("name", ["theme", "density", "zone", "slash", "language"])
def test_what_there_is_not_is_refused_and_changes_nothing(
    name: str, app: webtest.TestApp, sign_in: Callable, sessions: SessionFactory
) -> None:
    me = sign_in(Role.VIEWER)
    page = choose(app, theme="dark") and choose(app, **{name: "'><b>"})
    assert page.status_int == 400
    assert "Choose one of these" in page
    with unit_of_work(sessions, write=False) as session:
        user = session.get_one(User, me.user.id)
        found = (user.theme.value, user.density.value, user.time_zone)
    assert found == ("dark", "comfortable", "UTC")


def test_the_key_for_the_search_can_be_turned_off(app: webtest.TestApp, sign_in: Callable) -> None:
    sign_in(Role.VIEWER)
    assert "/keys.js" in app.get("/admin/vms")
    choose(app, slash="no")
    assert "/keys.js" not in app.get("/admin/vms")
    choose(app, slash="yes")
    assert "/keys.js" in app.get("/account")


def test_times_are_told_by_the_readers_clock(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable, sessions: SessionFactory
) -> None:
    server, zone = make_server(), zoneinfo.ZoneInfo("Asia/Kathmandu")
    then = dt.datetime(2026, 1, 31, 20, 30, tzinfo=dt.UTC)
    with unit_of_work(sessions) as session:
        session.execute(sa.text("UPDATE servers SET created = '2026-01-31 20:30:00'"))
    sign_in(Role.VIEWER)
    assert "2026-01-31 20:30:00 UTC" in app.get(f"/admin/vms/{server.id}")
    choose(app, zone="Asia/Kathmandu")
    page = app.get(f"/admin/vms/{server.id}")
    assert f"{then.astimezone(zone):%Y-%m-%d %H:%M:%S} Asia/Kathmandu" in page
    assert 'datetime="2026-01-31T20:30:00+00:00"' in page
    assert "filters, forms and files have UTC" in page


def test_a_zone_this_machine_does_not_know_is_utc(
    app: webtest.TestApp, sign_in: Callable, sessions: SessionFactory
) -> None:
    me = sign_in(Role.VIEWER)
    with unit_of_work(sessions) as session:
        session.get_one(User, me.user.id).time_zone = "Mars/Olympus"
    assert "Overview" in app.get("/admin/", status=200)


def test_my_operations_under_way_are_counted_on_every_page(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable, sessions: SessionFactory
) -> None:
    me, server = sign_in(), make_server()
    assert "My operations<" in app.get("/admin/backends")
    with unit_of_work(sessions) as session:
        for n, state in enumerate(OperationState):
            session.add(
                Operation(
                    key=f"mine{n}",
                    backend_id=server.backend_id,
                    server_id=server.id,
                    user_id=me.user.id if n else server.user_id,
                    opcode="OP_INSTANCE_REBOOT",
                    target="snf-1",
                    state=state,
                    created=utc_now(),
                )
            )
    page = app.get("/admin/backends")
    assert "My operations (4)<" in page
    assert "<b>4</b> of <b>4</b> operations" in page.click(r"My operations \(4\)")
    part = app.get("/admin/backends", headers={"HX-Request": "true"})
    assert 'hx-swap-oob="true">My operations (4)<' in part
