"""Writing to a user by mail."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.models import AuditEntry, Role, SessionFactory, User, UserState, unit_of_work
from cloudweb.sealing import Sealer
from tests.functional.account_mails import mails


@pytest.fixture
def writing(app: webtest.TestApp, make_user: Callable) -> Callable[[], tuple[Any, webtest.Form]]:
    """Somebody, and the form to write to them."""

    def go() -> tuple[Any, webtest.Form]:
        person = make_user()
        page = app.get(f"/admin/users/{person.user.id}").click("Write to them…")
        return person, page.forms["act"]

    return go


@pytest.mark.parametrize("role", [Role.HELPDESK, Role.OPERATOR, Role.ADMIN])
def test_a_mail_says_what_was_written_and_by_whom_and_goes_once(
    role: Role,
    app: webtest.TestApp,
    sign_in: Callable,
    writing: Callable,
    sessions: SessionFactory,
    sealer: Sealer,
) -> None:
    me = sign_in(role)
    person, form = writing()
    form["subject"], form["text"] = "Your server «web»", "Dear user,\r\n\r\nit is full. 🦊\r\n"
    for _ in range(2):
        assert "Your mail is on its way" in form.submit(status=303).follow()
    [(to, subject, text)] = mails(sessions, sealer)
    assert (to, subject) == (person.user.email, "Your server «web»")
    assert text.startswith("Dear user,\n\nit is full. 🦊\n\n-- \n")
    assert me.user.email in text
    with unit_of_work(sessions, write=False) as session:
        query = sa.select(AuditEntry).where(AuditEntry.action == "user:mail")
        [entry] = session.scalars(query)
    assert entry.details == {"subject": "Your server «web»", "characters": 25}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("subject", ""),
        ("subject", "a\r\nBcc: b@example.org"),
        ("subject", "x" * 151),
        ("text", " \n "),
        ("text", "x" * 10_001),
        ("text", "a\x00b"),
    ],
)
def test_a_mail_that_cannot_be_is_refused_with_what_was_written(
    field: str,
    value: str,
    sign_in: Callable,
    app: webtest.TestApp,
    writing: Callable,
    sessions: SessionFactory,
    sealer: Sealer,
) -> None:
    sign_in(Role.HELPDESK)
    _, form = writing()
    sent = dict(form.submit_fields()) | {"subject": "A word", "text": "Kept."} | {field: value}
    page = app.post(form.action, sent, status=400)
    assert page.html.find(id=f"{field}-error")
    if field == "subject":
        assert page.forms["act"]["text"].value.strip() == "Kept."
    assert mails(sessions, sealer) == []


def test_nobody_writes_to_an_address_nobody_has_shown_to_be_theirs(
    app: webtest.TestApp, sign_in: Callable, make_user: Callable, sessions: SessionFactory
) -> None:
    sign_in(Role.HELPDESK)
    person = make_user()
    with unit_of_work(sessions) as session:
        session.execute(
            sa.update(User).where(User.id == person.user.id).values(state=UserState.UNVERIFIED)
        )
    assert "Write to them" not in app.get(f"/admin/users/{person.user.id}")
    page = app.get(f"/admin/users/{person.user.id}/mail")
    assert "Nobody has shown" in page
    sign_in(Role.VIEWER)
    app.get(f"/admin/users/{person.user.id}/mail", status=403)
