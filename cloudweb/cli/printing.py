"""What commands print: tables and records for people, JSON for programs."""

import datetime as dt
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click
import orjson

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


def listing(rows: Sequence[Row], columns: Mapping[str, str], *, as_json: bool) -> None:
    """Print rows: all their keys in JSON, or a table of ``columns`` (key to heading)."""
    if as_json:
        _print_json(list(rows))
        return
    cells = [list(columns.values()), *([_text(row[key]) for key in columns] for row in rows)]
    numeric = [_is_numeric([row[key] for row in rows]) for key in columns]
    widths = [max(_width(line[i]) for line in cells) for i in range(len(columns))]
    for line in cells:
        padded = (
            _pad(cell, width, right=right)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        )
        click.echo("  ".join(padded).rstrip())


def record(row: Row, *, as_json: bool) -> None:
    """Print one thing: JSON, or a line a key."""
    if as_json:
        _print_json(row)
        return
    width = max(map(len, row))
    for key, value in row.items():
        click.echo(f"{key.replace('_', ' '):<{width}}  {_text(value)}".rstrip())


def done(sentence: str, row: Row, *, as_json: bool) -> None:
    """Say what was done: the row in JSON, or the sentence."""
    if as_json:
        _print_json(row)
    else:
        click.echo(escape(sentence))


def warn(sentence: str) -> None:
    """One line on standard error."""
    click.echo(f"warning: {escape(sentence)}", err=True)


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
