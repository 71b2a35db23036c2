"""Help: a page for each screen, that knows all its words, its filters and who may do what."""

from collections.abc import Callable
from pathlib import Path

import pytest
import webtest

from cloudweb.models import Role
from cloudweb.security import MEANINGS, Permission
from cloudweb.views.dashboard import topics
from cloudweb.views.dashboard.states import LOOKS
from tests.functional.dashboard.test_roles import views_of


def test_every_page_there_is_leads_to_help_about_itself(app: webtest.TestApp) -> None:
    names = {name for name, _method, _permission in views_of(app.app)}
    lost = {name for name in names if topics.of_route(name).page == "errors"}
    assert lost == set(), "say in views/dashboard/topics.py which screen they belong to"


@pytest.mark.parametrize("topic", topics.TOPICS, ids=lambda topic: topic.page)
def test_a_page_of_help_opens_and_says_something(
    topic: topics.Topic, app: webtest.TestApp, sign_in: Callable
) -> None:
    sign_in(Role.VIEWER)
    path = f"/admin/help/{topic.page}"
    assert app.get("/admin/help").html.main.select(f"a[href='{path}']")
    page = app.get(path)
    assert page.html.h1.text == topic.title
    assert len(page.html.main.text) > 200
    for link in page.html.main.select(".written a[href]"):
        app.get(f"/admin/help/{link['href']}", status=200)


def test_no_page_of_help_is_about_nothing(project: Path) -> None:
    files = {path.stem for path in (project / "cloudweb/help").glob("*.md")}
    assert files == {topic.page for topic in topics.TOPICS} - {"roles"}


def test_help_knows_every_word_a_state_is_shown_by() -> None:
    said = " ".join(topics.text_of(topic) for topic in topics.TOPICS)
    unexplained = {look.word for _, look in LOOKS if f"<td>{look.word}</td>" not in said}
    assert unexplained == set(), "say in cloudweb/help what they mean"


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("/admin/", "overview"),
        ("/admin/backends", "backends"),
        ("/admin/backends/1/adopt", "adoption"),
        ("/admin/queues/letters", "queues"),
        ("/account", "account"),
        ("/admin/help/vms", ""),
        ("/admin/nothing", "errors"),
    ],
)
def test_each_page_links_to_its_help(
    path: str, page: str, app: webtest.TestApp, sign_in: Callable
) -> None:
    sign_in(Role.VIEWER)
    [link] = app.get(path, status="*").html.select("a.help")
    assert link["href"] == f"/admin/help/{page}".rstrip("/")


def test_help_names_the_filters_of_its_list_and_who_may_act(
    app: webtest.TestApp, sign_in: Callable
) -> None:
    sign_in(Role.VIEWER)
    page = app.get("/admin/help/vms")
    names = {each.text for each in page.html.select("dl code")}
    assert {"id", "state", "owner", "ram"} <= names
    may_act, may_publish = (
        MEANINGS[each][1:] for each in (Permission.SERVER_ACT, Permission.TERMS_PUBLISH)
    )
    assert may_act in page
    assert may_publish not in page
    assert may_publish in app.get("/admin/help/roles")
    app.get("/admin/help/nothing-like-this", status=404)


def test_help_is_not_for_strangers(app: webtest.TestApp, sign_in: Callable) -> None:
    assert "/admin/login" in app.get("/admin/help/vms", status=303).location
    sign_in(Role.USER)
    app.get("/admin/help/vms", status=403)
    assert not app.get("/account").html.select("a.help")


def test_every_table_of_help_says_what_it_is(app: webtest.TestApp, sign_in: Callable) -> None:
    sign_in(Role.VIEWER)
    tables = 0
    for topic in topics.TOPICS:
        for table in app.get(f"/admin/help/{topic.page}").html.find_all("table"):
            assert table.caption is not None, topic.page
            assert table.caption.text.strip(), topic.page
            assert all(th["scope"] in ("col", "row") for th in table.find_all("th")), topic.page
            tables += 1
    assert tables > 20
