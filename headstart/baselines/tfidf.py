"""Words and pieces of words, weighted by TF-IDF, under a logistic regression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.baselines.linear import Linear, fit_logistic

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_WORDS, MOST_PIECES = 30_000, 50_000  # columns of the matrix
LONGEST = 20_000  # characters of a text that are looked at


@dataclass(frozen=True)
class TfidfLogistic:
    """A fitted TF-IDF + logistic regression."""

    words: Any
    pieces: Any
    linear: Linear

    @classmethod
    def fit(cls, texts: Sequence[str], gold: NDArray[np.int64], classes: int, seed: int) -> TfidfLogistic:
        """Word 1- and 2-grams and 2- to 5-letter pieces inside words; rare ones are left out of larger files."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        rare = 2 if len(texts) > 2000 else 1
        cut = [text[:LONGEST] for text in texts]
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=rare, max_features=MOST_WORDS,
                                token_pattern=r"(?u)\b\w+\b")
        pieces = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=rare,
                                 max_features=MOST_PIECES)
        matrices = []
        for vectorizer in (words, pieces):
            try:
                matrices.append(vectorizer.fit_transform(cut))
            except ValueError:  # no word at all: the texts are signs only
                matrices.append(None)
        return cls(words if matrices[0] is not None else None, pieces if matrices[1] is not None else None,
                   fit_logistic(joined(matrices, len(cut)), gold, classes, seed))

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """(M, C)."""
        cut = [text[:LONGEST] for text in texts]
        matrices = [one.transform(cut) if one is not None else None for one in (self.words, self.pieces)]
        return self.linear.probabilities(joined(matrices, len(cut)))

    @property
    def size_bytes(self) -> int:
        """Of its numbers and its words."""
        known = [one for one in (self.words, self.pieces) if one is not None]
        return 8 * self.linear.size + sum(len(word) + 8 for one in known for word in one.vocabulary_)


def joined(matrices: Sequence[Any], rows: int) -> Any:
    """The matrices side by side."""
    from scipy.sparse import csr_matrix, hstack

    held = [matrix for matrix in matrices if matrix is not None]
    return hstack(held, format="csr") if held else csr_matrix((rows, 1))
