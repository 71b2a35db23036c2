"""What commands print: tables and records for people, JSON and CSV for programs."""

import datetime as dt
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click
import orjson

from cloudweb import spreadsheets

Row = Mapping[str, Any]

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
"""The option that every command that prints facts has."""

_UNSAFE = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


def escape(text: str) -> str:
    """The text with what could move the cursor or change the order of letters written out."""
    return "".join(_escaped(c) if unicodedata.category(c) in _UNSAFE else c for c in text)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def listing(
    rows: Sequence[Row],
    columns: Mapping[str, str],
    *,
    as_json: bool = False,
    notation: str = "table",
) -> None:
    """Print rows: all their keys in JSON, or ``columns`` (key to heading) in a table or CSV."""
    if as_json or notation == "json":
        _print_json(list(rows))
        return
    if notation == "csv":
        lines = [list(columns), *([row[key] for key in columns] for row in rows)]
        click.echo(spreadsheets.lines(lines), nl=False)
        return
    cells = [list(columns.values()), *([_text(row[key]) for key in columns] for row in rows)]
    numeric = [_is_numeric([row[key] for row in rows]) for key in columns]
    widths = [max(_width(line[i]) for line in cells) for i in range(len(columns))]
    for number, line in enumerate(cells):
        padded = (
            _pad(cell, width, right=right)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        )
        text = "  ".join(padded).rstrip()
        click.echo(_painted(text) if number else click.style(text, bold=True))


def record(row: Row, *, as_json: bool) -> None:
    """Print one thing: JSON, or a line a key."""
    if as_json:
        _print_json(row)
        return
    width = max(map(len, row))
    for key, value in row.items():
        click.echo(f"{key.replace('_', ' '):<{width}}  {_text(value)}".rstrip())


def done(sentence: str, row: Row, *, as_json: bool) -> None:
    """Say what was done, or of a dry run would be: the row in JSON, or the sentence."""
    rehearsed = is_rehearsal()
    if as_json:
        _print_json({**row, "dry_run": True} if rehearsed else row)
    else:
        click.echo(
            escape(f"Nothing is changed; it would be: {sentence}" if rehearsed else sentence)
        )


_REHEARSAL = "cloudweb.cli.rehearsal"


def rehearse() -> None:
    """Have the command that runs change nothing."""
    click.get_current_context().find_root().meta[_REHEARSAL] = True


def is_rehearsal() -> bool:
    """Whether the command that runs is to change nothing."""
    context = click.get_current_context(silent=True)
    return context is not None and _REHEARSAL in context.meta


def warn(sentence: str) -> None:
    """One line on standard error."""
    click.echo(f"warning: {escape(sentence)}", err=True)


_COLOURS = {
    "green": ("ACTIVE", "STARTED", "open", "up", "success", "active", "valid", "answers"),
    "red": ("ERROR", "error", "unreachable", "offline", "away", "DELETED", "revoked", "expired"),
    "yellow": ("BUILD", "REBOOT", "PENDING", "pending", "running", "submitted", "drained"),
}
_WORDS = {word: colour for colour, words in _COLOURS.items() for word in words}
_WORD = re.compile(rf"(?<=  )(?:{'|'.join(_WORDS)})(?=  |$)")


def _painted(line: str) -> str:
    """The line with the states that stand in cells of their own coloured."""
    return _WORD.sub(lambda found: click.style(found[0], fg=_WORDS[found[0]]), line)


def _print_json(value: object) -> None:
    options = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z
    click.echo(orjson.dumps(value, option=options).decode())


def _is_numeric(values: Sequence[object]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(type(value) in (int, float) for value in known)


_SPELT: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (bool, lambda value: "yes" if value else "no"),
    (dt.datetime, lambda value: f"{value.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S}"),
    (list, lambda value: ", ".join(map(_text, value))),
    (dict, lambda value: ", ".join(f"{key}={_text(item)}" for key, item in value.items())),
)


def _text(value: object) -> str:
    if value is None:
        return "-"
    for kind, spell in _SPELT:
        if isinstance(value, kind):
            return escape(spell(value)) or "-"
    return escape(str(value)) or "-"


def _width(text: str) -> int:
    """How many columns of a terminal the text takes."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    marks = sum(unicodedata.combining(c) != 0 for c in text)
    return len(text) + wide - marks


def _pad(text: str, width: int, *, right: bool) -> str:
    fill = " " * (width - _width(text))
    return fill + text if right else text + fill
