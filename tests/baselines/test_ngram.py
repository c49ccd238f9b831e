"""The n-gram model equals its formula written out, and its probabilities are ones; lead and central sentence are the
ones they should be.
"""

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.baselines.centroid import CentroidSentence
from headstart.baselines.lead import lead, lead_size
from headstart.baselines.ngram import NGram, discounts

DOCUMENTS = st.lists(st.lists(st.sampled_from("abcd"), max_size=8), min_size=1, max_size=6)


def reference_probability(documents, order):
    """Chen and Goodman's recursion with dictionaries: p(word, words before)."""
    rows = [("<s>", *row, "</s>") for row in documents]
    words = {word for row in rows for word in row[1:]} | {"</s>", "<unknown>"}
    counts = []
    for size in range(1, order + 1):
        ngrams = Counter(row[start:start + size] for row in rows for start in range(len(row) - size + 1)
                         if row[start:start + size] != ("<s>",))
        if size < order:
            longer = {row[start:start + size + 1] for row in rows for start in range(len(row) - size)}
            preceding_counts = Counter(ngram[1:] for ngram in longer)
            ngrams = Counter({ngram: preceding_counts[ngram] or ngrams[ngram] for ngram in ngrams})
        counts.append(ngrams)

    def probability(word, context):
        if len(context) + 1 > order:
            context = context[len(context) + 1 - order:]
        lower_order = probability(word, context[1:]) if context else 1 / len(words)
        context_ngrams = counts[len(context)]
        followers = {ngram[-1]: count for ngram, count in context_ngrams.items() if ngram[:-1] == context}
        if not followers:
            return lower_order
        discount_values = (0.0, *discounts(np.array(list(context_ngrams.values()))))
        freed_mass = sum(discount_values[min(3, count)] for count in followers.values())
        discounted = followers[word] - discount_values[min(3, followers[word])] if word in followers else 0.0
        return (discounted + freed_mass * lower_order) / sum(followers.values())

    return probability


@settings(max_examples=60, deadline=None)
@given(DOCUMENTS, st.lists(st.sampled_from("abcdx"), max_size=6), st.integers(1, 4))
def test_every_probability_equals_the_formula_written_out(documents, text, order):
    model, probability = NGram.fit(documents, order=order), reference_probability(documents, order)
    vocabulary = {token for row in documents for token in row}
    row = ["<s>", *(token if token in vocabulary else "<unknown>" for token in text), "</s>"]
    expected = [-np.log(probability(row[index], tuple(row[:index]))) for index in range(1, len(row))]
    assert model.token_losses(text) == pytest.approx(expected, abs=1e-10)
    assert model.losses([text, text])[1] == pytest.approx(sum(expected), abs=1e-9)
    assert model.losses([text], end=False)[0] == pytest.approx(sum(expected[:-1]), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(DOCUMENTS, st.lists(st.sampled_from("abcdx"), max_size=6), st.integers(1, 4))
def test_the_probabilities_over_the_vocabulary_sum_to_1(documents, prefix, order):
    model = NGram.fit(documents, order=order)
    probabilities = model.distribution(prefix)
    assert len(probabilities) == model.size and probabilities.sum() == pytest.approx(
        1, abs=1e-12) and probabilities.min() > 0


def test_a_bigram_model_worked_by_hand():
    # Documents "a b" and "a c". Pairs: <s>a twice; ab, ac, b</s>, c</s> once each: n1 = 4, n2 = 1, so Y = 4/6 = 2/3;
    # D2 = 2 - 3·Y·n3/n2 = 2 is in range, but D3 = 0 (no n3) is not: one discount 2/3 for all.
    # Single words by what stands before: a 1 (<s>), b 1, c 1, </s> 2: total 5, n1 = 3, n2 = 1: D = 3/5 for all;
    # what is freed is 4 · 3/5 = 12/5, so 12/25 of the mass is uniform over 5 (a, b, c, </s>, <unknown>):
    # p(b) = (1 - 3/5)/5 + 12/25/5 = 2/25 + 12/125 = 22/125.
    # After a: c = 2, freed 2 · 2/3 = 4/3: p(b | a) = (1 - 2/3)/2 + 2/3 · 22/125.
    model = NGram.fit(["ab", "ac"], order=2)
    assert np.exp(-model.token_losses("ab")[1]) == pytest.approx(1 / 6 + 2 / 3 * 22 / 125)
    assert model.distribution("a")[0] == pytest.approx(2 / 3 * 12 / 125)  # <unknown>


def test_discounts_are_estimated_as_the_paper_says():
    # n1..n4 = 8, 4, 2, 1: Y = 8/16; D1 = 1 - 2·Y·4/8 = 1/2; D2 = 2 - 3·Y·2/4 = 5/4; D3 = 3 - 4·Y·1/2 = 2.
    assert discounts(np.array([1] * 8 + [2] * 4 + [3] * 2 + [4])) == pytest.approx((0.5, 1.25, 2.0))
    assert discounts(np.array([5, 6])) == (0.5, 0.5, 0.5)


def test_numbers_are_tokens_too_and_unknown_ones_are_counted():
    model = NGram.fit([[5, 7, 5], [5]])
    assert model.unknown_counts([[5, 9, 8], []]).tolist() == [2, 0]
    assert np.isfinite(model.losses([[9, 8], []])).all() and model.size_bytes > 0


@pytest.mark.parametrize("documents", [[], [[]], [["a"]]])
def test_almost_nothing_to_learn_from_is_enough(documents):
    model = NGram.fit(documents)
    assert model.distribution(["a"]).sum() == pytest.approx(1) and np.isfinite(model.losses([["a", "b"]])).all()


def test_more_context_fits_better_than_less():
    rng = random.Random(1)
    text = [rng.choice(["the old mill", "a red cow", "some warm tea"]).split() * rng.randint(1, 3) for _ in range(200)]
    losses = [NGram.fit(text[:150], order=order).losses(text[150:]).sum() for order in (1, 2, 3)]
    assert losses[0] > losses[1] > losses[2]


def test_lead_takes_the_first_sentences_as_lines():
    text = "Dr. Reed left.\nHe went  home. It was late. Good."
    assert lead(text, sentences=2) == "Dr. Reed left.\nHe went home." and lead("", sentences=2) == ""
    assert lead(text, sentences=9).count("\n") == 3
    assert lead_size([1, 2, 2, 7]) == 2 and lead_size([]) == 3 and lead_size([0]) == 1


def test_the_central_sentence_shares_most_with_the_whole_document():
    documents = ["The mill is old. The river is wide.", "A cow ate.", "The tea is warm."]
    model = CentroidSentence.fit(documents)
    document = "A cow came. The old mill by the river stopped. The river and the mill froze."
    assert model.central_sentence(document) == "The old mill by the river stopped."
    assert model.central_sentence("A cow. A cow.") == "A cow." and model.central_sentence("") == ""
    assert model.central_sentence("Unknown words. Others.") == "Unknown words."
    assert CentroidSentence.fit(["?", ""]).central_sentence("One. Two.") == "One." and model.size_bytes > 0
