"""Draining until a day, what the preview says of whom it concerns, and mails to owners."""

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb import faults
from cloudweb.domain import drains, fleet, identity, placement, servers
from cloudweb.domain.drains import Change
from cloudweb.models import (
    Backend,
    BackendPin,
    CatalogueFlavor,
    Mail,
    Role,
    SessionFactory,
    unit_of_work,
    utc_now,
)

Make = Callable[..., Any]
CLI = identity.system("cli")


def mails(sessions: SessionFactory) -> list[tuple[str, str]]:
    with unit_of_work(sessions, write=False) as session:
        rows = session.execute(sa.select(Mail.recipient, Mail.subject).order_by(Mail.recipient))
        return [(row[0], row[1]) for row in rows]


def test_a_drain_past_its_date_needs_attention_until_it_ends(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_backend: Make
) -> None:
    backend = make_backend(name="gnt.example.org")
    make_backend()
    sign_in(Role.OPERATOR)
    form = app.get(f"/admin/backends/{backend.id}/drain").forms["act"]
    form["reason"] = "New kernel."
    form["until"] = "2020-01-01T00:00"
    assert "Write a time to come" in form.submit(status=400)
    form["until"] = f"{utc_now() + dt.timedelta(days=2):%Y-%m-%dT%H:%M}"
    page = form.submit(status=303).follow()
    assert "It is meant to last until" in page
    assert "drained past its date" not in app.get("/admin/")
    with unit_of_work(sessions) as session:
        row = session.get_one(Backend, backend.id)
        row.drained_until = utc_now() - dt.timedelta(minutes=1)
    page = app.get("/admin/")
    assert "drained past its date" in page
    assert "New kernel." in page
    form = app.get(f"/admin/backends/{backend.id}/undrain").forms["act"]
    form.submit(status=303)
    assert "drained past its date" not in app.get("/admin/")
    with unit_of_work(sessions, write=False) as session:
        assert session.get_one(Backend, backend.id).drained_until is None


def test_the_preview_names_whom_it_concerns(
    app: webtest.TestApp,
    sign_in: Make,
    sessions: SessionFactory,
    make_backend: Make,
    make_flavor: Make,
    make_user: Make,
    make_server: Make,
) -> None:
    backend = make_backend()
    others = make_backend(drained=True, state_reason="switch swap", disk_templates=["plain"])
    lost = make_flavor(cpu=2, ram_mb=2048, disk_gb=20, disk_template="ext_vlmc")
    pinned = make_user(email="lab-7@example.org")
    server = make_server(backend=backend)
    with unit_of_work(sessions) as session:
        session.add(BackendPin(user_id=pinned.user.id, backend_id=backend.id))
        session.add(
            CatalogueFlavor(
                flavor_id="f", name="m1.small", vcpus=2, ram_mb=2048, disk_gb=20, promoted=True
            )
        )
        made = servers.start(session, identity.system("cli"), server.id)
        made.opcode, made.job_id = "OP_INSTANCE_CREATE", 88_121
    sign_in(Role.OPERATOR)
    page = app.get(f"/admin/backends/{backend.id}/drain")
    assert f"{lost.name}, promoted as m1.small" in page.html.main.text
    assert page.click(lost.name).html.h1.text == lost.name
    assert "lab-7@example.org still go here" in " ".join(page.text.split())
    assert "job 88121" in page
    assert others.name in page
    assert "switch swap" in page


def test_owners_are_mailed_only_if_that_is_ticked(
    app: webtest.TestApp,
    sign_in: Make,
    sessions: SessionFactory,
    make_backend: Make,
    make_server: Make,
    make_user: Make,
) -> None:
    backend = make_backend()
    make_backend()
    owners = [make_user(email=f"{name}@example.org") for name in ("maria", "nikos")]
    for n in range(3):
        make_server(backend=backend, owner=owners[n % 2], name=f"web-{n}")
    sign_in(Role.OPERATOR)
    page = app.get(f"/admin/backends/{backend.id}/drain")
    assert "2 mails will be sent" in page
    assert "web-2" in page.html.find("pre").text
    form = page.forms["act"]
    form["reason"] = "New kernel."
    form.submit(status=303)
    assert mails(sessions) == []
    form = app.get(f"/admin/backends/{backend.id}/offline").forms["act"]
    form["reason"] = "New kernel."
    form["mail"] = True
    form.submit(status=303)
    form.submit(status=303)
    assert [recipient for recipient, _ in mails(sessions)] == [
        "maria@example.org",
        "nikos@example.org",
    ]


# --- what moves between the preview and its confirmation -----------------------------------------

CLOSING = pytest.mark.parametrize("verb", ["drain", "restrict", "offline"])


def preview(app: webtest.TestApp, backend: Backend, verb: str) -> tuple[Any, Any]:
    """A preview, and its form with a reason."""
    page = app.get(f"/admin/backends/{backend.id}/{verb}")
    form = page.forms["act"]
    form["reason"] = "New kernel."
    return page, form


def moved(page: Any) -> list[str]:
    """What a page marks as moved: the fact's name, and how it is now."""
    return [" ".join(each.find_parent("div").text.split()) for each in page.html.select(".moved")]


def flags(sessions: SessionFactory, backend: Backend) -> tuple[bool, bool, bool]:
    with unit_of_work(sessions, write=False) as session:
        row = session.get_one(Backend, backend.id)
        return row.drained, row.offline, not row.public


@CLOSING
def test_room_that_went_elsewhere_since_the_preview_is_told_and_nothing_done(
    verb: str,
    app: webtest.TestApp,
    sign_in: Make,
    sessions: SessionFactory,
    make_backend: Make,
    make_flavor: Make,
) -> None:
    backend, other = make_backend(), make_backend()
    flavor = make_flavor(ram_mb=1024)
    sign_in(Role.OPERATOR)
    page, form = preview(app, backend, verb)
    assert "Nothing is lost" in page
    with unit_of_work(sessions) as session:
        session.get_one(Backend, other.id).memory_free_mb -= 1
    moved_a_little = app.get(f"/admin/backends/{backend.id}/{verb}").forms["act"]
    assert moved_a_little["seen"].value == form["seen"].value, "figures move all the time"
    with unit_of_work(sessions) as session:
        session.get_one(Backend, other.id).memory_free_mb = 10
    page = form.submit(status=409)
    [fact] = moved(page)
    assert f"no room for: {flavor.name} was 1 of 1 can still be placed" in fact
    assert "Caution" in page.html.main.text
    assert flags(sessions, backend) == (False, False, False)
    form = page.forms["act"]
    assert form["reason"].value == "New kernel."
    form.submit(status=303)
    assert any(flags(sessions, backend))


@CLOSING
def test_another_backend_that_was_closed_since_the_preview_is_told_and_nothing_done(
    verb: str,
    app: webtest.TestApp,
    sign_in: Make,
    sessions: SessionFactory,
    make_backend: Make,
    make_flavor: Make,
) -> None:
    backend, other, flavor = make_backend(), make_backend(name="athens"), make_flavor()
    sign_in(Role.OPERATOR)
    _, form = preview(app, backend, verb)
    with unit_of_work(sessions) as session:
        row = session.get_one(Backend, other.id)
        fleet.set_drained(session, CLI, row, drained=True, reason="A new switch.")
    page = form.submit(status=409)
    told = moved(page)
    assert any(f"no backend takes: {flavor.name}" in each for each in told)
    assert any("0 of 1 still take" in each for each in told)
    assert any("athens (drained) was none" in each for each in told)
    assert "No backend would be left" in page
    assert flags(sessions, backend) == (False, False, False)
    form = page.forms["act"]
    assert f"Type: {verb} {backend.name}" in form.submit(status=400)
    form["phrase"] = f"{verb} {backend.name}"
    form.submit(status=303)
    assert any(flags(sessions, backend))


@CLOSING
def test_users_pinned_and_servers_made_since_the_preview_are_told(
    verb: str,
    app: webtest.TestApp,
    sign_in: Make,
    sessions: SessionFactory,
    make_backend: Make,
    make_user: Make,
    make_server: Make,
) -> None:
    backend, pinned = make_backend(), make_user(email="lab-7@example.org")
    make_backend()
    server = make_server(backend=backend)
    sign_in(Role.OPERATOR)
    _, form = preview(app, backend, verb)
    with unit_of_work(sessions) as session:
        placement.pin(session, CLI, pinned.user, session.get_one(Backend, backend.id))
    page = form.submit(status=409)
    [fact] = moved(page)
    theirs = "are refused until that ends" if verb == "offline" else "still go here"
    assert f"new servers of lab-7@example.org {theirs} was none" in fact
    assert "One thing to know first." in page
    with unit_of_work(sessions) as session:
        servers.start(session, CLI, server.id).opcode = "OP_INSTANCE_CREATE"
    page = page.forms["act"].submit(status=409)
    assert moved(page) == ["In flightservers are being made here was none"]
    page.forms["act"].submit(status=303)


def test_two_who_close_the_last_two_backends_see_each_other(
    sessions: SessionFactory, make_backend: Make
) -> None:
    one, two = make_backend(), make_backend()
    with unit_of_work(sessions, write=False) as session:
        rows = [session.get_one(Backend, each.id) for each in (one, two)]
        tokens = [drains.look(session, [row], Change.DRAIN).token for row in rows]
    how = {"reason": "New kernel.", "accept_loss": False}
    with unit_of_work(sessions) as session:
        drains.apply(session, CLI, one.id, Change.DRAIN, seen=tokens[0], **how)
    with unit_of_work(sessions) as session, pytest.raises(drains.Moved):
        drains.apply(session, CLI, two.id, Change.DRAIN, seen=tokens[1], **how)
    with unit_of_work(sessions) as session:
        row = session.get_one(Backend, two.id)
        seen = drains.look(session, [row], Change.DRAIN).token
    with unit_of_work(sessions) as session, pytest.raises(faults.BadRequest):
        drains.apply(session, CLI, two.id, Change.DRAIN, seen=seen, **how)
    assert flags(sessions, two) == (False, False, False)


def test_the_preview_says_what_is_left_in_figures(
    app: webtest.TestApp, sign_in: Make, make_backend: Make, make_flavor: Make
) -> None:
    room = {"memory_total_mb": 200 * 1024, "disk_total_mb": 4096 * 1024, "cpu_total": 64}
    backend = make_backend(memory_free_mb=50 * 1024, disk_free_mb=1024 * 1024, **room)
    make_backend(memory_free_mb=150 * 1024, disk_free_mb=1024 * 1024, **room)
    make_flavor(), make_flavor(ram_mb=2048)
    sign_in(Role.OPERATOR)
    for verb in ("drain", "offline"):
        page = app.get(f"/admin/backends/{backend.id}/{verb}")
        rows = page.html.find(id="room-table").find_parent("table").select("tbody tr")
        cells = [[cell.text for cell in row.select("td")] for row in rows]
        assert cells[0] == ["2", "1", "-1"]
        assert cells[1] == ["200 GiB", "150 GiB", "\N{MINUS SIGN}50 GiB (\N{MINUS SIGN}25 %)"]
        assert cells[2][2] == "\N{MINUS SIGN}1 TiB (\N{MINUS SIGN}50 %)"
        text = " ".join(page.html.main.text.split())
        assert "2 of 2 can still be placed" in text
        assert "StateActive" in text
        assert "OK Nothing is lost" in text
        assert re.search(r"As of \d\d:\d\d:\d\d", text)


def test_taking_the_last_backend_offline_takes_a_phrase_and_back_says_what_it_gives(
    app: webtest.TestApp,
    sign_in: Make,
    sessions: SessionFactory,
    make_backend: Make,
    make_flavor: Make,
) -> None:
    backend, flavor = make_backend(), make_flavor(disk_template="drbd")
    make_backend(disk_templates=["plain"])
    sign_in(Role.OPERATOR)
    page, form = preview(app, backend, "offline")
    assert "Nothing would be left for drbd." in page
    assert "is refused at once" in page
    assert f"Type: offline {backend.name}" in form.submit(status=400)
    form["phrase"] = f"offline {backend.name}"
    page = form.submit(status=303).follow().click("Take back…")
    assert f"again: {flavor.name}" in page
    page.forms["act"].submit(status=303)
    assert flags(sessions, backend) == (False, False, False)
