"""Typed reading of what Ganeti sends: a value of the wrong type is an `UnexpectedAnswer`."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from cloudweb.backend.ganeti.errors import UnexpectedAnswer


def mapping(value: object, what: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise UnexpectedAnswer(f"{what} is not an object")
    return value


def items(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        raise UnexpectedAnswer(f"{what} is not a list")
    return value


def listed(row: Mapping[str, object], key: str) -> list[object]:
    """The list under a key; an absent or null one is empty."""
    value = row.get(key)
    return [] if value is None else items(value, key)


def text(row: Mapping[str, object], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise UnexpectedAnswer(f"{key} is not a text")
    return value


def optional_text(row: Mapping[str, object], key: str) -> str | None:
    value = row.get(key)
    return None if value is None else text(row, key)


def texts(row: Mapping[str, object], key: str) -> tuple[str, ...]:
    """The texts of a list under a key; others in it are left out."""
    return tuple(value for value in listed(row, key) if isinstance(value, str))


def number(row: Mapping[str, object], key: str) -> int:
    """An integer; an absent or null one is 0, as Ganeti says of a node that does not answer."""
    value = row.get(key)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnexpectedAnswer(f"{key} is not a number")
    return int(value)


def flag(row: Mapping[str, object], key: str) -> bool:
    return row.get(key) is True


def identifier(value: object, what: str) -> int:
    """A job id: Ganeti sends it as an integer, older ones as digits."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise UnexpectedAnswer(f"{what} is not a job id")


def moment(value: object) -> datetime | None:
    """A time sent as [seconds, microseconds] or as seconds with a fraction, in UTC; else None."""
    match value:
        case [int(seconds), int(microseconds)]:
            pass
        case bool():
            return None
        case int() | float():
            seconds, microseconds = int(value), round(value % 1 * 1_000_000)
        case _:
            return None
    try:
        return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds)
    except (OverflowError, OSError, ValueError):
        return None
