"""Attacks on signing in and on accounts, each as somebody would try it: docs/security.md."""

import dataclasses
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.app import make_app
from cloudweb.models import Mail, SessionFactory, Token, WebSession, unit_of_work
from cloudweb.sealing import Sealer
from cloudweb.settings import Settings
from cloudweb.views.dashboard.sessions import local_path
from tests.functional.account_mails import mails

PASSWORD = "correct horse battery"


@pytest.fixture
def make_client(settings: Settings, sessions: SessionFactory) -> Callable[..., webtest.TestApp]:
    """A browser on an installation with some settings of its own."""

    def make(**changes: Any) -> webtest.TestApp:
        changed = dataclasses.replace(settings, **changes)
        # Where all is encrypted, forms must come from here.
        origin = {"HTTP_HOST": "localhost", "HTTP_ORIGIN": "https://localhost"}
        environ = {"wsgi.url_scheme": "https", **origin}
        return webtest.TestApp(make_app(changed, sessions=sessions), extra_environ=environ)

    return make


def sign_in(app: webtest.TestApp, email: str, password: str = PASSWORD, **options: Any) -> Any:
    form = app.get("/admin/login").form
    form["email"], form["password"] = email, password
    return form.submit(**options)


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example/admin/",
        "https:/admin/",
        "javascript:alert(1)",
        "/admin/\r\nSet-Cookie: cloudweb=x",
        "/admin/\tx",
        "\t//evil.example",
        "/%09/evil.example",
        "//evil.example/admin/",
        "//[",
        "/static/x",
        "/api/v1.1/servers",
        "/admin/" + "a" * 2000,
        "/ａdmin/",  # noqa: RUF001  (a letter that looks like another)
    ],
)
def test_nobody_is_sent_elsewhere_after_signing_in(target: str) -> None:
    assert local_path(target) is None


@pytest.mark.parametrize("target", ["/admin/..//evil.example", "/terms/../..//evil.example/"])
def test_a_way_up_stays_on_this_host(target: str, app: webtest.TestApp, make_user: Any) -> None:
    email = make_user(password=PASSWORD).user.email
    form = app.get("/admin/login", {"next": target}).form
    form["email"], form["password"] = email, PASSWORD
    assert form.submit(status=303).location.startswith(("/", "http://localhost/"))


@pytest.mark.parametrize(
    "address",
    [
        "a@example.org\r\nBcc: b@example.org",
        "a@example.org\nBcc: b@example.org",
        "a@example.org%0aBcc: b",
        "a@example.org, b@example.org",
        "A <a@example.org>",
        "a@exa\0mple.org",
        "a\u2028@example.org",
        "a@еxample.org",  # noqa: RUF001  (a letter that looks like another)
    ],
)
def test_an_address_with_line_breaks_or_more_than_one_is_none(
    address: str, app: webtest.TestApp, sessions: SessionFactory
) -> None:
    for path in ("sign-up", "forgotten"):
        token = app.get(f"/account/{path}").form["csrf_token"].value
        fields = {"csrf_token": token, "email": address, "name": "x"}
        assert app.post(f"/account/{path}", fields, status="*").status_code == 400
    with unit_of_work(sessions, write=False) as session:
        assert session.scalars(sa.select(Mail)).all() == []


def test_a_mailed_link_leads_here_whatever_host_the_request_names(
    app: webtest.TestApp,
    make_user: Callable,
    sessions: SessionFactory,
    sealer: Sealer,
    settings: Settings,
) -> None:
    email = make_user(password=PASSWORD).user.email
    form = app.get("/account/forgotten").form
    form["email"] = email
    forged = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    forged |= {"Origin": "http://evil.example"}
    form.submit(headers=forged | {"Cookie": f"csrf={app.cookies['csrf']}"}, status=303)
    [(_, _, text)] = mails(sessions, sealer)
    assert f"{settings.public_url}/account/link?key=" in text
    assert "evil" not in text


def test_cookies_are_for_this_host_only_unreadable_by_scripts_and_sent_encrypted(
    make_client: Callable, make_user: Callable
) -> None:
    client = make_client(session_cookie_secure=True)
    email = make_user(password=PASSWORD).user.email
    login = client.get("/admin/login")
    answer = sign_in(client, email, status=303)
    out = client.get("/account").forms[0].submit(status=303)
    for page, name, age in (
        (login, "__Host-csrf", None),
        (answer, "__Host-cloudweb", None),
        (out, "__Host-cloudweb", "0"),
    ):
        [header] = [h for h in page.headers.getall("Set-Cookie") if h.startswith(name)]
        morsel = SimpleCookie(header)[name]
        assert morsel["secure"], header
        assert morsel["httponly"], header
        assert (morsel["path"], morsel["domain"]) == ("/", "")
        assert morsel["samesite"].lower() == "lax"
        assert age is None or morsel["max-age"] == age
    assert "max-age=" in login.headers["Strict-Transport-Security"]


def test_every_answer_about_somebody_is_neither_cached_nor_framed(
    app: webtest.TestApp, make_user: Callable
) -> None:
    sign_in(app, make_user(password=PASSWORD).user.email)
    for path in ("/account", "/account/nothing", "/admin/", "/admin/users.csv", "/terms"):
        page = app.get(path, status="*")
        assert page.headers["Cache-Control"] == "no-store", path
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
        assert page.headers["X-Frame-Options"] == "DENY"
        assert page.headers["Referrer-Policy"] == "same-origin"


def test_a_session_somebody_prepared_is_not_the_one_that_is_opened(
    app: webtest.TestApp, make_user: Callable, sessions: SessionFactory
) -> None:
    attacker, victim = (make_user(password=PASSWORD).user for _ in range(2))
    sign_in(app, attacker.email, status=303)
    planted = app.cookies["cloudweb"]
    sign_in(app, victim.email, status=303)
    assert app.cookies["cloudweb"] != planted
    app.set_cookie("cloudweb", planted)
    app.get("/account", status=303)
    with unit_of_work(sessions, write=False) as session:
        assert session.scalars(sa.select(WebSession.user_id)).all() == [victim.id]


@pytest.mark.parametrize("trusted", [False, True])
def test_whoever_forges_their_address_counts_as_themselves(
    trusted: bool, make_client: Callable, make_user: Callable
) -> None:
    client = make_client(sign_in_attempts=3, trust_forwarded=trusted)
    statuses = []
    client.extra_environ["REMOTE_ADDR"] = "192.0.2.1"
    for n in range(5):
        forged = f"198.51.100.{n}, 192.0.2.9" if trusted else f"198.51.100.{n}"
        form = client.get("/admin/login").form
        form["email"], form["password"] = f"user{n}@example.org", "wrong wrong wrong"
        answer = form.submit(headers={"X-Forwarded-For": forged}, status="*")
        statuses.append(answer.status_code)
    assert statuses == [401, 401, 401, 429, 429]


def test_many_addresses_do_not_make_more_guesses_at_one_person(
    make_client: Callable, make_user: Callable
) -> None:
    client = make_client(sign_in_attempts=3)
    email = make_user(password=PASSWORD).user.email
    statuses = []
    for n in range(5):
        client.extra_environ["REMOTE_ADDR"] = f"198.51.100.{n}"
        spelt = email.upper() if n % 2 else f" {email} "
        statuses.append(sign_in(client, spelt, f"wrong {n}", status="*").status_code)
    assert statuses == [401, 401, 401, 429, 429]
    assert sign_in(client, email, status="*").status_code == 429


@pytest.mark.parametrize("length", [1001, 10_000, 40_000])
def test_a_very_long_password_costs_no_more_than_another(
    length: int, app: webtest.TestApp, make_user: Callable
) -> None:
    email = make_user(password=PASSWORD).user.email
    sign_in(app, email, "x" * length, status=401)
    sign_in(app, "é" * length, PASSWORD, status=401)


def test_what_is_somebody_elses_is_not_there(
    app: webtest.TestApp, make_user: Callable, sessions: SessionFactory
) -> None:
    other = make_user(password=PASSWORD)
    sign_in(app, other.user.email)
    with unit_of_work(sessions, write=False) as session:
        theirs = session.scalars(sa.select(WebSession.id)).one()
        token = session.scalars(sa.select(Token.id)).one()
    app.reset()
    sign_in(app, make_user(password=PASSWORD).user.email)
    fields = {"csrf_token": app.get("/account").forms[0]["csrf_token"].value}
    app.post(f"/account/sessions/{theirs}/end", fields, status=404)
    app.post(f"/account/tokens/{token}/revoke", fields, status=404)
    with unit_of_work(sessions, write=False) as session:
        assert session.get(WebSession, theirs) is not None
        assert session.get_one(Token, token).revoked is None


def test_a_cookie_opens_no_api_and_a_token_no_page(
    app: webtest.TestApp, make_user: Callable
) -> None:
    person = make_user(password=PASSWORD)
    sign_in(app, person.user.email)
    app.get("/api/v1.1/servers", status=401)
    app.reset()
    assert "/admin/login" in app.get("/account", headers=person.headers, status=303).location


FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "http://localhost:8080"},
    {"Origin": "http://[", "Referer": "http://localhost/account"},
    {"Origin": "http://localhost https://evil.example"},
    {"Referer": "https://evil.example/?http://localhost/account"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize("signed_in", [False, True])
def test_a_form_of_another_site_does_nothing_though_it_has_the_right_token(
    headers: dict[str, str],
    signed_in: bool,
    app: webtest.TestApp,
    make_user: Callable,
    sessions: SessionFactory,
) -> None:
    person = make_user(password=PASSWORD)
    if signed_in:
        sign_in(app, person.user.email, status=303)
        form = next(f for f in app.get("/account").forms.values() if f.action == "/account/tokens")
        form["name"] = "laptop"
    else:
        form = app.get("/admin/login").form
        form["email"], form["password"] = person.user.email, PASSWORD
    assert "came from elsewhere" in form.submit(headers=headers, status=400)
    with unit_of_work(sessions, write=False) as session:
        assert len(session.scalars(sa.select(Token)).all()) == 1
        assert len(session.scalars(sa.select(WebSession)).all()) == int(signed_in)


@pytest.mark.parametrize(
    ("headers", "host"),
    [
        ({}, "localhost"),
        ({"Origin": "http://LOCALHOST"}, "localhost"),
        ({"Origin": "http://localhost"}, "localhost:80"),
        ({"Referer": "http://localhost/admin/login"}, "localhost"),
        ({"Origin": "http://cloud.example.org:8080"}, "cloud.example.org:8080"),
        ({"Origin": "https://cloud.example.org"}, "backend-7:6543"),
    ],
    ids=str,
)
def test_a_form_of_ours_works_by_any_name_we_have(
    headers: dict[str, str], host: str, make_client: Callable, make_user: Callable
) -> None:
    client = make_client(public_url="https://cloud.example.org")
    client.extra_environ = {"HTTP_HOST": host}
    email = make_user(password=PASSWORD).user.email
    token = client.get("/admin/login").form["csrf_token"].value
    fields = {"csrf_token": token, "email": email, "password": PASSWORD}
    cookie = {"Cookie": f"csrf={token}"}
    client.post("/admin/login", fields, headers=headers | cookie, status=303)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 400),
        ({"Origin": "https://evil.example"}, 400),
        ({"Origin": "https://localhost"}, 303),
        ({"Referer": "https://localhost/admin/login"}, 303),
    ],
    ids=str,
)
def test_behind_a_proxy_that_says_nothing_of_encryption_forms_are_still_ours_alone(
    headers: dict[str, str], status: int, make_client: Callable, make_user: Callable
) -> None:
    client = make_client(session_cookie_secure=True, public_url="https://cloud.example.org")
    client.extra_environ = {"HTTP_HOST": "localhost"}
    email = make_user(password=PASSWORD).user.email
    page = client.get("/admin/login")
    token = page.form["csrf_token"].value
    fields = {"csrf_token": token, "email": email, "password": PASSWORD}
    cookie = {"Cookie": f"__Host-csrf={token}"}
    client.post("/admin/login", fields, headers=headers | cookie, status=status)
