"""The one sentence that is most like the whole document: TF-IDF and the cosine with the document's centroid.

Radev et al. 2004, Centroid-based summarization of multiple documents. S sentences, V words.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from headstart.text.sentences import split_sentences

WORD_PATTERN = r"(?u)\b\w+\b"


@dataclass(frozen=True)
class CentroidSentence:
    """The document frequencies of the training documents, by which a document's most central sentence is found."""

    vectorizer: Any

    @classmethod
    def fit(cls, documents: Iterable[str]) -> CentroidSentence:
        """Learn the document frequency of each word."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer(token_pattern=WORD_PATTERN, sublinear_tf=True)
        try:
            vectorizer.fit(documents)
        except ValueError:  # no word in any document
            return cls(None)
        return cls(vectorizer)

    def central_sentence(self, document: str) -> str:
        """The sentence nearest to the sum of all sentences' vectors; the first of equals, "" for an empty document."""
        import numpy as np

        candidates = split_sentences(document)
        if not candidates or self.vectorizer is None:
            return candidates[0] if candidates else ""
        # (S, V), rows of length 1, or 0 without a word of the vocabulary
        vectors = self.vectorizer.transform(candidates)
        centroid = np.asarray(vectors.sum(axis=0)).ravel()
        # Equal sentences must tie although their sums round differently.
        return candidates[int(np.argmax((vectors @ centroid).round(12)))]

    @property
    def size_bytes(self) -> int:
        """Of its words and their weights."""
        return sum(len(word) + 8 for word in self.vectorizer.vocabulary_) if self.vectorizer is not None else 0
