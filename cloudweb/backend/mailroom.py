"""Sends the mails that wait: by SMTP, or into files. Whatever fails is tried again later."""

import email.message
import email.policy
import email.utils
import logging
import smtplib
import ssl
import threading
from pathlib import Path

import sqlalchemy as sa

from cloudweb.domain import mail, telling
from cloudweb.domain.identity import system
from cloudweb.domain.mail import Claimed
from cloudweb.domain.registration import Rules
from cloudweb.models import SessionFactory, unit_of_work
from cloudweb.sealing import Sealer
from cloudweb.settings import Settings

_log = logging.getLogger(__name__)

_LOOK_S = 1.0
_AT_ONCE = 10
_TOLD_AT_ONCE = 200


class RefusedForGood(Exception):
    """The mail server will never take this one."""


class Mailroom(threading.Thread):
    """Sends what waits, a few at a time; nothing is sent while a transaction is open.

    A mail that was handed over just before a crash goes out twice, with the same Message-ID.
    """

    def __init__(self, settings: Settings, sessions: SessionFactory) -> None:
        super().__init__(name="mail")
        self._settings = settings
        self._sessions = sessions
        self._sealer = Sealer.of(settings)
        self._ending = threading.Event()

    def stop(self) -> None:
        """End after what is under way."""
        self._ending.set()

    def run(self) -> None:
        if not (self._settings.smtp_host or self._settings.mail_directory):
            _log.warning("mails wait: neither smtp_host nor mail_directory is set")
            return
        while not self._ending.is_set():
            try:
                while not self._ending.is_set() and (self.send_some() or self.tell_some()):
                    pass
            except sa.exc.SQLAlchemyError as error:
                cause = getattr(error, "orig", None) or error
                _log.warning("database away", extra={"error": str(cause)[:200]})
            self._ending.wait(_LOOK_S)

    def send_some(self) -> int:
        """Send what is due, up to a few; how many were tried."""
        with unit_of_work(self._sessions, write=False) as session:
            if not mail.count_due(session):
                return 0
        # Each answer of the server may take that long, and a mail takes about eight.
        lease_s = _AT_ONCE * 10 * self._settings.smtp_timeout_s
        with unit_of_work(self._sessions) as session:
            claimed = mail.claim(session, self._sealer, lease_s=lease_s, limit=_AT_ONCE)
        for each in claimed:
            self._send(each)
        return len(claimed)

    def tell_some(self) -> int:
        """Write to the next of those who owe their acceptance of new terms; how many were looked
        at.
        """
        with unit_of_work(self._sessions, write=False) as session:
            if not telling.is_anybody_untold(session):
                return 0
        rules = Rules.of(self._settings)
        with unit_of_work(self._sessions) as session:
            return telling.tell_some(session, system("worker"), rules, at_most=_TOLD_AT_ONCE)

    def _send(self, claimed: Claimed) -> None:
        message = compose(claimed, sender=self._settings.mail_from)
        error, for_good = "", False
        try:
            if self._settings.mail_directory:
                _into_file(Path(self._settings.mail_directory), claimed.id, message)
            else:
                _by_smtp(self._settings, claimed.recipient, message)
        except RefusedForGood as refusal:
            error, for_good = str(refusal), True
        except (OSError, smtplib.SMTPException) as failure:
            error = f"{type(failure).__name__}: {failure}"
        with unit_of_work(self._sessions) as session:
            if error:
                _log.warning("mail not sent", extra={"mail": claimed.id, "error": error[:200]})
                mail.note_failed(session, claimed, error, for_good=for_good)
            else:
                _log.info("mail sent", extra={"mail": claimed.id})
                mail.note_sent(session, claimed)


def compose(claimed: Claimed, *, sender: str) -> email.message.EmailMessage:
    """The mail; the same however often it is made. A header with a line break raises ValueError."""
    message = email.message.EmailMessage(policy=email.policy.SMTP)
    message["From"] = sender
    message["To"] = claimed.recipient
    message["Subject"] = claimed.subject
    message["Date"] = email.utils.localtime()
    domain = sender.rpartition("@")[2]
    message["Message-ID"] = f"<cloudweb-mail-{claimed.id}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(claimed.text)
    return message


def _into_file(folder: Path, number: int, message: email.message.EmailMessage) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = folder / f".{number:06}.part"
    unfinished.write_bytes(message.as_bytes(policy=email.policy.default))
    unfinished.rename(folder / f"{number:06}.eml")


def _by_smtp(settings: Settings, recipient: str, message: email.message.EmailMessage) -> None:
    with _connect(settings) as server:
        if settings.smtp_user:
            server.login(settings.smtp_user, str(settings.smtp_password))
        try:
            server.send_message(message, to_addrs=[recipient])
        except smtplib.SMTPRecipientsRefused as refusal:
            code, text = next(iter(refusal.recipients.values()))
            if code >= 500:
                raise RefusedForGood(f"{code} {text.decode(errors='replace')}") from None
            raise


def _connect(settings: Settings) -> smtplib.SMTP:
    where, timeout = (settings.smtp_host, settings.smtp_port), settings.smtp_timeout_s
    context = ssl.create_default_context()
    if settings.smtp_tls == "tls":
        return smtplib.SMTP_SSL(*where, timeout=timeout, context=context)
    server = smtplib.SMTP(*where, timeout=timeout)
    if settings.smtp_tls == "starttls":
        try:
            server.starttls(context=context)
        except BaseException:
            server.close()
            raise
    return server
