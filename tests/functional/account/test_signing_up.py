"""Signing up, new passwords, and what strangers learn from asking: nothing."""

import dataclasses
import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.domain import accounts
from cloudweb.models import (
    AuditEntry,
    Mail,
    Role,
    SessionFactory,
    User,
    UserState,
    WebSession,
    unit_of_work,
)
from cloudweb.sealing import Sealer
from cloudweb.settings import Settings
from tests.applications import application
from tests.functional.account_mails import links, mails

PASSWORD = "correct horse battery"
NEW = "staple of another colour"


@pytest.fixture
def make_client(settings: Settings, sessions: SessionFactory) -> Callable[..., webtest.TestApp]:
    """A browser on an installation with these settings."""

    def make(**changes: Any) -> webtest.TestApp:
        changed = dataclasses.replace(settings, **changes)
        return webtest.TestApp(application(changed, sessions=sessions))

    return make


def state_of(sessions: SessionFactory, email: str) -> UserState | None:
    with unit_of_work(sessions, write=False) as session:
        user = accounts.find(session, email)
    return user.state if user else None


def ask(client: webtest.TestApp, page: str, email: str, **options: Any) -> webtest.TestResponse:
    form = client.get(f"/account/{page}").form
    form["email"].force_value(email)
    return form.submit(**options)


def choose(client: webtest.TestApp, link: str, password: str = PASSWORD) -> webtest.TestResponse:
    form = client.get(link).form
    form["password"] = form["again"] = password
    return form.submit()


def sign_in(
    client: webtest.TestApp, email: str, password: str, **options: Any
) -> webtest.TestResponse:
    form = client.get("/admin/login").form
    form["email"], form["password"] = email, password
    return form.submit(**options)


def test_who_signs_up_waits_to_be_accepted_and_then_signs_in(
    make_client: Callable, make_user: Callable, sessions: SessionFactory, sealer: Sealer
) -> None:
    client = make_client(moderators=("boss@example.org",))
    assert ask(client, "sign-up", "Nora@Example.org").location.endswith("/account/sent")
    assert state_of(sessions, "nora@example.org") is UserState.UNVERIFIED

    [link] = links(sessions, sealer, "nora@example.org")
    assert "waits" in choose(client, link).location

    assert state_of(sessions, "nora@example.org") is UserState.PENDING
    assert [to for to, _, _ in mails(sessions, sealer)] == ["nora@example.org", "boss@example.org"]
    assert sign_in(client, "nora@example.org", PASSWORD, status=401)

    make_user(role=Role.ADMIN, email="boss@example.org", password=PASSWORD)
    sign_in(client, "boss@example.org", PASSWORD)
    page = client.get("/admin/users?state=pending").click("nora@example.org")
    page.forms[1].submit()
    assert state_of(sessions, "nora@example.org") is UserState.ACTIVE
    assert mails(sessions, sealer)[-1][:2] == ("nora@example.org", "Your account is active")

    assert sign_in(client, "nora@example.org", PASSWORD).location.endswith("/account")
    client.get("/admin/", status=403)
    assert "nora@example.org" in client.get("/account")


def test_a_pattern_of_the_whole_address_accepts_unseen(
    make_client: Callable, sessions: SessionFactory, sealer: Sealer
) -> None:
    client = make_client(activation_patterns=(r"[^@]+@example\.org",))
    for email in ("in@example.org", "out@example.org.evil.test"):
        ask(client, "sign-up", email)
        choose(client, links(sessions, sealer, email)[0])

    assert state_of(sessions, "in@example.org") is UserState.ACTIVE
    assert state_of(sessions, "out@example.org.evil.test") is UserState.PENDING


def test_without_moderation_the_link_is_enough(
    make_client: Callable, sessions: SessionFactory, sealer: Sealer
) -> None:
    client = make_client(moderation=False)
    ask(client, "sign-up", "nora@example.org")
    choose(client, links(sessions, sealer, "nora@example.org")[0])

    assert state_of(sessions, "nora@example.org") is UserState.ACTIVE
    sign_in(client, "nora@example.org", PASSWORD, status=303)


def test_where_nobody_may_sign_up_nobody_can(
    make_client: Callable, sessions: SessionFactory
) -> None:
    open_client, client = make_client(), make_client(sign_up=False)
    assert "Ask an operator" in client.get("/account/sign-up")
    assert "Sign up" not in client.get("/admin/login")
    form = open_client.get("/account/sign-up").form
    form["email"] = "nora@example.org"
    client.cookiejar = open_client.cookiejar
    client.post("/account/sign-up", form.submit_fields(), status=403)
    assert state_of(sessions, "nora@example.org") is None


def test_a_known_and_an_unknown_address_get_the_same_answers(
    app: webtest.TestApp, make_user: Callable, sessions: SessionFactory, sealer: Sealer
) -> None:
    make_user(email="known@example.org", password=PASSWORD)
    make_user(email="gone@example.org", password=PASSWORD)
    with unit_of_work(sessions) as session:
        accounts.get(session, "gone@example.org").state = UserState.DEACTIVATED
    for page in ("sign-up", "forgotten"):
        answers = {
            (answer.status_code, answer.location, answer.text)
            for name in ("known", "new", "gone")
            for answer in [ask(app, page, f"{name}@example.org")]
        }
        assert len(answers) == 1
    assert [to for to, _, _ in mails(sessions, sealer)] == [
        *("known@example.org", "new@example.org"),
        "known@example.org",
    ]


def test_a_wrong_password_takes_as_long_whoever_it_is_for(
    app: webtest.TestApp, make_user: Callable
) -> None:
    make_user(email="known@example.org", password=PASSWORD)
    taken: dict[str, list[float]] = {"known@example.org": [], "nobody@example.org": []}
    for _ in range(4):
        for email, times in taken.items():
            started = time.perf_counter()
            sign_in(app, email, "wrong wrong wrong", status="*")
            times.append(time.perf_counter() - started)
    known, unknown = (statistics.median(times) for times in taken.values())
    assert 0.33 < known / unknown < 3


def test_a_link_is_good_once(
    app: webtest.TestApp, make_user: Callable, sessions: SessionFactory, sealer: Sealer
) -> None:
    make_user(email="uma@example.org", password=PASSWORD)
    ask(app, "forgotten", "uma@example.org")
    ask(app, "forgotten", "uma@example.org")
    first, second = links(sessions, sealer, "uma@example.org")
    app.get(first)
    forms = [app.get(link).form for link in (first, first, second)]
    for form in forms:
        form["password"] = form["again"] = NEW

    assert forms[0].submit(status=303)
    for form in forms[1:]:
        assert "not good any longer" in form.submit(status=400)
    sign_in(app, "uma@example.org", PASSWORD, status=401)
    sign_in(app, "uma@example.org", NEW, status=303)
    assert mails(sessions, sealer)[-1][1] == "Your password was changed"


def test_a_link_ends_and_dies_with_the_account(
    app: webtest.TestApp, make_user: Callable, sessions: SessionFactory, sealer: Sealer
) -> None:
    person = make_user(email="uma@example.org", password=PASSWORD)
    ask(app, "forgotten", "uma@example.org")
    [link] = links(sessions, sealer, "uma@example.org")
    with unit_of_work(sessions) as session:
        session.get_one(User, person.user.id).state = UserState.DEACTIVATED
    app.get(link, status=400)
    with unit_of_work(sessions) as session:
        session.get_one(User, person.user.id).state = UserState.ACTIVE
        session.execute(sa.text("UPDATE mailed_links SET expires = :now"), {"now": "2020-01-01"})
    app.get(link, status=400)
    app.get("/account/link", status=400)
    app.get("/account/link?key=%00", status=400)


def test_a_new_password_ends_every_session(
    app: webtest.TestApp,
    make_client: Callable,
    make_user: Callable,
    sessions: SessionFactory,
    sealer: Sealer,
) -> None:
    make_user(email="uma@example.org", password=PASSWORD)
    thief = make_client()
    sign_in(thief, "uma@example.org", PASSWORD)
    thief.get("/account", status=200)
    ask(app, "forgotten", "uma@example.org")
    choose(app, links(sessions, sealer, "uma@example.org")[0], NEW)

    assert "/admin/login" in thief.get("/account", status=303).location


def test_to_change_the_password_one_has_to_know_it(
    app: webtest.TestApp, make_client: Callable, make_user: Callable, sessions: SessionFactory
) -> None:
    make_user(email="uma@example.org", password=PASSWORD)
    other = make_client()
    for client in (app, other):
        sign_in(client, "uma@example.org", PASSWORD)

    def change(**fields: str) -> Any:
        form = app.get("/account").forms[1]
        for name, value in fields.items():
            form[name] = value
        return form.submit(status="*")

    wrong = change(current="not the password", password=NEW, again=NEW)
    assert (wrong.status_code, "This is not your password." in wrong) == (400, True)
    unlike = change(current=PASSWORD, password=NEW, again=PASSWORD)
    assert (unlike.status_code, "not the same" in unlike) == (400, True)
    short = change(current=PASSWORD, password="short", again="short")
    assert (short.status_code, "at least 10" in short) == (400, True)
    assert change(current=PASSWORD, password=NEW, again=NEW).status_code == 303

    app.get("/account", status=200)
    other.get("/account", status=303)
    sign_in(other, "uma@example.org", NEW, status=303)


def test_guessing_the_password_at_the_account_page_is_limited(
    make_client: Callable, make_user: Callable
) -> None:
    client = make_client(sign_in_attempts=3)
    make_user(email="uma@example.org", password=PASSWORD)
    sign_in(client, "uma@example.org", PASSWORD)
    statuses = []
    for number in range(5):
        form = client.get("/account").forms[1]
        form["current"] = f"wrong {number}"
        form["password"] = form["again"] = NEW
        statuses.append(form.submit(status="*").status_code)
    assert statuses[:3] == [400, 400, 400]
    assert statuses[4] == 429


def test_mail_can_be_asked_for_a_few_times_only(
    make_client: Callable, make_user: Callable, sessions: SessionFactory, sealer: Sealer
) -> None:
    client = make_client(mail_attempts=2)
    make_user(email="uma@example.org", password=PASSWORD)
    for email in ("uma@example.org", "nobody@example.org"):
        statuses = [ask(client, "forgotten", email, status="*").status_code for _ in range(4)]
        assert statuses == [303, 303, 429, 429]
    assert len(mails(sessions, sealer)) == 2
    # From one address no endless row of e-mails can be tried, either.
    many = [ask(client, "sign-up", f"a{n}@example.org", status="*") for n in range(6)]
    assert [answer.status_code for answer in many].count(303) == 4
    assert int(many[-1].headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    "email",
    [
        *("", "nobody", "a@b", "a b@example.org", "a@example.org\r\nBcc: b@example.org"),
        *("a\x00@example.org", "a@exam\u2028ple.org", "<a@example.org>", "a@example.org,b@c.de"),
        *('"a"@example.org', f"{'a' * 300}@example.org", "ä@example.org", "a@-example..org"),
    ],
)
def test_what_is_no_address_is_refused_and_nothing_is_mailed(
    app: webtest.TestApp, sessions: SessionFactory, email: str
) -> None:
    for page in ("sign-up", "forgotten"):
        assert "ot an e-mail address" in ask(app, page, email, status=400)
    with unit_of_work(sessions, write=False) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Mail)) == 0
        assert session.scalar(sa.select(sa.func.count()).select_from(User)) == 0


def test_a_name_is_one_line_and_shown_as_text(
    app: webtest.TestApp, sessions: SessionFactory, make_user: Callable
) -> None:
    make_user(role=Role.ADMIN, email="boss@example.org", password=PASSWORD)
    form = app.get("/account/sign-up").form
    form["email"] = "nora@example.org"
    form["name"].force_value("<script>alert(1)</script>\r\nBcc: x@example.org")
    form.submit(status=303)
    with unit_of_work(sessions, write=False) as session:
        assert "\n" not in accounts.get(session, "nora@example.org").name
    sign_in(app, "boss@example.org", PASSWORD)
    page = app.get("/admin/users")
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


def test_every_form_needs_its_token(app: webtest.TestApp, make_user: Callable) -> None:
    make_user(role=Role.ADMIN, email="boss@example.org", password=PASSWORD)
    sign_in(app, "boss@example.org", PASSWORD)
    for path in ("sign-up", "forgotten", "link", "password"):
        app.post(f"/account/{path}", {"email": "a@example.org"}, status=400)
    for verb in ("activate", "reject", "deactivate", "send", "role"):
        app.post(f"/admin/users/1/{verb}", status=400)


def test_signing_in_gives_a_new_session_and_ends_the_browsers_old_one(
    app: webtest.TestApp, make_user: Callable, sessions: SessionFactory
) -> None:
    make_user(email="uma@example.org", password=PASSWORD)
    app.set_cookie("cloudweb", "chosen-by-an-attacker")
    sign_in(app, "uma@example.org", PASSWORD)
    first = app.cookies["cloudweb"]
    assert first != "chosen-by-an-attacker"
    sign_in(app, "uma@example.org", PASSWORD)

    assert app.cookies["cloudweb"] != first
    with unit_of_work(sessions, write=False) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(WebSession)) == 1


def test_no_secret_is_stored_readably_or_audited(
    app: webtest.TestApp, sessions: SessionFactory, sealer: Sealer
) -> None:
    ask(app, "sign-up", "nora@example.org")
    [link] = links(sessions, sealer, "nora@example.org")
    key = link.partition("key=")[2]
    choose(app, link)
    with unit_of_work(sessions, write=False) as session:
        entries = session.scalars(sa.select(AuditEntry).order_by(AuditEntry.id)).all()
        stored = str([vars(row) for row in session.scalars(sa.select(Mail))])
        users = str([vars(row) for row in session.scalars(sa.select(User))])
    said = str([vars(entry) for entry in entries])
    assert [entry.action for entry in entries] == ["user:sign-up", "user:verify"]
    for secret in (key, PASSWORD):
        assert secret not in said + stored + users


def test_pages_of_the_account_are_not_cached_and_not_framed(app: webtest.TestApp) -> None:
    for path in ("/account/sign-up", "/account/forgotten", "/account/sent"):
        page = app.get(path)
        assert page.headers["Cache-Control"] == "no-store"
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize("key", ["", "x", "x" * 5000, "\u202e"])
def test_a_link_that_is_no_good_leads_to_where_there_are_others(
    key: str, app: webtest.TestApp
) -> None:
    page = app.get("/account/link", {"key": key}, status=400)
    assert page.html.h1.text == "This link is not good any longer"
    assert page.click("a new password").request.path == "/account/forgotten"
    assert page.click("sign up").request.path == "/account/sign-up"
