"""Terms of use in two languages: written, compared, published, read and accepted."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.domain import identity, publishing, terms, terms_languages
from cloudweb.models import (
    Acceptance,
    Role,
    SessionFactory,
    Terms,
    TermsTranslation,
    User,
    unit_of_work,
)
from cloudweb.settings import Settings
from tests.applications import application

CLI = identity.system("cli")
GREEK = "Φέρεστε ευγενικά.\n"


@pytest.fixture
def draft(sessions: SessionFactory) -> Callable[..., Terms]:
    """Makes a draft, also in Greek, and publishes it if asked to."""

    def go(text: str = "Be kind.\n", greek: str = GREEK, *, publish: bool = False) -> Terms:
        with unit_of_work(sessions) as session:
            made = terms.add(session, CLI, text=text, summary="rules")
            said = {"text": greek, "summary": "κανόνες"}
            if greek:
                terms_languages.translate(session, CLI, made.id, "el", **said)
            if publish:
                publishing.publish(session, CLI, made.id, reason="tests")
            return made

    return go


def greek_of(sessions: SessionFactory, terms_id: int) -> str | None:
    with unit_of_work(sessions, write=False) as session:
        found = terms.get(session, terms_id)
        known = terms_languages.list_of(session, found).get("el")
        return terms_languages.text_of(session, found, known) if known else None


def test_a_draft_is_written_in_another_language_and_that_is_taken_away_again(
    app: webtest.TestApp, sign_in: Callable, draft: Callable, sessions: SessionFactory
) -> None:
    sign_in(Role.OPERATOR)
    made = draft(greek="")
    page = app.get(f"/admin/terms/{made.id}/edit").click("Ελληνικά")
    form = page.forms["act"]
    form["text"], form["summary"] = "# Όροι\r\n\r\n" + "λ" * 5000, ""
    refused = form.submit(status=400)
    assert refused.html.find(id="summary-error")
    form = refused.forms["act"]
    assert form["text"].value.strip().endswith("λ" * 5000)
    form["summary"] = "Όλα"
    shown = form.submit(status=303).follow()
    assert shown.html.find("article")["lang"] == "el"
    assert shown.html.find("article").find(["h1", "h2"]).text == "Όροι"
    assert "Be kind." in shown.click("English", index=-1).html.find("article").text
    form = app.get(f"/admin/terms/{made.id}/text/el").forms["act"]
    assert form["text"].value.strip().endswith("λ" * 5000)
    form["text"] = ""
    form.submit(status=303)
    assert greek_of(sessions, made.id) is None


def test_a_translation_is_looked_at_without_being_kept(
    app: webtest.TestApp, sign_in: Callable, draft: Callable, sessions: SessionFactory
) -> None:
    sign_in(Role.OPERATOR)
    made = draft()
    form = app.get(f"/admin/terms/{made.id}/text/el").forms["act"]
    text = "# Όροι\r\n\r\n<script>x()</script>\r\n\r\n[εδώ](javascript:x) *πάντα*"
    form["text"], form["summary"] = text, "Όλα"
    page = form.submit("show")
    look = page.html.find("article")
    assert look["lang"] == "el"
    assert (look.find("h2").text, look.find("em").text) == ("Όροι", "πάντα")
    assert (look.find("script"), look.find(href=True)) == (None, None)
    again = page.forms["act"]
    assert again["text"].value.replace("\r\n", "\n").strip() == text.replace("\r\n", "\n")
    assert page.html.find(id="text")["lang"] == page.html.find(id="summary")["lang"] == "el"
    assert greek_of(sessions, made.id) == GREEK
    for unfit, words in (("", "There is no text"), ("a\x01b", "control characters")):
        again["text"] = unfit
        page = again.submit("show")
        assert words in page.html.find(id="look").text
        assert page.html.find("article") is None
    again["text"] = text
    kept = again.submit(status=303).follow()
    assert kept.html.find("article").find("em").text == "πάντα"


def test_a_draft_that_somebody_else_changed_is_not_translated_unseen(
    app: webtest.TestApp, sign_in: Callable, draft: Callable, sessions: SessionFactory
) -> None:
    sign_in(Role.OPERATOR)
    made = draft()
    form = app.get(f"/admin/terms/{made.id}/text/el").forms["act"]
    with unit_of_work(sessions) as session:
        session.execute(sa.update(Terms).values(version=Terms.version + 1))
    form["text"] = "Άλλο"
    moved = form.submit(status=409)
    assert moved.forms["act"]["text"].value == "Άλλο"
    assert greek_of(sessions, made.id) == GREEK


def test_only_languages_of_the_settings_are_written_and_only_drafts(
    app: webtest.TestApp, sign_in: Callable, draft: Callable, sessions: SessionFactory
) -> None:
    made = draft()
    sign_in(Role.VIEWER)
    app.get(f"/admin/terms/{made.id}/text/el", status=403)
    me = sign_in(Role.ADMIN)
    for language in ("en", "de", "xx", "EL", "el-", "x" * 30):
        app.get(f"/admin/terms/{made.id}/text/{language}", status=404)
    form = app.get(f"/admin/terms/{made.id}/text/el").forms["act"]
    with unit_of_work(sessions) as session:
        session.execute(sa.update(Terms).values(requires_acceptance=False))
        publishing.publish(session, me.identity, made.id, reason="tests")
    form["text"] = "Άλλο"
    form.submit(status=409)
    assert "can no longer change" in app.get(f"/admin/terms/{made.id}/text/el")
    assert greek_of(sessions, made.id) == GREEK


def test_publishing_says_in_which_language_it_is_not(
    app: webtest.TestApp, sign_in: Callable, draft: Callable
) -> None:
    sign_in(Role.ADMIN)
    whole, half = draft(), draft(greek="")
    assert "English, Ελληνικά" in app.get(f"/admin/terms/{whole.id}/publish")
    assert "English; not in Ελληνικά" in app.get(f"/admin/terms/{half.id}/publish")


def test_each_language_is_compared_with_itself(
    app: webtest.TestApp, sign_in: Callable, draft: Callable
) -> None:
    sign_in(Role.VIEWER)
    first, second = draft(), draft(greek="Φέρεστε ευγενικά, πάντα.\n")
    page = app.get(f"/admin/terms/{first.id}..{second.id}")
    assert "The texts are the same." in page
    assert "0 words gone, 1 word new." in page.click("Ελληνικά")
    only = draft(text="Be.\n", greek="Φέρεστε ευγενικά!\n")
    greek = app.get(f"/admin/terms/{first.id}..{only.id}?lang=el")
    assert "Only punctuation or spacing changed" in greek


@pytest.mark.parametrize(
    ("asked", "browser", "language"),
    [
        ("", "el-GR,el;q=0.9,en;q=0.8", "el"),
        ("", "de,en;q=0.5", "en"),
        ("", "", "en"),
        ("?lang=el", "en", "el"),
        ("?lang=en", "el", "en"),
        ("?lang=xx", "el", "el"),
        ("?lang=%00", "\x7f;;q=", "en"),
    ],
)
def test_the_terms_are_read_in_the_language_asked_for(
    asked: str, browser: str, language: str, app: webtest.TestApp, draft: Callable
) -> None:
    draft(publish=True)
    page = app.get(f"/terms{asked}", headers={"Accept-Language": browser})
    assert page.html.find("article")["lang"] == language
    current = page.html.find("nav", attrs={"aria-label": "Languages"}).find(
        attrs={"aria-current": "page"}
    )
    assert current["lang"] == language
    draft(publish=True, greek="")
    page = app.get("/terms", headers={"Accept-Language": "el"})
    assert page.html.find("article")["lang"] == "en"
    assert page.html.find("nav", attrs={"aria-label": "Languages"}) is None


def _choose(app: webtest.TestApp, language: str) -> Any:
    form = next(f for f in app.get("/account").forms.values() if "theme" in f.fields)
    form["language"] = language
    return form.submit(status=303)


@pytest.mark.parametrize(
    ("chosen", "asked", "browser", "language"),
    [
        ("el", "", "en", "el"),
        ("en", "", "el", "en"),
        ("", "", "el", "el"),
        ("el", "?lang=en", "el", "en"),
        ("el", "?lang=xx", "en", "el"),
    ],
)
def test_the_terms_are_read_and_asked_for_in_the_language_one_has_chosen(
    chosen: str,
    asked: str,
    browser: str,
    language: str,
    app: webtest.TestApp,
    sign_in: Callable,
    draft: Callable,
) -> None:
    sign_in(Role.USER)
    _choose(app, chosen)
    draft(publish=True)
    says = {"Accept-Language": browser}
    for path in ("/terms", "/terms/1", "/account/terms"):
        page = app.get(f"{path}{asked}", headers=says)
        assert page.html.find("article")["lang"] == language, path
        assert ("ευγενικά" in page.html.find("article").text) is (language == "el")
        assert page.html.html["lang"] == "en", "the page around it is in English"
    form = next(form for form in page.forms.values() if "accept" in form.fields)
    form["accept"] = True
    form.submit(status=303)
    app.reset()
    page = app.get("/terms", headers=says)
    assert page.html.find("article")["lang"] == browser, "nobody is signed in"


def test_what_is_not_in_the_chosen_language_is_read_as_the_browser_says(
    app: webtest.TestApp, sign_in: Callable, draft: Callable
) -> None:
    sign_in(Role.USER)
    _choose(app, "el")
    draft(publish=True, greek="")
    page = app.get("/account/terms", headers={"Accept-Language": "el"})
    assert page.html.find("article")["lang"] == "en"


def test_a_language_is_chosen_where_there_is_more_than_one(
    app: webtest.TestApp,
    sign_in: Callable,
    settings: Settings,
    sessions: SessionFactory,
) -> None:
    me = sign_in(Role.USER)
    _choose(app, "el")
    chosen = app.get("/account").html.find(id="language").find("option", selected=True)
    assert (chosen["lang"], chosen.text) == ("el", "Ελληνικά")
    one = dataclasses.replace(settings, terms_languages=("en",))
    other = webtest.TestApp(application(one, sessions=sessions), cookiejar=app.cookiejar)
    page = other.get("/account")
    assert page.html.find(id="language") is None
    form = next(f for f in page.forms.values() if "theme" in f.fields)
    form["theme"] = "dark"
    form.submit(status=303)
    with unit_of_work(sessions, write=False) as session:
        user = session.get_one(User, me.user.id)
        assert (user.theme, user.language) == ("dark", "el"), "what is not shown stays"


def test_the_mail_that_is_shown_before_publishing_is_in_ones_own_language(
    app: webtest.TestApp, sign_in: Callable, draft: Callable
) -> None:
    sign_in(Role.ADMIN)
    made = draft()
    page = app.get(f"/admin/terms/{made.id}/publish")
    assert "  rules\n" in page.html.find(class_="letter").pre.text
    _choose(app, "el")
    shown = app.get(f"/admin/terms/{made.id}/publish").html.find(class_="letter").pre.text
    assert "  κανόνες\n" in shown
    assert "/terms/1?lang=el\n" in shown


def test_the_ledger_says_which_text_was_read(
    app: webtest.TestApp, sign_in: Callable, draft: Callable, sessions: SessionFactory
) -> None:
    draft(publish=True)
    sign_in(Role.OPERATOR)
    page = app.get("/admin/", status=303).follow(headers={"Accept-Language": "el"})
    assert "ευγενικά" in page.html.find("article").text
    form = next(form for form in page.forms.values() if "accept" in form.fields)
    refused = form.submit(status=400)
    assert "ευγενικά" in refused.html.find("article").text, "in the language it was read in"
    form["accept"] = True
    form.submit(status=303)
    with unit_of_work(sessions, write=False) as session:
        [accepted] = session.scalars(sa.select(Acceptance))
    assert accepted.text_digest == terms.digest(GREEK)


def test_what_is_dropped_or_withdrawn_takes_its_translations_along(
    app: webtest.TestApp, sign_in: Callable, draft: Callable, sessions: SessionFactory
) -> None:
    sign_in(Role.ADMIN)
    dropped = draft()
    app.get(f"/admin/terms/{dropped.id}/drop").forms["act"].submit(status=303)
    with unit_of_work(sessions, write=False) as session:
        assert session.scalars(sa.select(TermsTranslation)).all() == []
    first, second = draft(publish=True), draft(text="Be rude.\n", greek="", publish=True)
    with unit_of_work(sessions) as session:
        session.execute(sa.update(Terms).values(requires_acceptance=False))
    app.get(f"/admin/terms/{second.id}/withdraw").forms["act"].submit(status=303)
    with unit_of_work(sessions, write=False) as session:
        newest: Any = session.scalar(sa.select(sa.func.max(Terms.id)))
    assert newest not in (first.id, second.id)
    assert greek_of(sessions, newest) == GREEK
