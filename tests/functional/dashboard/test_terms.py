"""Terms of use as staff write, compare and publish them."""

import csv
import datetime as dt
import io
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.domain import acceptances, identity, publishing, terms
from cloudweb.models import (
    Acceptance,
    AuditEntry,
    Role,
    SessionFactory,
    Terms,
    unit_of_work,
    utc_now,
)

CLI = identity.system("cli")


@pytest.fixture
def draft(sessions: SessionFactory) -> Callable[..., Terms]:
    """Makes a draft, and publishes it if asked to."""

    def go(text: str = "Be kind.\n", *, publish: bool = False, **values: Any) -> Terms:
        with unit_of_work(sessions) as session:
            made = terms.add(session, CLI, text=text, summary="rules", **values)
            if publish:
                publishing.publish(session, CLI, made.id, reason="tests")
            return made

    return go


@pytest.fixture
def rows(sessions: SessionFactory) -> Callable[[Any], list[Any]]:
    """Every row of a table."""

    def read(table: Any) -> list[Any]:
        with unit_of_work(sessions, write=False) as session:
            return list(session.scalars(sa.select(table).order_by(table.id)))

    return read


def write(app: webtest.TestApp, path: str, do: str = "keep", status: int = 303, **v: Any) -> Any:
    form = app.get(path).forms[1]
    for name, value in v.items():
        form[name] = value
    return form.submit("do", value=do, status=status)


def test_a_text_is_looked_at_kept_changed_and_published(
    app: webtest.TestApp, sign_in: Callable, rows: Callable, make_user: Callable
) -> None:
    sign_in(Role.ADMIN)
    make_user()
    looked = write(app, "/admin/terms/new", "look", 200, text="# Rules\n\n* Be *kind*.\n")
    assert "<em>kind</em>" in looked
    assert rows(Terms) == []
    kept = write(app, "/admin/terms/new", text="# Rules\n\nBe kind.", summary="All of it").follow()
    assert "Draft" in kept
    (first,) = rows(Terms)
    write(app, f"/admin/terms/{first.id}/edit", text="# Rules\n\nBe kinder.\n")
    page = app.get(f"/admin/terms/{first.id}/publish")
    assert "<b>2 active users</b> will be asked" in page
    assert "<b>2 API tokens</b> will be refused" in page
    form = page.forms[1]
    form["reason"], form["phrase"] = "the lawyers", "publish"
    form.submit(status=303)
    form.submit(status=303)  # pressed twice
    (done,) = rows(Terms)
    assert (done.number, done.text_digest) == (1, terms.digest("# Rules\n\nBe kinder.\n"))
    entries = [e for e in rows(AuditEntry) if e.target_kind == "terms"]
    assert [e.action for e in entries] == ["terms:add", "terms:change", "terms:publish"]
    assert entries[-1].reason == "the lawyers"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"phrase": ""}, "phrase"),
        ({"phrase": "publish it"}, "phrase"),
        ({"reason": "  "}, "reason"),
        ({"in_force": "soon"}, "in_force"),
        ({"in_force": "2020-01-01T00:00"}, "in_force"),
        ({"in_force": "9999-01-01T00:00"}, "in_force"),
    ],
)
def test_publishing_needs_a_phrase_a_reason_and_a_time_to_come(
    fields: dict[str, str],
    field: str,
    app: webtest.TestApp,
    sign_in: Callable,
    draft: Callable,
    rows: Callable,
) -> None:
    sign_in(Role.ADMIN)
    form = app.get(f"/admin/terms/{draft().id}/publish").forms[1]
    for name, value in ({"reason": "why", "phrase": "publish"} | fields).items():
        form[name] = value
    assert f'id="{field}-error"' in form.submit(status=400)
    assert rows(Terms)[0].number is None


def test_a_preview_is_shown_again_when_the_draft_or_the_terms_moved(
    app: webtest.TestApp, sign_in: Callable, draft: Callable, rows: Callable
) -> None:
    sign_in(Role.ADMIN)
    mine = draft("One.\n", requires_acceptance=False)
    form = app.get(f"/admin/terms/{mine.id}/publish").forms[1]
    form["reason"], form["phrase"] = "why", "publish"
    draft("Other.\n", publish=True, requires_acceptance=False)
    moved = form.submit(status=409)
    assert "Nothing was done" in moved
    assert "1 word gone, 1 word new" in moved
    form = moved.forms[1]
    form["phrase"] = "publish"
    form.submit(status=303)
    assert [each.number for each in rows(Terms)] == [2, 1]


def test_a_draft_somebody_else_changed_is_not_written_over_unseen(
    app: webtest.TestApp, sign_in: Callable, draft: Callable, sessions: SessionFactory
) -> None:
    sign_in(Role.OPERATOR)
    mine = draft()
    form = app.get(f"/admin/terms/{mine.id}/edit").forms[1]
    write(app, f"/admin/terms/{mine.id}/edit", text="Theirs.")
    form["text"] = "Mine."
    moved = form.submit("do", value="keep", status=409)
    assert "Nothing was kept" in moved
    assert "Mine." in moved
    with unit_of_work(sessions, write=False) as session:
        assert terms.text_of(session, terms.get(session, mine.id)) == "Theirs.\n"
    moved.forms[1].submit("do", value="keep", status=303)
    dropping = app.get(f"/admin/terms/{mine.id}/drop").forms["act"]
    write(app, f"/admin/terms/{mine.id}/edit", text="Theirs again.")
    dropping.submit(status=409)


def test_what_is_published_never_changes_again(
    app: webtest.TestApp, sign_in: Callable, draft: Callable, rows: Callable
) -> None:
    sign_in(Role.ADMIN)
    done = draft(publish=True, requires_acceptance=False)
    app.get(f"/admin/terms/{done.id}/edit", status=409)
    token = {"csrf_token": app.get("/admin/terms").forms[0]["csrf_token"].value}
    app.post(f"/admin/terms/{done.id}/edit", token | {"text": "x", "seen": 1}, status=409)
    assert "It is published, and stays" in app.get(f"/admin/terms/{done.id}/drop")
    assert "not in force yet" in app.get(f"/admin/terms/{done.id}/unschedule")
    for verb in ("drop", "unschedule", "publish"):
        sent = {"reason": "x", "key": verb.ljust(32, "0"), "seen": "1"}
        app.post(f"/admin/terms/{done.id}/{verb}", token | sent, status=409)
    assert [(t.number, t.version) for t in rows(Terms)] == [(1, 1)]


def test_a_scheduled_version_becomes_a_draft_again(
    app: webtest.TestApp, sign_in: Callable, draft: Callable, rows: Callable
) -> None:
    sign_in(Role.ADMIN)
    mine = draft()
    form = app.get(f"/admin/terms/{mine.id}/publish").forms[1]
    later = utc_now() + dt.timedelta(days=3)
    form["reason"], form["phrase"] = "why", "publish"
    form["in_force"] = later.strftime("%Y-%m-%dT%H:%M")
    page = form.submit(status=303).follow()
    assert "Scheduled" in page
    form = page.click("Make it a draft again").forms["act"]
    form["reason"] = "not yet"
    form.submit(status=303)
    (row,) = rows(Terms)
    assert (row.number, row.in_force) == (None, None)
    app.get("/terms/1", status=404)


@pytest.mark.parametrize("size", [100_001, 200_000])
def test_a_text_that_is_too_long_is_refused_with_its_length(
    size: int, app: webtest.TestApp, sign_in: Callable, rows: Callable
) -> None:
    sign_in(Role.OPERATOR)
    page = write(app, "/admin/terms/new", status=400, text="a" * size, summary="x")
    assert f"this one has {size + 1:,}" in page
    assert rows(Terms) == []


def test_an_upload_of_50_megabytes_is_refused_unread(
    app: webtest.TestApp, sign_in: Callable, rows: Callable
) -> None:
    sign_in(Role.OPERATOR)
    form = app.get("/admin/terms/new").forms[1]
    form["file"] = webtest.Upload("terms.md", b"a" * 50_000_000)
    form["summary"] = "x"
    form.submit("do", value="keep", status=413)
    form["file"] = webtest.Upload("terms.md", b"\xff\xfe\x00")
    assert "not UTF-8" in form.submit("do", value="keep", status=400)
    form["file"] = webtest.Upload("terms.md", b"a\x00b")
    assert "control characters" in form.submit("do", value="keep", status=400)
    assert rows(Terms) == []
    form["file"] = webtest.Upload("terms.md", "Oui, bien sûr.".encode())
    assert "bien sûr" in form.submit("do", value="keep", status=303).follow()


def test_two_versions_are_compared_word_by_word(
    app: webtest.TestApp, sign_in: Callable, draft: Callable
) -> None:
    sign_in(Role.VIEWER)
    a, b = draft("You pay <b>nothing</b>.\n"), draft("You pay <b>something</b>.\n")
    page = app.get(f"/admin/terms/{a.id}..{b.id}")
    assert "1 word gone, 1 word new" in page
    assert page.html.find("del").get_text().endswith("nothing")
    assert page.html.find("ins").get_text().endswith("something")
    c = draft("You pay, <b>nothing</b>!\n")
    assert "Only punctuation" in app.get(f"/admin/terms/{a.id}..{c.id}")
    app.get(f"/admin/terms/{a.id}..999", status=404)


def test_acceptances_are_listed_with_when_from_where_and_which_text(
    app: webtest.TestApp, sign_in: Callable, draft: Callable, sessions: SessionFactory
) -> None:
    who = sign_in(Role.VIEWER)
    version = draft(publish=True)
    with unit_of_work(sessions) as session:
        acceptances.accept_for(session, CLI, who.user.id, reason="on paper")
    page = app.get(f"/admin/terms/{version.id}/acceptances")
    assert who.user.email in page
    assert "on paper" in page
    assert version.text_digest in page
    assert "on paper" not in app.get(f"/admin/terms/{version.id}/acceptances?q=nobody")
    file = f"/admin/terms/{version.id}/acceptances"
    [row] = app.get(f"{file}.json?filter=door%3Dcli").json
    assert (row["user"], row["text"]) == (who.user.email, version.text_digest)
    assert app.get(f"{file}.json?filter=noted_by%3Dnobody").json == []
    assert app.get(f"/admin/terms/{draft('Be kinder.').id}/acceptances.json").json == []
    with unit_of_work(sessions) as session:
        session.execute(sa.update(Acceptance).values(reason="=HYPERLINK(1)"))
    [line] = csv.DictReader(io.StringIO(app.get(f"{file}.csv").text))
    assert (line["reason"], line["noted_by"]) == ("'=HYPERLINK(1)", "system")


def test_pages_of_terms_need_few_statements(
    app: webtest.TestApp, sign_in: Callable, draft: Callable, count_statements: Callable
) -> None:
    sign_in(Role.ADMIN)
    a = draft(publish=True, requires_acceptance=False)
    b = draft("Be kinder.\n")
    for path in ("", f"/{b.id}", f"/{b.id}/publish", f"/{a.id}..{b.id}", f"/{a.id}/acceptances"):
        with count_statements() as counter:
            app.get(f"/admin/terms{path}")
        assert len(counter) <= 12, path


def test_a_version_is_withdrawn_by_publishing_the_text_before_it(
    app: webtest.TestApp, sign_in: Callable, draft: Callable, rows: Callable
) -> None:
    sign_in(Role.ADMIN)
    quiet = {"publish": True, "requires_acceptance": False}
    first, second = draft("Be kind.\n", **quiet), draft("Be rude.\n", **quiet)
    last = draft("Be rude.\n", **quiet)
    assert "Only what is in force" in app.get(f"/admin/terms/{second.id}/withdraw")
    page = app.get(f"/admin/terms/{last.id}").click("Withdraw…")
    assert "version 1" in page, "the one between has the same text"
    form = page.forms["act"]
    publishing = form.submit(status=303).follow()
    assert form.submit(status=303).location == publishing.request.url, "pressed twice"
    assert "1 word gone, 1 word new" in publishing
    form = publishing.forms["act"]
    form["reason"], form["phrase"] = "a mistake", "publish"
    form.submit(status=303)
    *_, newest = rows(Terms)
    assert (newest.number, newest.text_digest) == (4, first.text_digest)
    assert newest.summary == "Version 3 is withdrawn: version 1 holds again"
    assert len(rows(Terms)) == 4


def test_the_first_version_has_nothing_to_go_back_to(
    app: webtest.TestApp, sign_in: Callable, draft: Callable
) -> None:
    sign_in(Role.ADMIN)
    only = draft(publish=True, requires_acceptance=False)
    assert "Withdraw" not in app.get(f"/admin/terms/{only.id}")
    page = app.get(f"/admin/terms/{only.id}/withdraw")
    assert "No version before it has another text" in page


def test_the_list_says_how_many_owe_and_leads_to_them(
    app: webtest.TestApp,
    sign_in: Callable,
    draft: Callable,
    sessions: SessionFactory,
    make_user: Callable,
) -> None:
    me = sign_in(Role.ADMIN)
    others = [make_user() for _ in range(3)]
    draft(publish=True)
    with unit_of_work(sessions) as session:
        acceptances.accept_for(session, CLI, me.user.id, reason="on paper")
    draft("Other.\n", publish=True, requires_acceptance=False)
    page = app.get("/admin/terms")
    bars = page.html.find_all("svg", attrs={"aria-label": True})
    assert ["1 of 4 (25 %)" in bar["aria-label"] for bar in bars] == [True]
    assert "3\xa0owed" in page.html.main.text
    rows = app.get("/admin/terms.json").json
    assert [(each["version"], each["accepted"], each["owed"]) for each in rows] == [
        (2, 0, None),
        (1, 1, 3),
    ]
    owing = page.click("3 active users")
    assert {row.find("th").text.strip() for row in owing.html.select("tbody tr")} == {
        each.user.email for each in others
    }
    shown = app.get("/admin/users?owes=no").html.select_one("tbody tr")
    assert shown.find("th").text.strip() == me.user.email
    assert shown.find(attrs={"data-label": "Terms"}).text.startswith("1, ")


def test_versions_are_filtered_sorted_and_whole_as_a_file(
    app: webtest.TestApp, sign_in: Callable, draft: Callable, sessions: SessionFactory
) -> None:
    sign_in(Role.VIEWER)
    empty = app.get("/admin/terms")
    assert "No terms in force" in empty
    assert "No version has been written yet." in empty
    quiet = {"requires_acceptance": False, "publish": True}
    first, second = draft("One.\n", **quiet), draft("Two.\n", **quiet)
    old, new = draft("Three.\n"), draft("Four.\n")
    later = utc_now() + dt.timedelta(days=1)
    third = draft("Five.\n", requires_acceptance=False)
    with unit_of_work(sessions) as session:
        publishing.publish(session, CLI, third.id, in_force=later, reason="tests")
    expected = {
        "": [new, old, third, second, first],
        "state=draft": [new, old],
        "state=scheduled": [third],
        "state=in+force": [second],
        "state=superseded": [first],
        "sort=version": [first, second, third, new, old],
        "filter=draft=no,version<3&sort=-in_force": [second, first],
        "required=yes": [new, old],
    }
    for query, wanted in expected.items():
        rows = app.get(f"/admin/terms.json?{query}").json
        assert [row["id"] for row in rows] == [each.id for each in wanted], query
        page = app.get(f"/admin/terms?{query}&per_page=25")
        ids = [row["id"] for row in page.html.select("tbody tr")]
        assert ids == [f"terms-{each.id}" for each in wanted], query
    states = [row["state"] for row in app.get("/admin/terms.json").json]
    assert states == ["draft", "draft", "scheduled", "in force", "superseded"]
