"""Who owes their acceptance of new terms is told by mail, once."""

import dataclasses
import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cloudweb.backend import mailroom
from cloudweb.backend.mailroom import Mailroom
from cloudweb.domain import accounts, identity, publishing, terms, terms_languages
from cloudweb.domain.identity import Identity
from cloudweb.models import (
    AuditEntry,
    Mail,
    SessionFactory,
    Terms,
    User,
    UserState,
    unit_of_work,
    utc_now,
)
from cloudweb.sealing import Sealer
from cloudweb.settings import Settings
from tests.functional.account_mails import mails
from tests.functional.processes import running, wait_for, write_ini
from tests.functional.worker.world import WORKER

CLI = identity.system("cli")


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    return dataclasses.replace(
        settings, mail_directory=str(tmp_path / "mails"), public_url="https://cloud.example.org"
    )


@pytest.fixture
def publish(sessions: SessionFactory) -> Callable[..., int]:
    """Makes terms and publishes them; their id."""

    def go(*, start: dt.datetime | None = None, **values: Any) -> int:
        with unit_of_work(sessions) as session:
            text = values.pop("text", "Be kind.")
            made = terms.add(session, CLI, text=text, summary="No mining.", **values)
            publishing.publish(session, CLI, made.id, in_force=start, reason="tests")
            return made.id

    return go


@pytest.fixture
def tell(settings: Settings, sessions: SessionFactory) -> Callable[[], None]:
    """What the worker does when it has nothing to send."""

    def go() -> None:
        room = Mailroom(settings, sessions)
        while room.tell_some():
            pass

    return go


@pytest.fixture
def told(sessions: SessionFactory, sealer: Sealer) -> Callable[[], list[str]]:
    """Who has mail about terms."""
    return lambda: [to for to, subject, _ in mails(sessions, sealer) if "terms" in subject]


def test_who_owes_is_told_once_and_who_accepts_or_is_gone_never(
    sessions: SessionFactory,
    sealer: Sealer,
    make_user: Callable,
    publish: Callable,
    tell: Callable,
    told: Callable,
) -> None:
    first, quick, gone = (make_user().user for _ in range(3))
    made = publish()
    with unit_of_work(sessions) as session:
        session.execute(sa.update(User).where(User.id == quick.id).values(terms_number=1))
        off = sa.update(User).where(User.id == gone.id)
        session.execute(off.values(state=UserState.DEACTIVATED))
    tell()
    tell()
    assert told() == [first.email]
    [(_, subject, text)] = mails(sessions, sealer)
    assert subject == "New terms of use"
    assert "https://cloud.example.org/terms/1\n" in text
    assert "https://cloud.example.org/account/terms\n" in text
    assert "No mining." in text
    with unit_of_work(sessions, write=False) as session:
        query = sa.select(AuditEntry).where(AuditEntry.action == "terms:tell")
        entry = session.scalars(query).one()
    assert (entry.target_id, entry.details["mails"], entry.door) == (str(made), 1, "worker")


def test_each_is_told_what_is_new_in_the_language_they_chose(
    sessions: SessionFactory,
    sealer: Sealer,
    make_user: Callable,
    tell: Callable,
) -> None:
    chosen = {make_user().user.id: language for language in ("", "en", "el", "de")}
    with unit_of_work(sessions) as session:
        for user_id, language in chosen.items():
            session.get_one(User, user_id).language = language
        made = terms.add(session, CLI, text="Be kind.", summary="No mining.")
        said = {"text": "Φέρεστε ευγενικά.", "summary": "Όχι εξόρυξη."}
        terms_languages.translate(session, CLI, made.id, "el", **said)
        publishing.publish(session, CLI, made.id, reason="tests")
    tell()
    found = {}
    with unit_of_work(sessions, write=False) as session:
        for to, _, text in mails(sessions, sealer):
            link = next(line for line in text.splitlines() if "Read it" in line).split()[-1]
            language = accounts.get(session, to).language
            found[language] = (link.rpartition("/")[2], "No mining." in text, "Όχι" in text)
    assert found == {
        "": ("1", True, False),
        "en": ("1?lang=en", True, False),
        "el": ("1?lang=el", False, True),
        "de": ("1", True, False),
    }


def test_nobody_is_told_of_what_asks_for_nothing_or_is_yet_to_come(
    make_user: Callable,
    publish: Callable,
    tell: Callable,
    told: Callable,
    sessions: SessionFactory,
) -> None:
    email = make_user().user.email
    publish(requires_acceptance=False)
    later = publish(start=utc_now() + dt.timedelta(days=1), text="Be kinder.")
    tell()
    assert told() == []
    with unit_of_work(sessions) as session:
        session.get_one(Terms, later).in_force = utc_now() - dt.timedelta(seconds=1)
    tell()
    assert told() == [email]


def test_of_two_versions_only_the_newer_is_told(
    make_user: Callable, publish: Callable, tell: Callable, told: Callable
) -> None:
    make_user()
    publish()
    publish(text="Be kinder.")
    tell()
    assert len(told()) == 1


def test_several_workers_tell_each_once_in_portions(
    sessions: SessionFactory,
    publish: Callable,
    tell: Callable,
    told: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mailroom, "_TOLD_AT_ONCE", 7)
    with unit_of_work(sessions) as session:
        for number in range(40):
            who = Identity(None, "system", CLI.role, "cli")
            accounts.create(session, who, email=f"u{number}@example.org", role=CLI.role)
    publish()
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(tell) for _ in range(4)]:
            done.result()
    tell()
    assert sorted(told()) == sorted(f"u{number}@example.org" for number in range(40))


def test_the_worker_tells_and_sends_it(
    settings: Settings,
    sessions: SessionFactory,
    publish: Callable,
    make_user: Callable,
    tmp_path: Path,
) -> None:
    make_user()
    publish()

    def is_sent() -> bool:
        with unit_of_work(sessions, write=False) as session:
            return session.scalars(sa.select(Mail.state)).all() == ["sent"]

    with running(WORKER, write_ini(tmp_path, settings)):
        wait_for(is_sent)
    [file] = (tmp_path / "mails").glob("*.eml")
    assert "Subject: New terms of use" in file.read_text()
