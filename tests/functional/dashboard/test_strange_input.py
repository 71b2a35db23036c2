"""People's pages as a stranger would use them: too much, unheard of, forged, gone meanwhile."""

import datetime as dt
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.domain import acceptances, audit, identity, publishing, terms
from cloudweb.domain.user_acts import Act
from cloudweb.models import (
    AuditEntry,
    CatalogueFlavor,
    Flavor,
    Infrastructure,
    Mail,
    Role,
    SentForm,
    SessionFactory,
    Terms,
    User,
    WebSession,
    unit_of_work,
    utc_now,
)

CLI = identity.system("cli")
AT_ONCE = (Act.ACTIVATE, Act.VERIFY)
LISTS = ("users", "audit", "regions", "terms", "terms/{terms}/acceptances", "flavors/compute")
PLAIN = ("search?q=", "flavors?q=", "flavors?region=", "flavors?show=", "flavors/compare?a=&b=")
TEXTS = {
    "10 KB": "x" * 10_240,
    "percent": "%_\\%",
    "quotes": "' OR 1=1; --\"",
    "NUL": "a\x00b",
    "line break": "a\r\nSet-Cookie: b=c",
    "markup": "<script>alert(1)</script>",
    "other letters": "\u202eΩ🦊" * 200,
    "braces": "{{7*7}}{% raise %}${7*7}",
}


@pytest.fixture
def world(sessions: SessionFactory, sign_in: Callable, make_user: Callable) -> dict[str, Any]:
    """Somebody who may do everything, somebody else, and one of each of people's things."""
    me, other = sign_in(Role.ADMIN), make_user()
    with unit_of_work(sessions) as session:
        old, new = (
            terms.add(session, CLI, text=text, summary="rules", requires_acceptance=False)
            for text in ("One.", "Two.")
        )
        publishing.publish(session, CLI, old.id, reason="tests")
        acceptances.accept_for(session, CLI, other.user.id, reason="on paper")
        region = Infrastructure(name="Crete", keystone_url="https://example.org")
        flavor = CatalogueFlavor(
            flavor_id="f-1", name="m1.small", vcpus=1, ram_mb=512, disk_gb=1, promoted=True
        )
        size = Flavor(cpu=1, ram_mb=512, disk_gb=1, disk_template="drbd")
        session.add_all([region, flavor, size])
    return {"me": me, "other": other, "terms": old.id, "draft": new.id}


def state(sessions: SessionFactory) -> list[Any]:
    """All that people's acts could change, but for what is written down of refusals."""
    with unit_of_work(sessions, write=False) as session:
        users = [
            (u.email, u.state, u.role, u.verified, u.totp_sealed, u.terms_number)
            for u in session.scalars(sa.select(User).order_by(User.id))
        ]
        versions = [
            (t.number, t.text_digest, t.summary)
            for t in session.scalars(sa.select(Terms).order_by(Terms.id))
        ]
        flavors = list(session.scalars(sa.select(CatalogueFlavor.promoted)))
        mails = session.scalar(sa.select(sa.func.count()).select_from(Mail))
        done = sa.select(sa.func.count()).where(AuditEntry.outcome == "done")
        return [users, versions, flavors, mails, session.scalar(done)]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("page", [*(f"{name}?q=" for name in LISTS), *PLAIN])
def test_whatever_is_looked_for_is_text_and_answered(
    page: str, text: str, app: webtest.TestApp, world: dict[str, Any]
) -> None:
    path, _, query = page.format(**world).partition("?")
    wanted = urlencode({part.partition("=")[0]: text for part in query.split("&")})
    answer = app.get(f"/admin/{path}?{wanted}", expect_errors=True)
    assert answer.status_int in (200, 400, 404)
    assert "<script>alert" not in answer
    assert "Set-Cookie: b" not in str(answer.headers)
    assert ">49<" not in answer
    assert len(answer.body) < 150_000


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize(
    "query",
    [
        "nothing=1",
        "filter=nothing%3D1",
        "filter=id",
        "filter=((",
        "filter=id%3D%22",
        "filter=" + "%2C".join(["id>0"] * 31),
        "filter=" + "x" * 10_240,
        "sort=nothing",
        "sort=password_hash",
        "id=abc",
        "id=99999999999999999999999",
        "id=-1e9",
    ],
)
def test_a_list_says_what_it_does_not_know_and_shows_nothing(
    query: str, name: str, app: webtest.TestApp, world: dict[str, Any]
) -> None:
    path = f"/admin/{name.format(**world)}"
    page = app.get(f"{path}?{query}", status=400)
    assert page.html.find(role="alert")
    assert not page.html.select("tbody tr")
    app.get(f"{path}.csv?{query}", status=400)


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize(
    "after", ["x", "e30", "W10", "WzldLCJ4Il0", "%00", "9" * 5000, "bnVsbA", "WzFlOTk5XQ"]
)
def test_a_place_in_a_list_that_is_none_is_its_beginning(
    after: str, name: str, app: webtest.TestApp, world: dict[str, Any]
) -> None:
    path = f"/admin/{name.format(**world)}"
    page = app.get(f"{path}?after={after}&per_page=-1&per_page=999999999")
    rows = len(app.get(path).html.select("tbody tr"))
    assert len(page.html.select("tbody tr")) == rows > 0


def test_a_page_beyond_the_end_has_the_way_back(
    app: webtest.TestApp, world: dict[str, Any], sessions: SessionFactory
) -> None:
    with unit_of_work(sessions) as session:
        for n in range(30):
            audit.record(session, world["me"].identity, "test:act", "test", n)
    page = app.get("/admin/audit?per_page=25&filter=action%3Dtest:act")
    following = page.html.find("a", rel="next")["href"]
    with unit_of_work(sessions) as session:
        gone = session.scalars(
            sa.select(AuditEntry.id).where(AuditEntry.action == "test:act").order_by(AuditEntry.id)
        ).all()
        session.execute(sa.delete(AuditEntry).where(AuditEntry.id.in_(gone[:10])))
    beyond = app.get(following)
    assert not beyond.html.select("tbody tr")
    assert len(beyond.click("First page").html.select("tbody tr")) == 20


ADDRESSES = (
    "a@example.org\r\nBcc: b@example.org",
    "a@example.org\nSubject: x",
    "a@example.org, b@example.org",
    "a@example.org;b@example.org",
    "<a@example.org>",
    "a b@example.org",
    "@example.org",
    "a@",
    "a@" + "x" * 300 + ".org",
    "\u202ea@example.org",
    "a@example.org\x00",
    "",
)


@pytest.mark.parametrize("email", ADDRESSES)
def test_an_address_that_is_none_gets_no_mail(
    email: str, app: webtest.TestApp, world: dict[str, Any], sessions: SessionFactory
) -> None:
    path = f"/admin/users/{world['other'].user.id}/email"
    good = app.get(path, {"email": "new@example.org"}).forms["act"]
    before = state(sessions)
    page = app.get(path, {"email": email}, expect_errors=True)
    if page.status_int == 200 and "act" in page.forms:
        # What is at its ends, or cannot be seen, is taken off before it is looked at.
        assert page.forms["act"]["email"].value == "a@example.org"
        return
    sent = {"csrf_token": good["csrf_token"].value, "key": "k" * 32, "seen": good["seen"].value}
    refused = app.post(path, sent | {"email": email, "reason": "x"}, expect_errors=True)
    assert refused.status_int in (400, 409)
    assert state(sessions) == before


def forms_of_people(world: dict[str, Any]) -> list[str]:
    """Every page with a form that changes something of people's."""
    user = f"/admin/users/{world['other'].user.id}"
    mine = [f"{user}/{act.value}" for act in Act if act not in (*AT_ONCE, Act.EMAIL)]
    return [
        *mine,
        f"{user}/email?email=new@example.org",
        f"/admin/terms/{world['draft']}/publish",
        f"/admin/terms/{world['draft']}/drop",
        f"/admin/terms/{world['terms']}/withdraw",
        "/admin/flavors/promote?name=m1.x&vcpus=1&ram=1&disk=1",
        "/admin/flavors/demote?flavor=f-1",
        "/admin/flavors/install?flavor=f-1",
    ]


def test_what_a_form_carries_cannot_be_made_up(
    app: webtest.TestApp, world: dict[str, Any], sessions: SessionFactory
) -> None:
    with unit_of_work(sessions) as session:
        others = SentForm(key="t" * 32, user_id=world["other"].user.id, verb="publish", items=[])
        session.add(others)
    filled = {"reason": "x", "phrase": "publish", "role": "admin", "email": "new@example.org"}
    before, wrong = state(sessions), []
    for path in forms_of_people(world):
        page = app.get(path)
        if "act" not in page.forms:
            continue
        form = page.forms["act"]
        good = dict(form.submit_fields()) | filled
        good["phrase"] = world["other"].user.email if "/users/" in path else "publish"
        for changes in (
            {"csrf_token": ""},
            {"csrf_token": "0" * 64},
            {"key": ""},
            {"key": "x"},
            {"key": others.key},
            {"key": "'" * 32},
            {"seen": ""},
            {"seen": "0" * 32},
            {"seen": "x" * 10_240},
            {"was": "{" * 30_000, "seen": "1"},
            {"was": '{"Role": "<script>alert(1)</script>"}', "seen": "1"},
        ):
            sent = good | changes
            answer = app.post(path.partition("?")[0], sent, expect_errors=True)
            if answer.status_int not in (400, 409) or "<script>alert" in answer:
                wrong.append(f"{path} with {str(changes)[:60]}: {answer.status_int}")
    assert wrong == []
    assert state(sessions) == before


@pytest.mark.parametrize(
    ("act", "field", "value"),
    [
        ("role", "role", "superadmin"),
        ("role", "role", ""),
        ("role", "role", "ADMIN"),
        ("role", "role", "admin' --"),
        ("role", "reason", "two\nlines"),
        ("role", "reason", "x" * 256),
        ("role", "reason", "\u202e"),
        ("quota", "servers", "-1"),
        ("quota", "servers", "1e9"),
        ("quota", "servers", "9" * 19),
        ("quota", "servers", "9" * 5000),
        ("quota", "servers", "٣"),
        ("quota", "cpu", "<b>"),
    ],
)
def test_a_field_that_holds_what_it_never_offered_is_refused(
    act: str,
    field: str,
    value: str,
    app: webtest.TestApp,
    world: dict[str, Any],
    sessions: SessionFactory,
) -> None:
    person = world["other"].user
    path = f"/admin/users/{person.id}/{act}"
    good = dict(app.get(path).forms["act"].submit_fields())
    good |= {"reason": "x", "phrase": person.email}
    before = state(sessions)
    page = app.post(path, good | {field: value}, status=400)
    assert page.html.find(id=f"{field}-error")
    assert state(sessions) == before


GONE = (
    "/admin/users/{n}",
    *(f"/admin/users/{{n}}/{act.value}" for act in Act if act not in AT_ONCE),
    *(
        f"/admin/terms/{{n}}{verb}"
        for verb in (
            *("", "/edit", "/text/el", "/publish", "/drop", "/withdraw", "/unschedule"),
            "/acceptances",
        )
    ),
    "/admin/terms/1..{n}",
    "/admin/regions/{n}",
    "/admin/audit/{n}",
    "/admin/adoptions/{n}",
    "/admin/adoptions/{n}/confirm",
    "/admin/views/{n}/edit",
    "/admin/flavors/installs/{n}",
    "/admin/flavors/flavor?flavor={n}",
    "/admin/flavors/demote?flavor={n}",
    "/admin/flavors/install?flavor={n}",
    "/admin/flavors/promote?region={n}&id=x",
    "/admin/flavors/compare?a={n}&b={n}",
)


@pytest.mark.parametrize("number", ["0", "999999999", "999999999999999999", "9" * 30])
def test_what_is_not_there_is_not_found(
    number: str, app: webtest.TestApp, world: dict[str, Any]
) -> None:
    wrong = []
    for path in GONE:
        answer = app.get(path.format(n=number), expect_errors=True)
        if answer.status_int != 404 or not answer.html.find("a", string="Overview"):
            wrong.append(f"{path}: {answer.status_int}")
    assert wrong == []


def test_what_vanishes_under_an_open_form_is_not_found_and_nothing_is_done(
    app: webtest.TestApp, world: dict[str, Any], sessions: SessionFactory
) -> None:
    publishing_form = app.get(f"/admin/terms/{world['draft']}/publish").forms["act"]
    editing = app.get(f"/admin/terms/{world['draft']}/edit").forms[1]
    demoting = app.get("/admin/flavors/demote?flavor=f-1").forms["act"]
    installing = app.get("/admin/flavors/install?flavor=f-1").forms["act"]
    with unit_of_work(sessions) as session:
        session.execute(sa.delete(Terms).where(Terms.id == world["draft"]))
        session.execute(sa.delete(CatalogueFlavor))
    before = state(sessions)
    publishing_form["reason"], publishing_form["phrase"] = "x", "publish"
    for form in (publishing_form, demoting, installing):
        form.submit(status=404)
    editing["text"] = "Mine."
    editing.submit("do", value="keep", status=404)
    assert state(sessions) == before


def test_a_session_that_ends_under_an_open_form_does_nothing_and_keeps_what_was_written(
    app: webtest.TestApp, world: dict[str, Any], sessions: SessionFactory
) -> None:
    editing = app.get(f"/admin/terms/{world['draft']}/edit").forms[1]
    editing["text"] = "A long evening's work."
    before = state(sessions)
    with unit_of_work(sessions) as session:
        rested = utc_now() - dt.timedelta(hours=2)
        session.execute(sa.update(WebSession).values(last_seen=rested))
    answer = editing.submit("do", value="keep", status=303)
    assert "/admin/login" in answer.location
    assert state(sessions) == before
    with unit_of_work(sessions) as session:
        session.execute(sa.update(WebSession).values(last_seen=utc_now()))
    back = app.get(parse_qs(urlsplit(answer.location).query)["next"][0])
    assert back.forms[1]["text"].value.strip() == "A long evening's work."
    back.forms[1].submit("do", value="keep", status=303)
    with unit_of_work(sessions, write=False) as session:
        draft = terms.get(session, world["draft"])
        assert terms.text_of(session, draft) == "A long evening's work.\n"
