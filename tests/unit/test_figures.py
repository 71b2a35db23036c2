"""Figures as the pages say them."""

import pytest

from cloudweb.views.dashboard import figures


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "second"),
        (45, "45 seconds"),
        (60, "minute"),
        (1800, "30 minutes"),
        (3600, "hour"),
        (7200, "2 hours"),
        (86_400, "day"),
    ],
)
def test_what_comes_again_is_said_without_a_one(seconds: float, words: str) -> None:
    assert figures.every(seconds) == words


@pytest.mark.parametrize(
    ("promised", "words", "percent", "tone"),
    [(0, "0 %", 0.0, "ok"), (870, "87 %", 87.0, "warn"), (2500, "250 %", 100.0, "warn")],
)
def test_more_may_be_promised_than_there_is(
    promised: int, words: str, percent: float, tone: str
) -> None:
    found = figures.allocated("Memory", 1000, 400, promised)
    assert (found.words, found.percent, found.tone) == (words, percent, tone)
    assert figures.allocated("Memory", 0, 0, promised).sentence == "Memory: not known yet"
