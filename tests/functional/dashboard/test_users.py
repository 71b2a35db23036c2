"""What admins do about users: seen first, confirmed, and done once."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.models import (
    AuditEntry,
    Infrastructure,
    Quota,
    Resource,
    Role,
    SessionFactory,
    Token,
    User,
    UserState,
    WebSession,
    unit_of_work,
    utc_now,
)
from cloudweb.sealing import Sealer
from cloudweb.settings import Settings
from tests.applications import application
from tests.functional.account_mails import links, mails


@pytest.fixture
def now_is(sessions: SessionFactory) -> Callable[[Any], User]:
    """The user as they are by now."""

    def read(person: Any) -> User:
        with unit_of_work(sessions, write=False) as session:
            return session.get_one(User, person.user.id)

    return read


@pytest.fixture
def change(sessions: SessionFactory) -> Callable[..., None]:
    """Changes a user behind the page's back."""

    def go(person: Any, **values: Any) -> None:
        with unit_of_work(sessions) as session:
            session.execute(sa.update(User).where(User.id == person.user.id).values(**values))

    return go


@pytest.fixture
def actions(sessions: SessionFactory) -> Callable[[Any], list[str]]:
    """What the audit says was done about a user, after they were made."""

    def read(person: Any) -> list[str]:
        with unit_of_work(sessions, write=False) as session:
            rows = session.scalars(
                sa.select(AuditEntry.action)
                .where(AuditEntry.target_kind == "user")
                .where(AuditEntry.target_id == str(person.user.id))
                .order_by(AuditEntry.id)
            )
            return list(rows)[1:]

    return read


def ask(app: webtest.TestApp, person: Any, act: str, **values: str) -> Any:
    """The form that confirms, filled in."""
    form = app.get(f"/admin/users/{person.user.id}/{act}").forms[1]
    phrase = {"phrase": person.user.email} if "phrase" in form.fields else {}
    for name, value in {"reason": "asked on the phone", **phrase, **values}.items():
        form[name] = value
    return form


def test_deactivating_shows_what_follows_and_is_done_once(
    app: webtest.TestApp,
    sign_in: Callable,
    make_user: Callable,
    now_is: Callable,
    actions: Callable,
) -> None:
    sign_in(Role.ADMIN)
    person = make_user()
    form = ask(app, person, "deactivate")
    page = app.get(f"/admin/users/{person.user.id}/deactivate")
    assert "1 API token will be refused" in page
    for _ in range(2):
        assert "done=deactivate" in form.submit(status=303).location
    assert now_is(person).state is UserState.DEACTIVATED
    assert actions(person) == ["user:deactivate"]
    app.get("/api/v1.1/servers", headers=person.headers, status=401)


@pytest.mark.parametrize("act", ["deactivate", "role", "sessions", "quota"])
def test_a_preview_of_a_user_who_has_changed_is_shown_again(
    act: str,
    app: webtest.TestApp,
    sign_in: Callable,
    make_user: Callable,
    change: Callable,
    actions: Callable,
) -> None:
    sign_in(Role.ADMIN)
    person = make_user()
    change(person, totp_sealed="x")
    values = {"phrase": person.user.email} if act in ("role", "sessions") else {}
    values |= {"role": "operator"} if act == "role" else {}
    form = ask(app, person, act, **values)
    change(person, role=Role.HELPDESK)
    moved = form.submit(status=409)
    assert "Nothing was done" in moved
    assert moved.html.select_one(".moved").text == "helpdesk"
    assert actions(person) == []
    again = moved.forms[1]
    if "phrase" in values:
        again["phrase"] = person.user.email
    again.submit(status=303)
    assert len(actions(person)) == (0 if act == "quota" else 1)


@pytest.mark.parametrize("seen", ["", "x", "0" * 32])
def test_a_made_up_token_does_nothing(
    seen: str, app: webtest.TestApp, sign_in: Callable, make_user: Callable, actions: Callable
) -> None:
    sign_in(Role.ADMIN)
    person = make_user()
    form = ask(app, person, "deactivate")
    form["seen"] = seen
    form.submit(status=409)
    assert actions(person) == []


def test_a_role_needs_the_address_typed_and_ends_sessions(
    app: webtest.TestApp,
    sign_in: Callable,
    make_user: Callable,
    now_is: Callable,
    actions: Callable,
) -> None:
    sign_in(Role.ADMIN)
    person = make_user()
    form = ask(app, person, "role", role="operator", phrase="somebody")
    assert 'id="phrase-error"' in form.submit(status=400)
    form["phrase"], form["reason"] = person.user.email, " "
    assert 'id="reason-error"' in form.submit(status=400)
    form["reason"] = "hired"
    form["role"].force_value("emperor")
    assert 'id="role-error"' in form.submit(status=400)
    assert actions(person) == []
    form["role"].force_value("operator")
    form.submit(status=303)
    assert now_is(person).role is Role.OPERATOR


def test_a_user_is_signed_out_everywhere_and_tokens_are_revoked_if_asked(
    app: webtest.TestApp, sign_in: Callable, sessions: SessionFactory, make_user: Callable
) -> None:
    theirs = sign_in(Role.VIEWER)
    sign_in(Role.ADMIN)
    with unit_of_work(sessions) as session:
        over = {"digest": "0" * 64, "last_seen": utc_now(), "expires": utc_now()}
        session.add(WebSession(user_id=theirs.user.id, **over))
    page = app.get(f"/admin/users/{theirs.user.id}/sessions")
    assert "1 session will end" in page
    form = ask(app, theirs, "sessions", phrase=theirs.user.email)
    form.submit(status=303)
    form.submit(status=303)
    with unit_of_work(sessions, write=False) as session:
        ended = session.scalars(sa.select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert ended is not None
    assert (ended.action, ended.details["sessions"]) == ("session:end-all", 1)

    def left(table: Any, *where: Any) -> int:
        with unit_of_work(sessions, write=False) as session:
            query = sa.select(table.id).where(table.user_id == theirs.user.id, *where)
            return len(session.scalars(query).all())

    assert (left(WebSession), left(Token, Token.revoked.is_(None))) == (0, 1)
    form = ask(app, theirs, "sessions", reason="stolen", phrase=theirs.user.email)
    form["tokens"] = True
    form.submit(status=303)
    assert left(Token, Token.revoked.is_(None)) == 0


@pytest.mark.parametrize("act", ["send", "factor", "email?email=new@example.org"])
def test_what_is_known_of_a_user_is_shown_again_when_it_has_moved(
    act: str,
    app: webtest.TestApp,
    sign_in: Callable,
    make_user: Callable,
    change: Callable,
    actions: Callable,
) -> None:
    sign_in(Role.ADMIN)
    person = make_user()
    change(person, totp_sealed="x", state=UserState.UNVERIFIED)
    form = ask(app, person, act)
    if "phrase" in form.fields:
        form["phrase"] = person.user.email
    change(person, role=Role.HELPDESK)
    moved = form.submit(status=409)
    assert "Nothing was done" in moved
    assert moved.html.select_one(".moved").text == "helpdesk"
    assert actions(person) == []
    again = moved.forms[1]
    again["reason"] = "asked on the phone"
    if "phrase" in again.fields:
        again["phrase"] = person.user.email
    again.submit(status=303)
    again.submit(status=303)
    assert len(actions(person)) == 1


def follow(app: webtest.TestApp, link: str, **options: Any) -> Any:
    """Say that the address is one's own."""
    page = app.get(link)
    assert "Is this address yours?" in page
    return page.forms[0].submit(**options)


def test_another_address_is_theirs_once_its_link_is_followed(
    app: webtest.TestApp,
    sign_in: Callable,
    make_user: Callable,
    now_is: Callable,
    actions: Callable,
    sessions: SessionFactory,
    sealer: Sealer,
) -> None:
    sign_in(Role.ADMIN)
    person = make_user(password="correct horse battery")
    old = person.user.email
    with unit_of_work(sessions) as session:
        session.add(Infrastructure(name="Crete", owner=old))
    ask(app, person, "email?email=New@Example.org").submit(status=303)
    assert now_is(person).email == old
    [link] = links(sessions, sealer, "new@example.org")
    assert links(sessions, sealer, old) == []
    app.reset()
    page = follow(app, link, status=303).follow()
    assert "Your e-mail address is changed" in page
    user = now_is(person)
    assert user.email == "new@example.org"
    assert user.verified
    assert actions(person)[-2:] == ["user:email-ask", "user:email"]
    assert [subject for to, subject, _ in mails(sessions, sealer) if to == old] == [
        "Your e-mail address was changed"
    ]
    with unit_of_work(sessions, write=False) as session:
        assert session.scalars(sa.select(Infrastructure.owner)).all() == ["new@example.org"]
    app.get(link, status=400)
    form = app.get("/admin/login").form
    form["email"], form["password"] = "new@example.org", "correct horse battery"
    form.submit(status=303)


def test_an_address_that_somebody_took_meanwhile_stays_theirs(
    app: webtest.TestApp,
    sign_in: Callable,
    make_user: Callable,
    now_is: Callable,
    sessions: SessionFactory,
    sealer: Sealer,
) -> None:
    sign_in(Role.ADMIN)
    person, other = make_user(), make_user()
    url = f"/admin/users/{person.user.id}/email?email="
    for wrong, said in (
        (other.user.email, "another user"),
        (person.user.email, "theirs already"),
        ("nobody", "not an e-mail address"),
        ("", "not an e-mail address"),
    ):
        assert said in app.get(url + wrong)
    ask(app, person, "email?email=new@example.org").submit(status=303)
    make_user(email="new@example.org")
    [link] = links(sessions, sealer, "new@example.org")
    follow(app, link, status=409)
    assert now_is(person).email == person.user.email


def test_a_link_for_an_address_sets_no_password(
    app: webtest.TestApp,
    sign_in: Callable,
    make_user: Callable,
    now_is: Callable,
    sessions: SessionFactory,
    sealer: Sealer,
) -> None:
    sign_in(Role.ADMIN)
    person = make_user()
    ask(app, person, "email?email=new@example.org").submit(status=303)
    [link] = links(sessions, sealer, "new@example.org")
    page = app.get(link)
    assert "password" not in page.forms[0].fields
    values = {name: field[0].value for name, field in page.forms[0].fields.items() if name}
    new = {"password": "staple of another colour", "again": "staple of another colour"}
    app.post("/account/link", values | new, status=303)
    assert now_is(person).password_hash is None


@pytest.mark.parametrize(("moderated", "state"), [(True, "pending"), (False, "active")])
def test_an_admin_vouches_for_an_address(
    moderated: bool,
    state: str,
    settings: Settings,
    sessions: SessionFactory,
    app: webtest.TestApp,
    sign_in: Callable,
    make_user: Callable,
    change: Callable,
    now_is: Callable,
    sealer: Sealer,
) -> None:
    sign_in(Role.ADMIN)
    person = make_user()
    change(person, state=UserState.UNVERIFIED, verified=None)
    changed = dataclasses.replace(settings, moderation=moderated)
    client = webtest.TestApp(application(changed, sessions=sessions), cookiejar=app.cookiejar)
    page = client.get(f"/admin/users/{person.user.id}")
    form = next(f for f in page.forms.values() if f.action.endswith("/verify"))
    told = [form.submit(status=303).follow() for _ in range(2)]
    assert all("counts as verified" in page and "It can be undone" in page for page in told)
    user = now_is(person)
    assert user.verified
    assert user.state.value == state
    assert len(links(sessions, sealer, user.email)) == (0 if moderated else 1)
    fields = {"csrf_token": form["csrf_token"].value, "key": "k" * 32}
    again = client.post(f"/admin/users/{user.id}/verify", fields, status=409)
    assert "is verified already" in again


def test_limits_are_set_to_numbers_to_unlimited_and_back(
    app: webtest.TestApp,
    sign_in: Callable,
    make_user: Callable,
    sessions: SessionFactory,
    actions: Callable,
) -> None:
    sign_in(Role.ADMIN)
    person = make_user()
    for wrong in ("-1", "many", "1e3", "9" * 20, "1.5"):
        assert 'id="cpu-error"' in ask(app, person, "quota", cpu=wrong).submit(status=400)
    form = ask(app, person, "quota", cpu="8", servers="unlimited")
    form.submit(status=303)
    form.submit(status=303)
    with unit_of_work(sessions, write=False) as session:
        rows = {q.resource: q.limit for q in session.scalars(sa.select(Quota))}
    assert rows == {Resource.CPU: 8, Resource.SERVERS: -1}
    assert actions(person) == ["quota:set", "quota:set"]
    page = app.get(f"/admin/users/{person.user.id}")
    assert page.html.find(id="limit-cpu").get_text(" ", strip=True).endswith("8 own")
    ask(app, person, "quota", cpu="", servers="unlimited").submit(status=303)
    with unit_of_work(sessions, write=False) as session:
        assert session.scalars(sa.select(Quota.resource)).all() == [Resource.SERVERS]


def test_nobody_does_it_to_themselves_and_what_cannot_be_says_why(
    app: webtest.TestApp, sign_in: Callable, make_user: Callable
) -> None:
    me = sign_in(Role.ADMIN)
    for act in ("deactivate", "role", "factor"):
        assert "ask another admin" in app.get(f"/admin/users/{me.user.id}/{act}")
    person = make_user()
    assert "has no second factor" in app.get(f"/admin/users/{person.user.id}/factor")
    assert "is active" in app.get(f"/admin/users/{person.user.id}/reject")
    app.get("/admin/users/999999/role", status=404)


def test_the_list_says_who_was_seen_when_with_what(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable, change: Callable
) -> None:
    me = sign_in(Role.ADMIN)
    change(me, last_seen=utc_now(), terms_number=3)
    make_server(owner=me)
    row = app.get(f"/admin/users.json?email={me.user.email}").json[0]
    assert (row["servers"], row["terms"], row["state"]) == (1, 3, "active")
    assert row["seen"]
    assert app.get("/admin/users.json?factor=yes").json == []
    change(me, totp_sealed="x")
    assert app.get("/admin/users.json?factor=yes").json[0]["factor"] is True
    assert "Second factor: set up" in app.get("/admin/users?factor=yes&cols=factor")
    assert [r["email"] for r in app.get("/admin/users.json?filter=seen>1h").json] == [me.user.email]


def test_the_page_of_a_user_needs_few_statements(
    app: webtest.TestApp, sign_in: Callable, make_user: Callable, count_statements: Callable
) -> None:
    sign_in(Role.ADMIN)
    person = make_user()
    for path in ("", "/role", "/quota"):
        with count_statements() as counter:
            app.get(f"/admin/users/{person.user.id}{path}")
        assert len(counter) <= 12, path


@pytest.mark.parametrize(
    ("state", "act", "why"),
    [
        (UserState.ACTIVE, "send", "is active"),
        (UserState.ACTIVE, "verify", "is verified already"),
        (UserState.ACTIVE, "factor", "has no second factor"),
        (UserState.DEACTIVATED, "reject", "is deactivated"),
        (UserState.UNVERIFIED, "mail", "Nobody has shown"),
    ],
)
def test_what_cannot_be_done_about_a_user_now_is_there_with_the_reason(
    state: UserState,
    act: str,
    why: str,
    app: webtest.TestApp,
    sign_in: Callable,
    make_user: Callable,
    change: Callable,
) -> None:
    sign_in(Role.ADMIN)
    person = make_user()
    change(person, state=state, verified=utc_now())
    page = app.get(f"/admin/users/{person.user.id}").html
    button = page.find(attrs={"aria-describedby": f"why-{act}"})
    assert button["aria-disabled"] == "true"
    assert why in page.find(id=f"why-{act}").text
    assert not page.select(f'main [href$="/{act}"], main [action$="/{act}"]')


def test_of_oneself_it_is_said_who_can(app: webtest.TestApp, sign_in: Callable) -> None:
    me = sign_in(Role.ADMIN)
    page = app.get(f"/admin/users/{me.user.id}").html
    for act in ("role", "deactivate"):
        assert "ask another admin" in page.find(id=f"why-{act}").text
    assert "ask another admin" not in page.find(id="why-send").text


def test_who_may_not_do_it_sees_neither_button_nor_reason(
    app: webtest.TestApp, sign_in: Callable, make_user: Callable
) -> None:
    sign_in(Role.VIEWER)
    page = app.get(f"/admin/users/{make_user().user.id}").html
    assert page.select("main [aria-disabled], main [id^=why-]") == []
