"""How the terminal spells what went wrong: one line after ``error:``, status 1."""

from typing import IO, Any

import click

from cloudweb.cli.printing import escape
from cloudweb.faults import Fault
from cloudweb.settings import SettingsError


class Refused(click.ClickException):
    """Ends the command with status 1 and one line on standard error."""

    def show(self, file: IO[Any] | None = None) -> None:
        line = escape(" ".join(self.format_message().split()))
        click.echo(f"error: {line}", err=True, file=file)


def sentence(error: Exception) -> str | None:
    """What to tell about an error somebody at a terminal can do something about; else None."""
    if isinstance(error, Refused):
        return error.message
    if isinstance(error, Fault):
        return f"{error.message} ({error.details})" if error.details else error.message
    if isinstance(error, (SettingsError, OSError)):
        return str(error)
    return _of_cluster(error) or _of_database(error)


def _of_cluster(error: Exception) -> str | None:
    from cloudweb.backend.ganeti.errors import RapiError, TlsFailed, Unauthorized, Unreachable

    match error:
        case TlsFailed():
            from cloudweb.backend.ganeti import troubles

            return f"The cluster did not prove who it is. {troubles.why(error)}"
        case Unreachable():
            return f"The cluster does not answer: {error.message}"
        case Unauthorized():
            return f"The cluster refuses this user or password: {error.message}"
        case RapiError():
            return f"The cluster answers: {error.message}"
        case _:
            return None


def _of_database(error: Exception) -> str | None:
    import sqlalchemy.exc as sa

    match error:
        case sa.ArgumentError() | sa.NoSuchModuleError():
            return f"The setting cloudweb.database_url cannot be used: {error}"
        case sa.IntegrityError():
            return "Somebody else changed the same at the same time; look, and try again."
        case sa.ProgrammingError():
            return _TABLES
        case sa.OperationalError() if str(error.orig).startswith(_SQLITE_UNMADE):
            return _TABLES
        case sa.DBAPIError():
            return f"The database does not answer as it should: {error.orig}"
        case _:
            return None


_TABLES = "The database does not have the tables of this release; run: cloudweb db upgrade"
_SQLITE_UNMADE = ("no such table", "no such column", "unable to open database file")
