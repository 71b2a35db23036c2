"""Comparing texts word by word."""

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudweb.domain.terms_diff import Kind, compare


@given(st.text(alphabet="ab \n.é", max_size=60), st.text(alphabet="ab \n.é", max_size=60))
def test_both_texts_can_be_read_out_of_their_difference(before: str, after: str) -> None:
    pieces = compare(before, after).pieces
    assert "".join(p.text for p in pieces if p.kind is not Kind.NEW) == before
    assert "".join(p.text for p in pieces if p.kind is not Kind.GONE) == after


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ("a b", "a b", "The texts are the same."),
        ("a b", "a, b!", "Only punctuation or spacing changed: every word is the same."),
        ("a\nb", "a b", "Only punctuation or spacing changed: every word is the same."),
        ("you may not", "you may", "1 word gone, 0 words new."),
        ("You", "you", "1 word gone, 1 word new."),
    ],
)
def test_the_kind_of_change_is_said_in_words(before: str, after: str, verdict: str) -> None:
    assert compare(before, after).verdict == verdict


def test_texts_as_long_as_may_be_are_compared_soon() -> None:
    chance = random.Random(7)
    words = [f"w{n}" for n in range(300)]
    long = [" ".join(chance.choices(words, k=12)) for _ in range(1500)]
    other = [line if chance.random() < 0.7 else line.replace("w1", "x") for line in long]
    started = time.process_time()
    for before, after in (
        ("\n".join(long), "\n".join(other)),
        (" ".join(long), " ".join(other)),
        ("a\n" * 50_000, "b\na\n" * 25_000),
    ):
        compare(before, after)
    assert time.process_time() - started < 3
