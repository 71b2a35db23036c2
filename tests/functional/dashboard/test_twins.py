"""The foot of a page says what gives the same in the API or in a shell, and that there is that."""

import re
import shlex
from collections.abc import Callable
from typing import Any

import click
import pytest
import webtest

from cloudweb.models import Role
from cloudweb.views.dashboard.twins import TWINS
from tests.functional.cli.tree import commands
from tests.functional.dashboard.test_roles import views_of

WITHOUT = {
    "admin.root": "it leads on",
    "admin.acts": "as a file",
    "admin.act": "it is made of operations and of entries of the audit",
    "admin.overview": "it is made of what other pages have",
    "admin.search": "each noun is searched by its own list",
    "admin.help": "docs/commands.md",
    "admin.help.page": "docs/commands.md",
    "admin.ips": "as a file",
    "admin.backend.networks": "as a file",
    "admin.views": "as a file",
    "admin.reconcile.runs": "as a file",
    "admin.reconcile.between": "it is made of the files of runs",
    "admin.undos": "a shell shows what it will do before",
    "admin.undo": "a shell shows what it will do before",
    "admin.adoption": "a shell adopts at once",
    "admin.install": "the installing command shows it",
    "admin.prove": "a form",
    "admin.code": "a form",
    "admin.login": "a form",
    "admin.enrol": "a form",
    "admin.terms.new": "a form",
    "admin.terms.edit": "a form",
}
"""Pages with no twin, and why. One that joins them is a decision: it is made here."""


def test_every_page_that_only_shows_has_a_twin_or_a_reason_for_none(app: webtest.TestApp) -> None:
    methods: dict[str, set[str]] = {}
    for name, method, _ in views_of(app.app):
        methods.setdefault(name, set()).add(method)
    shown = {
        name
        for name, found in methods.items()
        if name.startswith("admin.") and not name.endswith(".export") and found == {"GET"}
    }
    assert shown - {*WITHOUT} <= {*TWINS}
    assert {*TWINS}.isdisjoint(WITHOUT)


@pytest.mark.parametrize("route", TWINS)
def test_what_is_said_to_be_the_same_in_a_shell_is_a_command(route: str) -> None:
    words = shlex.split(re.sub(r"\{[^}]*\}", "1", TWINS[route].shell))
    known = commands()
    name = " ".join(words[:2])
    with click.Context(known[name]):
        known[name].make_context(name, [*words[2:], "--json"], resilient_parsing=False)


@pytest.mark.parametrize("route", [route for route, twin in TWINS.items() if twin.api])
def test_what_is_said_to_be_the_same_in_the_api_is_a_call_there_is(
    route: str, app: webtest.TestApp, make_user: Callable
) -> None:
    token = make_user(role=Role.FLAVOR_MANAGER).headers
    path = re.sub(r"\{[^}]*\}", "1", TWINS[route].api)
    answer = app.get(path, headers=token, status="*")
    assert answer.status_int in (200, 404), answer.text
    assert "Not found." not in answer.text
    assert app.get("/api/v1.1/nothing/like/this", headers=token, status=400)


def test_a_page_says_its_own_with_its_own_names(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable, make_user: Callable
) -> None:
    server, odd = make_server(), make_user(email="o'neill@example.org")
    sign_in(Role.VIEWER)

    def foot(path: str) -> Any:
        return app.get(path).html.find(class_="same").text

    page = foot(f"/admin/vms/{server.id}")
    assert f"GET /api/v1.1/servers/{server.id}" in page
    assert f"http://localhost/api/v1.1/servers/{server.id}" in page
    assert f"cloudweb server show {server.id} --json" in page
    page = foot("/admin/vms?state=ERROR")
    assert "cloudweb server list --json" in page
    assert "GET /admin/vms.json?state=ERROR" in page
    assert f"user show {shlex.quote(odd.user.email)} --json" in foot(f"/admin/users/{odd.user.id}")
    assert f"cloudweb backend show {server.backend_id} --json" in foot(
        f"/admin/backends/{server.backend_id}"
    )
