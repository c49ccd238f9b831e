"""A text compared with its source, and a language model's scores, by values worked by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.metrics import language, nan_means, text_quality
from headstart.text.words import tokenize_words

SOURCE = "The old mill by the river closed in 1999. Ann Reed bought it for 1,200 coins and three cows."


def test_words_keep_their_inner_punctuation():
    assert tokenize_words("It's 3.5 km, e.g. well-known. 猫だ_x") == ["it's", "3.5", "km", "e.g", "well-known", "猫", "だ",
                                                                    "x"]


def test_novelty_and_copying_worked_by_hand():
    # The text: old mill by the river | sold cheaply. 7 words, of which 2 are new; 6 pairs, of which (river sold),
    # (sold cheaply) are new; the first five words are one copied run.
    values = text_quality.measures("Old mill by the river sold cheaply.", SOURCE)
    assert values["novel_1"] == pytest.approx(2 / 7) and values["novel_2"] == pytest.approx(2 / 6)
    assert values["novel_3"] == pytest.approx(2 / 5) and values["novel_4"] == pytest.approx(2 / 4)
    assert values["copied"] == pytest.approx(5 / 7) and values["length_ratio"] == pytest.approx(7 / 19)


def test_a_run_one_word_too_short_is_not_copied():
    tokens, source_tokens = tokenize_words("a b c d x"), tokenize_words("a b c d e")
    assert text_quality.copied_share(tokens, source_tokens) == 0 and text_quality.copied_share(
        tokens, source_tokens, size=4) == 0.8


@pytest.mark.parametrize(("text", "wrong"), [
    ("It closed in 1999 for 1200 coins.", []), ("It cost 1,200.00 coins", []), ("3 cows", []), ("4 cows", ["4"]),
    ("in 1998, for 1.200,5", ["1998", "1.200,5"]), ("no numbers", [])])
def test_numbers_that_the_source_lacks_are_found(text, wrong):
    assert text_quality.unsupported_numbers(text, SOURCE) == wrong


@pytest.mark.parametrize(("number", "form"), [("1,000", "1000"), ("1,000,000", "1000000"), ("2.50", "2.5"),
                                              ("3,5", "3.5"), ("2.0", "2"),
                                              ("1,234.50", "1234.5"), ("007", "007"), ("1.500", "1.5"),
                                              ("0,125", "0.125")])
def test_a_number_has_one_form(number, form):
    assert text_quality.number_form(number) == form


def test_names_that_the_source_lacks_are_found():
    assert text_quality.names("The man, Bob Moss, met NASA. McCoy and I agreed. Then Ann's B12 came.") == \
        ["Bob", "Moss", "NASA", "McCoy", "Ann's"]
    assert text_quality.unsupported_names("The man Reed and Ann's cow left. Moss stayed with ANN and Bob.",
                                          SOURCE) == ["Bob"]
    values = text_quality.measures("It was Ann and Bob.", SOURCE)
    assert values["unsupported_names"] == 0.5 and math.isnan(values["unsupported_numbers"])


def test_repetition_worked_by_hand():
    # a b c d a b c d: five 4-grams, of which the last equals the first; 4 of 8 words are different.
    values = text_quality.measures("a b c d a b c d")
    assert values["repetition"] == pytest.approx(1 / 5) and values["distinct_1"] == 0.5 and values[
        "distinct_2"] == pytest.approx(4 / 7)
    assert math.isnan(values["copied"]) and math.isnan(text_quality.measures("a b")["repetition"])


def test_what_the_training_texts_hold_is_found():
    training_hashes = text_quality.ngram_hashes(["One two three four five six seven eight nine", "other words"])
    assert len(training_hashes) == 2
    assert text_quality.measures("one two three four five six seven eight ten",
                                 training_hashes=training_hashes)["training_overlap"] == 0.5
    none = text_quality.ngram_hashes([])
    assert text_quality.measures("one two three four five six seven eight",
                                 training_hashes=none)["training_overlap"] == 0
    assert math.isnan(text_quality.measures("too short", training_hashes=training_hashes)["training_overlap"])


@given(st.text(max_size=60), st.text(max_size=60))
def test_every_value_is_a_share_or_undefined(text, source):
    values = text_quality.measures(text, source, training_hashes=text_quality.ngram_hashes([source]))
    assert all(math.isnan(value) or (value >= 0 and (value <= 1 or name == "length_ratio"))
               for name, value in values.items())


@given(st.text(min_size=1, max_size=60))
def test_a_text_supports_itself(text):
    values = text_quality.measures(text, text)
    assert values["novel_1"] in (0, pytest.approx(math.nan, nan_ok=True))
    assert text_quality.unsupported_numbers(text, text) == [] and text_quality.unsupported_names(text, text) == []


def test_means_leave_out_what_has_no_value():
    measures = text_quality.per_example(["a b", ""], ["a", "a"])
    means = text_quality.scores(measures, np.array([[1.0, 1.0], [0.0, 1.0]]))
    assert means["novel_1"][0] == 0.5 and np.isnan(means["novel_1"][1])
    assert nan_means.weighted_nanmean(np.array([1.0, np.nan, 3.0]), np.array([[1.0, 5.0, 3.0]]))[0] == 2.5


def test_perplexities_worked_by_hand():
    # Two documents of 2 and 1 tokens with p = 1/2 and 1/8, and 1/4: 6 bits over 3 tokens -> 2^2; 3 words; 6 bytes ("ä"
    # has two).
    rows = [language.measures(math.log(16), 2, "a b"), language.measures(math.log(4), 1, "äc")]
    measures = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    scores = language.scores(measures, np.array([[1.0, 1.0], [0.0, 2.0]]))
    assert scores["perplexity"] == pytest.approx([4, 4]) and scores["word_perplexity"] == pytest.approx([4, 4])
    assert scores["bits_per_byte"] == pytest.approx([6 / 6, 2 / 3])
    assert language.undefined_reason("perplexity", measures) == ""


@pytest.mark.parametrize(("surprise", "value", "words"),
                         [(1e6, math.inf, "larger than any"), (math.inf, math.inf, "probability 0"),
                          (math.nan, math.nan, "not a number in 1 of 2")])
def test_an_infinite_loss_is_reported_with_its_reason(surprise, value, words):
    measures = {"surprise": np.array([surprise, 1.0]), "tokens": np.array([2.0, 1.0]), "words": np.ones(2),
                "bytes": np.ones(2)}
    scores = language.scores(measures, np.array([[1.0, 1.0], [0.0, 1.0]]))
    assert scores["perplexity"] == pytest.approx([value, math.e], nan_ok=True)
    assert words in language.undefined_reason("perplexity", measures)


def test_without_documents_nothing_is_defined():
    measures = dict.fromkeys(("surprise", "tokens", "words", "bytes"), np.zeros(0))
    assert all(np.isnan(value[0]) for value in language.scores(measures, np.zeros((1, 0))).values())
    assert language.undefined_reason("bits_per_byte", measures) == "there are no bytes"
