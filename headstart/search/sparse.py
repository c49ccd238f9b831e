"""Search by words: BM25 over sparse arrays, by bm25s.

Robertson and Zaragoza 2009, The Probabilistic Relevance Framework: BM25 and beyond, with Lucene's form of the inverse
document frequency, ln(1 + (N - n + 0.5) / (n + 0.5)). Words are in small letters and whole (no stems); a few English words
that stand everywhere are left out. N texts, Q queries, K rows found of each.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from headstart.errors import Exit, UserError
from headstart.search.hits import Hits, best, gathered
from headstart.text.words import SINGLE

WORD = re.compile(rf"[{SINGLE}]|[^\W_{SINGLE}]+")
USUAL = frozenset((
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "from", "in", "into", "is", "it", "its", "of", "on", "or", "that",
    "the", "their", "there", "these", "they", "this", "to", "was", "were", "will", "with"))
K1, B = 1.5, 0.75
AT_ONCE = 64  # words of a question


def library() -> ModuleType:
    """bm25s; raises UserError (69) where it is missing."""
    try:
        import bm25s
    except ImportError:
        raise UserError("Search by words needs bm25s.", fix="pip install 'headstart[search]'", exit=Exit.UNAVAILABLE) from None
    found: ModuleType = bm25s
    return found


def tokenize(text: str) -> list[str]:
    """The words of a text that are searched: runs of letters and digits in small letters, without the usual ones."""
    return [word for word in WORD.findall(unicodedata.normalize("NFKC", text).lower()) if word not in USUAL]


@dataclass(frozen=True)
class Sparse:
    """Texts that can be searched by their words."""

    held: Any  # bm25s.BM25
    texts: int

    @classmethod
    def build(cls, texts: Iterable[str], *, k1: float = K1, b: float = B) -> Sparse:
        """Index texts; row n is the n-th. Raises UserError (65) when none has a word.

        `k1` says how soon a repeated word counts no more, `b` (0 to 1) how much long texts are held back.
        """
        vocabulary = {"": 0}  # the library wants a word of no text
        ids = [[vocabulary.setdefault(word, len(vocabulary)) for word in tokenize(text)] for text in texts]
        if len(vocabulary) == 1:
            raise UserError(f"An index needs texts with words, but {len(ids)} texts came without any.",
                            fix="Look whether the right column was taken.", exit=Exit.DATA)
        made = library().BM25(k1=k1, b=b, method="lucene", backend="numpy")
        made.index((ids, vocabulary), create_empty_token=False, show_progress=False)
        return cls(made, len(ids))

    def search(self, queries: Sequence[str], *, k: int) -> Hits:
        """The k best texts for each query, (Q, min(k, N)); texts that share no word with it are not found."""
        return gathered([self.one(query, k) for query in queries], min(k, self.texts))

    def one(self, query: str, k: int) -> tuple[Any, Any]:
        """Rows and scores of one query."""
        known = self.held.vocab_dict
        ids = [known[word] for word in tokenize(query) if word in known]
        if not ids:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
        # So many at a time, since the library lays all their texts side by side: a question of 10,000 words takes no gigabytes.
        parts = (self.held.get_scores_from_ids(ids[begin:begin + AT_ONCE]) for begin in range(0, len(ids), AT_ONCE))
        rows, scores = best(sum(parts), k)
        found = scores > 0
        return rows[found], scores[found]

    def save(self, folder: Path) -> None:
        """Keep the index as plain arrays and JSON."""
        self.held.save(str(folder), show_progress=False)

    @classmethod
    def load(cls, folder: Path, *, on_disk: bool = False) -> Sparse:
        """Read back what `save` kept; no code is read. `on_disk`: the table is read as it is searched. Raises UserError (66, 65)."""
        package = library()
        if not (folder / "params.index.json").is_file():
            raise UserError(f"There is no word index in {folder}.", fix="Build the index first.", exit=Exit.NO_INPUT)
        try:
            held = package.BM25.load(str(folder), load_corpus=False, mmap=on_disk, allow_pickle=False, show_progress=False)
            return cls(held, int(json.loads((folder / "params.index.json").read_text(encoding="utf-8"))["num_docs"]))
        except (ValueError, KeyError, TypeError, OSError, EOFError) as error:
            raise UserError(f"The word index in {folder} is damaged ({error}).", fix="Build the index again.", exit=Exit.DATA) from None
