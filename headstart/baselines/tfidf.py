"""Logistic regression on TF-IDF of word and character n-grams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.baselines.linear import LogisticClassifier, fit_logistic

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_WORD_FEATURES, MAX_CHARACTER_FEATURES = 30_000, 50_000  # columns of the matrix
MAX_CHARACTERS = 20_000  # characters of a text that are looked at


@dataclass(frozen=True)
class TfidfLogistic:
    """A fitted TF-IDF + logistic regression."""

    word_vectorizer: Any
    character_vectorizer: Any
    classifier: LogisticClassifier

    @classmethod
    def fit(cls, texts: Sequence[str], gold: NDArray[np.int64], classes: int, seed: int) -> TfidfLogistic:
        """Word 1- and 2-grams and 2- to 5-grams of letters inside words; rare ones are left out of larger files."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        min_documents = 2 if len(texts) > 2000 else 1
        truncated = [text[:MAX_CHARACTERS] for text in texts]
        word_vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=min_documents,
                                          max_features=MAX_WORD_FEATURES, token_pattern=r"(?u)\b\w+\b")
        character_vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True,
                                               min_df=min_documents, max_features=MAX_CHARACTER_FEATURES)
        matrices = []
        for vectorizer in (word_vectorizer, character_vectorizer):
            try:
                matrices.append(vectorizer.fit_transform(truncated))
            except ValueError:  # no word at all: the texts are punctuation only
                matrices.append(None)
        return cls(word_vectorizer if matrices[0] is not None else None,
                   character_vectorizer if matrices[1] is not None else None,
                   fit_logistic(concatenate_columns(matrices, len(truncated)), gold, classes, seed))

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """(M, C)."""
        truncated = [text[:MAX_CHARACTERS] for text in texts]
        matrices = [vectorizer.transform(truncated) if vectorizer is not None else None
                    for vectorizer in (self.word_vectorizer, self.character_vectorizer)]
        return self.classifier.probabilities(concatenate_columns(matrices, len(truncated)))

    @property
    def size_bytes(self) -> int:
        """Of its numbers and its words."""
        vectorizers = [vectorizer for vectorizer in (self.word_vectorizer, self.character_vectorizer)
                       if vectorizer is not None]
        return 8 * self.classifier.size + sum(len(word) + 8 for vectorizer in vectorizers
                                              for word in vectorizer.vocabulary_)


def concatenate_columns(matrices: Sequence[Any], rows: int) -> Any:
    """The matrices side by side."""
    from scipy.sparse import csr_matrix, hstack

    present = [matrix for matrix in matrices if matrix is not None]
    return hstack(present, format="csr") if present else csr_matrix((rows, 1))
