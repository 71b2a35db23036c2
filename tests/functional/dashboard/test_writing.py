"""Writing to people by mail: what a page shows of a mail is the mail."""

import dataclasses
import email
import email.policy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import webtest

from cloudweb.backend.mailroom import Mailroom
from cloudweb.models import AuditEntry, Role, SessionFactory, User, UserState, unit_of_work
from cloudweb.sealing import Sealer
from cloudweb.settings import Settings
from tests.functional.account_mails import mails


@pytest.fixture
def writing(app: webtest.TestApp, make_user: Callable) -> Callable[[], tuple[Any, webtest.Form]]:
    """Somebody, and the form to write to them."""

    def go() -> tuple[Any, webtest.Form]:
        person = make_user()
        page = app.get(f"/admin/users/{person.user.id}").click("Write to them…")
        return person, page.forms["write"]

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
    shown = form.submit()
    assert mails(sessions, sealer) == []
    for _ in range(2):
        assert "Your mail is on its way" in shown.forms["act"].submit(status=303).follow()
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
        assert page.forms["write"]["text"].value.strip() == "Kept."
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
    page = app.get(f"/admin/users/{person.user.id}")
    assert not page.html.find("a", string="Write to them…")
    assert "Write to them is not possible now." in page.html.main.text
    page = app.get(f"/admin/users/{person.user.id}/mail")
    assert "Nobody has shown" in page
    sign_in(Role.VIEWER)
    app.get(f"/admin/users/{person.user.id}/mail", status=403)


Sent = Callable[[], list[tuple[str, ...]]]


@pytest.fixture
def sent(settings: Settings, sessions: SessionFactory, tmp_path: Path) -> Sent:
    """Sends what waits into files, and reads these: sender, recipient, subject and text of each."""
    folder = tmp_path / "mail"
    changed = dataclasses.replace(settings, mail_directory=str(folder))

    def go() -> list[tuple[str, ...]]:
        Mailroom(changed, sessions).send_some()
        found = []
        for path in sorted(folder.iterdir()):
            message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            text = message.get_content().replace("\r\n", "\n")
            found.append((message["From"], message["To"], message["Subject"], text))
        return found

    return go


def _shown(page: webtest.TestResponse) -> tuple[str, ...]:
    """The mail that a page shows: sender, recipient, subject and text."""
    there = page.html.main.find(class_="letter")
    text = there.pre.get_text().replace("\r\n", "\n").removeprefix("\n")
    return (*(each.get_text() for each in there.find_all("dd")), text)


def test_the_mail_to_a_user_is_shown_as_it_is_sent(
    sign_in: Callable, writing: Callable, sent: Sent
) -> None:
    sign_in(Role.HELPDESK)
    _, form = writing()
    form["subject"] = "Your «μηχανή» & <b>you</b>"
    form["text"] = "  Dear user,\r\n\r\n<script>x()</script> it's\tfull. 🦊\r\n" + "long " * 30
    page = form.submit()
    shown = _shown(page)
    page.forms["act"].submit(status=303)
    assert [shown] == sent()


def test_the_words_of_a_mail_can_be_changed_after_it_was_shown(
    sign_in: Callable, writing: Callable, sent: Sent
) -> None:
    sign_in(Role.HELPDESK)
    _, form = writing()
    form["subject"], form["text"] = "A word", "One\r\ntwo"
    again = form.submit().forms["act"].submit("show").forms["write"]
    assert again["subject"].value == "A word"
    assert again["text"].value.strip().replace("\r\n", "\n") == "One\ntwo"
    again["text"] = "Three"
    page = again.submit()
    assert _shown(page)[-1].startswith("Three\n")
    page.forms["act"].submit(status=303)
    [(_, _, subject, text)] = sent()
    assert (subject, text.partition("\n")[0]) == ("A word", "Three")


def test_what_is_sent_is_what_was_shown_or_nothing(
    sign_in: Callable, writing: Callable, sessions: SessionFactory, sealer: Sealer
) -> None:
    sign_in(Role.HELPDESK)
    person, form = writing()
    form["subject"], form["text"] = "A word", "Or two"
    confirm = form.submit().forms["act"]
    with unit_of_work(sessions) as session:
        session.execute(
            sa.update(User).where(User.id == person.user.id).values(email="new@example.org")
        )
    page = confirm.submit(status=409)
    assert mails(sessions, sealer) == []
    assert _shown(page)[1] == "new@example.org"


def test_one_of_the_mails_to_owners_is_shown_as_it_is_sent(
    app: webtest.TestApp, sign_in: Callable, make_user: Callable, make_server: Callable, sent: Sent
) -> None:
    owners = [make_user(email=f"{name}@example.org") for name in ("maria", "nikos")]
    made = [make_server(owner=owner, name="web <1>") for owner in (*owners, owners[0])]
    me = sign_in(Role.HELPDESK)
    form = app.get("/admin/vms/mail", [("id", str(each.id)) for each in made]).forms["write"]
    form["subject"], form["text"] = "New disks", "On Friday.\r\n\r\nBye."
    page = form.submit()
    shown = _shown(page)
    assert "2 mails will be sent" in page
    page.forms["act"].submit(status=303)
    assert sent()[0] == shown
    assert shown[-1].endswith(f"Written by {me.user.email}, of those who run this cloud.\n")


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("/admin/vms/{server}/shutdown", {"reason": "New <disks>"}),
        ("/admin/vms/{server}/shutdown", {}),
        ("/admin/vms/{server}/suspend", {"reason": "Spam"}),
        ("/admin/vms/bulk?verb=reboot&id={server}", {"reason": "New kernel"}),
        ("/admin/vms/bulk?verb=unsuspend&id={server}", {}),
        ("/admin/backends/{backend}/drain", {"reason": "Room", "until": "2031-02-03T04:05"}),
        ("/admin/backends/{backend}/offline", {"reason": "New switch"}),
    ],
)
def test_the_mail_about_an_act_is_shown_with_the_reason_as_it_is_sent(
    path: str,
    given: dict[str, str],
    app: webtest.TestApp,
    sign_in: Callable,
    make_backend: Callable,
    make_server: Callable,
    sent: Sent,
) -> None:
    make_backend()
    suspended = "unsuspend" in path
    server = make_server(backend=make_backend(), suspended=suspended)
    sign_in(Role.OPERATOR)
    form = app.get(path.format(server=server.id, backend=server.backend_id)).forms["act"]
    for name, value in given.items():
        form[name] = value
    form["mail"] = True
    page = form.submit("show")
    assert "Nothing was done" not in page
    shown, form = _shown(page), page.forms["act"]
    assert {name: form[name].value for name in given} == given
    assert form["mail"].checked
    form.submit(status=303)
    assert [shown] == sent()
    assert all(f"\n  {reason}\n" in shown[-1] for reason in (given.get("reason", ""),) if reason)
