"""What two texts differ in, word by word."""

import dataclasses
import difflib
import enum
import re
from collections.abc import Iterator, Sequence

_WORD = re.compile(r"\w+|\s+|[^\w\s]")
_MOST_PAIRS = 4_000_000
"""Beyond this many pairs of words a passage counts as new from end to end: comparing takes long."""


class Kind(enum.StrEnum):
    SAME = "same"
    GONE = "gone"
    NEW = "new"


@dataclasses.dataclass(frozen=True, slots=True)
class Piece:
    """A passage both texts have, or one of them."""

    kind: Kind
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Diff:
    """The pieces in order; ``words`` says whether any word differs, or only what is between them.

    ``gone`` and ``new`` count words.
    """

    pieces: tuple[Piece, ...]
    words: bool
    gone: int
    new: int

    @property
    def verdict(self) -> str:
        """In a sentence, what kind of change it is."""
        if all(piece.kind is Kind.SAME for piece in self.pieces):
            return "The texts are the same."
        if not self.words:
            return "Only punctuation or spacing changed: every word is the same."
        return f"{_count(self.gone)} gone, {_count(self.new)} new."


def _count(words: int) -> str:
    return f"{words:,} word" if words == 1 else f"{words:,} words"


def compare(before: str, after: str) -> Diff:
    """How ``after`` differs from ``before``."""
    pieces = tuple(_joined(_by_line(before, after)))
    counts = {
        kind: sum(len(re.findall(r"\w+", p.text)) for p in pieces if p.kind is kind)
        for kind in (Kind.GONE, Kind.NEW)
    }
    words = re.findall(r"\w+", before) != re.findall(r"\w+", after)
    return Diff(pieces, words, counts[Kind.GONE], counts[Kind.NEW])


def _by_line(before: str, after: str) -> Iterator[Piece]:
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    for tag, a, b in _steps(old, new):
        if tag == "equal":
            yield Piece(Kind.SAME, "".join(a))
        else:
            yield from _by_word("".join(a), "".join(b))


def _by_word(before: str, after: str) -> Iterator[Piece]:
    for tag, a, b in _steps(_WORD.findall(before), _WORD.findall(after)):
        if tag == "equal":
            yield Piece(Kind.SAME, "".join(a))
            continue
        yield Piece(Kind.GONE, "".join(a))
        yield Piece(Kind.NEW, "".join(b))


def _steps(
    old: Sequence[str], new: Sequence[str]
) -> Iterator[tuple[str, Sequence[str], Sequence[str]]]:
    if len(old) * len(new) > _MOST_PAIRS:
        yield "replace", old, new
        return
    matcher = difflib.SequenceMatcher(None, old, new)
    for tag, a, a_end, b, b_end in matcher.get_opcodes():
        yield tag, old[a:a_end], new[b:b_end]


def _joined(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """The same without empty pieces, neighbours of a kind made one."""
    last: Piece | None = None
    for piece in pieces:
        if not piece.text:
            continue
        if last is not None and last.kind is piece.kind:
            last = Piece(last.kind, last.text + piece.text)
            continue
        if last is not None:
            yield last
        last = piece
    if last is not None:
        yield last
