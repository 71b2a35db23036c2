"""Lists kept under a name: for oneself, for others, in place of the whole list."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.models import AuditEntry, Role, SavedView, SessionFactory, unit_of_work
from cloudweb.views.dashboard.saved_views import LISTINGS

BROKEN = "/admin/vms?state=ERROR&sort=-created&cols=owner"


@pytest.fixture
def saved(sessions: SessionFactory) -> Callable[[], Any]:
    def read() -> Any:
        with unit_of_work(sessions, write=False) as session:
            return session.scalars(sa.select(SavedView).order_by(SavedView.id)).all()

    return read


def _fill(page: webtest.TestResponse, name: str = "Broken", **values: Any) -> webtest.Form:
    form = next(f for f in page.forms.values() if "shared_with" in f.fields)
    form["name"] = name
    for field, value in values.items():
        form[field] = value
    return form


def _save(app: webtest.TestApp, at: str = BROKEN, name: str = "Broken", **values: Any) -> Any:
    return _fill(app.get(at).click("Save as a view"), name, **values).submit(status=303)


def test_a_list_is_saved_as_it_is_shown_and_opens_so_from_the_list_and_from_the_overview(
    app: webtest.TestApp, sign_in: Callable
) -> None:
    sign_in(Role.VIEWER)
    page = _save(app).follow().follow()
    assert dict(page.request.GET) == {"cols": "owner", "sort": "-created", "state": "ERROR"}
    assert page.html.select_one("nav.views [aria-current]").text == "Broken"
    assert "Save as a view" not in page
    for start in ("/admin/vms", "/admin/", "/admin/views"):
        opened = app.get(start).click("^Broken$").follow()
        assert dict(opened.request.GET)["state"] == "ERROR"


def test_a_whole_list_has_nothing_to_save(app: webtest.TestApp, sign_in: Callable) -> None:
    sign_in(Role.VIEWER)
    assert "Save as a view" not in app.get("/admin/vms")


@pytest.mark.parametrize("name", LISTINGS)
def test_every_list_can_be_saved(
    name: str, app: webtest.TestApp, sign_in: Callable, saved: Callable
) -> None:
    sign_in(Role.ADMIN)
    at = {"letters": "queues/letters"}.get(name, name.replace(".", "/"))
    _save(app, f"/admin/{at}?per_page=25")
    assert [(view.listing, view.query) for view in saved()] == [(name, "per_page=25")]
    app.get(f"/admin/{at}?view={saved()[0].id}", status=303)


def test_one_of_ones_own_views_takes_the_place_of_the_whole_list_which_stays_in_reach(
    app: webtest.TestApp, sign_in: Callable, saved: Callable
) -> None:
    sign_in(Role.VIEWER)
    _save(app, opens=True)
    page = app.get("/admin/vms", status=303).follow()
    assert dict(page.request.GET)["state"] == "ERROR"
    whole = page.click("^All$")
    assert whole.request.path_qs == "/admin/vms?view=all"
    assert "state: " not in whole.html.select_one("main").text.lower()
    _save(app, "/admin/vms?q=web", name="Web", opens=True)
    assert [view.opens for view in saved()] == [False, True]


def test_what_is_shared_is_seen_by_those_it_is_shared_with_and_changed_by_its_owner_alone(
    app: webtest.TestApp, sign_in: Callable, saved: Callable
) -> None:
    sign_in(Role.OPERATOR)
    _save(app, name="Mine")
    _save(app, "/admin/vms?q=a", name="Of operators", shared_with="operator")
    _save(app, "/admin/vms?q=b", name="Of all", shared_with="everyone")
    mine, _, all_ = (view.id for view in saved())
    for role, names in (
        (Role.OPERATOR, ["All", "Of all", "Of operators"]),
        (Role.HELPDESK, ["All", "Of all"]),
    ):
        sign_in(role)
        page = app.get("/admin/vms")
        assert [a.text for a in page.html.select("nav.views li a")] == names
        assert [row["name"] for row in app.get("/admin/views.json").json] == names[1:]
        assert "Change…" not in app.get("/admin/views")
        app.get(f"/admin/vms?view={mine}", status=404)
        app.get(f"/admin/views/{mine}/edit", status=404)
        app.get(f"/admin/views/{all_}/remove", status=403)
    sign_in(Role.ADMIN)
    app.get(f"/admin/views/{mine}/remove", status=404)
    form = app.get("/admin/views").click("Remove…").forms[1]
    form.submit(status=303)
    assert [view.name for view in saved()] == ["Mine", "Of operators"]


def test_a_view_is_renamed_and_removed_and_the_audit_says_so(
    app: webtest.TestApp, sign_in: Callable, saved: Callable, sessions: SessionFactory
) -> None:
    sign_in(Role.VIEWER)
    _save(app)
    form = _fill(app.get("/admin/views").click("Change…"), "  Sick   ones ", shared_with="everyone")
    form.submit(status=303)
    assert [(view.name, view.shared_with) for view in saved()] == [("Sick ones", "everyone")]
    removal = app.get("/admin/views").click("Remove…")
    assert "lose it, too" in removal
    removal.forms[1].submit(status=303)
    assert saved() == []
    with unit_of_work(sessions, write=False) as session:
        found = session.scalars(sa.select(AuditEntry.action).order_by(AuditEntry.id)).all()
    assert found[-3:] == ["view:save", "view:change", "view:remove"]


def test_a_name_is_one_line_and_each_owners_own(
    app: webtest.TestApp, sign_in: Callable, saved: Callable
) -> None:
    sign_in(Role.VIEWER)
    _save(app)
    for name, words in (("broken", "with that name"), ("", "needed"), ("x" * 51, "at most 50")):
        page = _fill(app.get(BROKEN + ",name").click("Save as a view"), name).submit(status=400)
        assert words in page
        assert _fill(page, name)["name"].value == name
    page = _save(app, "/admin/users?q=x")
    sign_in(Role.VIEWER)
    _save(app)
    assert len(saved()) == 3


def test_sent_twice_a_view_is_saved_once(
    app: webtest.TestApp, sign_in: Callable, saved: Callable
) -> None:
    sign_in(Role.VIEWER)
    form = _fill(app.get(BROKEN).click("Save as a view"))
    first, again = form.submit(status=303), form.submit(status=303)
    assert first.location == again.location
    assert len(saved()) == 1


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/admin/views/new?list=nothing&query=q%3Dx", 400),
        ("/admin/views/new?list=vms&query=nothing%3Dx", 400),
        ("/admin/views/new?list=vms&query=q%3D%CE%B1", 200),
        ("/admin/vms?view=x", 404),
        ("/admin/vms?view=999999", 404),
    ],
)
def test_only_what_a_list_understands_is_saved_or_opened(
    path: str, status: int, app: webtest.TestApp, sign_in: Callable
) -> None:
    sign_in(Role.VIEWER)
    app.get(path, status=status)


def test_a_view_of_one_list_is_none_of_another(
    app: webtest.TestApp, sign_in: Callable, saved: Callable
) -> None:
    sign_in(Role.VIEWER)
    _save(app)
    app.get(f"/admin/users?view={saved()[0].id}", status=404)


def test_names_are_shown_as_texts(app: webtest.TestApp, sign_in: Callable) -> None:
    sign_in(Role.VIEWER)
    _save(app, name='"><svg onload=x()>')
    for path in ("/admin/vms", "/admin/", "/admin/views"):
        assert "<svg onload" not in app.get(path)
