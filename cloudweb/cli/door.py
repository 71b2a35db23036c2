"""The terminal's door: settings, sessions and who acts, for the command that runs."""

import contextlib
import dataclasses
import datetime as dt
import functools
import getpass
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import click
import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.cli import printing, refusals
from cloudweb.cli.config import load_settings
from cloudweb.domain import audit, identity
from cloudweb.faults import Fault
from cloudweb.models import Operation, Outcome, SessionFactory, make_engine, unit_of_work
from cloudweb.sealing import Sealer
from cloudweb.settings import Settings, SettingsError

_log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


class Door:
    """What a command is handed; nothing is read or opened before it is used."""

    def __init__(self, config: str | None) -> None:
        self._config = config
        self.identity = dataclasses.replace(identity.system("cli"), address=_who())
        self.started: list[int] = []
        """The ids of the operations that were begun, in the transactions that lasted."""
        self._has_changed = False
        self._noted: Exception | None = None

    @functools.cached_property
    def settings(self) -> Settings:
        """The settings. Raises SettingsError."""
        if self._config is not None:
            return load_settings(self._config)
        production = Path("production.ini")
        return load_settings(production if production.exists() else "development.ini")

    @functools.cached_property
    def sealer(self) -> Sealer:
        """Seals and opens the passwords of clusters."""
        return Sealer.of(self.settings)

    @functools.cached_property
    def sessions(self) -> SessionFactory:
        """The sessions of the configured database."""
        return SessionFactory(
            make_engine(
                self.settings.database_url,
                pool_size=1,
                statement_timeout_s=self.settings.database_statement_timeout_s,
            )
        )

    @contextlib.contextmanager
    def changing(self) -> Iterator[Session]:
        """One transaction that may write; in a dry run nothing of it stays."""
        if printing.is_rehearsal():
            with _rehearsal(self.sessions) as session:
                yield session
            return
        try:
            with unit_of_work(self.sessions) as session:
                begun: list[Operation] = []
                sa.event.listen(session, "after_flush", _noting(begun))
                yield session
                session.flush()
        except Fault as fault:
            self.note_refusal(fault)
            raise
        self._has_changed = True
        self.started += [operation.id for operation in begun]

    def note_refusal(self, error: Exception) -> None:
        """Have the audit say what this command, which changes things, was refused, or failed in
        after it had changed some; once an error.
        """
        context, sentence = click.get_current_context(), refusals.sentence(error)
        if error is self._noted or sentence is None or not _changes(context):
            return
        self._noted = error
        outcome = Outcome.FAILED if self._has_changed else Outcome.REFUSED
        named = [p.name for p in context.command.params if isinstance(p, click.Argument)]
        try:
            with unit_of_work(self.sessions) as session:
                audit.record(
                    *(session, self.identity, "command:refuse", "command", context.command_path),
                    reason=sentence,
                    outcome=outcome,
                    asked={name: str(context.params.get(name))[:500] for name in named if name},
                    given_reason=self.identity.reason or str(context.params.get("reason") or ""),
                )
        except (sa.exc.SQLAlchemyError, SettingsError, OSError) as failure:
            _log.error("refusal not audited", extra={"error": str(failure)[:300]})

    @contextlib.contextmanager
    def reading(self) -> Iterator[Session]:
        """One transaction that only reads."""
        with unit_of_work(self.sessions, write=False) as session:
            yield session

    def close(self) -> None:
        """Let go of the database."""
        if "sessions" in self.__dict__:
            self.sessions.engine.dispose()


def _noting(begun: list[Operation]) -> Callable[[Session, object], None]:
    def note(session: Session, _context: object) -> None:
        begun.extend(row for row in session.new if isinstance(row, Operation))

    return note


@contextlib.contextmanager
def _rehearsal(sessions: SessionFactory) -> Iterator[Session]:
    """A transaction that is refused as it would be in earnest, and leaves nothing behind."""
    session = sessions.write()
    try:
        yield session
        session.flush()
        session.expunge_all()  # what the block has read can be printed
    finally:
        session.rollback()
        session.close()


def _who() -> str:
    """Who is at this terminal, as far as the machine says."""
    try:
        name = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # an id without a name
        name = f"uid {os.getuid()}"
    return f"{name}@{socket.gethostname()}"[:50]


def _changes(context: click.Context) -> bool:
    """Whether the command that runs changes things: it could be rehearsed, and is not."""
    can = any("--dry-run" in option.opts for option in context.command.params)
    return can and not (context.params.get("dry_run") or printing.is_rehearsal())


def pass_door(command: Callable[Concatenate[Door, P], R]) -> Callable[P, R]:
    """Hand a command the door; what it is refused is in the audit if it would change something."""

    @functools.wraps(command)
    def run(*args: P.args, **values: P.kwargs) -> R:
        door = click.get_current_context().find_object(Door)
        assert door is not None
        try:
            return command(door, *args, **values)
        except Exception as error:
            door.note_refusal(error)
            raise

    return run


def _because(context: click.Context, _option: click.Parameter, reason: str) -> str:
    door = context.find_object(Door)
    if reason and door is not None:
        door.identity = dataclasses.replace(door.identity, reason=reason)
    return reason


def _rehearse(_context: click.Context, _option: click.Parameter, dry_run: bool) -> None:
    if dry_run:
        printing.rehearse()


_REASON = "Why; kept in the audit, and with Ganeti's jobs."

reason_option = click.option(
    "--reason", default="", metavar="TEXT", callback=_because, expose_value=False, help=_REASON
)
"""Why a command changes something: in the audit, and in the reason trail of jobs."""

given_reason = click.option("--reason", default="", metavar="TEXT", callback=_because, help=_REASON)
"""The same, for a domain function that wants it too."""

required_reason = click.option(
    "--reason", required=True, metavar="TEXT", callback=_because, help=_REASON
)
"""The same, where it must be said."""

dry_run = click.option(
    "--dry-run",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_rehearse,
    help="Say what would be done, or why not, and change nothing.",
)
"""Rehearses a command whose changes are all made by ``Door.changing``."""


def read_secret(prompt: str, *, from_stdin: bool) -> str:
    """A secret from the first line of standard input, or asked for without showing it."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise click.UsageError(
            "There is no terminal to ask for the password; use --password-stdin."
        )
    answer: str = click.prompt(prompt, hide_input=True)
    return answer


def days_from_now(days: int | None) -> dt.datetime | None:
    """That many days from now; None for None."""
    return None if days is None else dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
