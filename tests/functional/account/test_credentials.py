"""The second factor, sessions and tokens: what they open, and for how long."""

import base64
import dataclasses
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from cloudweb.models import AuditEntry, Role, SessionFactory, User, WebSession, unit_of_work
from cloudweb.settings import Settings
from tests.applications import application

PASSWORD = "correct horse battery"


@pytest.fixture
def make_client(settings: Settings, sessions: SessionFactory) -> Callable[..., webtest.TestApp]:
    """A browser on an installation where admins need a second factor."""

    def make(**changes: Any) -> webtest.TestApp:
        changed = dataclasses.replace(settings, totp_required_roles=("admin",), **changes)
        return webtest.TestApp(application(changed, sessions=sessions))

    return make


@pytest.fixture
def client(make_client: Callable) -> webtest.TestApp:
    return make_client()


def sign_in(client: webtest.TestApp, email: str, at: str = "/admin/login") -> Any:
    form = client.get(at).form
    form["email"], form["password"] = email, PASSWORD
    return form.submit(status=303)


def code_of(secret: str, steps: int = 0) -> str:
    totp = TOTP(base64.b32decode(secret), 6, SHA1(), 30)
    return totp.generate(int(time.time()) + 30 * steps).decode()


def enrol(page: Any, steps: int = 0) -> tuple[str, list[str]]:
    """Set the offered factor up; its secret and the recovery codes."""
    secret = re.search(r"<code>([A-Z2-7]{32})</code>", page.text)
    assert secret is not None
    form = list({id(each): each for each in page.forms.values() if "code" in each.fields}.values())[
        -1
    ]
    form["code"] = code_of(secret[1], steps)
    done = form.submit(status=200)
    return secret[1], re.findall(r"^(?:<pre[^>]*>)?(\w{4}-\w{4}-\w{4})$", done.text, re.MULTILINE)


def give(client: webtest.TestApp, code: str) -> int:
    form = client.get("/admin/login/code").form
    form["code"] = code
    status: int = form.submit(status="*").status_code
    return status


def test_who_needs_a_second_factor_sets_it_up_at_the_first_sign_in(
    client: webtest.TestApp, make_user: Callable, sessions: SessionFactory
) -> None:
    email = make_user(role=Role.ADMIN, password=PASSWORD).user.email
    step = sign_in(client, email, "/admin/login?next=/admin/vms")
    assert "/admin/login/second-factor" in step.location
    client.get("/admin/", status=303)
    client.get("/account", status=303)
    before = client.cookies["cloudweb"]
    page = step.follow()
    assert "<svg" in page
    assert "style=" not in page.text

    secret, codes = enrol(page, steps=-1)

    assert len(set(codes)) == 10
    assert client.cookies["cloudweb"] != before
    client.get("/admin/", status=200)
    with unit_of_work(sessions, write=False) as session:
        stored = str([vars(row) for row in session.scalars(sa.select(User))])
        audited = str([vars(row) for row in session.scalars(sa.select(AuditEntry))])
        assert session.scalar(sa.select(sa.func.count()).select_from(WebSession)) == 1
    assert secret not in stored + audited
    assert codes[0] not in audited

    assert (
        "/admin/login/code?next=%2Fadmin%2Fvms"
        in sign_in(client, email, "/admin/login?next=/admin/vms").location
    )
    client.get("/admin/", status=303)
    assert give(client, "000000") == 400
    form = client.get("/admin/login/code?next=/admin/vms").form
    form["code"] = code_of(secret)
    assert form.submit(status=303).location.endswith("/admin/vms")
    client.get("/admin/", status=200)


def test_a_code_is_good_once_and_a_recovery_code_too(
    client: webtest.TestApp, make_client: Callable, make_user: Callable
) -> None:
    email = make_user(role=Role.ADMIN, password=PASSWORD).user.email
    secret, codes = enrol(sign_in(client, email).follow(), steps=-1)
    code = code_of(secret)
    others = [make_client() for _ in range(4)]
    for other in others:
        sign_in(other, email)
    assert give(others[0], code) == 303
    assert give(others[1], code) == 400
    assert give(others[1], codes[3].upper().replace("-", " ")) == 303
    assert give(others[2], codes[3]) == 400
    assert give(others[2], codes[4]) == 303


def test_codes_cannot_be_guessed(make_client: Callable, make_user: Callable) -> None:
    client = make_client(sign_in_attempts=3)
    email = make_user(role=Role.ADMIN, password=PASSWORD).user.email
    secret, _ = enrol(sign_in(client, email).follow(), steps=-1)
    sign_in(client, email)
    statuses = [give(client, f"{number:06}") for number in range(5)]
    assert statuses[:3] == [400] * 3
    assert statuses[4] == 429
    assert give(client, code_of(secret)) == 429
    client.get("/admin/", status=303)


def test_no_role_that_needs_none_is_asked_for_one_and_anybody_may_have_one(
    client: webtest.TestApp, make_user: Callable
) -> None:
    email = make_user(password=PASSWORD).user.email
    assert sign_in(client, email).location.endswith("/account")
    secret, _ = enrol(client.get("/account/second-factor"), steps=-1)
    assert "/admin/login/code" in sign_in(client, email).location
    assert give(client, code_of(secret)) == 303

    form = next(f for f in client.get("/account").forms.values() if "code" in f.fields)
    token = client.cookies["csrf"]
    fields = {"csrf_token": token, "code": "123456"}
    client.post("/account/second-factor/remove", fields, status=400)
    fields["code"] = code_of(secret, 1)
    client.post("/account/second-factor/remove", fields, status=303)
    assert form.action == "/account/second-factor/codes"
    assert sign_in(client, email).location.endswith("/account")


def test_a_role_that_needs_one_cannot_turn_it_off_and_an_admin_can_take_it_away(
    client: webtest.TestApp, make_client: Callable, make_user: Callable
) -> None:
    lost = make_user(role=Role.ADMIN, password=PASSWORD).user
    secret, _ = enrol(sign_in(client, lost.email).follow(), steps=-1)
    fields = {"csrf_token": client.cookies["csrf"], "code": code_of(secret)}
    client.post("/account/second-factor/remove", fields, status=409)

    boss, helper = make_client(), make_user(role=Role.ADMIN, password=PASSWORD).user
    enrol(sign_in(boss, helper.email).follow())
    form = boss.get(f"/admin/users/{lost.id}/factor").forms[1]
    form["phrase"] = lost.email
    form.submit(status=400)
    form["reason"] = "lost the phone"
    form.submit(status=303)
    client.get("/admin/", status=303)
    assert "second-factor" in sign_in(client, lost.email).location


def test_a_password_alone_is_no_credential_of_the_federation_where_a_factor_is_needed(
    client: webtest.TestApp, make_user: Callable
) -> None:
    for role, status in ((Role.ADMIN, 401), (Role.FLAVOR_MANAGER, 200)):
        email = make_user(role=role, password=PASSWORD).user.email
        given = base64.b64encode(f"{email}:{PASSWORD}".encode()).decode()
        client.get("/v1/flavors", headers={"Authorization": f"Basic {given}"}, status=status)


def test_somebody_sees_their_sessions_and_ends_one(
    client: webtest.TestApp, make_client: Callable, make_user: Callable, sessions: SessionFactory
) -> None:
    email = make_user(password=PASSWORD).user.email
    other, stranger = make_client(), make_client()
    for browser in (client, other):
        sign_in(browser, email)
    sign_in(stranger, make_user(password=PASSWORD).user.email)
    page = client.get("/account")
    [form] = [f for f in page.forms.values() if "/sessions/" in f.action]

    fields = {"csrf_token": stranger.cookies["csrf"]}
    stranger.post(form.action, fields, status=404)
    form.submit(status=303)
    other.get("/account", status=303)
    client.get("/account", status=200)


def test_a_token_is_made_shown_once_and_revoked(
    client: webtest.TestApp, make_user: Callable
) -> None:
    sign_in(client, make_user(password=PASSWORD).user.email)
    page = client.get("/account")
    form = next(f for f in page.forms.values() if f.action == "/account/tokens")
    form["name"], form["scope"] = "<b>laptop</b>", "write"
    made = form.submit(status=200)
    token = re.search(r"<code>([\w-]{43})</code>", made.text)
    assert token is not None
    assert "&lt;b&gt;laptop" in made
    headers = {"X-Auth-Token": token[1]}
    client.get("/api/v1.1/servers", headers=headers, status=200)
    page = client.get("/account")
    assert token[1] not in page
    stranger_form = next(f for f in page.forms.values() if f.action.endswith("/revoke"))
    stranger_form.submit(status=303)

    for each in client.get("/account").forms.values():
        if each.action.endswith("/revoke"):
            each.submit(status=303)
    client.get("/api/v1.1/servers", headers=headers, status=401)


@pytest.mark.parametrize(
    "wrong", [{"name": ""}, {"name": "a\nb"}, {"scope": "admin"}, {"days": "-1"}, {"days": "9999"}]
)
def test_a_token_that_makes_no_sense_is_not_made(
    client: webtest.TestApp, make_user: Callable, wrong: dict[str, str]
) -> None:
    sign_in(client, make_user(password=PASSWORD).user.email)
    client.get("/account")
    fields = {"name": "x", "scope": "read", "days": "30", "csrf_token": client.cookies["csrf"]}
    page = client.post("/account/tokens", fields | wrong, status=400)
    assert "<b>Your new token" not in page


def test_a_token_that_only_reads_changes_nothing(
    client: webtest.TestApp, make_user: Callable, sessions: SessionFactory
) -> None:
    from cloudweb.domain import accounts, identity

    person = make_user(role=Role.FLAVOR_MANAGER)
    with unit_of_work(sessions) as session:
        text = accounts.add_token(
            *(session, identity.system("cli"), person.user),
            name="reads",
            expires=None,
            read_only=True,
        )
    headers = {"X-Auth-Token": text}
    client.get("/api/v1.1/servers", headers=headers, status=200)
    client.get("/v1/flavors", headers=headers, status=200)
    refused = client.post_json("/api/v1.1/servers", {}, headers=headers, status=403)
    assert refused.json["forbidden"]["message"] == "This token may only read."
    client.post_json("/api/v1.1/networks", {}, headers=headers, status=403)
    client.delete("/api/v1.1/servers/1", headers=headers, status=403)
    client.put("/plankton/images/x", headers=headers, status=403)
    client.post("/v1/flavors", "<x/>", headers=headers, status=403)


def test_each_of_these_forms_needs_its_token(client: webtest.TestApp, make_user: Callable) -> None:
    sign_in(client, make_user(password=PASSWORD).user.email)
    for path in (
        *("second-factor", "second-factor/codes", "second-factor/remove", "tokens"),
        *("tokens/1/revoke", "sessions/1/end"),
    ):
        client.post(f"/account/{path}", status=400)
    for path in ("code", "second-factor"):
        client.post(f"/admin/login/{path}", status=400)


def test_whoever_sets_a_second_factor_up_can_leave_it_as_it_is(
    client: webtest.TestApp, make_user: Callable
) -> None:
    person = make_user(role=Role.VIEWER, password=PASSWORD).user
    sign_in(client, person.email)
    page = client.get("/account/second-factor")
    assert page.html.find("nav", id="menu")
    assert page.click("Leave it as it is").request.path == "/account"
    boss = make_user(role=Role.ADMIN, password=PASSWORD).user
    needed = sign_in(client, boss.email).follow()
    assert "Your role needs one" in needed
    assert "Leave it as it is" not in needed
