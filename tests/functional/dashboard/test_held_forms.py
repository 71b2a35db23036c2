"""What somebody has filled in outlives their session, and nobody else ever sees it."""

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.domain import held_forms
from cloudweb.models import (
    Backend,
    HeldForm,
    Role,
    SessionFactory,
    Terms,
    WebSession,
    unit_of_work,
    utc_now,
)

PASSWORD = "correct horse battery"


@pytest.fixture
def change(sessions: SessionFactory) -> Callable[..., None]:
    """Sets values of every row of a table."""

    def set_values(table: Any, **values: Any) -> None:
        with unit_of_work(sessions) as session:
            session.execute(sa.update(table).values(**values))

    return set_values


@pytest.fixture
def everything(sessions: SessionFactory) -> Callable[[Any], Any]:
    def read(table: Any) -> Any:
        with unit_of_work(sessions, write=False) as session:
            return session.scalars(sa.select(table).order_by(table.id)).all()

    return read


@pytest.fixture
def person(app: webtest.TestApp, make_user: Callable) -> Any:
    """An operator who has signed in by the form."""
    found = make_user(role=Role.OPERATOR, password=PASSWORD)
    _sign_in(app.get("/admin/login"), found)
    return found


def _sign_in(page: webtest.TestResponse, person: Any) -> webtest.TestResponse:
    page.form["email"], page.form["password"] = person.user.email, PASSWORD
    return page.form.submit(status=303).follow()


def _form(page: webtest.TestResponse) -> webtest.Form:
    return next(f for f in page.forms.values() if "seen" in f.fields)


@pytest.mark.parametrize("how", ["idle", "over"])
def test_a_form_that_comes_too_late_is_there_again_after_signing_in_and_can_be_sent(
    how: str,
    app: webtest.TestApp,
    person: Any,
    make_backend: Callable,
    change: Callable,
    everything: Callable,
) -> None:
    backend = make_backend()
    make_backend()
    form = _form(app.get(f"/admin/backends/{backend.id}/drain"))
    form["reason"] = 'the "new" kernel <b>'
    old = utc_now() - dt.timedelta(hours=2)
    change(WebSession, **({"last_seen": old} if how == "idle" else {"expires": old}))
    asked = form.submit(status=303, headers={"Referer": f"http://localhost{form.action}"}).follow()
    assert "What you had filled in is kept" in asked
    page = _sign_in(asked, person)
    assert page.request.path == f"/admin/backends/{backend.id}/drain"
    assert "Nothing was done" in page
    assert everything(Backend)[0].drained is False
    again = _form(page)
    assert again["reason"].value == 'the "new" kernel <b>'
    again.submit(status=303)
    assert everything(Backend)[0].state_reason == 'the "new" kernel <b>'


def test_texts_menus_and_ticks_come_back_and_passwords_and_keys_do_not(
    app: webtest.TestApp, person: Any, change: Callable, everything: Callable, sealer: Any
) -> None:
    form = next(f for f in app.get("/admin/terms/new").forms.values() if "summary" in f.fields)
    form["text"] = "\n# Of use\r\n\r\n</textarea><script>x()</script> & more\r\n"
    form["summary"], form["format"] = "All new", "html"
    if "requires" in form.fields:
        form["requires"] = False
    change(WebSession, last_seen=utc_now() - dt.timedelta(hours=2))
    page = _sign_in(form.submit("do", status=303).follow(), person)
    again = next(f for f in page.forms.values() if "summary" in f.fields)
    assert again["text"].value.replace("\r\n", "\n").strip("\n") == (
        "# Of use\n\n</textarea><script>x()</script> & more"
    )
    assert "<script>x()" not in page
    assert (again["summary"].value, again["format"].value) == ("All new", "html")
    assert not again["requires"].checked
    assert everything(Terms) == []
    [kept] = everything(HeldForm)
    assert "All new" not in kept.sealed
    body = str(sealer.open(kept.sealed))
    assert "All new" in body
    assert form["csrf_token"].value not in body


def test_what_one_person_filled_in_is_never_shown_to_another(
    app: webtest.TestApp,
    person: Any,
    make_user: Callable,
    make_backend: Callable,
    change: Callable,
) -> None:
    other = make_user(role=Role.ADMIN, password=PASSWORD)
    form = _form(app.get(f"/admin/backends/{make_backend().id}/drain"))
    form["reason"] = "between us"
    change(WebSession, last_seen=utc_now() - dt.timedelta(hours=2))
    page = _sign_in(form.submit(status=303).follow(), other)
    assert "between us" not in page
    assert "no longer kept" in page
    assert _form(page)["reason"].value == ""


def test_what_was_filled_in_is_kept_for_a_quarter_of_an_hour(
    app: webtest.TestApp,
    person: Any,
    make_backend: Callable,
    change: Callable,
    sessions: SessionFactory,
    everything: Callable,
) -> None:
    form = _form(app.get(f"/admin/backends/{make_backend().id}/drain"))
    form["reason"] = "the new kernel"
    change(WebSession, last_seen=utc_now() - dt.timedelta(hours=2))
    asked = form.submit(status=303).follow()
    change(HeldForm, created=utc_now() - dt.timedelta(minutes=16))
    page = _sign_in(asked, person)
    assert "no longer kept" in page
    assert _form(page)["reason"].value == ""
    with unit_of_work(sessions) as session:
        assert held_forms.forget_old(session) == 1
    assert everything(HeldForm) == []


def test_nothing_is_kept_of_what_another_site_sends_nor_of_strangers_nor_of_too_much(
    app: webtest.TestApp,
    person: Any,
    change: Callable,
    everything: Callable,
    make_backend: Callable,
) -> None:
    path = f"/admin/backends/{make_backend().id}/drain"
    token = _form(app.get(path))["csrf_token"].value
    change(WebSession, last_seen=utc_now() - dt.timedelta(hours=2))
    app.post(path, {"reason": "planted"}, status=303)
    app.post(path, {"reason": "planted", "csrf_token": "x"}, status=303)
    much = {"csrf_token": token, "reason": "x" * (held_forms.MOST_BYTES + 1)}
    assert "held=" not in app.post(path, much, status=303).location
    app.set_cookie("cloudweb", "nobodys")
    assert "held=" not in app.post(path, {"reason": "x", "csrf_token": token}, status=303).location
    assert everything(HeldForm) == []


def test_only_the_newest_few_are_kept_of_one_person(
    app: webtest.TestApp,
    person: Any,
    change: Callable,
    everything: Callable,
    make_backend: Callable,
) -> None:
    form = _form(app.get(f"/admin/backends/{make_backend().id}/drain"))
    change(WebSession, last_seen=utc_now() - dt.timedelta(hours=2))
    for _ in range(8):
        form.submit(status=303)
    assert len(everything(HeldForm)) == 5


def test_what_has_no_place_any_more_is_shown_as_it_was_written(
    app: webtest.TestApp, person: Any, make_backend: Callable, change: Callable
) -> None:
    form = _form(app.get(f"/admin/backends/{make_backend().id}/drain"))
    form["reason"] = "the new kernel <i>"
    change(WebSession, last_seen=utc_now() - dt.timedelta(hours=2))
    asked = form.submit(status=303).follow()
    change(Backend, drained=True)
    page = _sign_in(asked, person)
    assert "the new kernel &lt;i&gt;" in page


def test_a_form_about_a_world_that_moved_meanwhile_does_nothing_when_it_is_sent_again(
    app: webtest.TestApp,
    person: Any,
    make_backend: Callable,
    change: Callable,
    everything: Callable,
) -> None:
    form = _form(app.get(f"/admin/backends/{make_backend().id}/drain"))
    form["reason"] = "the new kernel"
    change(WebSession, last_seen=utc_now() - dt.timedelta(hours=2))
    asked = form.submit(status=303).follow()
    change(Backend, offline=True)
    _form(_sign_in(asked, person)).submit(status=409)
    assert everything(Backend)[0].drained is False


def test_a_preview_of_many_comes_back_with_all_of_them(
    app: webtest.TestApp,
    make_user: Callable,
    make_backend: Callable,
    make_server: Callable,
    change: Callable,
) -> None:
    person = make_user(role=Role.ADMIN, password=PASSWORD)
    _sign_in(app.get("/admin/login"), person)
    backend = make_backend()
    ids = [make_server(owner=person, backend=backend, name=name).id for name in ("one", "two")]
    query = "&".join(f"id={id_}" for id_ in ids)
    form = _form(app.get(f"/admin/vms/bulk?verb=destroy&{query}"))
    form["phrase"] = "destroy 2 vms"
    change(WebSession, last_seen=utc_now() - dt.timedelta(hours=2))
    page = _sign_in(form.submit(status=303).follow(), person)
    assert "2 of 2 will be done" in page
    assert _form(page)["phrase"].value == "destroy 2 vms"


def test_a_session_that_somebody_ended_leaves_nothing_behind(
    app: webtest.TestApp,
    person: Any,
    sessions: SessionFactory,
    make_backend: Callable,
    everything: Callable,
) -> None:
    form = _form(app.get(f"/admin/backends/{make_backend().id}/drain"))
    with unit_of_work(sessions) as session:
        session.execute(sa.delete(WebSession))
    assert "held=" not in form.submit(status=303).location
    assert everything(HeldForm) == []


def test_every_field_of_ours_that_is_secret_is_known_to_be(project: Path) -> None:
    secret = re.compile(r'<input[^>]*(?:type="password"|one-time-code)[^>]*>')
    found = set()
    for path in (project / "cloudweb/templates").rglob("*.jinja2"):
        for tag in secret.findall(path.read_text()):
            found |= set(re.findall(r' name="([^"]+)"', tag))
    assert {"password", "again", "current", "code"} <= found
    assert [name for name in found if not held_forms.is_secret(name)] == []
