"""Searches find what a full comparison finds, in a fixed order, also after saving."""

import math
import sys
from collections import Counter

import numpy as np
import pytest

from headstart.errors import Exit, UserError
from headstart.search import dense, sparse
from headstart.search.hits import top_k

TEXTS = ["The old mill by the river.", "A red cow and a red barn stood there.", "", "River, river, RIVER!",
         "Some warm tea", "猫と川 by the mill"]


@pytest.fixture
def vectors(tmp_path, monkeypatch):
    """A file of 500 vectors of which some are equal, searched in small blocks."""
    monkeypatch.setattr(dense, "BLOCK", 64)
    monkeypatch.setattr(dense, "CHUNK", 160)
    monkeypatch.setattr(dense, "QUERIES", 3)
    table = np.random.default_rng(0).integers(-3, 4, (500, 8)).astype(np.float32)
    table[300:400] = table[100:200]
    dense.write_vectors(tmp_path / "vectors.npy", (table[start:start + 70] for start in range(0, 500, 70)), rows=500,
                        width=8)
    return tmp_path / "vectors.npy", table


@pytest.mark.parametrize("k", [1, 7, 170, 500, 900])
def test_dense_search_finds_what_a_full_comparison_finds(vectors, k):
    path, table = vectors
    queries = np.random.default_rng(1).integers(-3, 4, (8, 8)).astype(np.float32)
    hits = dense.DenseIndex.open(path).search(queries, k=k)
    exact = queries @ table.T
    expected = np.argsort(-exact, axis=1, kind="stable")[:, :k]  # of equals the lower row
    assert hits.rows.tolist() == expected.tolist()
    assert hits.scores == pytest.approx(np.take_along_axis(exact, expected, axis=1))


def test_cosines_come_from_vectors_made_1_long(tmp_path):
    table = np.random.default_rng(2).normal(size=(30, 16)) * 40
    dense.write_vectors(tmp_path / "v.npy", [table], rows=30, width=16, normalise=True)
    hits = dense.DenseIndex.open(tmp_path / "v.npy").search(table[4] / np.linalg.norm(table[4]), k=1)
    assert hits.rankings() == [[4]] and hits.scores[0, 0] == pytest.approx(1, abs=2e-3)


def test_searching_changes_no_file(vectors):
    path, _ = vectors
    before = path.read_bytes()
    dense.DenseIndex.open(path).search(np.ones((1, 8)), k=3)
    assert path.read_bytes() == before


@pytest.mark.parametrize("number", [1e6, math.nan, math.inf])
def test_vectors_that_float16_cannot_hold_are_refused(tmp_path, number):
    table = np.ones((4, 3))
    table[2, 1] = number
    with pytest.raises(UserError, match="row 2") as raised:
        dense.write_vectors(tmp_path / "v.npy", [table], rows=4, width=3)
    assert raised.value.exit == Exit.DATA and not list(tmp_path.iterdir())


def test_faulty_vectors_and_queries_are_told(vectors, tmp_path):
    path, _ = vectors
    with pytest.raises(UserError, match="8 wide, but the query is 9"):
        dense.DenseIndex.open(path).search(np.ones((1, 9)), k=3)
    with pytest.raises(UserError, match="NaN"):
        dense.DenseIndex.open(path).search(np.full((1, 8), np.nan), k=3)
    with pytest.raises(UserError, match="no vectors"):
        dense.DenseIndex.open(tmp_path / "none.npy")
    (tmp_path / "bad.npy").write_bytes(b"no table")
    np.save(tmp_path / "wide.npy", np.ones((2, 2)))
    for name in ("bad.npy", "wide.npy"):
        with pytest.raises(UserError, match="Build the index again"):
            dense.DenseIndex.open(tmp_path / name)


def test_an_empty_table_finds_nothing(tmp_path):
    dense.write_vectors(tmp_path / "v.npy", [], rows=0, width=4)
    assert dense.DenseIndex.open(tmp_path / "v.npy").search(np.ones((2, 4)), k=3).rankings() == [[], []]


def test_the_best_of_equals_is_the_lower_row():
    rows, scores = top_k(np.array([1.0, 2.0, 1.0, 2.0, 1.0]), 3, first_row=10)
    assert rows.tolist() == [11, 13, 10] and scores.tolist() == [2, 2, 1]


def bm25(texts, query, k1, b):
    """The formula written out."""
    rows = [Counter(sparse.tokenize(text)) for text in texts]
    mean_length = sum(row.total() for row in rows) / len(rows)
    scores = np.zeros(len(rows))
    for word in sparse.tokenize(query):
        frequency = sum(word in row for row in rows)
        idf = math.log(1 + (len(rows) - frequency + 0.5) / (frequency + 0.5))
        scores += [idf * row[word] / (row[word] + k1 * (1 - b + b * row.total() / mean_length)) for row in rows]
    return scores


@pytest.mark.parametrize("query", ["red river", "the mill by a river river", "川", "mill", "TEA?"])
def test_sparse_search_equals_the_formula_written_out(query):
    pytest.importorskip("bm25s")
    hits = sparse.SparseIndex.build(TEXTS, k1=1.2, b=0.6).search([query], k=6)
    expected = bm25(TEXTS, query, 1.2, 0.6)
    order = [row for row in np.argsort(-expected, kind="stable").tolist() if expected[row] > 0]
    assert hits.rankings() == [order]
    assert hits.scores[0, :len(order)] == pytest.approx(expected[order], rel=1e-5)


def test_a_saved_word_index_finds_the_same(tmp_path):
    pytest.importorskip("bm25s")
    index = sparse.SparseIndex.build(TEXTS)
    index.save(tmp_path / "words")
    loaded = sparse.SparseIndex.load(tmp_path / "words")
    queries = ["old river", "nothing known", "", "the"]
    first, second = index.search(queries, k=3), loaded.search(queries, k=3)
    assert first.rows.tolist() == second.rows.tolist() and first.scores.tolist() == second.scores.tolist()
    assert first.rankings()[1:] == [[], [], []] and first.rows.shape == (4, 3)


def test_faulty_word_indexes_are_told(tmp_path):
    pytest.importorskip("bm25s")
    for texts in ([], ["", "the"]):
        with pytest.raises(UserError, match="without any"):
            sparse.SparseIndex.build(texts)
    with pytest.raises(UserError, match="no word index"):
        sparse.SparseIndex.load(tmp_path)
    sparse.SparseIndex.build(TEXTS).save(tmp_path)
    (tmp_path / "vocab.index.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        sparse.SparseIndex.load(tmp_path)


def test_words_are_small_whole_and_not_the_usual_ones():
    assert sparse.tokenize("The mill's OLD_door, x2 ﬁne 猫川") == ["mill", "s", "old", "door", "x2", "fine", "猫", "川"]


def test_a_missing_library_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "bm25s", None)
    with pytest.raises(UserError, match=r"headstart\[search\]") as raised:
        sparse.SparseIndex.build(["a word"])
    assert raised.value.exit == Exit.UNAVAILABLE
