"""ROUGE equals the published package's, and values worked by hand."""

import random
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.metrics import rouge
from headstart.text.porter_stemmer import measure, stem

WORDS = (
    "the cats sat on a mat Mats, cat's running ran 12 1.5 -- relational happily trying flies died é ß \n \n\n".split(
    " "))
TEXTS = st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join) | st.text(max_size=40)
SUFFIXES = ["", "s", "es", "ies", "ed", "ing", "eed", "ied", "ational", "ization", "fulli", "bli", "alli", "logi", "y",
            "e", "ll", "er", "ion", "ement", "iveness", "logy", "fully", "ically", "ousness", "ss", "at", "bl", "iz"]


def published_scores(predicted, references, stem):
    scorer = pytest.importorskip("rouge_score.rouge_scorer")
    scores = scorer.RougeScorer(list(rouge.NAMES), use_stemmer=stem).score_multi(references, predicted)
    return {name: 100 * score.fmeasure for name, score in scores.items()}


@settings(max_examples=250, deadline=None)
@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=3), st.booleans())
def test_every_score_equals_the_published_packages(predicted, references, stem):
    assert rouge.rouge(predicted, references, stem=stem) == pytest.approx(published_scores(predicted, references, stem),
                                                                          abs=1e-10)


@settings(max_examples=1500, deadline=None)
@given(st.text(alphabet="abcdeiloyst", min_size=1, max_size=6), st.sampled_from(SUFFIXES), st.sampled_from(SUFFIXES))
def test_stems_equal_those_that_published_scores_are_made_with(begin, middle, end):
    porter = pytest.importorskip("nltk.stem.porter")
    assert stem(begin + middle + end) == porter.PorterStemmer().stem(begin + middle + end)


def test_stems_are_those_of_the_paper():
    # Porter 1980, the examples of steps 1a to 5b, each followed through all steps.
    for pair in ("caresses caress", "ponies poni", "caress caress", "cats cat", "feed feed", "agreed agre",
                 "plastered plaster",
                 "bled bled", "motoring motor", "sing sing", "conflated conflat", "troubled troubl", "sized size",
                 "hopping hop",
                 "tanned tan", "falling fall", "hissing hiss", "fizzed fizz", "failing fail", "filing file",
                 "happy happi",
                 "relational relat", "conditional condit", "rational ration", "digitizer digit", "operator oper",
                 "feudalism feudal",
                 "hopefulness hope", "triplicate triplic", "formative form", "electrical electr", "goodness good",
                 "revival reviv",
                 "allowance allow", "replacement replac", "adoption adopt", "effective effect", "probate probat",
                 "rate rate",
                 "cease ceas", "controll control", "roll roll", "generalizations gener", "oscillators oscil"):
        word, expected = pair.split()
        assert stem(word) == expected
    assert [measure(word) for word in ("tr", "ee", "tree", "y", "by", "trouble", "oats", "trees", "ivy", "troubles",
                                       "private")] == \
        [0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2]


def test_values_worked_by_hand():
    # Lin 2004, section 3: reference "police killed the gunman".
    reference = ["police killed the gunman"]
    # "police kill the gunman": police, the, gunman shared: 3 of 4 both ways; pairs: "the gunman" alone, 1 of 3;
    # the longest common subsequence is "police the gunman".
    assert rouge.rouge("police kill the gunman", reference) == pytest.approx({"rouge1": 75, "rouge2": 100 / 3,
                                                                              "rougeL": 75, "rougeLsum": 75})
    # "the gunman kill police": the same three words, but in order only "the gunman".
    assert rouge.rouge("the gunman kill police", reference)["rougeL"] == pytest.approx(50)
    # with stems killed -> kill
    assert rouge.rouge("police kill the gunman", reference, stem=True)["rouge1"] == pytest.approx(100)


def test_the_union_over_sentences_worked_by_hand():
    # Lin 2004, section 3.2: reference w1 w2 w3 w4 w5, candidates "w1 w2 w6 w7 w8" and "w1 w3 w8 w9 w5". Their common
    # subsequences are w1 w2 and w1 w3 w5; the union has 4 words: recall 4/5, precision 4/10, F = 2·0.8·0.4/1.2.
    scores = rouge.rouge("w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", ["w1 w2 w3 w4 w5"])
    assert scores["rougeLsum"] == pytest.approx(100 * 2 * 0.8 * 0.4 / 1.2)


def test_the_best_reference_counts_for_each_score_by_itself():
    # Against "b a" both words are shared, no pair is; against "a b c d e f" the pair is: P = 1, R = 1/5, F = 1/3.
    scores = rouge.rouge("a b", ["b a", "a b c d e f"])
    assert scores["rouge1"] == 100 and scores["rouge2"] == pytest.approx(100 / 3)


def test_texts_without_words_score_0_and_no_reference_is_left_out():
    assert set(rouge.rouge("", ["a"]).values()) == set(rouge.rouge("...", ["!"]).values()) == {0.0}
    measures = rouge.per_example(["a", "a"], [["a"], []])
    means = rouge.scores(measures, np.array([[1.0, 1.0], [0.0, 1.0]]))
    assert means["rouge1"][0] == 100 and np.isnan(means["rouge1"][1])


def test_weights_stand_for_repeated_examples():
    measures = rouge.per_example(["a b", "c", "a c"], [["a"], ["c"], ["a b c"]])
    means = rouge.scores(measures, np.array([[2.0, 0.0, 1.0]]))
    for name, values in measures.items():
        assert means[name][0] == pytest.approx((2 * values[0] + values[2]) / 3)


def test_long_texts_are_quick():
    rng = random.Random(3)
    texts = [" ".join(rng.choices([f"w{number}" for number in range(300)], k=1000)) for _ in range(2)]
    seconds = []
    for _ in range(5):
        started_at = time.perf_counter()
        rouge.rouge(texts[0], [texts[1]])
        seconds.append(time.perf_counter() - started_at)
    assert min(seconds) < 0.05


def test_the_definition_names_what_the_value_depends_on():
    assert "Porter" in rouge.definition("rouge1", stem=True) and "no stems" in rouge.definition("rougeL", stem=False)
