"""Whose an instance is to be, by its name: lines of patterns, and somebody for the rest."""

import fnmatch
from collections.abc import Callable

from cloudweb import faults

OwnerOf = Callable[[str], str | None]


def parse(text: str) -> list[tuple[str, str]]:
    """Lines "PATTERN EMAIL"; a "#" begins a remark. Raises BadRequest, which names the line."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].replace(",", " ").split()
        if not words:
            continue
        if len(words) != 2:
            raise faults.BadRequest(f"Line {number} is not a pattern and an address.")
        found.append((words[0], words[1]))
    return found


def owner_of(patterns: list[tuple[str, str]], rest: str | None) -> OwnerOf:
    """By the first pattern that fits; ``rest`` is whose all others are, None for nobody's."""

    def find(name: str) -> str | None:
        return next((m for pattern, m in patterns if fnmatch.fnmatchcase(name, pattern)), rest)

    return find
