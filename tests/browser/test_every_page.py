"""What holds of every page there is, so that a new one is looked at from its first day."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from cloudweb.models import Base, Role, User, unit_of_work
from cloudweb.views.dashboard.twins import TWINS
from tests.browser import eyes
from tests.browser.peopling import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LEAD_ON = {"admin.root"}
"""Routes that only lead to another page."""
MOST_STATEMENTS = 12
MOST_BYTES = 150_000
STATUS = {
    "missing": 404,
    "vm-missing": 404,
    "forbidden": 403,
    "vms-refused": 400,
    "account-link-spent": 400,
}
PARTS = 6
LISTS = (
    *("overview", "vms", "backends", "operations", "networks", "ips", "pools", "images"),
    *("flavors", "regions", "jobs", "acts", "queues", "reconcile", "terms", "audit", "search-none"),
    *("account", "terms-public", "compute-flavors"),
)
FORMS = {
    "login": "Sign in",
    "vm-destroy": "Destroy",
    "drain": "Drain",
    "backend-new": "Add backend",
    "compute-flavor-new": "Make them",
    "operation-retry": "Retry operation",
    "terms-new": "Keep as a draft",
    "terms-publish": "Publish",
    "user-role": "",
    "adopt": "Show what would follow",
    "account-link": "",
    "sign-up": "",
    "code": "",
    "enrol": "",
}
"""Pages with a form that refuses to be sent empty, and its button where it is not the last."""


def test_every_route_has_a_page_that_is_looked_at(world: Any, routes: dict[str, str]) -> None:
    paths = [path.partition("?")[0] for path in world.pages.values()]
    unseen = {
        name
        for name, pattern in routes.items()
        if not any(re.fullmatch(expression(pattern), path) for path in paths)
    }
    assert unseen == LEAD_ON, "Give each a page in World.pages, or in the folder's furnishing."


def _route_of(routes: dict[str, str], path: str) -> str:
    """Which of the routes a page's path is of."""
    path = path.partition("?")[0]
    return next((n for n, p in routes.items() if re.fullmatch(expression(p), path)), "")


def expression(pattern: str) -> str:
    """A route's pattern as a regular expression of its paths."""
    parts = re.split(r"(\{\w+(?::(?:[^{}]|\{[^{}]*\})*)?\})", pattern)
    return "".join(
        (part[1:-1].partition(":")[2] or "[^/]+") if part.startswith("{") else re.escape(part)
        for part in parts
    )


@pytest.mark.parametrize(
    ("role", "part"), [*((Role.ADMIN, part) for part in range(PARTS)), (Role.VIEWER, 0)]
)
def test_a_page_opens_without_a_word_in_the_console_and_is_light(
    role: Role,
    part: int,
    browse: Callable,
    world: Any,
    make_user: Callable,
    count_statements: Callable,
    routes: dict[str, str],
) -> None:
    if role is not Role.ADMIN:
        person = make_user(role=role)
        with unit_of_work(world.sessions) as session:
            session.execute(sa.update(User).values(terms_number=2))
            world.cookie = sign_in(session, person.user.id)
    page = browse().open("/terms")
    wrong, refused = [], 0
    pages = list(world.pages)[part::PARTS] if role is Role.ADMIN else [*LISTS, *FORMS]
    for name in pages:
        for _again in range(2):
            with count_statements() as counter:
                response = world.show(page, name)
            if len(counter) <= MOST_STATEMENTS:
                break  # else the page before may have asked for its part meanwhile
        expected = {STATUS.get(name, 200)} | ({403} if role is Role.VIEWER else set())
        refused += response.status == 403
        if response.status not in expected:
            wrong.append(f"{name}: {response.status}")
        if len(counter) > MOST_STATEMENTS:
            wrong.append(f"{name}: {len(counter)} statements")
        if len(response.body()) > MOST_BYTES:
            wrong.append(f"{name}: {len(response.body())} bytes")
        if page.evaluate("document.styleSheets.length") != 1:
            wrong.append(f"{name}: not one style sheet")
        route = _route_of(routes, world.pages[name])
        if response.status == 200 and route in TWINS and not page.locator("details.same").count():
            wrong.append(f"{name}: its foot says nothing of the same in the API or a shell")
        if page.locator("[style], script:not([src])").count():
            wrong.append(f"{name}: a style or script within it")
    assert wrong == []
    assert (refused > 5) is (role is Role.VIEWER)


@pytest.mark.parametrize("part", range(PARTS))
def test_nobody_is_kept_out(part: int, browse: Callable, world: Any) -> None:
    page = browse(bypass_csp=True, viewport=eyes.WIDE).open("/terms")
    found: list[str] = []
    for name in list(world.pages)[part::PARTS]:
        world.show(page, name)
        found += eyes.look(page, name)
    assert found == []


def test_nobody_is_kept_out_where_there_is_nothing_yet(browse: Callable, world: Any) -> None:
    with unit_of_work(world.sessions) as session:
        for table in reversed(Base.metadata.sorted_tables):
            if table.name not in ("users", "web_sessions", "list_versions"):
                session.execute(sa.delete(table))
    page = browse(bypass_csp=True, viewport=eyes.WIDE).open("/terms")
    found: list[str] = []
    for name in LISTS:
        world.show(page, name)
        found += eyes.look(page, name, full=False)
        if not page.locator(".empty, .good, .lead").count():
            found.append(f"{name}: nothing is said of there being nothing")
    assert found == []


def test_nobody_is_kept_out_of_a_form_that_is_refused(browse: Callable, world: Any) -> None:
    page = browse(bypass_csp=True, viewport=eyes.WIDE).open("/terms")
    found: list[str] = []
    for name, button in FORMS.items():
        world.show(page, name)
        page.evaluate("for (const form of document.forms) form.noValidate = true")
        buttons = page.locator("main").get_by_role("button", name=button, exact=bool(button))
        with page.expect_navigation() as loaded:
            buttons.last.click()
        if loaded.value.status not in (400, 401, 403, 409, 422):
            found.append(f"{name}: {loaded.value.status}")
        if not page.locator("[role=alert], [aria-invalid=true]").count():
            found.append(f"{name}: nothing is said of what is wrong")
        found += eyes.look(page, name, full=False)
    assert found == []
