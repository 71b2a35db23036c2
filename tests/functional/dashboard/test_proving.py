"""What is dangerous is done only by who has lately shown to be who they are."""

import base64
import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from cloudweb.domain import pools
from cloudweb.domain.identity import system
from cloudweb.models import (
    AuditEntry,
    Pool,
    PoolKind,
    Role,
    SessionFactory,
    Token,
    User,
    WebSession,
    unit_of_work,
    utc_now,
)

PASSWORD = "correct horse battery"


@pytest.fixture
def session(sessions: SessionFactory) -> Callable[..., Any]:
    """The one session there is; its values can be set first."""

    def look(**values: Any) -> Any:
        with unit_of_work(sessions) as db:
            if values:
                db.execute(sa.update(WebSession).values(**values))
            return db.scalars(sa.select(WebSession)).one()

    return look


@pytest.fixture
def boss(app: webtest.TestApp, make_user: Callable) -> Any:
    """An admin who has signed in by the form."""
    person = make_user(role=Role.ADMIN, password=PASSWORD)
    page = app.get("/admin/login")
    page.form["email"], page.form["password"] = person.user.email, PASSWORD
    page.form.submit(status=303)
    return person


@pytest.fixture
def pool_id(sessions: SessionFactory) -> int:
    with unit_of_work(sessions) as db:
        return pools.create(db, system("cli"), kind=PoolKind.BRIDGE, base="prv", size=5).id


def _old() -> dt.datetime:
    return utc_now() - dt.timedelta(minutes=11)


def _prove(page: webtest.TestResponse, **fields: str) -> webtest.Form:
    form = next(f for f in page.forms.values() if "next" in f.fields)
    for name, value in fields.items():
        form[name] = value
    return form


def test_soon_after_signing_in_nothing_more_is_asked(
    app: webtest.TestApp, boss: Any, pool_id: int
) -> None:
    app.get(f"/admin/pools/{pool_id}/remove", status=200)


def test_later_the_password_is_asked_for_again_and_the_session_goes_on_under_a_new_name(
    app: webtest.TestApp, boss: Any, pool_id: int, session: Callable, sessions: SessionFactory
) -> None:
    before = session(created=_old())
    page = app.get(f"/admin/pools/{pool_id}/remove", status=303).follow()
    wrong = _prove(page, current="not mine").submit(status=400)
    assert "not your password" in wrong
    shown = _prove(wrong, current=PASSWORD).submit(status=303).follow()
    assert shown.request.path == f"/admin/pools/{pool_id}/remove"
    after = session()
    assert after.digest != before.digest
    assert after.expires == before.expires
    assert after.created > before.created
    form = next(f for f in shown.forms.values() if "phrase" in f.fields)
    form["phrase"], form["reason"] = f"remove pool {pool_id}", "never used"
    form.submit(status=303)
    with unit_of_work(sessions, write=False) as db:
        assert db.scalars(sa.select(Pool)).all() == []
        acts = db.scalars(sa.select(AuditEntry).order_by(AuditEntry.id)).all()
    assert [(a.action, a.reason) for a in acts if a.action in ("session:prove", "pool:remove")] == [
        ("session:prove", ""),
        ("pool:remove", "never used"),
    ]


def test_a_preview_that_stood_open_too_long_asks_first_and_comes_back_as_filled_in(
    app: webtest.TestApp, boss: Any, pool_id: int, session: Callable, sessions: SessionFactory
) -> None:
    page = app.get(f"/admin/pools/{pool_id}/remove")
    form = next(f for f in page.forms.values() if "phrase" in f.fields)
    form["phrase"], form["reason"] = f"remove pool {pool_id}", "never used"
    session(created=_old())
    asked = form.submit(status=303).follow()
    assert "kept, and comes back" in asked
    with unit_of_work(sessions, write=False) as db:
        assert len(db.scalars(sa.select(Pool)).all()) == 1
    again = _prove(asked, current=PASSWORD).submit(status=303).follow()
    assert "Nothing was done" in again
    form = next(f for f in again.forms.values() if "phrase" in f.fields)
    assert (form["phrase"].value, form["reason"].value) == (
        f"remove pool {pool_id}",
        "never used",
    )
    form.submit(status=303)
    with unit_of_work(sessions, write=False) as db:
        assert db.scalars(sa.select(Pool)).all() == []


def test_who_has_a_second_factor_shows_that(
    app: webtest.TestApp,
    boss: Any,
    pool_id: int,
    session: Callable,
    sessions: SessionFactory,
    sealer: Any,
) -> None:
    with unit_of_work(sessions) as db:
        db.execute(
            sa.update(User).values(totp_sealed=sealer.seal(base64.b32encode(b"x" * 20).decode()))
        )
    session(created=_old())
    page = app.get(f"/admin/pools/{pool_id}/remove", status=303).follow()
    assert "current" not in _prove(page).fields
    _prove(page, code="000000").submit(status=400)
    secret = TOTP(b"x" * 20, 6, SHA1(), 30)
    code = secret.generate(int(utc_now().timestamp())).decode()
    _prove(page, code=code).submit(status=303).follow(status=200)


def test_guessing_there_is_guessing_at_signing_in(
    app: webtest.TestApp, boss: Any, session: Callable, settings: Any
) -> None:
    session(created=_old())
    page = app.get("/admin/prove?next=//evil.example")
    assert _prove(page)["next"].value == ""
    for _ in range(settings.sign_in_attempts):
        _prove(page, current="wrong").submit(status=400)
    refused = _prove(page, current=PASSWORD).submit(status=429)
    assert int(refused.headers["Retry-After"]) > 800


def test_what_is_not_dangerous_asks_for_nothing(
    app: webtest.TestApp, boss: Any, pool_id: int, session: Callable
) -> None:
    session(created=_old())
    app.get(f"/admin/pools/{pool_id}/resize?size=9", status=200)
    app.get(f"/admin/pools/{pool_id}/resize?size=2", status=303)


def _code(secret: bytes) -> str:
    totp = TOTP(secret, 6, SHA1(), 30)
    return totp.generate(int(utc_now().timestamp())).decode()


def _form_to(page: webtest.TestResponse, action: str) -> webtest.Form:
    return next(f for f in page.forms.values() if f.action == action)


@pytest.mark.parametrize("role", [Role.USER, Role.ADMIN])
def test_a_session_that_is_old_gives_itself_no_second_factor(
    role: Role,
    app: webtest.TestApp,
    make_user: Callable,
    session: Callable,
    sessions: SessionFactory,
) -> None:
    person = make_user(role=role, password=PASSWORD)
    page = app.get("/admin/login")
    page.form["email"], page.form["password"] = person.user.email, PASSWORD
    page.form.submit(status=303)
    shown = app.get("/account/second-factor")
    secret = base64.b32decode(shown.html.select_one("code").text)
    open_form = _form_to(shown, "/account/second-factor")
    session(created=_old())

    open_form["code"] = _code(secret)
    assert "/admin/prove" in open_form.submit(status=303).location
    asked = app.get("/account/second-factor", status=303).follow()
    with unit_of_work(sessions, write=False) as db:
        assert db.get_one(User, person.user.id).totp_sealed is None
    assert "current" in _prove(asked).fields

    shown = _prove(asked, current=PASSWORD).submit(status=303).follow()
    assert shown.request.path == "/account/second-factor"
    form = _form_to(shown, "/account/second-factor")
    form["code"] = _code(base64.b32decode(shown.html.select_one("code").text))
    assert "Recovery codes" in form.submit(status=200)


def test_a_session_that_is_old_makes_itself_no_token(
    app: webtest.TestApp, boss: Any, session: Callable, sessions: SessionFactory
) -> None:
    def tokens() -> int:
        with unit_of_work(sessions, write=False) as db:
            return len(db.scalars(sa.select(Token)).all())

    before = tokens()
    form = _form_to(app.get("/account"), "/account/tokens")
    form["name"], form["scope"], form["days"] = "laptop", "write", "365"
    session(created=_old())
    asked = form.submit(status=303).follow()
    assert asked.request.path == "/admin/prove"
    assert tokens() == before
    again = _prove(asked, current=PASSWORD).submit(status=303).follow()
    form = _form_to(again, "/account/tokens")
    filled = [form[name].value for name in ("name", "scope", "days")]
    assert filled == ["laptop", "write", "365"]
    assert tokens() == before
    assert "Your new token" in form.submit(status=200)
    assert tokens() == before + 1


def test_who_proves_it_without_a_page_to_go_to_is_led_home(
    app: webtest.TestApp, make_user: Callable
) -> None:
    person = make_user(password=PASSWORD)
    page = app.get("/admin/login")
    page.form["email"], page.form["password"] = person.user.email, PASSWORD
    page.form.submit(status=303)
    proved = _prove(app.get("/admin/prove"), current=PASSWORD).submit(status=303)
    assert proved.location.endswith("/account")


@pytest.mark.parametrize("act", ["role", "sessions", "factor", "email?email=new@example.org"])
def test_what_takes_an_account_over_is_not_shown_to_an_old_session(
    act: str,
    app: webtest.TestApp,
    boss: Any,
    make_user: Callable,
    session: Callable,
    sessions: SessionFactory,
) -> None:
    person = make_user().user
    with unit_of_work(sessions) as db:
        db.get_one(User, person.id).totp_sealed = "x"
    page = f"/admin/users/{person.id}/{act}"
    assert app.get(page).html.find(id="phrase")
    session(created=_old())
    assert "/admin/prove" in app.get(page, status=303).location
