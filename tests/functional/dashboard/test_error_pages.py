"""Every refusal and failure is a page: a header, what it is, its request, a way on."""

import re
from collections.abc import Callable

import pytest
import sqlalchemy as sa
import webtest

from cloudweb import faults
from cloudweb.models import Role, SessionFactory, make_engine
from cloudweb.settings import Settings
from cloudweb.views.dashboard import topics
from tests.applications import application


class DoesNotFit(faults.Fault):
    """No page refuses so today; one that will is not left without a page."""

    name, code, sentence = "badRequest", 422, "That does not fit."


AWAY = sa.exc.OperationalError("SELECT 1", {}, Exception("no route to host"))
FAILURES = {
    400: faults.BadRequest("That cannot be."),
    403: faults.Forbidden("This takes the role admin."),
    404: faults.ItemNotFound("No server 9."),
    405: faults.WrongMethod(),
    409: faults.Conflict("It is applied already."),
    413: faults.OverLimit("Too much."),
    422: DoesNotFit(),
    429: faults.TooManyRequests("Too often.", retry_after_s=60),
    500: ZeroDivisionError("a secret of ours"),
    503: AWAY,
}
WORDS = {
    400: "cannot be understood",
    403: "Your role may not do this",
    404: "There is no such page",
    405: "That cannot be done here",
    409: "It has changed meanwhile",
    413: "too large",
    422: "does not fit",
    429: "Too many attempts",
    500: "Something failed on our side",
    503: "Not available right now",
}


@pytest.mark.parametrize("code", FAILURES)
def test_a_page_that_fails_says_what_and_under_which_number_and_leads_on(
    code: int, app: webtest.TestApp, sign_in: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = sign_in(Role.VIEWER)

    def fail(_page: str) -> None:
        raise FAILURES[code]

    monkeypatch.setattr(topics, "get", fail)
    headers = {"X-Request-Id": "tell-me-7", "Referer": "http://localhost:80/admin/vms?q=web"}
    page = app.get("/admin/help/vms", headers=headers, status=code)
    assert WORDS[code] in page.html.h1.text
    assert "tell-me-7" in page.html.main.text
    assert "secret" not in page
    assert me.user.email in page.html.header.text
    assert page.html.header.nav is not None
    ways = [link["href"] for link in page.html.main.select("a.button")]
    assert ways[:2] == ["/admin/vms?q=web", "/admin/"]
    assert ("/admin/help/vms" in ways) is (code >= 500)
    assert bool(page.html.main.find("input", attrs={"type": "search"})) is (code == 404)
    assert ("Retry-After" in page.headers) is (code in (429, 503))
    assert "frame-ancestors" in page.headers["Content-Security-Policy"]


def test_what_is_missing_can_be_searched_for(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable
) -> None:
    server = make_server(name="web-1")
    sign_in(Role.VIEWER)
    form = app.get("/admin/servers/web-1", status=404).html.main.form
    found = app.get(form["action"], {"q": f"vm-{server.id}"}, status=303)
    assert found.location.endswith(f"/admin/vms/{server.id}")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/admin/logout"), ("POST", "/admin/vms"), ("PUT", "/admin/"), ("DELETE", "/account")],
)
def test_what_an_address_is_not_for_is_said(
    method: str, path: str, app: webtest.TestApp, sign_in: Callable
) -> None:
    sign_in(Role.ADMIN)
    token = app.get("/admin/").forms[0]["csrf_token"].value
    page = app.request(path, method=method, headers={"X-CSRF-Token": token}, status=405)
    assert "That cannot be done here" in page
    assert ("by a button" if method == "GET" else method) in page.html.main.text


@pytest.mark.parametrize("method", ["POST", "OPTIONS", "DELETE"])
@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz"])
def test_what_only_answers_is_not_said_to_be_missing(
    path: str, method: str, app: webtest.TestApp
) -> None:
    answer = app.request(path, method=method, status=405)
    assert method in answer.text


@pytest.mark.parametrize(
    ("role", "to"), [(None, "/admin/"), (Role.VIEWER, "/admin/"), (Role.USER, "/account")]
)
def test_the_front_door_leads_to_ones_first_page(
    role: Role | None, to: str, app: webtest.TestApp, sign_in: Callable
) -> None:
    if role is not None:
        sign_in(role)
    for path in ("/", "/admin"):
        assert app.get(path, status=303).location == f"http://localhost{to}"


def test_who_is_kept_out_is_told_who_is_not(app: webtest.TestApp, sign_in: Callable) -> None:
    sign_in(Role.USER)
    assert "for those who run the cloud" in app.get("/admin/vms", status=403)
    sign_in(Role.VIEWER)
    assert "This takes the role operator or admin." in app.get("/admin/pools/new", status=403)


@pytest.mark.parametrize(
    "referer", ["https://evil.example/admin/vms", "http://localhost:80//evil", ""]
)
def test_the_way_back_is_never_elsewhere(
    referer: str, app: webtest.TestApp, sign_in: Callable
) -> None:
    sign_in(Role.VIEWER)
    page = app.get("/admin/nothing", headers={"Referer": referer}, status=404)
    assert [a["href"] for a in page.html.main.select("a.button")] == ["/admin/"]


def test_a_plain_user_is_led_to_their_account(app: webtest.TestApp, sign_in: Callable) -> None:
    sign_in(Role.USER)
    page = app.get("/admin/vms", status=403)
    assert re.search('href="/account">Your account', page.text)
    assert not page.html.main.find("input", attrs={"type": "search"})


def test_without_a_database_there_is_still_a_page_with_a_header(settings: Settings) -> None:
    engine = make_engine("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    app = webtest.TestApp(application(settings, sessions=SessionFactory(engine)))
    app.set_cookie("cloudweb", "x" * 43)
    page = app.get("/admin/vms", status=503)
    assert page.html.header.nav is not None
    assert "Try again" in page
    assert page.headers["Retry-After"] == "10"
