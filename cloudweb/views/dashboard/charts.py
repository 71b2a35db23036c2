"""Charts as the server draws them: shares in use over time, with a sentence that says the same."""

import dataclasses
from collections.abc import Iterator, Sequence

from cloudweb.domain.capacity import Point, Span

WIDTH, HEIGHT = 600, 120
WARN_PERCENT = 85
SPANS = {Span.DAY: "24 hours", Span.WEEK: "7 days", Span.MONTH: "30 days"}


@dataclasses.dataclass(frozen=True, slots=True)
class Chart:
    """``lines`` and ``areas`` are points of an SVG; a gap parts them where nothing is known."""

    name: str
    sentence: str
    lines: Sequence[str]
    areas: Sequence[str]
    limit_y: int = HEIGHT - round(HEIGHT * WARN_PERCENT / 100)


def draw(name: str, field: str, points: Sequence[Point], span: Span) -> Chart:
    """The chart of a field that is a share in percent."""
    known = [getattr(point, field) for point in points if point.hours]
    if not known:
        sentence = f"{name}: nothing is known of the last {SPANS[span]}"
        return Chart(name, sentence, (), ())
    sentence = (
        f"{name} in use in the last {SPANS[span]}: between {min(known):.0f} % and"
        f" {max(known):.0f} %, {known[-1]:.0f} % at the end"
    )
    runs = list(_runs(points, field))
    lines = [" ".join(f"{x},{y}" for x, y in run) for run in runs]
    areas = [
        f"{run[0][0]},{HEIGHT} {line} {run[-1][0]},{HEIGHT}"
        for run, line in zip(runs, lines, strict=True)
    ]
    return Chart(name, sentence, lines, areas)


def _runs(points: Sequence[Point], field: str) -> Iterator[list[tuple[int, int]]]:
    """Points that follow each other, as places in the picture; one alone is drawn as a dash."""
    width = WIDTH / max(1, len(points))
    run: list[tuple[int, int]] = []
    for place, point in enumerate((*points, None)):
        if point is not None and point.hours:
            y = HEIGHT - round(HEIGHT * getattr(point, field) / 100)
            if not run:
                run.append((round(place * width), y))
            run.append((round((place + 1) * width), y))
        elif run:
            yield run
            run = []
