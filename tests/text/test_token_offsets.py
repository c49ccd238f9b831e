"""The characters of a tokenizer's pieces, found again where the tokenizer does not tell them."""

from __future__ import annotations

import functools

import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.models.loading import catalogue
from headstart.models.tokenizers.tokenizer import FamilyTokenizer
from headstart.text.token_offsets import align_pieces

SLOW = [row.family for row in catalogue.CATALOGUE if row.surface is not None]
ODD = "é e\u0301 naïve Ångström ﬁn ½ … „so“ ‘x’ 👩\u200d👩\u200d👧 👍🏽 a\u200bb \ufeffx Straße İstanbul ΣΑΣ שָׁלוֹם नमस्ते 東京 한국어 \u00a0z\u2028w"
MARKS = st.one_of(st.sampled_from(sorted(set(ODD))), st.characters(codec="utf-8"), st.sampled_from("roses apples.\n'\"-@#"))


@functools.cache
def tokenizer(family: str) -> FamilyTokenizer:
    return FamilyTokenizer(tiny.tokenizer(family), tiny.POSITIONS, catalogue.find(family, "tests").surface)


@pytest.mark.parametrize(("text", "pieces", "wanted"), [
    ("the Café's roses", ["the", "caf", "e", "'s", "ro", "ses"], [(0, 3), (4, 7), (7, 8), (8, 10), (11, 13), (13, 16)]),
    ("cafe\u0301 is", ["caf", "e", "is"], [(0, 3), (3, 5), (6, 8)]),
    ("a\u200bb 👩\u200d👧!", ["a", "b", "👩\u200d👧", "!"], [(0, 2), (2, 3), (4, 7), (7, 8)]),
    ("Wait…", ["wait", ".", ".", "."], [(0, 4), (4, 5), (4, 5), (4, 5)]),
    ("„so“ he", ['"', "so", '"', "he"], [(0, 1), (1, 3), (3, 4), (5, 7)]),
    ("a ... b", ["a", "[cut]", "b"], [(0, 1), (2, 5), (6, 7)]),
    ("half a word", ["half", "", "word"], [(0, 4), (4, 4), (7, 11)]),
    ("", [], []),
    ("   ", ["x"], [(0, 0)]),
])
def test_pieces_are_found_in_the_text(text, pieces, wanted):
    assert align_pieces(text, pieces) == wanted


@pytest.mark.parametrize("family", SLOW)
@settings(max_examples=150, deadline=None)
@given(st.text(MARKS, max_size=60))
def test_offsets_of_slow_tokenizers_are_in_order_and_inside_any_text(family, text):
    held = tokenizer(family)
    made = held.tokenize(text)
    assert made.offsets is not None and len(made.offsets) == len(made.ids)
    assert all(0 <= begin <= end <= len(text) for begin, end in made.offsets)
    words = held.held.tokenize(text)
    for place, (one, two) in enumerate(zip(made.offsets, made.offsets[1:], strict=False)):
        turned = family == "transfo-xl" and words[place].endswith((".", ",")) and words[place + 1] == '"'  # ." for ». as the English write it
        assert turned or (one[0] <= two[0] and one[1] <= two[1])


@settings(max_examples=150, deadline=None)
@given(st.text(MARKS, max_size=60))
def test_ctrl_pieces_are_literally_their_characters(text):
    """CTRL changes no letter, so each piece's characters spell it, and together they leave out space alone."""
    held = tokenizer("ctrl")
    made = held.tokenize(text)
    for piece, (begin, end) in zip(held.held.tokenize(text), made.offsets, strict=True):
        assert text[begin:end] == piece.removesuffix("@@").strip() or "@@" in text
    places = {place for begin, end in made.offsets for place in range(begin, end)}
    assert all(mark.isspace() or "@@" in text for place, mark in enumerate(text) if place not in places)


@pytest.mark.parametrize("family", SLOW)
def test_every_word_of_a_sentence_gets_its_own_pieces(family):
    held = tokenizer(family)
    for text in tiny.sentences()[::7]:
        made = held.tokenize(text)
        assert made.offsets is not None
        places = {place for begin, end in made.offsets for place in range(begin, end)}
        assert all(place in places for place, mark in enumerate(text) if not mark.isspace())
        for begin, end in made.offsets:
            assert not any(mark.isspace() for mark in text[begin:end]), (text, text[begin:end])
