"""A written text in pieces: nothing of it is lost, and what is marked is what the scores count."""

import random

import pytest

from headstart.metrics.marked_words import marked_pieces
from headstart.metrics.text_quality import measures
from headstart.text.words import tokenize_words

SOURCE = "The old captain sold seven green apples to Ann Reed on the river bank in 1984, for 2.50 dollars each."


def test_copied_runs_and_unsupported_numbers_and_names_are_marked():
    text = "Yesterday: sold seven green apples to Ann Smith, in 1985 for seven."
    assert marked_pieces(text, SOURCE) == [
        ("Yesterday", ""), (": ", ""), ("sold seven green apples to Ann", "copied"), (" ", ""), ("Smith", "unsupported"),
        (", ", ""), ("in", ""), (" ", ""), ("1985", "unsupported"), (" ", ""), ("for", ""), (" ", ""), ("seven", ""),
        (".", "")]


@pytest.mark.parametrize("seed", range(20))
def test_the_pieces_are_the_text_and_the_marks_the_scores(seed):
    rng = random.Random(seed)
    words = [*SOURCE.split(), "NASA", "Smith,", "12", "3,000", "blue"]
    start = rng.randrange(10)
    text = " ".join([*rng.choices(words, k=6), *SOURCE.split()[start:start + 7], *rng.choices(words, k=4)]) + "\n"
    pieces, values = marked_pieces(text, SOURCE), measures(text, SOURCE)
    assert "".join(piece for piece, _ in pieces) == text
    marked = {mark: sum(len(tokenize_words(piece)) for piece, name in pieces if name == mark)
              for mark in ("copied", "unsupported")}
    expected = values["copied"] * len(tokenize_words(text))
    assert expected - marked["unsupported"] - 1e-9 <= marked["copied"] <= expected + 1e-9
    has_unsupported = values["unsupported_numbers"] > 0 or values["unsupported_names"] > 0
    assert bool(marked["unsupported"]) == has_unsupported


def test_marks_stand_at_their_words_where_lower_case_parts_one():
    pieces = marked_pieces("İstanbul was there, and sold seven green apples to Ann", SOURCE)
    assert [piece for piece, mark in pieces if mark == "copied"] == ["sold seven green apples to Ann"]


def test_empty_texts_have_no_pieces():
    assert marked_pieces("", SOURCE) == [] and marked_pieces("…", "") == [("…", "")]
