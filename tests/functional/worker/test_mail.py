"""Mails: each is sent, once, by whichever worker, and none is lost to a bad server."""

import dataclasses
import email
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cloudweb.backend.mailroom import Mailroom, compose
from cloudweb.domain import mail
from cloudweb.domain.mail import Claimed, Letter
from cloudweb.models import Mail, MailState, SessionFactory, unit_of_work, utc_now
from cloudweb.sealing import Sealer
from cloudweb.settings import Settings


class PostOffice(threading.Thread):
    """A little SMTP server that answers RCPT with what it is told to."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.rcpt = "250 ok"
        self.taken: list[bytes] = []

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as stream:
                self.serve(stream)

    def serve(self, stream: Any) -> None:
        def say(text: str) -> None:
            stream.write(f"{text}\r\n".encode())
            stream.flush()

        say("220 here")
        for line in stream:
            verb = line[:4].upper()
            if verb == b"RCPT":
                say(self.rcpt)
            elif verb == b"DATA":
                say("354 go on")
                lines = iter(stream.readline, b".\r\n")
                self.taken.append(b"".join(lines))
                say("250 taken")
            elif verb == b"QUIT":
                say("221 bye")
                return
            else:
                say("250 ok")


@pytest.fixture
def office() -> Iterator[PostOffice]:
    """A mail server."""
    running = PostOffice()
    running.start()
    yield running
    running.socket.close()


@pytest.fixture
def write(sessions: SessionFactory, sealer: Sealer) -> Callable[..., int]:
    """Writes a mail down."""

    def go(recipient: str = "uma@example.org", **options: Any) -> int:
        letter = Letter("Hello", "The key is ä-secret.\n")
        with unit_of_work(sessions) as session:
            row = mail.enqueue(session, sealer, recipient, letter, **options)
            session.flush()
            return row.id

    return go


def by_smtp(settings: Settings, office: PostOffice) -> Settings:
    return dataclasses.replace(
        settings, smtp_host="127.0.0.1", smtp_port=office.port, smtp_tls="none", smtp_timeout_s=5.0
    )


def row(sessions: SessionFactory, mail_id: int) -> Mail:
    with unit_of_work(sessions, write=False) as session:
        return session.get_one(Mail, mail_id)


def make_due(sessions: SessionFactory) -> None:
    with unit_of_work(sessions) as session:
        session.execute(sa.update(Mail).values(due=utc_now()))


def test_a_mail_becomes_a_file_in_development(
    settings: Settings, sessions: SessionFactory, write: Callable, tmp_path: Path
) -> None:
    number = write()
    changed = dataclasses.replace(settings, mail_directory=str(tmp_path / "mail"))

    assert Mailroom(changed, sessions).send_some() == 1

    [path] = (tmp_path / "mail").iterdir()
    message = email.message_from_bytes(path.read_bytes())
    assert (message["To"], message["Subject"]) == ("uma@example.org", "Hello")
    assert "ä-secret" in message.get_payload(decode=True).decode()
    sent = row(sessions, number)
    assert (sent.state, sent.text_sealed) == (MailState.SENT, "")
    assert Mailroom(changed, sessions).send_some() == 0


def test_mails_are_sent_once_by_workers_at_once(
    settings: Settings, sessions: SessionFactory, write: Callable, office: PostOffice
) -> None:
    for number in range(25):
        write(f"uma{number}@example.org")
    room = by_smtp(settings, office)

    def empty(_: int) -> None:
        while Mailroom(room, sessions).send_some():
            pass

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(empty, range(3)))

    ids = {email.message_from_bytes(each)["Message-ID"] for each in office.taken}
    assert (len(office.taken), len(ids)) == (25, 25)


def test_a_server_that_is_away_or_busy_is_asked_again(
    settings: Settings, sessions: SessionFactory, write: Callable, office: PostOffice
) -> None:
    number, room = write(), by_smtp(settings, office)
    with socket.create_server(("127.0.0.1", 0)) as unused:
        nobody = unused.getsockname()[1]
    away = Mailroom(dataclasses.replace(room, smtp_port=nobody), sessions)
    assert away.send_some() == 1
    waiting = row(sessions, number)
    assert waiting.state is MailState.WAITING
    assert waiting.due > utc_now()
    assert "refused" in waiting.error
    assert away.send_some() == 0

    make_due(sessions)
    office.rcpt = "451 later"
    Mailroom(room, sessions).send_some()
    assert row(sessions, number).state is MailState.WAITING

    make_due(sessions)
    office.rcpt = "250 ok"
    Mailroom(room, sessions).send_some()
    assert row(sessions, number).state is MailState.SENT
    assert len(office.taken) == 1


def test_a_recipient_nobody_knows_is_not_tried_again(
    settings: Settings, sessions: SessionFactory, write: Callable, office: PostOffice
) -> None:
    number = write()
    office.rcpt = "550 no such person"

    Mailroom(by_smtp(settings, office), sessions).send_some()

    failed = row(sessions, number)
    assert (failed.state, failed.error) == (MailState.FAILED, "550 no such person")
    assert failed.text_sealed == ""


def test_a_mail_of_a_worker_that_died_is_taken_over(
    settings: Settings,
    sessions: SessionFactory,
    write: Callable,
    office: PostOffice,
    sealer: Sealer,
) -> None:
    number = write()
    with unit_of_work(sessions) as session:
        [lost] = mail.claim(session, sealer, lease_s=60, limit=10)
    room = Mailroom(by_smtp(settings, office), sessions)
    assert room.send_some() == 0
    make_due(sessions)
    assert room.send_some() == 1
    assert row(sessions, number).state is MailState.SENT
    with unit_of_work(sessions) as session:
        mail.note_failed(session, lost, "too late", for_good=True)
    assert row(sessions, number).state is MailState.SENT


def test_what_is_of_no_use_any_longer_is_not_sent(
    settings: Settings, sessions: SessionFactory, write: Callable, office: PostOffice
) -> None:
    number = write(good_for_s=0)

    Mailroom(by_smtp(settings, office), sessions).send_some()

    assert row(sessions, number).state is MailState.FAILED
    assert office.taken == []


def test_without_tls_where_tls_is_wanted_nothing_is_sent(
    settings: Settings, sessions: SessionFactory, write: Callable, office: PostOffice
) -> None:
    number = write()
    wanted = dataclasses.replace(by_smtp(settings, office), smtp_tls="starttls")

    Mailroom(wanted, sessions).send_some()

    assert row(sessions, number).state is MailState.WAITING
    assert office.taken == []


@pytest.mark.parametrize("header", ["recipient", "subject"])
def test_a_line_break_in_a_header_is_refused(header: str) -> None:
    claimed = Claimed(1, "uma@example.org", "Hello", "text", utc_now())
    evil = dataclasses.replace(claimed, **{header: "a@example.org\r\nBcc: b@example.org"})
    with pytest.raises(ValueError, match="linefeed"):
        compose(evil, sender="cloudweb@localhost")
