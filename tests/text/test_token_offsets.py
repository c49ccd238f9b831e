"""Character offsets of a tokenizer's pieces, aligned where the tokenizer does not report them."""

from __future__ import annotations

import functools

import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.models.loading import catalogue
from headstart.models.tokenizers.tokenizer import FamilyTokenizer
from headstart.text.token_offsets import align_pieces

SLOW_FAMILIES = [row.name for row in catalogue.CATALOGUE if row.piece_text is not None]
UNUSUAL = ("é e\u0301 naïve Ångström ﬁn ½ … „so“ ‘x’ 👩\u200d👩\u200d👧 👍🏽 a\u200bb \ufeffx Straße İstanbul ΣΑΣ שָׁלוֹם "
           "नमस्ते 東京 한국어 \u00a0z\u2028w")
CHARACTERS = st.one_of(st.sampled_from(sorted(set(UNUSUAL))), st.characters(codec="utf-8"),
                       st.sampled_from("roses apples.\n'\"-@#"))


@functools.cache
def tokenizer(family: str) -> FamilyTokenizer:
    return FamilyTokenizer(tiny.tokenizer(family), tiny.POSITIONS, catalogue.find(family, "tests").piece_text)


@pytest.mark.parametrize(("text", "pieces", "expected"), [
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
def test_pieces_are_found_in_the_text(text, pieces, expected):
    assert align_pieces(text, pieces) == expected


@pytest.mark.parametrize("family", SLOW_FAMILIES)
@settings(max_examples=150, deadline=None)
@given(st.text(CHARACTERS, max_size=60))
def test_offsets_of_slow_tokenizers_are_in_order_and_inside_any_text(family, text):
    family_tokenizer = tokenizer(family)
    tokens = family_tokenizer.tokenize(text)
    assert tokens.offsets is not None and len(tokens.offsets) == len(tokens.ids)
    assert all(0 <= start <= end <= len(text) for start, end in tokens.offsets)
    pieces = family_tokenizer.hf_tokenizer.tokenize(text)
    for index, (span, next_span) in enumerate(zip(tokens.offsets, tokens.offsets[1:], strict=False)):
        # ." for ». as the English write it
        swapped = family == "transfo-xl" and pieces[index].endswith((".", ",")) and pieces[index + 1] == '"'
        assert swapped or (span[0] <= next_span[0] and span[1] <= next_span[1])


@settings(max_examples=150, deadline=None)
@given(st.text(CHARACTERS, max_size=60))
def test_ctrl_pieces_are_literally_their_characters(text):
    """CTRL changes no letter, so each piece's characters spell it, and together they leave out space alone."""
    ctrl = tokenizer("ctrl")
    tokens = ctrl.tokenize(text)
    for piece, (start, end) in zip(ctrl.hf_tokenizer.tokenize(text), tokens.offsets, strict=True):
        assert text[start:end] == piece.removesuffix("@@").strip() or "@@" in text
    covered = {index for start, end in tokens.offsets for index in range(start, end)}
    assert all(character.isspace() or "@@" in text for index, character in enumerate(text) if index not in covered)


@pytest.mark.parametrize("family", SLOW_FAMILIES)
def test_every_word_of_a_sentence_gets_its_own_pieces(family):
    family_tokenizer = tokenizer(family)
    for text in tiny.sentences()[::7]:
        tokens = family_tokenizer.tokenize(text)
        assert tokens.offsets is not None
        covered = {index for start, end in tokens.offsets for index in range(start, end)}
        assert all(index in covered for index, character in enumerate(text) if not character.isspace())
        for start, end in tokens.offsets:
            assert not any(character.isspace() for character in text[start:end]), (text, text[start:end])
