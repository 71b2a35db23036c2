"""Every form of the pages is in the audit, done or refused; a new one needs a row."""

from collections.abc import Callable
from typing import Any

import pytest
import webtest

from cloudweb.app import make_app
from cloudweb.models import Outcome, Role, SessionFactory, User, unit_of_work
from cloudweb.sealing import Sealer
from cloudweb.settings import Secret, Settings
from tests.conftest import SECRET_KEY
from tests.functional.auditing.ledger import (
    ADDRESS,
    REQUEST,
    Ledger,
    check_done,
    check_refused,
    spoken,
)
from tests.functional.dashboard.audited import (
    ROWS,
    STRANGERS,
    Site,
    draft,
    log_in_again,
    pend,
    send_first_code,
    with_factor,
    with_password,
)
from tests.functional.dashboard.test_roles import PUBLIC, url_of, views_of

_APP = make_app(Settings(database_url=Secret("sqlite:///:memory:"), secret_key=Secret(SECRET_KEY)))
FORMS = sorted({name for name, method, _ in views_of(_APP) if method != "GET"})
KNOWN = [name for name in FORMS if (name, "POST") not in PUBLIC]

every_form = pytest.mark.parametrize("name", FORMS)


@pytest.fixture
def ledger(sessions: SessionFactory) -> Ledger:
    return Ledger(sessions)


@pytest.fixture
def site(
    app: webtest.TestApp,
    sessions: SessionFactory,
    sealer: Sealer,
    request: pytest.FixtureRequest,
) -> Site:
    app.extra_environ |= {"REMOTE_ADDR": ADDRESS, "HTTP_X_REQUEST_ID": REQUEST}
    return Site(app, sessions, sealer, request.getfixturevalue)


@every_form
def test_what_a_form_does_is_written_down(site: Site, ledger: Ledger, name: str) -> None:
    assert name in ROWS, f"say in audited.py how to send {name}, and what it writes"
    row = ROWS[name]
    site.sign_in(row.role)
    ledger.new()
    answer = row.send(site)
    assert answer.status_int in (200, 303), answer.html.main
    entries = [each for each in ledger.new() if each.door != "cli"]
    with unit_of_work(site.sessions, write=False) as session:
        me = session.get_one(User, site.me.user.id)
    if name in STRANGERS:
        actor = "nora@example.org" if name == "account.link" else "stranger"
        who = {"actor": actor, "role": "user"}
    else:
        who = {"actor": me.email, "role": row.role.value}
    check_done(entries, row.wrote, door="dashboard", reason=site.reason, **who)


@pytest.mark.parametrize("name", KNOWN)
def test_what_a_form_is_refused_is_written_down(site: Site, ledger: Ledger, name: str) -> None:
    site.sign_in(Role.USER)
    draft(site, publish=name == "account.terms")  # only then there is something to accept
    token = site.app.get("/admin/login").form["csrf_token"].value
    ledger.new()
    answer = site.app.post(url_of(_APP, name), {"csrf_token": token}, status="*")
    assert answer.status_int >= 400
    check_refused(ledger.new(), actor=site.me.user.email, role="user", door="dashboard")


def test_what_comes_without_its_token_is_written_down(site: Site, ledger: Ledger) -> None:
    site.sign_in(Role.ADMIN)
    ledger.new()
    site.app.post("/admin/backends/1/drain", {"csrf_token": "x" * 32}, status=400)
    check_refused(ledger.new(), actor=site.me.user.email, role="admin", door="dashboard")


@pytest.mark.parametrize("page", ["login", "login/code", "login/second-factor"])
def test_who_does_not_get_in_is_written_down(
    site: Site, ledger: Ledger, page: str, make_user: Callable[..., Any]
) -> None:
    send = {
        "login": _wrong_password,
        "login/code": _wrong_code,
        "login/second-factor": _wrong_first_code,
    }[page]
    site.sign_in(Role.ADMIN)
    answer = send(site, ledger)
    assert answer.status_int in (400, 401)
    [entry] = ledger.new()
    assert entry.outcome is Outcome.REFUSED, spoken([entry])
    assert (entry.action, entry.address, entry.request_id) == ("session:open", ADDRESS, REQUEST)
    assert site.me.user.email in (entry.actor, entry.target_id)
    assert entry.reason


def _wrong_password(site: Site, ledger: Ledger) -> Any:
    ledger.new()
    values = {"email": site.me.user.email, "password": "not this one"}
    return site.send("/admin/login", **values)


def _wrong_code(site: Site, ledger: Ledger) -> Any:
    with_factor(site)
    with_password(site)
    log_in_again(site)
    ledger.new()
    return site.send("/admin/login/code", code="000000")


def _wrong_first_code(site: Site, ledger: Ledger) -> Any:
    pend(site)
    ledger.new()
    return send_first_code(site, "000000")


def test_rows_are_of_forms() -> None:
    assert set(ROWS) == set(FORMS)


_ENDS_HERE = {
    "account.factor.remove": "it ends this session, too",
    "account.factor.codes": "its code is good once",
    "account.factor": "there is one, then",
    "account.password": "the old one is another, then",
    "account.session.end": "it has ended, then",
    "account.token.revoke": "it is revoked, then",
    "admin.prove": "it may be shown as often as one likes",
}
"""What is refused when it is sent again, or may be done again."""


@pytest.mark.parametrize(
    "name", [name for name in KNOWN if name not in {*STRANGERS, *_ENDS_HERE, "admin.logout"}]
)
def test_a_form_that_is_sent_twice_does_it_once(site: Site, ledger: Ledger, name: str) -> None:
    row = ROWS[name]
    site.sign_in(row.role)
    first = row.send(site)
    ledger.new()
    again = site.again()
    assert again.status_int in (200, 303), again.html.main
    assert [e.action for e in ledger.new() if e.outcome is Outcome.DONE] == []
    if first.status_int == 303 and name != "admin.terms.publish":  # who published has to accept
        assert again.location == first.location
