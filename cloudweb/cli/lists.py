"""What every list can do: filter, sort, end, and be a table, JSON or CSV."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click
import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudweb.cli import printing
from cloudweb.cli.printing import Row
from cloudweb.domain.filters import Fields, Selection

Command = Callable[..., None]


@dataclasses.dataclass(frozen=True)
class Wanted:
    """Which rows of a list are wanted, and how they are printed."""

    fields: Fields
    selection: Selection
    notation: str

    def select(
        self, session: Session, query: sa.Select[*tuple[Any, ...]], then: str = "id"
    ) -> Sequence[Any]:
        """The rows of the query that are wanted, and one more if there are more.

        ``then`` is the field that settles the order of what is alike. Raises BadRequest.
        """
        return session.execute(self.more.apply(query, self.fields, then=then)).all()

    @property
    def more(self) -> Selection:
        """What is wanted, and one row more, so that it is seen whether there are more."""
        limit = self.selection.limit
        return dataclasses.replace(self.selection, limit=limit and limit + 1)

    def show(self, rows: Sequence[Row], columns: Mapping[str, str]) -> None:
        """Print the rows; if there are more than wanted, say so on standard error."""
        limit = self.selection.limit
        shown = rows if limit is None else rows[:limit]
        printing.listing(shown, columns, notation=self.notation)
        if len(rows) > len(shown):
            click.echo(f"{limit} are shown, and there are more: --limit 0 shows all.", err=True)


def options(fields: Fields, *, limit: int = 0) -> Callable[[Command], Command]:
    """The options of a list of these fields; the command gets them as ``wanted``.

    ``limit``: how many rows there are at most, unless asked for more; 0 is all.
    """
    known = ", ".join(fields)

    def decorate(command: Command) -> Command:
        @click.option(
            "--filter",
            "filters",
            multiple=True,
            metavar="FILTER",
            help=f'Such as "{_example(fields)}"; fields: {known}. Again for more.',
        )
        @click.option("--sort", default="", metavar="FIELD,-FIELD", help="By what; - is downwards.")
        @click.option(
            "--limit",
            type=click.IntRange(min=0),
            default=limit,
            show_default=True,
            help="How many at most; 0 is all.",
        )
        @click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for spreadsheets.")
        @printing.as_json
        @functools.wraps(command)
        def listed(
            *args: Any,
            filters: tuple[str, ...],
            sort: str,
            limit: int,
            as_csv: bool,
            as_json: bool,
            **others: Any,
        ) -> None:
            if as_csv and as_json:
                raise click.UsageError("--csv and --json exclude each other.")
            notation = "csv" if as_csv else "json" if as_json else "table"
            selection = Selection(filters, sort, limit or None)
            command(*args, wanted=Wanted(fields, selection, notation), **others)

        return listed

    return decorate


def _example(fields: Fields) -> str:
    name, field = next(iter(fields.items()))
    operator = field.kind.operators[-1]
    return f"{name}{operator}{'1' if operator == '>=' else 'a'}"
