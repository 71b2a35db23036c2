"""The foot of a page says what gives the same in the API or in a shell, and that there is that."""

import re
import shlex
from collections.abc import Callable
from typing import Any

import click
import pytest
import webtest

from cloudweb.models import (
    Backend,
    ComparisonRecord,
    Drift,
    Finding,
    ReconcileRun,
    Role,
    SessionFactory,
    unit_of_work,
    utc_now,
)
from cloudweb.views.dashboard.mending_commands import FLAGS
from cloudweb.views.dashboard.twins import TWINS
from tests.functional.cli.tree import commands
from tests.functional.dashboard.test_roles import views_of

WITHOUT = {
    "admin.root": "it leads on",
    "admin.acts": "as a file",
    "admin.act": "it is made of operations and of entries of the audit",
    "admin.help": "docs/commands.md",
    "admin.help.page": "docs/commands.md",
    "admin.ips": "as a file",
    "admin.backend.networks": "as a file",
    "admin.views": "as a file",
    "admin.reconcile.runs": "as a file",
    "admin.reconcile.between": "as a file",
    "admin.adoption": "a shell adopts at once",
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


@pytest.mark.parametrize("noun", FLAGS)
def test_what_mends_in_a_shell_are_options_of_the_command(noun: str) -> None:
    options = {name for each in commands()[f"reconcile {noun}"].params for name in each.opts}
    assert {*FLAGS[noun].values()} <= options


def test_pages_that_are_made_of_others_say_what_gives_the_same(
    app: webtest.TestApp, sign_in: Callable
) -> None:
    me = sign_in(Role.ADMIN)

    def foot(path: str) -> str:
        return " ".join(app.get(path).html.find(class_="same").text.split())

    assert "Its backends in a shell: cloudweb backend list --json" in foot("/admin/")
    assert "cloudweb server list --text 'a b' --json" in foot("/admin/search?q=a+b")
    assert f"actor={me.user.email},door=dashboard" in foot("/admin/undo")


def test_a_form_says_which_request_its_button_sends_and_what_does_it_in_a_shell(
    app: webtest.TestApp, sign_in: Callable, make_server: Callable, sessions: SessionFactory
) -> None:
    server = make_server()
    sign_in(Role.ADMIN)
    with unit_of_work(sessions) as session:
        runs = [ReconcileRun(backend_id=server.backend_id, taken=utc_now()) for _ in range(2)]
        session.add_all(runs)
        session.flush()
        there = {"run_id": runs[0].id, "server_id": server.id, "version": server.version}
        words = {"target": "snf-1", "ours": "a", "theirs": "b", "remedy": "c"}
        finding = Finding(kind=Drift.STATE, fix={"state": "STOPPED"}, **there, **words)
        session.add(finding)
        session.flush()
        name = session.get_one(Backend, server.backend_id).name

    def sent(path: str) -> str:
        return " ".join(app.get(path).html.footer.text.split())

    mend = sent(f"/admin/reconcile/mend?finding={finding.id}")
    assert f"cloudweb reconcile servers --fix-state --backend {name} --reason …" in mend
    assert "The request this button sends: POST /admin/reconcile/mend" in mend
    assert f"finding={finding.id}, reason." in mend
    mail = sent(f"/admin/vms/mail?id={server.id}")
    assert f"cloudweb server mail {server.id} --subject … --text …" in mail
    assert "POST /admin/vms/mail" in mail
    view = sent("/admin/views/new?list=vms&query=q%3Dweb")
    assert "POST /admin/views/new" in view
    assert "list=vms, query=q=web, name, shared_with, opens." in view


def test_a_comparison_of_two_runs_is_there_as_a_file(
    app: webtest.TestApp, sign_in: Callable, sessions: SessionFactory
) -> None:
    sign_in(Role.VIEWER)
    with unit_of_work(sessions) as session:
        both = [
            ComparisonRecord(at=utc_now(), compared=1, found=0, appeared=[], gone=[])
            for _ in range(2)
        ]
        session.add_all(both)
        session.flush()
        one, two = (each.id for each in both)
    page = app.get(f"/admin/reconcile/runs/between?id={one}&id={two}")
    path = page.html.footer.find("code").text.removeprefix("GET ")
    assert [row["found"] for row in app.get(path).json] == [0, 0]
