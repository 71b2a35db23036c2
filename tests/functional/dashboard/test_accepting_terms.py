"""Terms of use: who is asked, what is refused until they accept, and what everybody may read."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.domain import identity, publishing, terms
from cloudweb.models import Acceptance, Role, SessionFactory, Terms, unit_of_work, utc_now

PASSWORD = "correct horse battery"
CLI = identity.system("cli")


@pytest.fixture
def publish(sessions: SessionFactory) -> Callable[..., Terms]:
    """Publishes a version."""

    def go(
        text: str = "# Rules\n\nBe kind.\n", *, at: dt.datetime | None = None, **values: Any
    ) -> Terms:
        with unit_of_work(sessions) as session:
            draft = terms.add(session, CLI, text=text, summary="rules", **values)
            return publishing.publish(session, CLI, draft.id, in_force=at, reason="tests")

    return go


@pytest.mark.parametrize(
    ("role", "home"), [(Role.USER, "/account"), (Role.OPERATOR, "/admin/backends")]
)
def test_who_owes_acceptance_is_asked_at_sign_in_and_goes_on_where_they_wanted(
    role: Role, home: str, app: webtest.TestApp, make_user: Callable, publish: Callable
) -> None:
    person = make_user(role=role, password=PASSWORD)
    publish()
    form = app.get(f"/admin/login?next={home}").form
    form["email"], form["password"] = person.user.email, PASSWORD
    page = form.submit(status=303).follow(status=303).follow(status=200)
    assert page.request.path == "/account/terms"
    assert "Be kind." in page
    form = page.forms[1]
    form.submit(status=400).mustcontain("Tick that you accept")
    form["accept"] = True
    assert form.submit(status=303).location.endswith(home)
    app.get(home, status=200)
    app.get("/account/terms", status=303)


def test_api_calls_of_who_owes_acceptance_are_refused_until_then(
    app: webtest.TestApp, sign_in: Callable, publish: Callable
) -> None:
    person = sign_in(Role.USER)
    app.get("/api/v1.1/servers", headers=person.headers, status=200)
    publish()
    paths = ("/api/v1.1/servers", "/plankton/images/", "/im/authenticate", "/v1/flavors")
    for path in paths:
        refused = app.get(path, headers=person.headers, status=401)
        assert "Pending approval terms" in refused.text, path
    refused = app.get("/api/v1.1/servers.xml", headers=person.headers, status=401)
    assert "Pending approval terms" in refused.text
    form = app.get("/account/terms").forms[1]
    form["accept"] = True
    form.submit(status=303)
    for path in paths:
        app.get(path, headers=person.headers, status=200)


def test_a_password_given_to_the_federation_does_not_go_around_the_terms(
    app: webtest.TestApp, make_user: Callable, publish: Callable
) -> None:
    person = make_user(password=PASSWORD)
    app.authorization = ("Basic", (person.user.email, PASSWORD))
    app.get("/v1/flavors", status=200)
    publish()
    assert "Pending approval terms" in app.get("/v1/flavors", status=401)


def test_a_new_version_asks_again_unless_it_need_not_be_accepted(
    app: webtest.TestApp, sign_in: Callable, publish: Callable, sessions: SessionFactory
) -> None:
    person = sign_in(Role.USER)
    publish()
    form = app.get("/account/terms").forms[1]
    form["accept"] = True
    form.submit(status=303)
    publish("# Rules\n\nBe kind!\n", requires_acceptance=False)
    app.get("/api/v1.1/servers", headers=person.headers, status=200)
    app.get("/account", status=200)
    publish("# Rules\n\nBe kind and brief.\n")
    app.get("/api/v1.1/servers", headers=person.headers, status=401)
    assert "since you accepted version 1" in app.get("/account", status=303).follow()


def test_a_scheduled_version_asks_nobody_before_its_time(
    app: webtest.TestApp, make_user: Callable, publish: Callable, sessions: SessionFactory
) -> None:
    person = make_user()
    later = publish(at=utc_now() + dt.timedelta(days=2))
    app.get("/api/v1.1/servers", headers=person.headers, status=200)
    assert "There are none here" in app.get("/terms", status=404)
    assert "comes into force" in app.get("/terms/1", status=200)
    with unit_of_work(sessions) as session:
        past = utc_now() - dt.timedelta(seconds=1)
        session.execute(sa.update(Terms).where(Terms.id == later.id).values(in_force=past))
    app.get("/api/v1.1/servers", headers=person.headers, status=401)


def test_accepting_what_has_been_replaced_is_asked_again(
    app: webtest.TestApp, sign_in: Callable, publish: Callable, sessions: SessionFactory
) -> None:
    person = sign_in(Role.USER)
    publish()
    form = app.get("/account/terms").forms[1]
    form["accept"] = True
    publish("# Rules\n\nBe kind and brief.\n")
    moved = form.submit(status=409)
    assert "Nothing was accepted" in moved
    assert "kind and brief" in moved
    form = moved.forms[1]
    form["accept"] = True
    form.submit(status=303)
    form.submit(status=303)
    with unit_of_work(sessions) as session:
        found = session.scalars(sa.select(Acceptance)).all()
    digest = terms.digest("# Rules\n\nBe kind and brief.\n")
    assert [(a.user_id, a.text_digest, a.door) for a in found] == [
        (person.user.id, digest, "dashboard")
    ]


def test_a_refreshing_part_of_who_owes_acceptance_stops(
    app: webtest.TestApp, sign_in: Callable, publish: Callable
) -> None:
    sign_in(Role.OPERATOR)
    publish()
    app.get("/admin/vms", headers={"HX-Request": "true"}, status=401)
    app.get("/account/terms").forms[0].submit(status=303)


def test_terms_do_nothing_whatever_is_in_them(app: webtest.TestApp, publish: Callable) -> None:
    evil = (
        "<h1 onclick=x()>Hi</h1><script>alert(1)</script><img src=x onerror=alert(1)>\n"
        "<style>*{display:none}</style><iframe src=//evil></iframe><form action=//evil>"
        '<input name=password></form><a href="javascript:alert(1)">j</a>'
        '<a href="https://example.org/">ok</a><svg><script>alert(2)</script></svg>'
        "<div id=main style=position:fixed>d</div><meta http-equiv=refresh content=0>"
    )
    for number, kind in ((1, "html"), (2, "markdown")):
        publish(evil, kind=terms.TermsFormat(kind))
        page = app.get(f"/terms/{number}")
        written = page.text.split('<article class="written"')[1].split("</article>")[0].lower()
        for bad in (
            "script",
            "onclick",
            "onerror",
            "style",
            "iframe",
            "<form",
            "<input",
            "<img",
            "<svg",
            "id=",
            "<meta",
        ):
            assert bad not in written, (kind, bad)
        assert 'href="javascript' not in written
        assert 'href="https://example.org/"' in written
        assert "noopener" in written
        assert "Hi</h2>" in page


def test_a_link_in_markdown_to_a_script_is_none(app: webtest.TestApp, publish: Callable) -> None:
    publish("[a](javascript:alert(1)) [b](data:text/html,x) [c](mailto:a@example.org)\n")
    written = app.get("/terms").text.split("<article")[1]
    assert 'href="javascript' not in written
    assert 'href="data' not in written
    assert 'href="mailto:a@example.org"' in written


@pytest.mark.parametrize("path", ["/terms/9", "/terms/0", "/terms/1x", "/terms/999999999"])
def test_a_version_that_is_not_published_is_not_there(path: str, app: webtest.TestApp) -> None:
    app.get(path, status=404)


def test_every_page_links_to_the_terms(app: webtest.TestApp) -> None:
    assert 'href="/terms"' in app.get("/admin/login")
