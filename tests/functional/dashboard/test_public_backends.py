"""Backends that take new servers of everybody, or of users pinned to them only."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
import webtest

from cloudweb.domain import identity, placement
from cloudweb.models import AuditEntry, Backend, Role, SessionFactory, unit_of_work

Make = Callable[..., Any]
CLI = identity.system("cli")


def backend_now(sessions: SessionFactory, backend: Backend) -> Backend:
    with unit_of_work(sessions, write=False) as session:
        return session.get_one(Backend, backend.id)


def restricted(app: webtest.TestApp, backend: Backend, **values: str) -> Any:
    form = app.get(f"/admin/backends/{backend.id}").click("Make not public…").forms["act"]
    form["reason"] = "For the lab."
    for name, value in values.items():
        form[name] = value
    return form.submit(status="*")


def test_a_backend_is_made_not_public_and_that_is_undone(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_backend: Make
) -> None:
    backend = make_backend()
    make_backend()
    sign_in(Role.OPERATOR)
    page = restricted(app, backend).follow()
    assert "Only new servers of users who are pinned to it go here." in page
    assert "For the lab." in page
    assert not backend_now(sessions, backend).public
    assert "Not public" in app.get("/admin/")
    undo = next(f for f in page.forms.values() if f.action.startswith("/admin/undo/"))
    assert "Undone:" in undo.submit(status=303).follow()
    assert backend_now(sessions, backend).public
    with unit_of_work(sessions, write=False) as session:
        entries = session.scalars(
            sa.select(AuditEntry).where(AuditEntry.target_kind == "backend").order_by(AuditEntry.id)
        ).all()
    assert [each.action for each in entries] == ["backend:restrict", "backend:publish"]
    assert entries[0].details["before"] == {"public": True}


def test_it_is_made_public_again(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_backend: Make
) -> None:
    backend = make_backend(public=False)
    sign_in(Role.OPERATOR)
    form = app.get(f"/admin/backends/{backend.id}").click("Make public…").forms["act"]
    page = form.submit(status=303).follow()
    assert "New servers of everybody may go here." in page
    assert backend_now(sessions, backend).public
    assert "It is public already." in app.get(f"/admin/backends/{backend.id}/publish")


def test_the_preview_says_what_is_left_and_who_still_goes_there(
    app: webtest.TestApp,
    sign_in: Make,
    sessions: SessionFactory,
    make_backend: Make,
    make_flavor: Make,
    make_user: Make,
) -> None:
    backend = make_backend()
    make_backend(disk_templates=["plain"])
    make_backend(public=False, state_reason="of the physicists")
    lost, kept = make_flavor(disk_template="drbd"), make_flavor(disk_template="plain")
    pinned = make_user(email="lab-7@example.org")
    with unit_of_work(sessions) as session:
        placement.pin(session, CLI, pinned.user, session.get_one(Backend, backend.id))
    sign_in(Role.OPERATOR)
    page = app.get(f"/admin/backends/{backend.id}/restrict")
    chips = [chip.text.strip() for chip in page.html.select(".tags .crit")]
    assert chips == [lost.name]
    assert kept.name not in page
    text = " ".join(page.text.split())
    assert "lab-7@example.org still go here" in text
    assert "of the physicists" in text
    rows = page.html.find(id="room-table").find_parent("table")
    assert [cell.text for cell in rows.select("tbody tr")[0].select("td")] == ["2", "1", "-1"]


def test_the_last_public_one_takes_a_phrase(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_backend: Make
) -> None:
    backend = make_backend()
    make_backend(drained=True)
    sign_in(Role.OPERATOR)
    refused = restricted(app, backend)
    assert refused.status_int == 400
    assert "No backend would be left" in refused
    assert backend_now(sessions, backend).public
    restricted(app, backend, phrase=f"restrict {backend.name}")
    assert not backend_now(sessions, backend).public
    assert "No backend takes new servers." in app.get("/admin/")


def test_a_preview_of_a_backend_that_moved_does_nothing(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_backend: Make
) -> None:
    backend = make_backend()
    make_backend()
    sign_in(Role.OPERATOR)
    form = app.get(f"/admin/backends/{backend.id}/restrict").forms["act"]
    form["reason"] = "For the lab."
    with unit_of_work(sessions) as session:
        session.get_one(Backend, backend.id).drained = True
    form.submit(status=409)
    assert backend_now(sessions, backend).public


def test_the_list_has_who_is_public_as_a_column_a_filter_and_in_files(
    app: webtest.TestApp, sign_in: Make, make_backend: Make
) -> None:
    public, other = make_backend(), make_backend(public=False)
    sign_in(Role.VIEWER)
    page = app.get("/admin/backends?public=no")
    assert other.name in page
    assert public.name not in page
    rows = app.get("/admin/backends.json").json
    assert {row["name"]: (row["public"], row["state"]) for row in rows} == {
        public.name: ("yes", ["active"]),
        other.name: ("no", ["not public"]),
    }


def test_a_new_one_may_be_added_not_public(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory
) -> None:
    sign_in(Role.OPERATOR)
    form = app.get("/admin/backends/new").forms["act"]
    form["name"] = "gnt.example.org"
    form["url"] = "https://gnt.example.org:5080"
    form["username"] = "cloudweb"
    form["password"] = "hunter2"
    form["restricted"] = True
    form.submit(status=303)
    with unit_of_work(sessions, write=False) as session:
        [made] = session.scalars(sa.select(Backend))
    assert (made.public, made.drained) == (False, True)


def test_no_flavor_fits_one_that_is_not_public_but_a_pinned_user(
    app: webtest.TestApp, sign_in: Make, make_backend: Make, make_flavor: Make
) -> None:
    backend = make_backend(public=False)
    flavor = make_flavor()
    sign_in(Role.VIEWER)
    page = app.get(f"/admin/backends/{backend.id}")
    [chip] = [chip.text for chip in page.html.select(".tags .chip") if flavor.name in chip.text]
    assert "not taken" in chip
