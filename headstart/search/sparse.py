"""Search by words: BM25 over sparse arrays, by bm25s.

Robertson and Zaragoza 2009, The Probabilistic Relevance Framework: BM25 and beyond, with Lucene's form of the inverse
document frequency, ln(1 + (N - n + 0.5) / (n + 0.5)). Words are in small letters and whole (no stems), without English
stopwords. N texts, Q queries, K rows found of each.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from headstart.errors import Exit, UserError
from headstart.search.hits import Hits, stack_hits, top_k
from headstart.text.normalise import compose
from headstart.text.words import UNSPACED_CHARACTERS

WORD = re.compile(rf"[{UNSPACED_CHARACTERS}]|[^\W_{UNSPACED_CHARACTERS}]+")
STOPWORDS = frozenset((
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "from", "in", "into", "is", "it", "its", "of", "on",
    "or", "that", "the", "their", "there", "these", "they", "this", "to", "was", "were", "will", "with"))
K1, B = 1.5, 0.75
WORDS_PER_CALL = 64  # words of a query that are scored at a time


def import_bm25s() -> ModuleType:
    """bm25s; raises UserError (69) where it is missing."""
    try:
        import bm25s
    except ImportError:
        raise UserError("Search by words needs bm25s.", fix="pip install 'headstart[search]'",
                        exit=Exit.UNAVAILABLE) from None
    module: ModuleType = bm25s
    return module


def tokenize(text: str) -> list[str]:
    """The words of a text that are searched: runs of letters and digits in small letters, without stopwords."""
    return [word for word in WORD.findall(compose(text).lower()) if word not in STOPWORDS]


@dataclass(frozen=True)
class SparseIndex:
    """An inverted index: texts that can be searched by their words."""

    bm25: Any  # bm25s.BM25
    text_count: int

    @classmethod
    def build(cls, texts: Iterable[str], *, k1: float = K1, b: float = B) -> SparseIndex:
        """Index texts; row n is the n-th. Raises UserError (65) when none has a word.

        `k1` says how soon a repeated word counts no more, `b` (0 to 1) how much long texts are held back.
        """
        vocabulary = {"": 0}  # the library wants a word of no text
        token_ids = [[vocabulary.setdefault(word, len(vocabulary)) for word in tokenize(text)] for text in texts]
        if len(vocabulary) == 1:
            raise UserError(f"An index needs texts with words, but {len(token_ids)} texts came without any.",
                            fix="Look whether the right column was taken.", exit=Exit.DATA)
        bm25 = import_bm25s().BM25(k1=k1, b=b, method="lucene", backend="numpy")
        bm25.index((token_ids, vocabulary), create_empty_token=False, show_progress=False)
        return cls(bm25, len(token_ids))

    def search(self, queries: Sequence[str], *, k: int) -> Hits:
        """The k best texts for each query, (Q, min(k, N)); texts that share no word with it are not found."""
        return stack_hits([self.search_query(query, k) for query in queries], min(k, self.text_count))

    def search_query(self, query: str, k: int) -> tuple[Any, Any]:
        """Rows and scores of one query."""
        vocabulary = self.bm25.vocab_dict
        token_ids = [vocabulary[word] for word in tokenize(query) if word in vocabulary]
        if not token_ids:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
        # So many at a time, since the library lays all their texts side by side: a query of 10,000 words takes no
        # gigabytes.
        partial_scores = (self.bm25.get_scores_from_ids(token_ids[start:start + WORDS_PER_CALL])
                          for start in range(0, len(token_ids), WORDS_PER_CALL))
        rows, scores = top_k(sum(partial_scores), k)
        matches = scores > 0
        return rows[matches], scores[matches]

    def save(self, folder: Path) -> None:
        """Write the index as plain arrays and JSON."""
        self.bm25.save(str(folder), show_progress=False)

    @classmethod
    def load(cls, folder: Path, *, on_disk: bool = False) -> SparseIndex:
        """Read back what `save` wrote; no code is read. `on_disk`: the table is read as it is searched. Raises
        UserError (66, 65).
        """
        package = import_bm25s()
        if not (folder / "params.index.json").is_file():
            raise UserError(f"There is no word index in {folder}.", fix="Build the index first.", exit=Exit.NO_INPUT)
        try:
            bm25 = package.BM25.load(str(folder), load_corpus=False, mmap=on_disk, allow_pickle=False,
                                     show_progress=False)
            return cls(bm25, int(json.loads((folder / "params.index.json").read_text(encoding="utf-8"))["num_docs"]))
        except (ValueError, KeyError, TypeError, OSError, EOFError) as error:
            raise UserError(f"The word index in {folder} is damaged ({error}).", fix="Build the index again.",
                            exit=Exit.DATA) from None
