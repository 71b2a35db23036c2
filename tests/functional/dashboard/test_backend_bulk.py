"""Acting on several backends of the list at once."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.domain import placement
from cloudweb.models import Backend, Mail, Role, SessionFactory, unit_of_work
from tests.functional.dashboard.audited import CLI

Make = Callable[..., Any]


def rows(sessions: SessionFactory) -> Sequence[Backend]:
    with unit_of_work(sessions, write=False) as session:
        return session.scalars(sa.select(Backend).order_by(Backend.id)).all()


def preview(app: webtest.TestApp, verb: str, *backends: Backend) -> Any:
    """The page before, by way of the list."""
    form = app.get("/admin/backends").forms["bulk"]
    ids = [("id", str(backend.id)) for backend in backends]
    return app.get(form.action, [("verb", verb), *ids])


def confirmed(page: Any, **values: Any) -> Any:
    form = page.forms["act"]
    for name, value in values.items():
        form[name] = value
    return form.submit(status=303).follow()


def test_several_are_drained_together_and_that_is_undone(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_backend: Make
) -> None:
    one, two, drained = make_backend(), make_backend(), make_backend(drained=True)
    left = make_backend()
    sign_in(Role.OPERATOR)
    page = preview(app, "drain", one, two, drained)
    assert "2 of 3 will be done" in page
    assert "It is drained already." in page
    cells = page.html.find(id="room-table").find_parent("table").select("tbody tr")[0]
    assert [cell.text for cell in cells.select("td")] == ["3", "1", "-2"]
    told = confirmed(page, reason="New switch.")
    assert [row.drained for row in rows(sessions)] == [True, True, True, False]
    assert {row.state_reason for row in rows(sessions)[:2]} == {"New switch."}
    found = [c.text.strip() for c in told.html.select("table td .chip")]
    assert found == ["Done", "Done", "Skipped"]
    assert one.name in told
    assert left.name not in told.html.main.text
    undo = next(f for f in told.forms.values() if f.action.startswith("/admin/undo/"))
    undo.submit(status=303)
    assert [row.drained for row in rows(sessions)] == [False, False, True, False]


def test_draining_all_that_take_a_flavor_takes_a_phrase(
    app: webtest.TestApp,
    sign_in: Make,
    sessions: SessionFactory,
    make_backend: Make,
    make_flavor: Make,
    make_user: Make,
) -> None:
    one, two = make_backend(), make_backend()
    make_backend(disk_templates=["plain"])
    lost, pinned = make_flavor(disk_template="drbd"), make_user(email="lab-7@example.org")
    with unit_of_work(sessions) as session:
        placement.pin(session, CLI, pinned.user, session.get_one(Backend, two.id))
    sign_in(Role.OPERATOR)
    assert lost.name not in preview(app, "drain", one)
    page = preview(app, "drain", one, two)
    assert lost.name in page
    assert "lab-7@example.org still go there" in " ".join(page.text.split())
    form = page.forms["act"]
    form["reason"] = "New switch."
    assert "Type: drain 2 backends" in form.submit(status=400)
    assert not any(row.drained for row in rows(sessions))
    confirmed(page, reason="New switch.", phrase="drain 2 backends")
    assert [row.drained for row in rows(sessions)] == [True, True, False]


@pytest.mark.parametrize(
    ("verb", "before", "after"),
    [
        ("undrain", {"drained": True}, {"drained": False}),
        ("restrict", {"public": True}, {"public": False}),
        ("publish", {"public": False}, {"public": True}),
        ("offline", {"offline": False}, {"offline": True}),
        ("online", {"offline": True}, {"offline": False}),
    ],
)
def test_each_other_act_is_done_to_several(
    app: webtest.TestApp,
    sign_in: Make,
    sessions: SessionFactory,
    make_backend: Make,
    verb: str,
    before: dict[str, bool],
    after: dict[str, bool],
) -> None:
    chosen = [make_backend(**before) for _ in range(2)]
    make_backend()
    sign_in(Role.OPERATOR)
    page = preview(app, verb, *chosen)
    assert f"cloudweb backend {verb} {chosen[1].name}" in page
    confirmed(page, reason="New switch.")
    [(flag, value)] = after.items()
    assert [getattr(row, flag) for row in rows(sessions)[:2]] == [value, value]


def test_several_are_refreshed_but_none_that_is_offline(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_backend: Make
) -> None:
    one, two, offline = make_backend(), make_backend(), make_backend(offline=True)
    sign_in(Role.OPERATOR)
    page = preview(app, "refresh", one, two, offline)
    assert "2 of 3 will be done" in page
    confirmed(page)
    asked = [row.refresh_asked is not None for row in rows(sessions)]
    assert asked == [True, True, False]


def test_one_that_moved_since_the_preview_stops_all(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_backend: Make
) -> None:
    one, two = make_backend(), make_backend()
    make_backend()
    sign_in(Role.OPERATOR)
    form = preview(app, "drain", one, two).forms["act"]
    form["reason"] = "New switch."
    with unit_of_work(sessions) as session:
        session.get_one(Backend, two.id).offline = True
    page = form.submit(status=409)
    assert "It has changed." in page
    assert not any(row.drained for row in rows(sessions))


def test_owners_on_all_of_them_get_one_mail_each_if_that_is_ticked(
    app: webtest.TestApp,
    sign_in: Make,
    sessions: SessionFactory,
    make_backend: Make,
    make_server: Make,
    make_user: Make,
) -> None:
    one, two = make_backend(), make_backend()
    make_backend()
    maria = make_user(email="maria@example.org")
    for backend in (one, two):
        make_server(backend=backend, owner=maria)
    sign_in(Role.OPERATOR)
    confirmed(preview(app, "offline", one, two), reason="New switch.", mail=True)
    with unit_of_work(sessions, write=False) as session:
        assert session.scalars(sa.select(Mail.recipient)).all() == ["maria@example.org"]


def test_what_cannot_be_asked_of_several_is_refused(
    app: webtest.TestApp, sign_in: Make, make_backend: Make
) -> None:
    backend = make_backend()
    sign_in(Role.VIEWER)
    assert "bulk" not in app.get("/admin/backends").forms
    app.get(f"/admin/backends/bulk?verb=drain&id={backend.id}", status=403)
    sign_in(Role.OPERATOR)
    assert "nothing is ticked" in app.get("/admin/backends/bulk?verb=drain").follow()
    app.get(f"/admin/backends/bulk?verb=sell&id={backend.id}", status=400)


def test_another_that_was_closed_since_the_preview_stops_all_and_is_marked(
    app: webtest.TestApp, sign_in: Make, sessions: SessionFactory, make_backend: Make
) -> None:
    one, two, other = make_backend(), make_backend(), make_backend()
    sign_in(Role.OPERATOR)
    form = preview(app, "offline", one, two).forms["act"]
    form["reason"] = "New switch."
    with unit_of_work(sessions) as session:
        session.get_one(Backend, other.id).drained = True
    page = form.submit(status=409)
    assert f"{other.name} (drained)" in [each.text for each in page.html.select(".moved")]
    assert "No backend would be left" in page
    assert not any(row.offline for row in rows(sessions))
    form = page.forms["act"]
    form["phrase"] = "offline 2 backends"
    form.submit(status=303)
    assert [row.offline for row in rows(sessions)] == [True, True, False]
