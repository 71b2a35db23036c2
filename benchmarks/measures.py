"""A line of the table: a floor and ours from the same rounds, their ratio, and its goal."""

import dataclasses
import statistics
from collections.abc import Callable, Sequence


@dataclasses.dataclass(frozen=True)
class Line:
    """One thing measured; ``met`` is None where there is no goal."""

    name: str
    floor: str
    ours: str
    ratio: str
    goal: str
    met: bool | None


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def rounds(
    count: int, floor: Callable[[], float], ours: Callable[[], float]
) -> list[tuple[float, float]]:
    """Both, in turn: what disturbs the machine for a while disturbs both."""
    return [(floor(), ours()) for _ in range(count)]


def compared(
    name: str,
    pairs: Sequence[tuple[float, float]],
    unit: str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Line:
    """Ours by the floor: the median of the rounds' ratios, with the smallest and the largest."""
    ratios = [ours / floor for floor, ours in pairs]
    ratio = statistics.median(ratios)
    goal, met = "", None
    if at_least is not None:
        goal, met = f">= {at_least:.2f}", ratio >= at_least
    elif at_most is not None:
        goal, met = f"<= {at_most:.2f}", ratio <= at_most
    return Line(
        name,
        f"{statistics.median(floor for floor, _ in pairs):,.1f} {unit}",
        f"{statistics.median(ours for _, ours in pairs):,.1f} {unit}",
        f"{ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        goal,
        met,
    )


def counted(name: str, value: float, unit: str, at_most: float | None = None) -> Line:
    """A number that has no floor, and perhaps a limit."""
    goal, met = ("", None) if at_most is None else (f"<= {at_most:g}", value <= at_most)
    return Line(name, "", f"{value:,.4g} {unit}".strip(), "", goal, met)


def table(lines: Sequence[Line]) -> str:
    """As Markdown, in columns."""
    rows = [("what", "floor", "ours", "ratio (rounds)", "goal", "met")]
    words = {True: "yes", False: "NO", None: ""}
    rows += [(x.name, x.floor, x.ours, x.ratio, x.goal, words[x.met]) for x in lines]
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    text = [_row(row, widths) for row in rows]
    text.insert(1, _row(["-" * width for width in widths], widths))
    return "\n".join(text)


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
    return f"| {' | '.join(padded)} |"
