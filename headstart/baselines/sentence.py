"""The one sentence that is most like the whole document: TF-IDF and the cosine with the document's centroid.

Radev et al. 2004, Centroid-based summarization of multiple documents. S sentences, V words.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from headstart.text.sentences import sentences

PATTERN = r"(?u)\b\w+\b"


@dataclass(frozen=True)
class BestSentence:
    """How rare each word is in the training documents, for choosing the sentence that says most."""

    vectorizer: Any

    @classmethod
    def fit(cls, documents: Iterable[str]) -> BestSentence:
        """Learn how many documents hold each word."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer(token_pattern=PATTERN, sublinear_tf=True)
        try:
            vectorizer.fit(documents)
        except ValueError:  # no word in any document
            return cls(None)
        return cls(vectorizer)

    def best(self, document: str) -> str:
        """The sentence nearest to the sum of all sentences' vectors; the first of equals, "" for an empty document."""
        import numpy as np

        parts = sentences(document)
        if not parts or self.vectorizer is None:
            return parts[0] if parts else ""
        table = self.vectorizer.transform(parts)  # (S, V), rows of length 1, or 0 where no word is known
        center = np.asarray(table.sum(axis=0)).ravel()
        # Equal sentences must tie although their sums round differently.
        return parts[int(np.argmax((table @ center).round(12)))]

    @property
    def size_bytes(self) -> int:
        """Of its words and their weights."""
        return sum(len(word) + 8 for word in self.vectorizer.vocabulary_) if self.vectorizer is not None else 0
