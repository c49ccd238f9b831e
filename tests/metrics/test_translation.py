"""BLEU and chrF equal sacrebleu's on any corpus, and are sums that can be weighted."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.errors import Exit, UserError
from headstart.metrics import translation

WORDS = "the a cat sat on mat, mat. dog's 1.5 (well) über straße 猫 &amp; -".split(" ")
TEXTS = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join) | st.text(max_size=12)


@st.composite
def corpora(draw):
    size, max_references = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    rows = [draw(st.lists(TEXTS, min_size=1, max_size=max_references)) for _ in range(size)]
    return [draw(TEXTS) for _ in rows], rows


def references_by_position(references):
    """The library's form: one list for each position of a reference, None where a row has fewer."""
    return [[golds[index] if index < len(golds) else None for golds in references]
            for index in range(max(map(len, references)))]


@settings(max_examples=200, deadline=None)
@given(corpora())
def test_scores_of_a_corpus_equal_the_librarys(corpus):
    sacrebleu = pytest.importorskip("sacrebleu")
    predictions, references = corpus
    scores = translation.scores(translation.per_example(predictions, references), np.ones((1, len(predictions))))
    assert scores["bleu"][0] == pytest.approx(sacrebleu.BLEU().corpus_score(
        predictions, references_by_position(references)).score, abs=1e-10)
    assert scores["chrf"][0] == pytest.approx(sacrebleu.CHRF().corpus_score(
        predictions, references_by_position(references)).score, abs=1e-10)


@settings(max_examples=50, deadline=None)
@given(corpora(), st.data())
def test_weights_stand_for_repeated_examples(corpus, data):
    sacrebleu = pytest.importorskip("sacrebleu")
    predictions, references = corpus
    times = data.draw(st.lists(st.integers(0, 3), min_size=len(predictions), max_size=len(predictions)).filter(any))
    scores = translation.scores(translation.per_example(predictions, references),
                                np.array([times, [1] * len(times)], dtype=float))
    repeated_rows = [row for row, count in enumerate(times) for _ in range(count)]
    texts, golds = [predictions[row] for row in repeated_rows], references_by_position([references[row]
                                                                                        for row in repeated_rows])
    assert scores["bleu"][0] == pytest.approx(sacrebleu.BLEU().corpus_score(texts, golds).score, abs=1e-10)
    assert scores["chrf"][0] == pytest.approx(sacrebleu.CHRF().corpus_score(texts, golds).score, abs=1e-10)


def test_bleu_worked_by_hand():
    # "the cat sat on the mat" against "the cat sat on a mat": 5 of 6 words, 3 of 5 pairs, 2 of 4 triples, 1 of 3
    # quadruples,
    # equal lengths: 100 · (5/6 · 3/5 · 2/4 · 1/3)^(1/4) = 100 · (1/12)^(1/4).
    assert translation.bleu(np.array([[6, 6, 5, 3, 2, 1, 6, 5, 4, 3]],
                                     dtype=float))[0] == pytest.approx(100 * (1 / 12) ** 0.25)
    # One word too few: the penalty is exp(1 - 6/5); no quadruple matches: it counts as half a match.
    assert translation.bleu(np.array([[5, 6, 4, 2, 1, 0, 5, 4, 3, 2]], dtype=float))[0] == \
        pytest.approx(100 * np.exp(-0.2) * (4 / 5 * 2 / 4 * 1 / 3 * 0.5 / 2) ** 0.25)


def test_chrf_worked_by_hand():
    # "ab" against "abc": letters 2 of 2 and 2 of 3, pairs 1 of 1 and 1 of 2; longer runs are not on both sides.
    # precision 1, recall (2/3 + 1/2)/2 = 7/12; F2 = 5·1·(7/12)/(4·1 + 7/12) = 35/55.
    assert translation.chrf(np.array([translation.chrf_counts("a b", ["abc"])]))[0] == pytest.approx(100 * 35 / 55)


def test_a_row_without_references_takes_no_part():
    pytest.importorskip("sacrebleu")
    measures = translation.per_example(["the cat sat here", "x"], [["the cat sat here"], []])
    scores = translation.scores(measures, np.array([[1.0, 1.0], [0.0, 1.0]]))
    assert scores["bleu"][0] == pytest.approx(100) and np.isnan(scores["bleu"][1]) and np.isnan(scores["chrf"][1])


@pytest.mark.parametrize(("references", "count"), [([["a"], ["b"]], "1"), ([["a", "b"]], "2"),
                                                   ([["a", "b"], ["c"]], "var")])
def test_signatures_are_the_librarys_own(references, count):
    sacrebleu = pytest.importorskip("sacrebleu")
    assert translation.signature(
        "bleu", references) == f"nrefs:{count}|case:mixed|eff:no|tok:13a|smooth:exp|version:{sacrebleu.__version__}"
    metric = sacrebleu.CHRF()
    metric.corpus_score(["a"] * len(references), references_by_position(references))
    assert translation.signature("chrf", references) == str(metric.get_signature())


def test_a_missing_library_is_reported(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(UserError, match=r"headstart\[translation\]") as caught:
        translation.per_example(["a"], [["a"]])
    assert caught.value.exit == Exit.UNAVAILABLE
