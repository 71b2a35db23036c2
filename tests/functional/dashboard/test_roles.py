"""Every route of the pages and each role: the table of ``security.GRANTS``, asked over HTTP."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import webtest
from pyramid.authorization import ACLHelper

from cloudweb.models import Base, Role, SessionFactory, unit_of_work, utc_now
from cloudweb.security import GRANTS, MEANINGS, Permission
from cloudweb.views.endpoints import endpoints_of

NOBODY = "a stranger"
PUBLIC = {
    ("admin.login", "GET"),
    ("admin.login", "POST"),
    ("admin.code", "GET"),
    ("admin.code", "POST"),
    ("admin.enrol", "GET"),
    ("admin.enrol", "POST"),
    ("admin.logout", "POST"),
    ("account.sign_up", "GET"),
    ("account.sign_up", "POST"),
    ("account.forgotten", "GET"),
    ("account.forgotten", "POST"),
    ("account.sent", "GET"),
    ("account.done", "GET"),
    ("account.link", "GET"),
    ("account.link", "POST"),
    ("terms", "GET"),
    ("terms.version", "GET"),
}
"""What needs no session. A route that joins them is a decision: it is made here."""

ROOT = ("admin.root", "GET")
"""Only sends on to the overview."""


def views_of(app: Any) -> Iterator[tuple[str, str, str]]:
    """Route, method and permission of each page and form."""
    registry = app.registry
    for found in registry.introspector.get_category("views"):
        view = found["introspectable"]
        name, methods = view.get("route_name"), view.get("request_methods")
        if not name or not name.startswith(("admin.", "account.", "terms")) or view.get("context"):
            continue
        permission = _permission(found)
        for method in [methods] if isinstance(methods, str) else methods or ["GET"]:
            yield name, method, permission


def _permission(found: Any) -> str:
    for related in found["related"]:
        if related.category_name == "permissions":
            return str(related["value"])
    return ""


def url_of(app: Any, name: str) -> str:
    """An address of a route; of what has an id, one that nothing has."""
    pattern = re.sub(r"\{notation:[^}]*\}", "csv", _patterns(app)[name])
    return re.sub(r"\{\w+(?::[^{}]*(?:\{[^{}]*\})?[^{}]*)?\}", "999999", pattern)


def _patterns(app: Any) -> dict[str, str]:
    found = app.registry.introspector.get_category("routes")
    return {each["introspectable"]["name"]: each["introspectable"]["pattern"] for each in found}


def test_every_view_names_its_permission_or_is_known_to_be_public(app: webtest.TestApp) -> None:
    views = list(views_of(app.app))
    assert len(views) > 50
    open_ones = {(name, method) for name, method, p in views if p == "__no_permission_required__"}
    assert open_ones - {ROOT} == PUBLIC
    known = {each.value for each in (*GRANTS, Permission.TERMS_ACCEPT)}
    unknown = {v for v in views if v[2] not in known and v[:2] not in {*PUBLIC, ROOT}}
    assert unknown == set()


@pytest.mark.parametrize("who", [*Role, NOBODY])
def test_each_route_opens_for_the_roles_of_the_table_and_no_other(
    who: Role | str, app: webtest.TestApp, sign_in: Callable
) -> None:
    person = sign_in(who) if isinstance(who, Role) else None
    token = app.get("/admin/login").form["csrf_token"].value
    wrong = []
    for name, method, permission in views_of(app.app):
        if (name, method) in {*PUBLIC, ROOT}:
            continue
        url, fields = url_of(app.app, name), {"csrf_token": token}
        answer = app.request(
            url, method=method, POST=fields if method == "POST" else None, status="*"
        )
        if person is None:
            right = answer.status_code == 303 and "/admin/login" in answer.location
        else:
            roles = {each.value: held for each, held in GRANTS.items()}.get(permission, tuple(Role))
            right = (answer.status_code != 403) == (who in roles) and answer.status_code < 500
            if answer.status_code == 403:
                staff = len(roles) == len(Role) - 1
                words = "those who run the cloud" if staff else "This takes the role"
                right = right and words in answer.text
        if not right:
            wrong.append(f"{method} {url} ({permission}): {answer.status_code}")
    assert wrong == []


_NUMBER = 999_999
"""What ``url_of`` puts for every id and name."""
_AS_THEY_ARE = {"list_versions", "backup_marks", "alembic_version"}
NOT_THERE = {
    *("account.session.end", "account.token.revoke", "admin.form", "admin.undo"),
    *("admin.view.edit", "admin.view.remove"),
}
"""What is of somebody else, so that for everybody there is no such thing."""
INSTEAD = {
    **dict.fromkeys(("admin.act", "admin.help.page", "admin.ip", "admin.terms.translate"), 404),
    **dict.fromkeys(("admin.pool.release", "admin.pool.reserve", "admin.pool.resize"), 400),
    **dict.fromkeys(NOT_THERE, 404),
}
"""What does not open: what no number is the name of, too, and what has to be told which values."""


@pytest.fixture
def one_of_each(sessions: SessionFactory) -> Callable[[], dict[str, list[Any]]]:
    """Fills every table with a row that has this number for its id and as its name; all rows there
    are, but for what is written down of those who ask.
    """
    with unit_of_work(sessions) as session:
        for table in Base.metadata.sorted_tables:
            if table.name not in _AS_THEY_ARE:
                session.execute(sa.insert(table).values(**_row(table)))

    def read() -> dict[str, list[Any]]:
        with unit_of_work(sessions, write=False) as session:
            return {
                table.name: [tuple(row) for row in session.execute(sa.select(table))]
                for table in Base.metadata.sorted_tables
                if table.name not in {"audit", *_AS_THEY_ARE}
            }

    return read


def _row(table: sa.Table) -> dict[str, Any]:
    # Only a removed one has no number.
    known = {"number": 1} if table.name == "backends" else {}
    return known | {
        column.key: _value(column)
        for column in table.columns
        if column.primary_key or not (column.nullable or column.default or column.server_default)
    }


def _value(column: sa.Column[Any]) -> Any:
    kind = column.type
    if isinstance(kind, sa.Enum):
        return next(iter(kind.enum_class or kind.enums))
    if isinstance(kind, sa.Boolean):
        return False
    if isinstance(kind, sa.Integer):
        return 1 if isinstance(kind, sa.SmallInteger) else _NUMBER
    if isinstance(kind, sa.JSON):
        return []
    if isinstance(kind, sa.LargeBinary):
        return b"{}"
    if isinstance(kind, sa.String):
        return str(_NUMBER)
    return utc_now()


@pytest.mark.parametrize("who", [*Role, NOBODY])
def test_what_is_there_opens_for_the_roles_of_the_table_and_is_changed_by_no_other(
    who: Role | str, app: webtest.TestApp, sign_in: Callable, one_of_each: Callable
) -> None:
    person = sign_in(who) if isinstance(who, Role) else None
    token = app.get("/admin/login").form["csrf_token"].value
    fields = {"csrf_token": token, "key": "f" * 32, "reason": "why not"}
    before, wrong, opened, refused = one_of_each(), [], 0, 0
    views = sorted(v for v in views_of(app.app) if v[:2] not in {*PUBLIC, ROOT})
    for name, method, permission in views:
        held = {each.value: roles for each, roles in GRANTS.items()}.get(permission, tuple(Role))
        url, may = url_of(app.app, name), who in held
        if method == "POST" and (not may or name in NOT_THERE):
            answer = app.post(url, fields, status="*")
            refused += 1
        elif method == "GET" and str(_NUMBER) in url:
            answer = app.get(url, status="*")
            opened += may
        else:
            continue
        if person is None:
            right = answer.status_code == 303 and "/admin/login" in answer.location
        elif not may:
            right = answer.status_code == 403
        else:
            kept = name == "admin.audit.entry" and who not in GRANTS[Permission.AUDIT_VIEW]
            right = answer.status_code == (404 if kept else INSTEAD.get(name, 200))
        if not right:
            wrong.append(f"{method} {url} ({permission}): {answer.status_code}")
    assert wrong == []
    assert one_of_each() == before
    assert (opened > 30) is (person is not None and who is not Role.USER)
    assert refused >= len(NOT_THERE) - 2


def test_no_form_there_is_works_without_its_token_or_by_a_link(
    app: webtest.TestApp, sign_in: Callable
) -> None:
    sign_in(Role.ADMIN)
    app.get("/admin/login")
    views = [(name, method) for name, method, _ in views_of(app.app)]
    forms = {name for name, method in views if method == "POST"}
    wrong = {}
    for name in sorted(forms):
        url = url_of(app.app, name)
        answers = [app.post(url, {**token}, status="*") for token in ({}, {"csrf_token": "a" * 40})]
        if {answer.status_code for answer in answers} != {400}:
            wrong[f"POST {name}"] = answers
        if (name, "GET") not in views:
            answer = app.get(url, status="*")
            if answer.status_code not in (404, 405):
                wrong[f"GET {name}"] = [answer]
    assert wrong == {}
    assert len(forms) > 30


def test_the_api_opens_for_the_roles_of_the_table_and_no_other(app: webtest.TestApp) -> None:
    helper, wrong = ACLHelper(), []
    for dialect in ("compute", "federation"):
        for each in endpoints_of(app.app.registry, dialect):
            if not each.needs_token:
                continue
            held = {p.value: roles for p, roles in GRANTS.items()}.get(each.permission, tuple(Role))
            for role in Role:
                principals = ["door:api", f"api:{role.value}"]
                context = each.context(None)  # type: ignore[arg-type]
                given = bool(helper.permits(context, principals, each.permission))
                if given != (role in held):
                    wrong.append(f"{each.method} {each.context.__name__}: {role}")
            assert not helper.permits(each.context(None), ["door:dashboard"], each.permission)
    assert wrong == []


def test_the_document_shows_the_table(project: Path) -> None:
    assert set(MEANINGS) == set(GRANTS)
    columns = [role for role in Role if role is not Role.USER]
    lines = ["| | " + " | ".join(role.value for role in columns) + " |"]
    lines += ["|---" * (len(columns) + 1) + "|"]
    for permission, roles in GRANTS.items():
        if permission is not Permission.ACCOUNT_OWN:
            cells = " | ".join("yes" if role in roles else "" for role in columns)
            lines.append(f"| {MEANINGS[permission]} | {cells} |".replace("|  ", "| "))
    assert "\n".join(lines) in (project / "docs/dashboard.md").read_text(), "\n".join(lines)
