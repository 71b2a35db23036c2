"""Terms of use as staff write, compare and publish them."""

import configparser
import contextlib
import csv
import datetime as dt
import http.client
import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import webtest
from waitress.server import create_server

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


_TYPED = {"summary": "Ώρες και όροι", "text": "What was typed.", "format": "html"}


def _fill(app: webtest.TestApp, path: str = "/admin/terms/new") -> webtest.Form:
    form = app.get(path).forms[1]
    for name, value in _TYPED.items():
        form[name] = value
    form["requires"] = False
    return form


def _is_still_there(page: webtest.TestResponse) -> bool:
    form = page.forms[1]
    typed = {name: form[name].value.strip() for name in _TYPED}
    return typed == _TYPED and not form["requires"].checked


@pytest.mark.parametrize("do", ["keep", "look"])
@pytest.mark.parametrize("size", [262_144, 1_000_000, 50_000_000])
def test_a_file_that_is_too_large_is_refused_unread_and_what_was_typed_stays(
    size: int, do: str, app: webtest.TestApp, sign_in: Callable, rows: Callable
) -> None:
    sign_in(Role.OPERATOR)
    form = _fill(app)
    form["file"] = webtest.Upload("terms.md", b"a" * size)
    page = form.submit("do", value=do, status=413)
    assert "at most 100,000 characters" in page.html.find(id="file-error").text
    assert _is_still_there(page)
    assert rows(Terms) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"\xff\xfe\x00", "not UTF-8"), (b"a\x00b", "control characters")],
    ids=["not UTF-8", "NUL"],
)
def test_a_file_that_is_no_text_is_refused_and_what_was_typed_stays(
    content: bytes, said: str, app: webtest.TestApp, sign_in: Callable, draft: Callable
) -> None:
    sign_in(Role.OPERATOR)
    for path in ("/admin/terms/new", f"/admin/terms/{draft().id}/edit"):
        form = _fill(app, path)
        form["file"] = webtest.Upload("terms.md", content)
        page = form.submit("do", value="keep", status=400)
        assert said in page
        assert _is_still_there(page)


def test_a_file_is_kept_as_the_text(app: webtest.TestApp, sign_in: Callable) -> None:
    sign_in(Role.OPERATOR)
    form = _fill(app)
    form["file"] = webtest.Upload("terms.md", "Oui, bien sûr.".encode())
    assert "bien sûr" in form.submit("do", value="keep", status=303).follow()


def test_of_a_text_that_is_too_large_to_be_read_the_beginning_stays(
    app: webtest.TestApp, sign_in: Callable, rows: Callable
) -> None:
    sign_in(Role.OPERATOR)
    form = _fill(app)
    form["text"] = "όρος " * 60_000
    form["file"] = webtest.Upload("terms.md", b"a")
    page = form.submit("do", value="keep", status=413)
    assert "Only its beginning is here" in page.html.find(id="text-error").text
    assert page.forms[1]["summary"].value == _TYPED["summary"]
    assert page.forms[1]["text"].value.strip().startswith("όρος όρος")
    assert rows(Terms) == []


def test_what_is_cut_off_anywhere_does_nothing(
    app: webtest.TestApp, sign_in: Callable, rows: Callable
) -> None:
    sign_in(Role.OPERATOR)
    form = _fill(app)
    fields = [(name, value) for name, value in form.submit_fields("do") if name != "file"]
    for name in ("key", "seen", "summary", "x" * 50, "csrf_token"):
        longer = [(n, v) for n, v in fields if n != name] + [(name, "ώ" * 150_000)]
        large = [("file", "terms.md", b"b" * 10)]
        assert app.post("/admin/terms/new", longer, upload_files=large, status=(400, 413))
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    for body in (b"a" * 300_000, b"--x\r\n" * 50_000, b"\r\n--x\r\n\r\n" * 30_000):
        app.post("/admin/terms/new", body, headers=headers, status=400)
    other = app.post("/admin/terms/1/drop", "x" * 300_000, headers=headers, status=413)
    assert "too large" in other
    assert rows(Terms) == []


def test_a_file_of_50_megabytes_meets_a_page_of_ours_on_the_real_server_too(
    app: webtest.TestApp, sign_in: Callable, project: Path
) -> None:
    sign_in(Role.OPERATOR)
    form = _fill(app)
    content_type, body = app.encode_multipart(
        [f for f in form.submit_fields() if f[0] != "file"],
        [("file", "terms.md", b"a" * 50_000_000)],
    )
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(project / "production.ini")
    largest = int(parser["server:main"]["max_request_body_size"])
    server = create_server(app.app, host="127.0.0.1", port=0, max_request_body_size=largest)

    def serve() -> None:
        with contextlib.suppress(OSError):  # closing it below ends its wait so, now and then
            server.run()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        there = http.client.HTTPConnection("127.0.0.1", server.effective_port, timeout=60)
        cookie = "; ".join(f"{name}={value}" for name, value in app.cookies.items())
        headers = {"Content-Type": content_type, "Cookie": cookie}
        there.request("POST", "/admin/terms/new", body, headers)
        answer = there.getresponse()
        page = answer.read().decode()
        there.close()
    finally:
        server.close()
        server.task_dispatcher.shutdown()
        thread.join(5)
        for channel in list(server.active_channels.values()):
            channel.close()
    assert answer.status == 413
    assert _TYPED["summary"] in page
    assert "This is too large" in page


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
    assert "3\xa0owe it" in page.html.main.text
    rows = app.get("/admin/terms.json").json
    assert [(each["version"], each["accepted"], each["owed"]) for each in rows] == [
        (2, 0, None),
        (1, 1, 3),
    ]
    owing = page.click("3 active users")
    assert {row.find("th").a.text for row in owing.html.select("tbody tr")} == {
        each.user.email for each in others
    }
    shown = app.get("/admin/users?owes=no").html.select_one("tbody tr")
    assert shown.find("th").a.text == me.user.email
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
