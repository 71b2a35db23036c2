"""The terminal's door: settings, sessions and who acts, for the command that runs."""

import contextlib
import datetime as dt
import functools
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from sqlalchemy.orm import Session

from cloudweb.cli.config import load_settings
from cloudweb.domain import identity
from cloudweb.models import SessionFactory, make_engine, unit_of_work
from cloudweb.sealing import Sealer
from cloudweb.settings import Settings


class Door:
    """What a command is handed; nothing is read or opened before it is used."""

    def __init__(self, config: str | None) -> None:
        self._config = config
        self.identity = identity.system("cli")

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
        return Sealer(self.settings.secret_key)

    @functools.cached_property
    def _sessions(self) -> SessionFactory:
        return SessionFactory(
            make_engine(
                self.settings.database_url,
                pool_size=1,
                statement_timeout_s=self.settings.database_statement_timeout_s,
            )
        )

    @contextlib.contextmanager
    def changing(self) -> Iterator[Session]:
        """One transaction that may write."""
        with unit_of_work(self._sessions) as session:
            yield session

    @contextlib.contextmanager
    def reading(self) -> Iterator[Session]:
        """One transaction that only reads."""
        with unit_of_work(self._sessions, write=False) as session:
            yield session

    def close(self) -> None:
        """Let go of the database."""
        if "_sessions" in self.__dict__:
            self._sessions.engine.dispose()


pass_door = click.make_pass_decorator(Door)


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
